"""Headers of QUIC packets as trees (RFC 9000 §17): what everybody on the path can read.

The rest is protected, the packet number too. A packet alone does not say how long the connection id
in a short header is.
"""

from __future__ import annotations

from analysis.quic import headers
from analysis.quic.headers import (
    INITIAL,
    ONE_RTT,
    RETRY,
    TAG_BYTES,
    UNKNOWN,
    VERSION_NEGOTIATION,
    Header,
)
from analysis.tree.nodes import Part

HTTPS = 443
_LONG, _FIXED = 0x80, 0x40


def begins(octets: bytes, ports: tuple[int, int]) -> bool:
    """Whether a datagram is QUIC, as far as it can say so itself; short headers need the port."""
    short = HTTPS in ports and octets[0] & (_LONG | _FIXED) == _FIXED
    return short or headers.is_long(octets)


def quic(part: Part) -> str:
    """One packet or several (§12.2)."""
    start, said = part.at, []
    for header in headers.read(part.peek(part.left), ()):
        size = min(header.end, part.end - start) - header.begin
        packet = part.below("packet", size, header.type)
        said.append(header.type)
        if header.type == ONE_RTT:
            _short(packet)
        else:
            _long(packet, header)
    part.node.value = ", ".join(said[:6])
    return "data" if part.left else ""


def _short(packet: Part) -> None:
    """§17.3.1."""
    packet.bits(
        1,
        ("header form", 1, lambda _: "0 (short)"),
        ("fixed bit", 1, None),
        ("spin bit", 1, None),
        ("protected: key phase, length of the number", 5, None),
    )
    if packet.left:
        packet.raw("connection id, then protected: packet number and frames", packet.left)


def _long(packet: Part, header: Header) -> None:
    """§17.2, RFC 8999 §5.1."""
    packet.bits(
        1,
        ("header form", 1, lambda _: "1 (long)"),
        ("fixed bit", 1, None),
        ("packet type", 2, lambda n: f"{n} ({header.type})"),
        ("protected: length of the number", 4, None),
    )
    packet.hexa("version", 4)
    for whose in ("destination", "source"):
        size = packet.uint(f"length of {whose} connection id", 1)
        if size:
            packet.take(f"{whose} connection id", size, bytes.hex)
    if header.type == VERSION_NEGOTIATION:
        for _ in packet.each():
            packet.hexa("offered version", min(4, packet.left))
    elif header.type == RETRY:
        packet.raw("token", max(0, packet.left - TAG_BYTES))
        packet.raw("integrity tag", packet.left)
    elif header.type != UNKNOWN:
        if header.type == INITIAL and (size := _varint(packet, "length of token")):
            packet.raw("token", size)
        _varint(packet, "length")
    if packet.left:
        packet.raw("protected: packet number and frames", packet.left)


def _varint(packet: Part, name: str) -> int:
    """An integer of 1, 2, 4 or 8 bytes (§16)."""
    size = 1 << (packet.peek(1) or b"\0")[0] // 64
    mask = (1 << (8 * size - 2)) - 1
    raw = packet.take(name, size, lambda raw: f"{int.from_bytes(raw, 'big') & mask} bytes")
    return int.from_bytes(raw, "big") & mask
