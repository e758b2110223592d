"""HTTP/3 in a capture (RFC 9114, RFC 9204): frames on the streams of QUIC connections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis.dissect import quic, tables
from analysis.quic.assembly import Assembly
from analysis.quic.connections import Packet
from analysis.quic.frames import STREAM
from analysis.quic.headers import QuicReader
from analysis.quic.qpack import Qpack, Room
from analysis.tls.reader import Cut

COLUMNS = quic.COLUMNS
"""What `packets` must hold."""

FRAME = (
    "frame",
    "first_frame",
    "connection",
    "from_client",
    "stream",
    "kind",
    "type",
    "payload_bytes",
    "headers",
    "method",
    "target",
    "status",
    "settings",
    "detail",
)

REQUEST, CONTROL, PUSH = "request", "control", "push"
ENCODER, DECODER = "QPACK encoder", "QPACK decoder"
_KINDS = {0: CONTROL, 1: PUSH, 2: ENCODER, 3: DECODER}
PRIORITY_UPDATE = "PRIORITY_UPDATE"
_TYPES = {
    0x0: "DATA",
    0x1: "HEADERS",
    0x3: "CANCEL_PUSH",
    0x4: "SETTINGS",
    0x5: "PUSH_PROMISE",
    0x7: "GOAWAY",
    0xD: "MAX_PUSH_ID",
    0xF0700: PRIORITY_UPDATE,
    0xF0701: PRIORITY_UPDATE,
}
CAPACITY = 0x1
_SETTINGS = {
    CAPACITY: "QPACK_MAX_TABLE_CAPACITY",
    0x6: "MAX_FIELD_SECTION_SIZE",
    0x7: "QPACK_BLOCKED_STREAMS",
    0x8: "ENABLE_CONNECT_PROTOCOL",
    0x33: "H3_DATAGRAM",
}
INSTRUCTIONS = "instructions"
"""The type of what a packet adds to a QPACK stream."""

_FIELDS = {":method": "method", ":path": "target", ":status": "status"}
_MOST_BYTES = {"HEADERS": 1 << 14, "SETTINGS": 1 << 10, PRIORITY_UPDATE: 1 << 8}
"""Frames whose payload is read, if it is no longer than this; of others only the size counts."""


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """One row per frame, at the packet that completes it.

    Args:
        packets: with `COLUMNS` and the keys of `analysis.tls.set_keys`; further columns are carried
            along.

    Returns:
        the columns of `packets` but the payload, and:

        - ``first_frame``: the packet that lets its first byte be read
        - ``connection``, ``from_client``, ``stream`` (QUIC's number)
        - ``kind`` of the stream: ``request``, ``control``, ``push``, ``QPACK encoder``,
          ``QPACK decoder``
        - ``type``: ``DATA``, ``HEADERS``, ``SETTINGS``, … (hexadecimal if unknown);
          ``instructions`` for what a packet adds to a stream of QPACK
        - ``payload_bytes``
        - ``headers`` ((name, value), …), and of them ``method``, ``target`` and ``status``: if the
          library for QPACK is installed (``make extra-quic``), else empty; also empty if there
          are very many, or very large ones
        - ``settings`` (``NAME=value``, with commas)
        - ``detail`` of PRIORITY_UPDATE: the stream (or push) and its new priority (RFC 9218 §7.2),
          as ``8: u=1, i``
    """
    streams: dict[tuple[int, bool, int], _Stream] = {}
    fields: dict[int, dict[bool, Qpack]] = {}
    room = Room()
    rows: list[dict[str, Any]] = []
    for packet in quic.every(packets):
        if not any(name.startswith("h3") for name in packet.alpn):
            continue
        for row in _frames(packet, streams):
            both = fields.setdefault(packet.connection, {True: Qpack(room), False: Qpack(room)})
            _read_fields(row, both[packet.from_client], both[not packet.from_client])
            rows.append(row)
    for row in rows:
        row.pop("payload", None)
    table = tables.with_messages(packets, rows, FRAME)
    return table.astype(dict.fromkeys(("connection", "stream", "payload_bytes"), "int64"))


@dataclass
class _Stream:
    """What one side sends on a stream: keeps of an unfinished frame only what will be read."""

    kind: str = ""
    assembly: Assembly = field(default_factory=Assembly)
    head: bytes = b""
    """The beginning of a frame whose size has not come yet."""
    first_frame: int = 0
    """The packet that let the unfinished frame's first byte be read."""
    type: str = ""
    size: int = 0
    reached: int = 0
    payload: bytearray = field(default_factory=bytearray)

    def add(self, came: bytes, number: int) -> Iterator[dict[str, Any]]:
        """The frames that end with these bytes.

        Args:
            came: what follows on the stream.
            number: of the packet.
        """
        body = QuicReader(self.head + came)
        if body.left and not self.kind:
            self._begin_stream(body)
        if self.kind in (ENCODER, DECODER):
            if payload := body.take(body.left):
                yield self._row(number, INSTRUCTIONS, payload, len(payload))
            return
        while self.kind and body.left and (self.type or self._begin_frame(body, number)):
            part = body.take(min(self.size - self.reached, body.left))
            self.reached += len(part)
            if self.size <= _MOST_BYTES.get(self.type, 0):
                self.payload += part
            if self.reached == self.size:
                yield self._row(self.first_frame, self.type, bytes(self.payload), self.size)
                self.type = ""

    def _begin_stream(self, body: QuicReader) -> None:
        """The stream's type (RFC 9114 §6.2)."""
        try:
            kind = body.varint()
            self.kind, self.head = _KINDS.get(kind, f"0x{kind:x}"), b""
        except Cut:
            self.head = body.data

    def _begin_frame(self, body: QuicReader, number: int) -> bool:
        """Type and size of a frame (RFC 9114 §7.1), if they are there."""
        at = body.at
        if not self.head:
            self.first_frame = number
        try:
            kind, self.size = body.varint(), body.varint()
        except Cut:
            self.head = body.data[at:]
            return False
        self.type, self.reached, self.head = _TYPES.get(kind, f"0x{kind:x}"), 0, b""
        self.payload.clear()
        return True

    def _row(self, first_frame: int, kind: str, payload: bytes, size: int) -> dict[str, Any]:
        return {
            "first_frame": first_frame,
            "kind": self.kind,
            "type": kind,
            "payload": payload,
            "payload_bytes": size,
        }


def _frames(
    packet: Packet, streams: dict[tuple[int, bool, int], _Stream]
) -> Iterator[dict[str, Any]]:
    """The HTTP/3 frames that a packet completes."""
    for one in packet.frames:
        if one.type != STREAM:
            continue
        number = one.about["stream"]
        key = (packet.connection, packet.from_client, number)
        stream = streams.setdefault(key, _Stream(REQUEST if number % 4 == 0 else ""))
        came = stream.assembly.add(one.about["offset"], one.data)
        for row in stream.add(came, packet.datagram.frame):
            yield {
                "frame": packet.datagram.frame,
                "connection": packet.connection,
                "from_client": packet.from_client,
                "stream": number,
                **row,
            }


def _read_fields(row: dict[str, Any], qpack: Qpack, answering: Qpack) -> None:
    """Adds what a frame says.

    Args:
        row: of the frame; gets more.
        qpack: of those who sent it.
        answering: of the other side.
    """
    payload = row["payload"]
    if row["kind"] == ENCODER:
        qpack.learn(payload)
    elif row["type"] == "HEADERS" and payload:
        qpack.read(row["stream"], payload, lambda found: _name(row, found))
    elif row["type"] == "SETTINGS":
        said = dict(_settings(payload))
        row["settings"] = ",".join(f"{name}={value}" for name, value in said.items())
        answering.allow(said.get(_SETTINGS[CAPACITY], 0))
    elif row["type"] == PRIORITY_UPDATE:
        row["detail"] = _update(payload)


def _name(row: dict[str, Any], found: tuple[tuple[str, str], ...]) -> None:
    row["headers"] = found
    row |= {_FIELDS[name]: value for name, value in found if name in _FIELDS}


def _update(payload: bytes) -> str | None:
    """What a PRIORITY_UPDATE frame says."""
    body = QuicReader(payload)
    try:
        return f"{body.varint()}: {body.take(body.left).decode('ascii', 'backslashreplace')}"
    except Cut:
        return None


def _settings(payload: bytes) -> Iterator[tuple[str, int]]:
    body = QuicReader(payload)
    try:
        while body.left:
            kind, value = body.varint(), body.varint()
            yield _SETTINGS.get(kind, f"0x{kind:x}"), value
    except Cut:
        return
