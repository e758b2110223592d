"""Reads captures: Python's standard library alone, so that it runs everywhere.

    for packet in packets.read("practice.pcap"):
        if packet.dport == 80 and packet.syn:
            print(packet.time_s, packet.src)

It takes the classic format (pcap) with Ethernet frames, as tcpdump writes it, and decodes ARP,
IPv4, TCP and UDP. Nothing is reassembled: `Packet.data` is what one segment carries.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

RECORD_BYTES = 16
"""Of the header in front of each packet."""

_FILE, _ETHERNET = 24, 14
_NANOSECONDS = {b"\x4d\x3c\xb2\xa1": True, b"\xd4\xc3\xb2\xa1": False}
"""First four bytes (little-endian) → whether fractions of a second are nanoseconds."""

_ARP, _IPV4, _TCP, _UDP = 0x0806, 0x0800, 6, 17


@dataclass(frozen=True)
class Packet:
    """One packet; fields that it does not have are empty or 0.

    Attributes:
        time_s: since the first packet of the capture.
        eth_src, eth_dst: hardware addresses, as ``00:11:22:33:44:55``.
        arp: ``request`` or ``reply``.
        arp_mac, arp_ip: who the sender of the ARP message says it is.
        src, dst: IPv4 addresses.
        protocol: ``tcp``, ``udp`` or the number of another one.
        sport, dport: ports.
        flags: of TCP, see `FIN`, `SYN`, `RST`, `ACK`.
        data: what TCP or UDP carry; of others, what IPv4 carries.
        length: of the frame, in bytes.
    """

    time_s: float
    eth_src: str = ""
    eth_dst: str = ""
    arp: str = ""
    arp_mac: str = ""
    arp_ip: str = ""
    src: str = ""
    dst: str = ""
    protocol: str = ""
    sport: int = 0
    dport: int = 0
    flags: int = 0
    data: bytes = b""
    length: int = 0

    @property
    def syn(self) -> bool:
        """True for the first segment of a connection."""
        return self.flags & (SYN | ACK) == SYN


def read(path: str) -> Iterator[Packet]:
    """All packets of a capture, in order.

    Raises:
        ValueError: it is not such a capture.
    """
    first_ns = None
    for time_ns, frame, length in records(Path(path).read_bytes()):
        first_ns = time_ns if first_ns is None else first_ns
        yield _packet((time_ns - first_ns) / 1e9, frame, length)


def records(capture: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Time in ns since 1970, bytes and original length of each packet."""
    nanoseconds = _NANOSECONDS.get(capture[:4])
    if nanoseconds is None:
        raise ValueError("not a capture in the classic format")
    unit_ns = 1 if nanoseconds else 1000
    at = _FILE
    while at + RECORD_BYTES <= len(capture):
        seconds, fraction, kept, length = struct.unpack_from("<IIII", capture, at)
        at += RECORD_BYTES
        yield seconds * 1_000_000_000 + fraction * unit_ns, capture[at : at + kept], length
        at += kept


def _packet(time_s: float, frame: bytes, length: int) -> Packet:
    kind, body = int.from_bytes(frame[12:14], "big"), frame[_ETHERNET:]
    bare = Packet(time_s, frame[6:12].hex(":"), frame[:6].hex(":"), length=length)
    if kind == _ARP and len(body) >= 28:
        says = "request" if body[7] == 1 else "reply"
        own = str(IPv4Address(body[14:18]))
        return replace(bare, arp=says, arp_mac=body[8:14].hex(":"), arp_ip=own)
    if kind == _IPV4 and len(body) >= 20:
        return _ipv4(body, bare)
    return bare


def _ipv4(body: bytes, bare: Packet) -> Packet:
    whole, protocol = int.from_bytes(body[2:4], "big"), body[9]
    content = body[4 * (body[0] & 15) : whole]
    src, dst = str(IPv4Address(body[12:16])), str(IPv4Address(body[16:20]))
    found = replace(bare, src=src, dst=dst, protocol=str(protocol), data=content)
    if protocol not in (_TCP, _UDP) or len(content) < 8:
        return found
    sport, dport = struct.unpack_from("!HH", content)
    if protocol == _UDP:
        return replace(found, protocol="udp", sport=sport, dport=dport, data=content[8:])
    if len(content) < 20:
        return found
    data = content[4 * (content[12] >> 4) :]
    return replace(found, protocol="tcp", sport=sport, dport=dport, flags=content[13], data=data)
