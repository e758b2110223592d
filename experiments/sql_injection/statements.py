"""Statements on the wire between web server and database, and in the database's log."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_plus

import pandas as pd

from analysis.dissect import http, postgresql

_SHOWN_LETTERS = 90
_LOGGED = re.compile(
    r"^(?P<time_s>\d+\.\d+) (?P<user>\w*) (?P<level>[A-Z]+): +"
    r"(?:(?P<kind>statement|execute [^:]*): )?(?P<text>.*)$"
)


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """Statements as `analysis.dissect.postgresql.read` gives them, and `info`."""
    found = postgresql.read(packets)
    found["info"] = [_short(_said(row)) for row in found.to_dict("records")]
    return found


def _said(row: dict[Any, Any]) -> str:
    values = ", ".join(row["values"])
    return f"{row['text']} ← {values}" if values else str(row["text"])


def pages(packets: pd.DataFrame) -> pd.DataFrame:
    """HTTP messages as `analysis.dissect.http.read` gives them, and `info`."""
    found = http.read(packets, ports=(8000,))
    found["info"] = [_short(_words(row)) for row in found.to_dict("records")]
    return found.drop_duplicates("frame", keep="last")


def _words(row: dict[Any, Any]) -> str:
    body = bytes(row["body"]).decode("latin-1").strip()
    if row["kind"] == "request":
        return unquote_plus(f"{row['method']} {row['target']} {body}").strip()
    return f"{row['status']} {body}"


def _short(text: str) -> str:
    """Its beginning and its end."""
    text = " ".join(text.split())
    half = _SHOWN_LETTERS // 2
    return text if len(text) <= _SHOWN_LETTERS else f"{text[:half]} … {text[-half:]}"


def logged(text: str) -> pd.DataFrame:
    """The statements in PostgreSQL's log: ``time_s`` (since 1970), ``user``, ``text``.

    An error is followed by its statement, which is the only mention of one that cannot be parsed
    and repeats any other.
    """
    rows: list[dict[str, Any]] = []
    running = ""
    for line in text.splitlines():
        found = _LOGGED.match(line)
        if not found or not (found["kind"] or found["level"] == "STATEMENT"):
            continue
        said = found["text"]
        if found["kind"] or said != running:
            rows.append({"time_s": float(found["time_s"]), "user": found["user"], "text": said})
        running = said if found["kind"] else ""
    return pd.DataFrame(rows, columns=["time_s", "user", "text"])
