"""Client and server hellos of TLS in a capture (RFC 8446, RFC 5246)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis import streams
from analysis.dissect import tables
from analysis.streams import Run, Stream
from analysis.tls import hello
from analysis.tls.reader import Cut, Reader
from analysis.tls.records import (
    APPLICATION,
    CHANGE_CIPHER,
    HANDSHAKE,
    HEADER_BYTES,
    LONGEST_BYTES,
    RECORD,
    first_record,
    may_begin,
)
from analysis.tls.session import is_one_hello, whole_messages

COLUMNS = streams.COLUMNS
"""What `packets` must hold. Hellos are known by their bytes, whatever the port."""

VERSIONS = {
    0x0300: "SSL 3.0",
    0x0301: "TLS 1.0",
    0x0302: "TLS 1.1",
    0x0303: "TLS 1.2",
    0x0304: "TLS 1.3",
}
MESSAGE = (
    "frame",
    "connection",
    "kind",
    "version",
    "versions",
    "server_name",
    "alpn",
    "ciphers",
    "session_bytes",
    "cut",
    "malformed",
)

_HELLOS = {hello.CLIENT_HELLO: "client", hello.SERVER_HELLO: "server"}
_MESSAGE_BYTES = 4
_LONGEST_HELLO_BYTES = 1 << 17


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """One row per hello, at the frame that completes its record.

    Args:
        packets: with `COLUMNS`; further columns such as ``time_ns`` are carried along.

    Returns:
        the columns of `packets` but the payload, and: ``connection``, ``kind`` (``client``,
        ``server``), ``version`` (agreed, or the highest offered), ``versions`` (offered, with
        commas), ``server_name``, ``alpn`` (with commas), ``ciphers`` (hexadecimal, with commas),
        ``session_bytes``, ``cut`` (the capture lacks a part), ``malformed``.
    """
    rows = [
        {"connection": conversation.connection, **row}
        for conversation in streams.conversations(packets, wanted=may_begin)
        for stream in conversation.sides
        for run in stream.runs
        for row in _hellos(stream, run)
    ]
    rows.sort(key=lambda row: row["frame"])
    return tables.with_messages(packets, rows, MESSAGE)


def _hellos(stream: Stream, run: Run) -> Iterator[dict[str, Any]]:
    """The hellos among the records of a run."""
    here = first_record(run)
    if here is None:
        return
    data, pending, encrypted, frame = run.data, bytearray(), False, 0
    while RECORD.match(data, here) and here + HEADER_BYTES <= len(data):
        size = int.from_bytes(data[here + 3 : here + 5], "big")
        if size > LONGEST_BYTES:
            break
        kind, body = data[here], data[here + HEADER_BYTES : here + HEADER_BYTES + size]
        here = min(here + HEADER_BYTES + size, len(data))
        frame = stream.delivered(run.begin + here - 1)
        encrypted = encrypted or kind in (CHANGE_CIPHER, APPLICATION)
        if kind != HANDSHAKE or (encrypted and not is_one_hello(body)):
            continue
        pending += body
        for message in whole_messages(pending):
            if message[0] in _HELLOS:
                yield _hello(frame, message, cut=False)
    if pending and pending[0] in _HELLOS:
        yield _hello(frame, bytes(pending), cut=True)


def _hello(frame: int, message: bytes, *, cut: bool) -> dict[str, Any]:
    client = _HELLOS[message[0]] == "client"
    row: dict[str, Any] = {"frame": frame, "kind": _HELLOS[message[0]], "cut": cut}
    try:
        body = Reader(message[_MESSAGE_BYTES:_LONGEST_HELLO_BYTES])
        legacy = body.number(2)
        row["version"] = VERSIONS.get(legacy, hex(legacy))
        body.take(32)  # random
        row["session_bytes"] = len(body.vector(1).data)
        row["ciphers"] = _numbers(body.vector(2) if client else Reader(body.take(2)))
        body.vector(1) if client else body.take(1)  # compression
        if body.left:
            _extensions(body.vector(2), client, row)
        row["malformed"] = False
    except Cut:
        row["malformed"] = not cut
    return row


def _numbers(vector: Reader) -> str:
    found = []
    while vector.left >= 2:
        found.append(f"{vector.number(2):04x}")
    return ",".join(found)


def _extensions(body: Reader, client: bool, row: dict[str, Any]) -> None:
    while body.left:
        kind, value = body.number(2), body.vector(2)
        if kind == hello.SERVER_NAME and value.left:  # RFC 6066 §3
            names = value.vector(2)
            names.number(1)
            row["server_name"] = names.vector(2).data.decode("ascii", "replace")
        elif kind == hello.ALPN:  # RFC 7301 §3.1
            names, protocols = value.vector(2), []
            while names.left:
                protocols.append(names.vector(1).data.decode("ascii", "replace"))
            row["alpn"] = ",".join(protocols)
        elif kind == hello.SUPPORTED_VERSIONS:  # RFC 8446 §4.2.1
            offered = _numbers(value.vector(1) if client else value).split(",")
            known = [VERSIONS[int(one, 16)] for one in offered if one and int(one, 16) in VERSIONS]
            row["versions"] = ",".join(known)
            row["version"] = max(known, default=row["version"])
