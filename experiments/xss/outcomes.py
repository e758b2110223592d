"""What left the victim's browser: what claims ask of a step."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_plus

import pandas as pd

from analysis.dissect import http
from testbed import MissingDataError, Tables, address, pick

from .attacks import ATTACKS, BOARD, DEED

VICTIM, LOOT = "h1-eth0", "h3-eth0"
"""Where packets are captured: at the victim, and at the attacker's host."""

_SESSION = re.compile(r"session=([0-9a-f]{32})")
_SHOWN_LETTERS = 100


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """HTTP messages as `analysis.dissect.http.read` gives them, and `info`."""
    found = http.read(packets, ports=(80,))
    found["info"] = [_words(row) for row in found.to_dict("records")]
    return found.drop_duplicates("frame", keep="last")


def _words(row: dict[Any, Any]) -> str:
    if row["kind"] == "response":
        return f"{row['status']} {row['reason']}"
    said = unquote_plus(f"{row['method']} {row['target']} {http.text(row)}").strip()
    return said if len(said) <= _SHOWN_LETTERS else f"{said[:_SHOWN_LETTERS]} …"


def session_in(words: str) -> str:
    """The first session's id in a text; empty if there is none."""
    found = _SESSION.search(words)
    return found[1] if found else ""


def session(tables: Tables) -> str:
    """The id that the victim got when logging in.

    Raises:
        MissingDataError: the login was not captured.
    """
    answers = pick(tables, "login", VICTIM, table="http", kind="response")
    found = [session_in(str(value)) for row in answers["headers"] for _, value in row]
    number = next(filter(None, found), "")
    if not number:
        raise MissingDataError("no session of the victim's was captured")
    return number


def asked(tables: Tables, defence: str) -> list[dict[Any, Any]]:
    """The victim's requests on the pages of a defence, to all hosts.

    Raises:
        MissingDataError: the board was not asked at all.
    """
    found = pick(tables, defence, VICTIM, table="http", kind="request")
    if not (found["host"] == BOARD).any():
        raise MissingDataError(f"step '{defence}': no request to the board was captured")
    rows: list[dict[Any, Any]] = found.to_dict("records")
    return rows


def arrived(tables: Tables, defence: str, attack: str) -> list[str]:
    """The addresses that an attack made the victim ask the attacker's host for.

    Raises:
        MissingDataError: the victim did not visit these pages.
    """
    asked(tables, defence)
    found = pick(tables, defence, LOOT, table="http", kind="request", ip_dst=address(tables, LOOT))
    targets = [str(target) for target in found["target"]]
    return [target for target in targets if target.startswith(f"/{defence}/{attack}?")]


def deeds(tables: Tables, defence: str) -> list[dict[Any, Any]]:
    """Requests that write on the board in the victim's name."""
    number = session(tables)
    return [
        row
        for row in asked(tables, defence)
        if row["method"] == "POST"
        and DEED in unquote_plus(http.text(row))
        and number in http.header(row, "Cookie")
    ]


def works(tables: Tables, defence: str, attack: str) -> bool:
    """True if the attacker has the victim's cookie, or wrote in the victim's name."""
    if attack == "deed":
        return bool(deeds(tables, defence))
    number = session(tables)
    return any(number in target for target in arrived(tables, defence, attack))


def working(tables: Tables, defence: str) -> list[str]:
    """The attacks that get through a defence, in the order of `ATTACKS`."""
    return [name for name in ATTACKS if works(tables, defence, name)]


def page(tables: Tables, defence: str) -> dict[Any, Any]:
    """The board, as the victim got it: the first response to a GET for it.

    Raises:
        MissingDataError: it was not captured.
    """
    wanted = [r["frame"] for r in asked(tables, defence) if r["target"] == f"/{defence}/"]
    answers = pick(tables, defence, VICTIM, table="http", kind="response")
    found = answers[answers["request_frame"].isin(wanted)].to_dict("records")
    if not found:
        raise MissingDataError(f"step '{defence}': the board's page was not captured")
    return dict(found[0])


def refused(tables: Tables, defence: str) -> list[str]:
    """What the browser's console says about scripts that a policy forbids."""
    console = tables["console"]
    own = console["visit"].str.startswith(f"{defence}-")
    words = console[own & console["text"].str.contains("Content Security Policy")]["text"]
    return [str(one) for one in words]


def shown(tables: Tables, *steps: str, most: int = 12) -> pd.DataFrame:
    """The victim's messages in steps, as evidence."""
    return pd.concat(pick(tables, step, VICTIM, table="http").head(most) for step in steps)
