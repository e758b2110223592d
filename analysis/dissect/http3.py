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
from analysis.quic.qpack import Qpack
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
)

REQUEST, CONTROL, PUSH = "request", "control", "push"
ENCODER, DECODER = "QPACK encoder", "QPACK decoder"
_KINDS = {0: CONTROL, 1: PUSH, 2: ENCODER, 3: DECODER}
_TYPES = {
    0x0: "DATA",
    0x1: "HEADERS",
    0x3: "CANCEL_PUSH",
    0x4: "SETTINGS",
    0x5: "PUSH_PROMISE",
    0x7: "GOAWAY",
    0xD: "MAX_PUSH_ID",
    0xF0700: "PRIORITY_UPDATE",
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
_MOST_HEADERS_BYTES = 1 << 20


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """One row per frame, at the packet that completes it.

    Args:
        packets: with `COLUMNS` and the keys of `analysis.tls.set_keys`; further columns are carried
            along.

    Returns:
        the columns of `packets` but the payload, and:

        - ``first_frame``: the packet that brings its first byte
        - ``connection``, ``from_client``, ``stream`` (QUIC's number)
        - ``kind`` of the stream: ``request``, ``control``, ``push``, ``QPACK encoder``,
          ``QPACK decoder``
        - ``type``: ``DATA``, ``HEADERS``, ``SETTINGS``, … (hexadecimal if unknown);
          ``instructions`` for what a packet adds to a stream of QPACK
        - ``payload_bytes``
        - ``headers`` ((name, value), …), and of them ``method``, ``target`` and ``status``: if the
          library for QPACK is installed (``make extra-quic``), else empty
        - ``settings`` (``NAME=value``, with commas)
    """
    streams: dict[tuple[int, bool, int], _Stream] = {}
    fields: dict[int, dict[bool, Qpack]] = {}
    rows: list[dict[str, Any]] = []
    for packet in quic.every(packets):
        if not any(name.startswith("h3") for name in packet.alpn):
            continue
        for row in _frames(packet, streams):
            both = fields.setdefault(packet.connection, {True: Qpack(), False: Qpack()})
            _read_fields(row, both[packet.from_client], both[not packet.from_client])
            rows.append(row)
    for row in rows:
        row.pop("payload", None)
    table = tables.with_messages(packets, rows, FRAME)
    return table.astype(dict.fromkeys(("connection", "stream", "payload_bytes"), "int64"))


@dataclass
class _Stream:
    """What one side sends on a stream."""

    kind: str = ""
    assembly: Assembly = field(default_factory=Assembly)
    rest: bytes = b""
    first_frame: int = 0


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
        stream.first_frame = stream.first_frame or packet.datagram.frame
        stream.rest += came
        for kind, payload, size in _taken(stream):
            yield {
                "frame": packet.datagram.frame,
                "first_frame": stream.first_frame,
                "connection": packet.connection,
                "from_client": packet.from_client,
                "stream": number,
                "kind": stream.kind,
                "type": kind,
                "payload_bytes": size,
                "payload": payload,
            }
            stream.first_frame = packet.datagram.frame if stream.rest else 0


def _taken(stream: _Stream) -> Iterator[tuple[str, bytes, int]]:
    """Takes whole frames off a stream: type, payload, its size."""
    if not stream.kind:
        body = QuicReader(stream.rest)
        try:
            kind = body.varint()
        except Cut:
            return
        stream.kind, stream.rest = _KINDS.get(kind, f"0x{kind:x}"), stream.rest[body.at :]
    if stream.kind in (ENCODER, DECODER):
        if stream.rest:
            payload, stream.rest = stream.rest, b""
            yield INSTRUCTIONS, payload, len(payload)
        return
    while stream.rest:
        body = QuicReader(stream.rest)
        try:
            kind, payload = body.varint(), body.take(body.varint())
        except Cut:
            return
        stream.rest = stream.rest[body.at :]
        yield _TYPES.get(kind, f"0x{kind:x}"), payload, len(payload)


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
    elif row["type"] == "HEADERS" and len(payload) <= _MOST_HEADERS_BYTES:
        qpack.read(row["stream"], payload, lambda found: _name(row, found))
    elif row["type"] == "SETTINGS":
        said = dict(_settings(payload))
        row["settings"] = ",".join(f"{name}={value}" for name, value in said.items())
        answering.allow(said.get(_SETTINGS[CAPACITY], 0))


def _name(row: dict[str, Any], found: tuple[tuple[str, str], ...]) -> None:
    row["headers"] = found
    row |= {_FIELDS[name]: value for name, value in found if name in _FIELDS}


def _settings(payload: bytes) -> Iterator[tuple[str, int]]:
    body = QuicReader(payload)
    try:
        while body.left:
            kind, value = body.varint(), body.varint()
            yield _SETTINGS.get(kind, f"0x{kind:x}"), value
    except Cut:
        return
