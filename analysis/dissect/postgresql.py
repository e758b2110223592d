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

_REQUESTS = (b"\0\0\0\x08\x04\xd2\x16\x2f", b"\0\0\0\x08\x04\xd2\x16\x30")
"""SSLRequest and GSSENCRequest: a client may ask for encryption first."""

_MOST_NAME_BYTES = 1000


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
    """Query messages, and each Bind with the statement that it names: that and its values."""
    parsed: dict[bytes, str] = {}
    for kind, body, place in _messages(stream):
        if kind == b"Q":
            yield _row(stream, place, _text(body.partition(b"\0")[0]), ())
        elif kind == b"P" and body.count(b"\0", 0, _MOST_NAME_BYTES):
            name, _, rest = body.partition(b"\0")
            parsed[name] = _text(rest.partition(b"\0")[0])
        elif kind == b"B":
            names = body.split(b"\0", 2)
            if len(names) == 3:
                yield _row(stream, place, parsed.get(names[1], ""), tuple(_values(names[2])))


def _messages(stream: Stream) -> Iterator[tuple[bytes, bytes, int]]:
    """Type, body and last byte's place of each whole message, up to a hole in the capture."""
    octets = Octets(stream)
    place = 0
    while octets.at(place, 8) in _REQUESTS:  # answered by one byte, before all messages
        place += 8
    place += int.from_bytes(octets.at(place, 4), "big")  # the start-up message has no type
    while len(head := octets.at(place, 5)) == 5:
        size = int.from_bytes(head[1:], "big")
        body = octets.at(place + 5, size - 4) if size >= 4 else b""
        if size < 4 or len(body) < size - 4:
            return
        place += 1 + size
        yield head[:1], body, place - 1


def _values(body: bytes) -> Iterator[str]:
    """The values in a Bind message, behind its names; none behind a part that is damaged."""
    at = 2 + 2 * int.from_bytes(body[:2], "big")  # behind the formats
    count = int.from_bytes(body[at : at + 2], "big")
    at += 2
    for _ in range(count):
        size = max(int.from_bytes(body[at : at + 4], "big", signed=True), 0)
        at += 4
        if at + size > len(body):
            return
        yield _text(body[at : at + size])
        at += size


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _row(stream: Stream, place: int, text: str, values: tuple[str, ...]) -> dict[str, Any]:
    return {"frame": stream.delivered(place), "text": text, "values": values}
