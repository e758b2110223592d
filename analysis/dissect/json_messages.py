"""Messages that are JSON objects, each on a line of its own, over TCP."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

import pandas as pd

from analysis import streams
from analysis.dissect import tables
from analysis.streams import Conversation

COLUMNS = streams.COLUMNS
"""What `packets` must hold."""

MESSAGE = ("frame", "connection", "side", "bytes", "message", "info")

_SIDES = ("client", "server")
_LONGEST_TEXT = 40


def read(packets: pd.DataFrame, ports: Collection[int]) -> pd.DataFrame:
    """One row per message, in the order in which they were complete.

    Args:
        packets: with `COLUMNS`; further columns are carried along.
        ports: where such messages are expected.

    Returns:
        the columns of `packets` (at the segment that completes the message) but the payload, and
        ``connection`` (as in `analysis.tcp.analyse`), ``side`` (``client``, ``server``), ``bytes``
        (of the line), ``message`` (the object as JSON), ``info`` (in few words). Lines that are no
        JSON object, or of which the capture lacks a part, are left out.
    """
    found = streams.conversations(packets, ports)
    rows = [row for conversation in found for row in _messages(conversation)]
    rows.sort(key=lambda row: row["frame"])
    return tables.with_messages(packets, rows, MESSAGE)


def _messages(found: Conversation) -> Iterator[dict[str, Any]]:
    for side, stream in enumerate(found.sides):
        for run in stream.runs:
            place = run.begin
            for number, line in enumerate(run.data.splitlines(keepends=True)):
                place += len(line)
                broken = number == 0 and (run.missing_bytes or not stream.from_start)
                message = None if broken else decoded(line)
                if message is not None:
                    yield {
                        "frame": stream.delivered(place - 1),
                        "connection": found.connection,
                        "side": _SIDES[side],
                        "bytes": len(line),
                        "message": json.dumps(message),
                        "info": words(message),
                    }


def decoded(line: bytes) -> dict[str, Any] | None:
    """The object on a line; None: the line is not whole, or is something else."""
    try:
        found = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def octets(message: dict[str, Any], name: str) -> bytes:
    """The bytes of a field in hexadecimal; none if it is not there or is something else."""
    value = message.get(name)
    try:
        return bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        return b""


def words(message: dict[str, Any]) -> str:
    """A message in few words: short texts as they are, of bytes only how many."""
    return ", ".join(_word(name.replace("_", " "), value) for name, value in message.items())


def _word(label: str, value: Any) -> str:
    if isinstance(value, str) and len(value) > 1 and len(octets({"": value}, "")) * 2 == len(value):
        return f"{label} ({len(value) // 2} bytes)"
    text = value if isinstance(value, str) else json.dumps(value)
    return f"{label} {text if len(text) <= _LONGEST_TEXT else f'{text[:_LONGEST_TEXT]}…'}"
