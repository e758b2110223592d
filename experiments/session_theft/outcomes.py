"""What came of each step: what claims ask of messages and of what passed through h3."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from analysis.dissect import http
from testbed import MissingDataError, Tables, address, pick

from .attacks import ATTACKS, SESSIONS, VICTIM, fits, step

CLIENT, LAN, SERVER = "h1-eth0", "h3-eth0", "h2-eth0"
"""Where packets are captured: at the victim, at the attacker, and at the site."""

_SECRETS = re.compile(rb"\r\n(?:Cookie: session=|Authorization: Bearer )([\w.-]+)")
_SHOWN_LETTERS = 72
PLAIN = 80


def secrets(payload: Any) -> str:
    """The session's id or the token that a packet shows to whoever sees it; empty without."""
    found = _SECRETS.search(payload) if isinstance(payload, bytes) else None
    return found[1].decode() if found else ""


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """HTTP messages as `analysis.dissect.http.read` gives them, and `info`."""
    found = http.read(packets)
    found["info"] = [_words(row) for row in found.to_dict("records")]
    return found.drop_duplicates("frame", keep="last")


def _words(row: dict[Any, Any]) -> str:
    if row["kind"] == "response":
        told = [http.header(row, name) for name in ("Set-Cookie", "Location")]
        words = ", ".join(filter(None, (f"{row['status']} {row['reason']}", *told)))
    else:
        secret = http.header(row, "Cookie") or http.header(row, "Authorization")
        words = f"{row['method']} {row['target']}{f', {secret}' * bool(secret)}"
    if PLAIN not in (row["tcp_sport"], row["tcp_dport"]):
        words = f"in TLS: {words}"
    return words if len(words) <= _SHOWN_LETTERS else f"{words[:_SHOWN_LETTERS]} …"


def requests(tables: Tables, name: str, capture: str = SERVER) -> list[dict[Any, Any]]:
    """The requests of a step, as rows.

    Raises:
        MissingDataError: none was captured.
    """
    found = pick(tables, name, capture, table="http", kind="request")
    if found.empty:
        raise MissingDataError(f"step '{name}': no request was captured at {capture}")
    rows: list[dict[Any, Any]] = found.to_dict("records")
    return rows


def answers(tables: Tables, name: str, capture: str = SERVER) -> list[tuple[int, str]]:
    """Status and text of the responses of a step."""
    requests(tables, name, capture)
    found = pick(tables, name, capture, table="http", kind="response")
    return [(int(row["status"]), http.text(row).strip()) for row in found.to_dict("records")]


def last_answer(tables: Tables, name: str, capture: str = SERVER) -> tuple[int, str]:
    """The last of them; 0 without one."""
    return (answers(tables, name, capture) or [(0, "")])[-1]


def works(tables: Tables, defence: str, attack: str) -> bool:
    """True if the site took the attacker for the victim."""
    return (200, VICTIM[0]) in answers(tables, step(attack, defence))


def working(tables: Tables, defence: str) -> list[str]:
    """The attacks that get through a defence, in the order of `ATTACKS`."""
    return [name for name in ATTACKS if fits(defence, name) and works(tables, defence, name)]


def tries(tables: Tables, defence: str) -> int:
    """How many ids the attacker tried until one was the victim's; 0: none was."""
    tried = [said for said in answers(tables, step("guessed", defence)) if said[0] != 303][1:]
    return tried.index((200, VICTIM[0])) + 1 if (200, VICTIM[0]) in tried else 0


def overheard(tables: Tables, name: str) -> pd.DataFrame:
    """The victim's packets with an id or a token in them, as they came to h3."""
    found = from_victim(tables, name)
    return found[found["secret"] != ""]


def from_victim(tables: Tables, name: str) -> pd.DataFrame:
    """The victim's TCP segments that came to h3; perhaps none."""
    victim = address(tables, CLIENT)
    found = pick(tables, name, LAN, ip_src=victim, ip_proto=6)
    at_h1 = pick(tables, name, CLIENT, ip_src=victim, ip_proto=6)
    return found[found["eth_src"].isin(set(at_h1["eth_src"]))].reset_index(drop=True)


def cookies(tables: Tables, name: str) -> list[str]:
    """The values of `Set-Cookie` that the victim got in a step."""
    found = pick(tables, name, CLIENT, table="http", kind="response")
    return [v for row in found.to_dict("records") for v in http.header_values(row, "Set-Cookie")]


def number_in(cookie: str) -> str:
    """The id in a cookie."""
    return cookie.split(";", maxsplit=1)[0].removeprefix("session=")


def last_sent(tables: Tables, name: str, header: str) -> str:
    """A header of the last request of a step, at the site."""
    return http.header(requests(tables, name)[-1], header)


def against_all(tables: Tables, attack: str) -> list[str]:
    """The defences of sessions that an attack gets through."""
    return [d for d in SESSIONS if fits(d, attack) and works(tables, d, attack)]


def shown(tables: Tables, *names: str, capture: str = SERVER, most: int = 8) -> pd.DataFrame:
    """The messages of steps, as evidence."""
    return pd.concat(pick(tables, name, capture, table="http").head(most) for name in names)
