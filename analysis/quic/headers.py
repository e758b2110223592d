"""Headers of QUIC packets: what everybody on the path can read (RFC 8999, RFC 9000 §17)."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from analysis.tls.reader import Cut, Reader

VERSION_1, VERSION_2, NEGOTIATION = 0x00000001, 0x6B3343CF, 0
VERSIONS = {VERSION_1: "1", VERSION_2: "2"}
"""Versions that can be opened (RFC 9000, RFC 9369)."""

INITIAL, ZERO_RTT, HANDSHAKE, RETRY = "Initial", "0-RTT", "Handshake", "Retry"
ONE_RTT, VERSION_NEGOTIATION, UNKNOWN = "1-RTT", "Version Negotiation", "unknown"

_TYPES = {
    VERSION_1: (INITIAL, ZERO_RTT, HANDSHAKE, RETRY),
    VERSION_2: (RETRY, INITIAL, ZERO_RTT, HANDSHAKE),  # RFC 9369 §3.2
}
_LONG, _FIXED, _SPIN = 0x80, 0x40, 0x20
LONGEST_ID_BYTES = 20
TAG_BYTES = 16
_MOST_PACKETS = 16
"""Packets of one datagram that are read."""


class QuicReader(Reader):
    """Reads variable-length integers, too (RFC 9000 §16)."""

    def varint(self) -> int:
        """The next one."""
        if not self.left:
            raise Cut
        size = 1 << (self.data[self.at] >> 6)
        return self.number(size) & ((1 << (8 * size - 2)) - 1)


@dataclass(frozen=True)
class Header:
    """The header of a packet, as far as it is not protected.

    Attributes:
        type: of the packet; `UNKNOWN` for versions of which only RFC 8999 is known.
        version: its number; None in short headers.
        target: the destination connection id.
        source: the source connection id; None in short headers.
        token: of Initial and Retry.
        versions: that a Version Negotiation offers.
        spin: the latency spin bit of short headers.
        begin: where it begins in the datagram.
        number_at: where its packet number begins; 0 if it has none.
        end: where the packet ends; beyond the datagram's end if that is cut.
    """

    type: str
    version: int | None
    target: bytes
    source: bytes | None
    begin: int
    number_at: int
    end: int
    token: bytes = b""
    versions: tuple[int, ...] = ()
    spin: bool = False


def is_long(data: bytes) -> bool:
    """A long header of a version that we know, that is reserved, or that negotiates."""
    if len(data) < 7 or not data[0] & _LONG or data[5] > LONGEST_ID_BYTES:
        return False
    version = int.from_bytes(data[1:5], "big")
    reserved = version & 0x0F0F0F0F == 0x0A0A0A0A  # RFC 9000 §15
    known = version in VERSIONS and bool(data[0] & _FIXED)
    return known or reserved or version == NEGOTIATION


def negotiates(data: bytes) -> bool:
    """Whether a datagram with a long header is a Version Negotiation."""
    return data[1:5] == bytes(4)


def read(data: bytes, ids: Container[bytes]) -> Iterator[Header]:
    """The packets of a datagram (RFC 9000 §12.2).

    Args:
        data: the datagram's payload.
        ids: connection ids that a packet with a short header may have; the longest that fits is
            taken, none at all if none fits.

    Yields:
        headers; nothing from the first one on that cannot be read.
    """
    at = 0
    for _ in range(_MOST_PACKETS):
        if at >= len(data):
            return
        try:
            header = _long(data, at) if data[at] & _LONG else _short(data, at, ids)
        except Cut:
            return
        if header is None:
            return
        yield header
        at = header.end


def known_id(data: bytes, at: int, ids: Container[bytes]) -> bytes:
    """The longest of the ids that is at this place; empty if none is."""
    places = (data[at : at + size] for size in range(LONGEST_ID_BYTES, 0, -1))
    return next((one for one in places if one in ids), b"")


def _short(data: bytes, at: int, ids: Container[bytes]) -> Header | None:
    """RFC 9000 §17.3.1. It goes on to the datagram's end."""
    if not data[at] & _FIXED:
        return None
    target = known_id(data, at + 1, ids)
    number_at = at + 1 + len(target)
    spin = bool(data[at] & _SPIN)
    return Header(ONE_RTT, None, target, None, at, number_at, len(data), spin=spin)


def _long(data: bytes, at: int) -> Header | None:
    """RFC 9000 §17.2."""
    if not is_long(data[at:]):
        return None
    body = QuicReader(data)
    body.at = at + 1
    version = body.number(4)
    target, source = body.vector(1).data, body.vector(1).data
    end = len(data)
    if version == NEGOTIATION:
        offered = body.take(body.left)
        versions = tuple(
            int.from_bytes(offered[i : i + 4], "big") for i in range(0, len(offered) - 3, 4)
        )
        found = Header(VERSION_NEGOTIATION, 0, target, source, at, 0, end)
        return Header(**{**vars(found), "versions": versions})
    if version not in _TYPES:
        return Header(UNKNOWN, version, target, source, at, 0, end)
    kind = _TYPES[version][data[at] >> 4 & 3]
    if kind == RETRY:
        token = body.take(max(0, body.left - TAG_BYTES))
        return Header(RETRY, version, target, source, at, 0, end, token)
    token = body.take(body.varint()) if kind == INITIAL else b""
    size = body.varint()
    return Header(kind, version, target, source, at, body.at, body.at + size, token)
