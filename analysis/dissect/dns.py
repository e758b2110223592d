"""DNS and multicast DNS messages of a capture (RFC 1035, RFC 3596, RFC 6762)."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis import decode_as, streams
from analysis.dissect import tables

PORTS = (53, 5353)
COLUMNS = tables.COLUMNS
"""What `packets` must hold."""

TYPES = {
    1: "A",
    2: "NS",
    5: "CNAME",
    6: "SOA",
    12: "PTR",
    15: "MX",
    16: "TXT",
    28: "AAAA",
    33: "SRV",
    41: "OPT",
    43: "DS",
    46: "RRSIG",
    47: "NSEC",
    48: "DNSKEY",
    65: "HTTPS",
    255: "ANY",
}
RCODES = {
    0: "NOERROR",
    1: "FORMERR",
    2: "SERVFAIL",
    3: "NXDOMAIN",
    4: "NOTIMP",
    5: "REFUSED",
}
SECTIONS = ("answer", "authority", "additional")

MESSAGE = (
    "frame",
    "id",
    "response",
    "opcode",
    "authoritative",
    "truncated",
    "recursion_desired",
    "recursion_available",
    "authentic",
    "rcode",
    "question",
    "type",
    "questions",
    "answers",
    "authorities",
    "additionals",
    "over_tcp",
    "cut",
    "malformed",
)
RECORD = ("frame", "section", "name", "type", "ttl_s", "data")

_MOST_JUMPS = 64
_LONGEST_NAME = 255  # RFC 1035 §2.3.4


class _Cut(Exception):
    """The message ends, or its names lead nowhere."""


@dataclass(frozen=True)
class _Raw:
    """A message's bytes: the frame that completes it, and whether the capture lacks some."""

    frame: int
    data: bytes
    over_tcp: bool
    cut: bool


def read(packets: pd.DataFrame, ports: Collection[int] | None = None) -> pd.DataFrame:
    """One row per message.

    Args:
        packets: with `COLUMNS`; further columns such as ``time_ns`` are carried along.
        ports: of UDP, and of TCP; None: `PORTS`, as `analysis.decode_as` changes them.

    Returns:
        the columns of `packets` but the payload, and: ``id``, ``response``, ``opcode``, the flags,
        ``rcode`` (name, or number), ``question`` and ``type`` (of the first question), the four
        counts, ``over_tcp``, ``cut`` (the capture lacks a part), ``malformed``.
    """
    rows = [_message(raw) for raw in _each(packets, ports)]
    return tables.with_messages(packets, rows, MESSAGE)


def records(packets: pd.DataFrame, ports: Collection[int] | None = None) -> pd.DataFrame:
    """One row per resource record.

    Returns:
        ``frame``, ``section`` (of `SECTIONS`), ``name``, ``type``, ``ttl_s``, ``data`` (an address,
        a name, or hexadecimal). Records behind a malformed one are missing.
    """
    rows = [
        {"frame": raw.frame, **record}
        for raw in _each(packets, ports)
        for record in _records(raw.data)
    ]
    return pd.DataFrame(rows, columns=list(RECORD))


def _each(packets: pd.DataFrame, ports: Collection[int] | None) -> list[_Raw]:
    """The messages in the order of the frames that complete them."""
    ports = decode_as.ports(packets, "dns", PORTS) if ports is None else ports
    chosen = tables.of_udp(packets, ports)
    columns = (chosen[name].tolist() for name in ("frame", "payload", "cut"))
    found = [_Raw(frame, data, False, cut) for frame, data, cut in zip(*columns, strict=True)]
    for conversation in streams.conversations(packets, ports):
        for stream in conversation.sides:
            found += _of_stream(stream)
    return sorted(found, key=lambda raw: raw.frame)


def _of_stream(stream: streams.Stream) -> Iterator[_Raw]:
    """Messages with their length in front (RFC 1035 §4.2.2), up to the first hole."""
    if not stream.runs or stream.runs[0].missing_bytes:
        return
    run = stream.runs[0]
    data, here = run.data, 0
    while here + 2 <= len(data):
        after = here + 2 + int.from_bytes(data[here : here + 2], "big")
        frame = stream.delivered(run.begin + min(after, len(data)) - 1)
        yield _Raw(frame, data[here + 2 : after], True, after > len(data))
        here = after


def _message(raw: _Raw) -> dict[str, Any]:
    data = raw.data
    about = {"frame": raw.frame, "over_tcp": raw.over_tcp, "cut": raw.cut}
    if len(data) < 12:
        return {**about, "malformed": not raw.cut}
    number, flags, *counts = struct.unpack_from(">6H", data)
    row: dict[str, Any] = {
        **about,
        "id": number,
        "response": bool(flags & 0x8000),
        "opcode": flags >> 11 & 15,
        "authoritative": bool(flags & 0x0400),
        "truncated": bool(flags & 0x0200),
        "recursion_desired": bool(flags & 0x0100),
        "recursion_available": bool(flags & 0x0080),
        "authentic": bool(flags & 0x0020),
        "rcode": RCODES.get(flags & 15, str(flags & 15)),
        "malformed": False,
    }
    row |= zip(("questions", "answers", "authorities", "additionals"), counts, strict=True)
    try:
        if counts[0]:
            row["question"], here = _name(data, 12)
            row["type"] = _type(_unpack(">H", data, here)[0])
        for _ in _walk(data):
            pass
    except _Cut:
        row["malformed"] = not raw.cut
    return row


def _records(data: bytes) -> Iterator[dict[str, Any]]:
    try:
        yield from _walk(data)
    except _Cut:
        return


def _walk(data: bytes) -> Iterator[dict[str, Any]]:
    """The records of all sections, after the questions."""
    counts = _unpack(">4H", data, 4)
    here = 12
    for _ in range(counts[0]):
        here = _name(data, here)[1] + 4
    for section, count in zip(SECTIONS, counts[1:], strict=True):
        for _ in range(count):
            name, here = _name(data, here)
            kind, _, ttl_s, size = _unpack(">HHIH", data, here)
            here += 10
            if here + size > len(data):
                raise _Cut
            text = _data(data, here, size, kind)
            here += size
            yield {
                "section": section,
                "name": name,
                "type": _type(kind),
                "ttl_s": ttl_s,
                "data": text,
            }


def _unpack(form: str, data: bytes, at: int) -> tuple[int, ...]:
    if at + struct.calcsize(form) > len(data):
        raise _Cut
    return struct.unpack_from(form, data, at)


def _type(number: int) -> str:
    return TYPES.get(number, f"TYPE{number}")  # RFC 3597 §5


def _data(data: bytes, at: int, size: int, kind: int) -> str:
    raw = data[at : at + size]
    if kind == 1 and size == 4:
        return str(ipaddress.IPv4Address(raw))
    if kind == 28 and size == 16:
        return str(ipaddress.IPv6Address(raw))
    if TYPES.get(kind) in {"NS", "CNAME", "PTR"}:
        return _name(data, at)[0]
    if kind == 15 and size > 2:
        return f"{_unpack('>H', data, at)[0]} {_name(data, at + 2)[0]}"
    return raw.hex()


def data_text(message: bytes, at: int, size: int, kind: int) -> str:
    """A record's data as `records` gives it; hexadecimal if it cannot be read."""
    try:
        return _data(message, at, size, kind)
    except _Cut:
        return message[at : at + size].hex()


def name_at(message: bytes, at: int) -> tuple[str, int] | None:
    """The name at a place of a message, and where it ends; None if it is cut or leads nowhere."""
    try:
        return _name(message, at)
    except _Cut:
        return None


def _name(data: bytes, at: int) -> tuple[str, int]:
    """A name and where it ends; pointers (RFC 1035 §4.1.4) may not lead in circles."""
    labels: list[str] = []
    end, jumps, length = -1, 0, 0
    while True:
        size = _unpack(">B", data, at)[0]
        if size >= 0xC0:
            target = _unpack(">H", data, at)[0] & 0x3FFF
            end = at + 2 if end < 0 else end
            jumps += 1
            if jumps > _MOST_JUMPS:
                raise _Cut
            at = target
            continue
        if size >= 0x40:
            raise _Cut
        at += 1
        if size == 0:
            return ".".join(labels) or ".", at if end < 0 else end
        if at + size > len(data):
            raise _Cut
        labels.append(_label(data[at : at + size]))
        at += size
        length += size + 1
        if length > _LONGEST_NAME:
            raise _Cut


def _label(octets: bytes) -> str:
    """Text of a label; other bytes and dots as \\DDD (RFC 1035 §5.1)."""
    plain = (chr(b) if 0x20 < b < 0x7F and b != 0x2E else f"\\{b:03d}" for b in octets)
    return "".join(plain)
