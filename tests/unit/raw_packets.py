"""Captures of packets written byte by byte, for tests of commands."""

from __future__ import annotations

import struct
from collections.abc import Iterable

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
_RAW_IP = 101


def pcap(packets: Iterable[bytes]) -> bytes:
    """A capture of IP packets without a link header, one per second."""
    data = bytearray(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, _RAW_IP))
    for second, octets in enumerate(packets):
        data += struct.pack("<4I", second, 0, len(octets), len(octets)) + octets
    return bytes(data)


def ip(protocol: int, body: bytes, source: int = 1, target: int = 2) -> bytes:
    """An IPv4 packet between 10.0.0.`source` and 10.0.0.`target`."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0)
    return head + bytes([10, 0, 0, source, 10, 0, 0, target]) + body


def udp(sport: int, dport: int, body: bytes) -> bytes:
    """A datagram from 10.0.0.1 to 10.0.0.2."""
    return ip(17, struct.pack("!4H", sport, dport, 8 + len(body), 0) + body)


def tcp(side: int, flags: int, seq: int, ack: int = 0, body: bytes = b"") -> bytes:
    """A segment from port 1000 of 10.0.0.1 (side 0) to port 80 of 10.0.0.2, or back."""
    ports, ends = ((1000, 80), (1, 2)) if side == 0 else ((80, 1000), (2, 1))
    head = struct.pack("!HHIIBBHHH", *ports, seq, ack, 0x50, flags, 8192, 0, 0)
    return ip(6, head + body, *ends)
