"""Statements in PostgreSQL's protocol 3.0 (PostgreSQL's documentation, chapter 55)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis import streams
from analysis.dissect import tables
from analysis.streams import Octets, Stream

PORT = 5432
COLUMNS = streams.COLUMNS
"""What `packets` must hold."""

STATEMENT = ("frame", "connection", "text", "values")


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """One row per statement that a client sent to PostgreSQL.

    Args:
        packets: with `COLUMNS`.

    Returns:
        the columns of `packets` but the payload, and ``text`` of the statement, ``values`` (those
        that travelled apart from it, as text), ``connection`` (as in `analysis.tcp.analyse`).
    """
    rows = [
        {"connection": conversation.connection, **row}
        for conversation in streams.conversations(packets)
        if conversation.client.dport == PORT
        for row in _statements(conversation.client)
    ]
    rows.sort(key=lambda row: row["frame"])
    return tables.with_messages(packets, rows, STATEMENT)


def _statements(stream: Stream) -> Iterator[dict[str, Any]]:
    """Query messages, and Parse with its Bind: a statement and its values."""
    text = ""
    for kind, body, place in _messages(stream):
        if kind == b"Q":
            yield _row(stream, place, body.split(b"\0")[0], ())
        elif kind == b"P" and body.count(b"\0") > 1:
            text = body.split(b"\0")[1].decode("utf-8", "replace")
        elif kind == b"B":
            yield _row(stream, place, text.encode(), tuple(_values(body)))


def _messages(stream: Stream) -> Iterator[tuple[bytes, bytes, int]]:
    """Type, body and last byte's place of each whole message, up to a hole in the capture."""
    octets = Octets(stream)
    place = int.from_bytes(octets.at(0, 4), "big")  # the start-up message has no type
    while len(head := octets.at(place, 5)) == 5:
        size = int.from_bytes(head[1:], "big")
        body = octets.at(place + 5, size - 4) if size >= 4 else b""
        if size < 4 or len(body) < size - 4:
            return
        place += 1 + size
        yield head[:1], body, place - 1


def _values(body: bytes) -> Iterator[str]:
    """The values of a Bind message; none behind a part that is not as it should be."""
    rest = body.split(b"\0", 2)[-1]  # behind the names of portal and statement
    formats = int.from_bytes(rest[:2], "big")
    rest = rest[2 + 2 * formats :]
    count, rest = int.from_bytes(rest[:2], "big"), rest[2:]
    for _ in range(count):
        size = int.from_bytes(rest[:4], "big", signed=True)
        if len(rest) < 4 or len(rest) - 4 < size:
            return
        yield rest[4 : 4 + max(size, 0)].decode("utf-8", "replace")
        rest = rest[4 + max(size, 0) :]


def _row(stream: Stream, place: int, text: bytes, values: tuple[str, ...]) -> dict[str, Any]:
    said = text.decode("utf-8", "replace")
    return {
        "frame": stream.delivered(place),
        "text": said,
        "values": values,
    }
