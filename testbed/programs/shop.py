"""What is in the shop's database, and who may do what there: read by program and experiment."""

ACCOUNTS = {"alice": "rosebud", "bob": "swordfish", "o'brien": "tomato"}
"""Name → password."""

OWNER, DOORKEEPER, READER = "shop_owner", "shop_doorkeeper", "shop_reader"
"""Users of the database: one owns the tables; one may read accounts; one may read items."""

ITEMS = {1: "blue kettle", 2: "red kettle", 3: "baker's tin", 4: "next year's kettle"}
HIDDEN = 4
"""The item that is not on sale yet."""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_ACCOUNTS = ", ".join(f"({_quoted(n)}, {_quoted(p)})" for n, p in ACCOUNTS.items())
_ITEMS = ", ".join(
    f"({number}, {_quoted(title)}, {30 + number}, {str(number == HIDDEN).lower()})"
    for number, title in ITEMS.items()
)
TABLES = (
    "CREATE TABLE accounts (name text, password text);",
    f"INSERT INTO accounts VALUES {_ACCOUNTS};",
    "CREATE TABLE items (number integer, title text, price integer, hidden boolean);",
    f"INSERT INTO items VALUES {_ITEMS};",
)
RIGHTS = (
    *(f"CREATE ROLE {user} LOGIN;" for user in (OWNER, DOORKEEPER, READER)),
    *(f"ALTER TABLE {table} OWNER TO {OWNER};" for table in ("accounts", "items")),
    f"GRANT SELECT ON accounts TO {DOORKEEPER};",
    f"GRANT SELECT ON items TO {READER};",
)
"""What PostgreSQL needs in addition; SQLite has no users."""
