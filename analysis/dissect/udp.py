"""UDP datagrams from the bytes of frames, with their checksum computed (RFC 768)."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from analysis.dissect.ipv4 import Field
from testbed.core.checksum import internet_checksum

HEADER_BYTES = 8
"""Ports, length and checksum (RFC 768)."""
UDP = 17
_ETHERNET_BYTES, _IPV6_BYTES = 14, 40
_FRAGMENT = 0x3FFF
"""MF and the offset in the IPv4 header."""


@dataclass(frozen=True)
class Datagram:
    """A UDP datagram as it is on the wire.

    Attributes:
        source, target: IP addresses, 4 or 16 bytes.
        sport, dport, length_bytes, checksum: the header's fields.
        data: all bytes that the IP packet has behind the header.
    """

    source: bytes
    target: bytes
    sport: int
    dport: int
    length_bytes: int
    checksum: int
    data: bytes

    @property
    def pseudo_header(self) -> bytes:
        """What the checksum covers besides the datagram (RFC 768; IPv6: RFC 8200 §8.1)."""
        addresses = self.source + self.target
        if len(self.target) == 4:
            return addresses + struct.pack("!BBH", 0, UDP, self.length_bytes)
        return addresses + struct.pack("!LL", self.length_bytes, UDP)

    @property
    def computed(self) -> int:
        """The checksum that the bytes call for; a sum of 0 is written as 0xffff."""
        header = struct.pack("!HHHH", self.sport, self.dport, self.length_bytes, 0)
        covered = (header + self.data)[: self.length_bytes]
        return internet_checksum(self.pseudo_header + covered) or 0xFFFF


def datagram(frame: bytes) -> Datagram | None:
    """The UDP datagram of an Ethernet frame; None if it holds no whole one.

    Fragments and IPv6 packets with extension headers hold none.
    """
    packet = frame[_ETHERNET_BYTES:]
    if len(packet) < 20:
        return None
    if packet[0] >> 4 == 4:
        size, whole = 4 * (packet[0] & 15), int.from_bytes(packet[2:4], "big")
        cut = int.from_bytes(packet[6:8], "big") & _FRAGMENT
        source, target, protocol = packet[12:16], packet[16:20], packet[9]
    else:
        size, whole = _IPV6_BYTES, _IPV6_BYTES + int.from_bytes(packet[4:6], "big")
        cut, source, target, protocol = 0, packet[8:24], packet[24:40], packet[6]
    segment = packet[size:whole]
    if cut or protocol != UDP or len(segment) < HEADER_BYTES:
        return None
    sport, dport, length_bytes, checksum = struct.unpack_from("!HHHH", segment)
    data = segment[HEADER_BYTES:]
    return Datagram(source, target, sport, dport, length_bytes, checksum, data)


def row(frame: bytes) -> dict[str, object]:
    """A datagram's fields by name, as one row of a table; empty if the frame holds none."""
    found = datagram(frame)
    if found is None:
        return {}
    return {
        "sport": found.sport,
        "dport": found.dport,
        "target": str(ipaddress.ip_address(found.target)),
        "length_bytes": found.length_bytes,
        "checksum": found.checksum,
        "computed": found.computed,
        "data_bytes": len(found.data),
        "head": found.data[:16].hex(),
    }


def fields(sport: int, dport: int, length_bytes: int, checksum: int) -> list[Field]:
    """A header as a figure shows it."""
    return [
        Field("source port", 16, str(sport), "0: none"),
        Field("destination port", 16, str(dport), "which socket"),
        Field("length", 16, str(length_bytes), "header and data in bytes"),
        Field("checksum", 16, f"0x{checksum:04x}", "0: none"),
    ]
