"""Ethernet frames as the applications see them: decoded once, into plain data; built from it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

IPV4, ARP, IPV6, LLDP = 0x0800, 0x0806, 0x86DD, 0x88CC
ICMP, TCP, UDP = 1, 6, 17
BROADCAST = "ff:ff:ff:ff:ff:ff"
LLDP_GROUP = "01:80:c2:00:00:0e"
"""IEEE 802.1AB §7.1: bridges do not forward what goes there."""

ARP_REQUEST, ARP_REPLY = 1, 2
ECHO_REPLY, UNREACHABLE, ECHO_REQUEST, TIME_EXCEEDED = 0, 3, 8, 11


@dataclass(frozen=True)
class Arp:
    """RFC 826 for IPv4 on Ethernet."""

    op: int
    sender_mac: str
    sender_ip: str
    target_mac: str
    target_ip: str


@dataclass(frozen=True)
class Ipv4:
    """What the applications need of an IPv4 packet; ports are None where there are none."""

    src: str
    dst: str
    proto: int
    ttl: int
    sport: int | None = None
    dport: int | None = None
    icmp_type: int | None = None
    payload: bytes = b""


@dataclass(frozen=True)
class Frame:
    """One Ethernet frame.

    Attributes:
        src, dst: MAC addresses.
        ethertype: of what it carries.
        arp, ipv4: set if it carries that.
        body: what is behind the Ethernet header.
    """

    src: str
    dst: str
    ethertype: int
    arp: Arp | None = None
    ipv4: Ipv4 | None = None
    body: bytes = b""

    @property
    def is_group(self) -> bool:
        """Broadcast or multicast."""
        return bool(int(self.dst[:2], 16) & 1)


def mac_text(raw: bytes) -> str:
    """``02:00:00:00:00:01``."""
    return raw.hex(":")


def mac_bytes(text: str) -> bytes:
    """The six bytes."""
    return bytes.fromhex(text.replace(":", ""))


def decode(data: bytes) -> Frame | None:
    """The frame in `data`; None if it is too short to be one."""
    if len(data) < 14:
        return None
    ethertype, body = int.from_bytes(data[12:14], "big"), data[14:]
    return Frame(
        mac_text(data[6:12]),
        mac_text(data[:6]),
        ethertype,
        _arp(body) if ethertype == ARP else None,
        _ipv4(body) if ethertype == IPV4 else None,
        body,
    )


def _arp(body: bytes) -> Arp | None:
    if len(body) < 28 or body[:6] != b"\0\1\x08\0\6\4":
        return None
    return Arp(
        int.from_bytes(body[6:8], "big"),
        mac_text(body[8:14]),
        str(IPv4Address(body[14:18])),
        mac_text(body[18:24]),
        str(IPv4Address(body[24:28])),
    )


def _ipv4(body: bytes) -> Ipv4 | None:
    if len(body) < 20 or body[0] >> 4 != 4:
        return None
    header, total = 4 * (body[0] & 15), int.from_bytes(body[2:4], "big")
    rest = body[header:total]
    proto, fragment = body[9], int.from_bytes(body[6:8], "big") & 0x1FFF
    sport = dport = icmp_type = None
    if not fragment and proto in (TCP, UDP) and len(rest) >= 4:
        sport, dport = struct.unpack_from("!HH", rest)
    elif not fragment and proto == ICMP and rest:
        icmp_type = rest[0]
    src, dst = str(IPv4Address(body[12:16])), str(IPv4Address(body[16:20]))
    return Ipv4(src, dst, proto, body[8], sport, dport, icmp_type, rest)


def ethernet(dst: str, src: str, ethertype: int, body: bytes) -> bytes:
    """A frame, padded to the smallest size Ethernet allows."""
    frame = mac_bytes(dst) + mac_bytes(src) + ethertype.to_bytes(2, "big") + body
    return frame.ljust(60, b"\0")


def arp_frame(arp: Arp) -> bytes:
    """An ARP request (to all) or reply (to its target)."""
    dst = BROADCAST if arp.op == ARP_REQUEST else arp.target_mac
    body = struct.pack("!HHBBH", 1, IPV4, 6, 4, arp.op)
    body += mac_bytes(arp.sender_mac) + IPv4Address(arp.sender_ip).packed
    body += mac_bytes(arp.target_mac) + IPv4Address(arp.target_ip).packed
    return ethernet(dst, arp.sender_mac, ARP, body)


def arp_reply(request: Arp, mac: str) -> bytes:
    """The answer to a request: `mac` has the address asked for."""
    answer = Arp(ARP_REPLY, mac, request.target_ip, request.sender_mac, request.sender_ip)
    return arp_frame(answer)


def checksum(data: bytes) -> int:
    """The Internet checksum, RFC 1071."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)


def ipv4_body(src: str, dst: str, proto: int, payload: bytes, ttl: int = 64) -> bytes:
    """An IPv4 packet without options."""
    addresses = IPv4Address(src).packed + IPv4Address(dst).packed
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(payload), 0, 0, ttl, proto)
    total = checksum(head + b"\0\0" + addresses)
    return head + total.to_bytes(2, "big") + addresses + payload


def icmp_body(icmp_type: int, code: int, rest: bytes) -> bytes:
    """An ICMP message; `rest` is what follows the checksum."""
    total = checksum(bytes((icmp_type, code, 0, 0)) + rest)
    return bytes((icmp_type, code)) + total.to_bytes(2, "big") + rest


def lldp_frame(dpid: int, port: int, mac: str) -> bytes:
    """An LLDP frame that names its sender: chassis and port by local ids (IEEE 802.1AB §8.5)."""
    chassis, port_id = f"dpid:{dpid:016x}".encode(), port.to_bytes(4, "big")
    tlvs = [(1, b"\7" + chassis), (2, b"\7" + port_id), (3, (120).to_bytes(2, "big")), (0, b"")]
    body = b"".join((kind << 9 | len(value)).to_bytes(2, "big") + value for kind, value in tlvs)
    return ethernet(LLDP_GROUP, mac, LLDP, body)


def lldp_sender(frame: Frame) -> tuple[int, int] | None:
    """(datapath, port) that sent one of our LLDP frames; None for anything else."""
    if frame.ethertype != LLDP:
        return None
    found: dict[int, bytes] = {}
    body = frame.body
    while len(body) >= 2 and (head := int.from_bytes(body[:2], "big")):
        found[head >> 9], body = body[2 : 2 + (head & 0x1FF)], body[2 + (head & 0x1FF) :]
    chassis, port = found.get(1, b""), found.get(2, b"")
    if not chassis.startswith(b"\7dpid:") or len(port) != 5:
        return None
    return int(chassis[6:], 16), int.from_bytes(port[1:], "big")
