"""Pages of a shop over a database, once for each defence against injected SQL.

    database_pages.py [port=8000] [database=ADDRESS] [flaws=a,b] [check]

``/<defence>/login`` compares name and password, ``/<defence>/search?word=`` finds items by text,
``/<defence>/item?number=`` shows one. What each does with what visitors send is in
`testbed.programs.defences`. The statements go to PostgreSQL at `database`; those of ``/sqlite/`` to
SQLite in this process.
"""

import ctypes.util
import re
import sqlite3
import sys
import threading
from typing import Any

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from flask import Flask, Response, abort, request
from waitress import serve

from testbed.programs.defences import SHOP, SHOP_FLAWS
from testbed.programs.settings import read
from testbed.programs.shop import DOORKEEPER, OWNER, READER, TABLES

BLOCKED = ("--", ";", "union select", " or ")
LOGIN = "SELECT name FROM accounts WHERE name = '{}' AND password = '{}'"
SEARCH = "SELECT title, price FROM items WHERE NOT hidden AND title LIKE '%{}%'"
ITEM = "SELECT title FROM items WHERE number = {}"
MOST_BYTES = 10_000
"""Of a request's body."""

settings = {"port": "8000", "database": "127.0.0.1", "flaws": ""}

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
flaws: set[str] = set()
_lock = threading.Lock()
_connections: dict[str, Any] = {}
"""User of the database, or ``sqlite`` → its connection, which stays open."""


class DatabaseError(Exception):
    """What the database, or its driver, says against a statement."""


@app.post("/<defence>/login")
def login(defence: str) -> str:
    """Lets in whom the database finds."""
    user, password = request.form["user"], request.form["password"]
    _refuse_unless(defence, re.fullmatch("[a-z]+", user))
    found = _ask(defence, LOGIN, [user, password], DOORKEEPER)
    if not found:
        abort(403)
    return f"welcome {found[0][0]}\n"


@app.get("/<defence>/search")
def search(defence: str) -> str:
    """Items whose title contains the word, with their prices."""
    found = _ask(defence, SEARCH, [request.args["word"]], READER)
    return "".join(f"{title}: {price}\n" for title, price in found)


@app.get("/<defence>/item")
def item(defence: str) -> str:
    """One item's title."""
    number = request.args["number"]
    _refuse_unless(defence, re.fullmatch("[0-9]+", number))
    found = _ask(defence, ITEM, [number], READER)
    if not found:
        abort(404)
    return f"{found[0][0]}\n"


def _refuse_unless(defence: str, match: re.Match[str] | None) -> None:
    if defence == "checking" and not match and "no-checking" not in flaws:
        abort(Response("this is not what the field is for\n", 400))


def _ask(defence: str, statement: str, values: list[str], user: str) -> list[tuple[Any, ...]]:
    """The rows that a statement gives, with the values put in by the defence's rule."""
    if defence not in SHOP:
        abort(404)
    if defence == "blocking" and "no-blocking" not in flaws:
        text = " ".join(values).lower()
        if any(word in text for word in BLOCKED):
            abort(Response("forbidden words\n", 400))
    parameters = defence == "parameters" and "no-parameters" not in flaws
    if defence != "least-privilege" or "owner" in flaws:
        user = OWNER
    try:
        with _lock:
            if parameters or "parameters-everywhere" in flaws:
                return _apart(defence, statement, values, user)
            return _execute(defence, statement.format(*_put(defence, values)), user)
    except DatabaseError as error:
        quiet = defence == "quiet" and "loud" not in flaws
        words = "an error" if quiet else f"an error: {error}"
    return abort(Response(f"{words}\n", 500))  # type: ignore[no-any-return]


def _put(defence: str, values: list[str]) -> list[str]:
    """The values as they are put into a statement's text."""
    if defence == "escaping" and "no-escaping" not in flaws:
        return [value.replace("'", "''") for value in values]
    return values


def _apart(defence: str, statement: str, values: list[Any], user: str) -> list[tuple[Any, ...]]:
    """The statement with a place for each value, and the values beside it."""
    if statement == SEARCH:
        values = [f"%{value}%" for value in values]
    mark = "?" if defence == "sqlite" else "%s"
    text = re.sub(r"'%?\{\}%?'|\{\}", mark, statement)
    return _execute(defence, text, user, values)


def _execute(
    defence: str, text: str, user: str, values: list[Any] | None = None
) -> list[tuple[Any, ...]]:
    """Runs a statement; raises DatabaseError."""
    if defence == "sqlite":
        return _execute_sqlite(text, values or [])
    import psycopg

    try:
        cursor = _connection(user).execute(text, values)
        while cursor.nextset():  # of several statements, the last one's rows
            pass
        return list(cursor.fetchall()) if cursor.description else []
    except psycopg.Error as error:
        raise DatabaseError(str(error).splitlines()[0]) from None


def _connection(user: str) -> Any:
    if user not in _connections:
        import psycopg

        _connections[user] = psycopg.connect(
            host=settings["database"],
            user=user,
            dbname="postgres",
            sslmode="disable",
            gssencmode="disable",
            autocommit=True,
            prepare_threshold=None,
        )
    return _connections[user]


def _execute_sqlite(text: str, values: list[Any]) -> list[tuple[Any, ...]]:
    if "sqlite" not in _connections:
        made = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        made.executescript("".join(TABLES))
        _connections["sqlite"] = made
    connection = _connections["sqlite"]
    try:
        if "scripts" in flaws and ";" in text:
            connection.executescript(text)
            return []
        return list(connection.execute(text, values))
    except (sqlite3.Error, sqlite3.Warning) as error:  # until Python 3.11, two statements: Warning
        raise DatabaseError(str(error)) from None


def _library(name: str) -> str | None:
    """For psycopg, which would look into ldconfig's cache, and a run has none."""
    return {"pq": "libpq.so.5", "c": "libc.so.6"}.get(name)


def main(words: list[str]) -> None:
    """Reads the settings, then serves until it is ended."""
    if read(words, settings, flaws, SHOP_FLAWS):
        ctypes.util.find_library = _library
        serve(app, host="0.0.0.0", port=int(settings["port"]), threads=1)


if __name__ == "__main__":
    main(sys.argv[1:])
