"""The messages in the captures: lines of JSON, and what claims ask of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from analysis.dissect import json_messages
from testbed import Tables, first, pick

from .parties import PORTS

if TYPE_CHECKING:
    import pandas as pd

BEFORE, BEHIND = "r1-eth0", "r1-eth1"
"""r1's interfaces: towards h1, and towards h2."""

CLIENT, SERVER, ATTACKS = "h1-protected_client", "h2-protected_server", "r1-message_attacks"
"""The programs' logs."""


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """The messages between h1 and h2, as `json_messages.read` gives them."""
    return json_messages.read(packets, PORTS)


# ---- what claims ask


def said(tables: Tables, step: str, side: str = "client", capture: str = BEFORE) -> pd.DataFrame:
    """A step's messages of one side."""
    return pick(tables, step, capture, table="messages", side=side)


def fields(
    tables: Tables, step: str, side: str = "client", capture: str = BEFORE
) -> dict[str, Any]:
    """All fields of a step's messages of one side; of several with a name, the last one's.

    Raises:
        MissingDataError: no messages.
    """
    merged: dict[str, Any] = {}
    rows = said(tables, step, side, capture)
    first(rows, f"messages of the {side} in step '{step}' at {capture}")
    for text in rows["message"]:
        merged |= json.loads(text)
    return merged


def sizes(tables: Tables, step: str, side: str = "client", capture: str = BEFORE) -> dict[str, int]:
    """Field → its length in bytes, of those that are bytes."""
    found = fields(tables, step, side, capture).items()
    return {
        name: len(value) // 2
        for name, value in found
        if isinstance(value, str) and name not in ("text", "exchange")
    }


def octets(tables: Tables, step: str, name: str, side: str = "client") -> list[bytes]:
    """The bytes of a field in a step's messages, as r1 gets them from h1 or for h1."""
    messages = [json.loads(text) for text in said(tables, step, side)["message"]]
    return [json_messages.octets(m, name) for m in messages if name in m]


def readable(tables: Tables, step: str, text: str) -> bool:
    """True if a text can be read in a step's packets at r1.

    Raises:
        MissingDataError: no packets.
    """
    packets = pick(tables, step, BEFORE)
    first(packets, f"packets of step '{step}' at {BEFORE}")
    seen = b"".join(x for x in packets["payload"] if isinstance(x, bytes))
    return text.encode() in seen or text.encode().hex().encode() in seen


def accepted(tables: Tables, step: str) -> list[bool]:
    """What h2 said of each message that it took in a step.

    Raises:
        MissingDataError: it took none.
    """
    rows = told(tables, step, SERVER).dropna(subset="accepted")
    first(rows, f"message of step '{step}' at h2")
    return [bool(value) for value in rows["accepted"]]


def texts(tables: Tables, step: str) -> list[str]:
    """The texts that h2 accepted in a step."""
    rows = told(tables, step, SERVER)
    return [str(text) for text in rows["text"].dropna()]


def told(tables: Tables, step: str, log: str) -> pd.DataFrame:
    """What a program wrote in a step."""
    return pick(tables, step, table="told", log=log)
