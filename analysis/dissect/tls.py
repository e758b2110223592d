"""Client and server hellos of TLS in a capture (RFC 8446, RFC 5246)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis import streams
from analysis.dissect import tables
from analysis.streams import Beginnings, Run, Stream
from analysis.tcp.flows import Mask

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

_CHANGE_CIPHER, _ALERT, _HANDSHAKE, _APPLICATION = 20, 21, 22, 23
_MAJOR_VERSION = 3
_HELLOS = {1: "client", 2: "server"}
_RECORD_BYTES, _MESSAGE_BYTES = 5, 4
_LONGEST_RECORD_BYTES = (1 << 14) + 2048  # RFC 5246 §6.2.3
_LONGEST_HELLO_BYTES = 1 << 17
_RECORD = re.compile(rb"[\x14-\x18]\x03[\x00-\x04]", re.DOTALL)
_BEGINNING = re.compile(
    rb"\x16\x03[\x00-\x04]..[\x01\x02]\x00|\x15\x03[\x00-\x04]\x00\x02", re.DOTALL
)
_SERVER_NAME, _ALPN, _SUPPORTED_VERSIONS = 0, 16, 43


class _Cut(Exception):
    """A length leads over the end of what was captured."""


class _Reader:
    """Takes numbers and vectors off the front of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    @property
    def left(self) -> int:
        """Bytes not taken yet."""
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count > self.left:
            raise _Cut
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, width: int) -> int:
        """The next number of `width` bytes."""
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int) -> _Reader:
        """The next vector, whose length has `width` bytes (RFC 8446 §3.4)."""
        return _Reader(self.take(self.number(width)))


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
        for conversation in streams.conversations(packets, wanted=_may_begin)
        for stream in conversation.sides
        for run in stream.runs
        for row in _hellos(stream, run)
    ]
    rows.sort(key=lambda row: row["frame"])
    return tables.with_messages(packets, rows, MESSAGE)


def _may_begin(pieces: Beginnings) -> Mask:
    """Pieces that can begin with the record of a hello, or of a warning before it."""
    version = (pieces.second == _MAJOR_VERSION) | (pieces.second < 0)
    begins: Mask = ((pieces.first == _ALERT) | (pieces.first == _HANDSHAKE)) & version
    return begins


def _hellos(stream: Stream, run: Run) -> Iterator[dict[str, Any]]:
    """The hellos among the records of a run."""
    here = _first_record(run)
    if here is None:
        return
    data, pending, encrypted, frame = run.data, bytearray(), False, 0
    while _RECORD.match(data, here) and here + _RECORD_BYTES <= len(data):
        size = int.from_bytes(data[here + 3 : here + 5], "big")
        if size > _LONGEST_RECORD_BYTES:
            break
        kind, body = data[here], data[here + _RECORD_BYTES : here + _RECORD_BYTES + size]
        here = min(here + _RECORD_BYTES + size, len(data))
        frame = stream.delivered(run.begin + here - 1)
        encrypted = encrypted or kind in (_CHANGE_CIPHER, _APPLICATION)
        if kind != _HANDSHAKE or (encrypted and not _is_one_hello(body)):
            continue
        pending += body
        for message in _whole_messages(pending):
            if message[0] in _HELLOS:
                yield _hello(frame, message, cut=False)
    if pending and pending[0] in _HELLOS:
        yield _hello(frame, bytes(pending), cut=True)


def _first_record(run: Run) -> int | None:
    """Where records begin: at once, or with a later segment (STARTTLS, or behind a hole)."""
    here = 0
    for piece in run.pieces:
        if _BEGINNING.match(piece):
            return here
        if here == 0 and len(run.pieces) > 1 and _BEGINNING.match(run.data):
            return here
        here += len(piece)
    return None


def _is_one_hello(body: bytes) -> bool:
    """A second hello may follow a change of ciphers that changes none (RFC 8446 §D.4)."""
    length = int.from_bytes(body[1:4], "big") + _MESSAGE_BYTES
    return body[:1] in (b"\1", b"\2") and length == len(body)


def _whole_messages(pending: bytearray) -> Iterator[bytes]:
    """Takes the whole messages off the front."""
    while len(pending) >= _MESSAGE_BYTES:
        end = _MESSAGE_BYTES + int.from_bytes(pending[1:4], "big")
        if end > len(pending):
            return
        yield bytes(pending[:end])
        del pending[:end]


def _hello(frame: int, message: bytes, *, cut: bool) -> dict[str, Any]:
    client = _HELLOS[message[0]] == "client"
    row: dict[str, Any] = {"frame": frame, "kind": _HELLOS[message[0]], "cut": cut}
    try:
        body = _Reader(message[_MESSAGE_BYTES:_LONGEST_HELLO_BYTES])
        legacy = body.number(2)
        row["version"] = VERSIONS.get(legacy, hex(legacy))
        body.take(32)  # random
        row["session_bytes"] = len(body.vector(1).data)
        row["ciphers"] = _numbers(body.vector(2) if client else _Reader(body.take(2)))
        body.vector(1) if client else body.take(1)  # compression
        if body.left:
            _extensions(body.vector(2), client, row)
        row["malformed"] = False
    except _Cut:
        row["malformed"] = not cut
    return row


def _numbers(vector: _Reader) -> str:
    found = []
    while vector.left >= 2:
        found.append(f"{vector.number(2):04x}")
    return ",".join(found)


def _extensions(body: _Reader, client: bool, row: dict[str, Any]) -> None:
    while body.left:
        kind, value = body.number(2), body.vector(2)
        if kind == _SERVER_NAME and value.left:  # RFC 6066 §3
            names = value.vector(2)
            names.number(1)
            row["server_name"] = names.vector(2).data.decode("ascii", "replace")
        elif kind == _ALPN:  # RFC 7301 §3.1
            names, protocols = value.vector(2), []
            while names.left:
                protocols.append(names.vector(1).data.decode("ascii", "replace"))
            row["alpn"] = ",".join(protocols)
        elif kind == _SUPPORTED_VERSIONS:  # RFC 8446 §4.2.1
            offered = _numbers(value.vector(1) if client else value).split(",")
            known = [VERSIONS[int(one, 16)] for one in offered if one and int(one, 16) in VERSIONS]
            row["versions"] = ",".join(known)
            row["version"] = max(known, default=row["version"])
