"""What the victim's browser sent to the bank, and what came of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd

from analysis.dissect import http
from testbed import MissingDataError, Tables, Verdict, pick, same

from .pages import AMOUNTS, ATTACKS, BANK, OWN, VISITS

VICTIM = "h1-eth0"
"""Where packets are captured; TLS is opened with the browser's keys."""

_PAGE = ("picture", "script", "put", "link")
"""Attacks of the attacker's first page."""


def step(defence: str, name: str) -> str:
    """The step in which one of the attacker's pages meets a defence."""
    return f"{name}, {defence}"


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """HTTP messages as `analysis.dissect.http.read` gives them, and `info`."""
    found = http.read(packets)
    found["info"] = [_words(row) for row in found.to_dict("records")]
    return found.drop_duplicates("frame", keep="last")


def _words(row: dict[Any, Any]) -> str:
    if row["kind"] == "response":
        return f"{row['status']} {row['reason']}"
    names = ("Cookie", "Origin", "Access-Control-Request-Method")
    more = [f"{name}: {http.header(row, name)[:40]}" for name in names if http.header(row, name)]
    words = f" ({'; '.join(more)})" * bool(more)
    return f"{row['method']} {row['host']}{row['target']}{words}"


def messages(tables: Tables, defence: str, name: str) -> pd.DataFrame:
    """The HTTP messages of a step.

    Raises:
        MissingDataError: none can be read: nothing was captured, or the keys of TLS are missing.
    """
    found = pick(tables, step(defence, name), VICTIM, table="http")
    if found.empty:
        raise MissingDataError(f"step '{step(defence, name)}': no HTTP message can be read")
    return found


def to_bank(
    tables: Tables, defence: str, name: str, method: str = "", amount: int = 0
) -> list[dict[Any, Any]]:
    """The victim's requests to the bank in a step: of a method, for a transfer."""
    found = messages(tables, defence, name)
    rows = found[(found["kind"] == "request") & (found["host"] == BANK)].to_dict("records")
    return [
        row
        for row in rows
        if (not method or row["method"] == method) and (not amount or _amount(row) == str(amount))
    ]


def _amount(row: dict[Any, Any]) -> str:
    query = f"{urlsplit(str(row['target'])).query}&{http.text(row)}"
    return parse_qs(query).get("amount", [""])[0]


def paid(tables: Tables, defence: str, attack: str) -> bool:
    """True if the bank answered that alice pays mallory."""
    wanted = f"alice pays mallory {AMOUNTS[attack]}"
    found = messages(tables, defence, "page" if attack in _PAGE else attack)
    said = found[found["kind"] == "response"]["body"]
    return any(wanted in bytes(body).decode("utf-8", "replace") for body in said)


def serves(tables: Tables, defence: str) -> Verdict:
    """Whether the bank still does what alice asks for by its own form."""
    found = pick(tables, "login", VICTIM, table="http")
    asked = found[found["target"] == f"/{defence}/transfer"]["frame"]
    said = found[found["request_frame"].isin(asked)]
    if said.empty:
        raise MissingDataError(f"alice's own payment to {defence} has no answer that can be read")
    words = http.text(said.iloc[0].to_dict()).strip()
    return same(words, f"alice pays {OWN['to']} {OWN['amount']}", "the bank says to alice")


def user_after(tables: Tables, defence: str) -> str:
    """Who the bank's page says one is, when its address is typed in after all attacks."""
    found = messages(tables, defence, "after")
    for row in found[found["kind"] == "response"].to_dict("records"):
        for user in ("alice", "mallory", "nobody"):
            if f"You are {user}." in http.text(row):
                return user
    raise MissingDataError(f"step '{step(defence, 'after')}': the bank's page cannot be read")


def works(tables: Tables, defence: str, attack: str) -> bool:
    """True if alice paid, or goes on with mallory's account."""
    if attack == "login":
        return user_after(tables, defence) == "mallory"
    return paid(tables, defence, attack)


def working(tables: Tables, defence: str) -> list[str]:
    """The attacks that get through a defence, in the order of `ATTACKS`."""
    return [name for name in ATTACKS if works(tables, defence, name)]


def with_cookie(tables: Tables, defence: str) -> list[str]:
    """The attacker's pages that made the browser send the bank's cookie."""
    return [
        name
        for name in VISITS
        if any(http.header(row, "Cookie") for row in to_bank(tables, defence, name))
    ]


def refused(tables: Tables, visit: str, words: str) -> list[str]:
    """What the browser's console says about something that it refused."""
    console = tables["console"]
    found = console[(console["visit"] == visit) & console["text"].str.contains(words)]["text"]
    return [str(one) for one in found]


def shown(tables: Tables, defence: str, *names: str) -> pd.DataFrame:
    """The messages of steps, as evidence."""
    return pd.concat(messages(tables, defence, name).head(12) for name in names)
