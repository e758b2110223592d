"""Link layers as trees: Ethernet, VLAN tags, Linux cooked, null, MPLS, and ARP."""

from __future__ import annotations

from analysis.packets import link
from analysis.tree.nodes import Node, Part

ETHERTYPES = {
    0x0800: "IPv4",
    0x0806: "ARP",
    0x8100: "802.1Q VLAN",
    0x88A8: "802.1ad VLAN",
    0x9100: "VLAN",
    0x86DD: "IPv6",
    0x8847: "MPLS",
    0x8848: "MPLS multicast",
    0x8863: "PPPoE discovery",
    0x8864: "PPPoE session",
    0x88CC: "LLDP",
    0x888E: "802.1X",
}
_NEXT = {
    0x0800: "ipv4",
    0x0806: "arp",
    0x8100: "vlan",
    0x88A8: "vlan",
    0x9100: "vlan",
    0x86DD: "ipv6",
    0x8847: "mpls",
    0x8848: "mpls",
}
_FIRST = {
    link.ETHERNET: "ethernet",
    link.NULL: "null",
    link.LOOP: "loop",
    link.COOKED: "cooked",
    link.COOKED2: "cooked2",
    link.RAW_IPV4: "ipv4",
    link.RAW_IPV6: "ipv6",
}
_COOKED_TYPES = {0: "to us", 1: "broadcast", 2: "multicast", 3: "to somebody else", 4: "sent by us"}
_ARP_OPERATIONS = {1: "request", 2: "reply", 3: "reverse request", 4: "reverse reply"}
_LEAST_ETHERTYPE = 1536


def first(link_type: int, data: bytes) -> str:
    """Name of a packet's first layer; empty: the link type is not decoded."""
    if link_type in _FIRST:
        return _FIRST[link_type]
    return by_version(data) if link.is_known(link_type) else ""


def by_version(data: bytes) -> str:
    """The IP version that a packet's first four bits say."""
    return {4: "ipv4", 6: "ipv6"}.get(data[0] >> 4 if data else 0, "data")


def _typed(part: Part, kind: int) -> str:
    part.node.value = ETHERTYPES.get(kind, f"EtherType 0x{kind:04x}")
    return _NEXT.get(kind, "data")


def ethernet(part: Part) -> str:
    """IEEE 802.3 §3."""
    part.mac("destination")
    part.mac("source")
    kind = int.from_bytes(part.peek(2), "big")
    if kind < _LEAST_ETHERTYPE:
        length = part.uint("length", 2, unit="bytes")
        part.end = min(part.end, part.at + length)
        part.node.value = "802.3"
        return "llc"
    return _typed(part, part.hexa("type", 2, ETHERTYPES))


def llc(part: Part) -> str:
    """IEEE 802.2 logical link control."""
    part.hexa("destination service", 1, {0x42: "spanning tree", 0xAA: "SNAP"})
    part.hexa("source service", 1)
    part.hexa("control", 1)
    return "data"


def vlan(part: Part) -> str:
    """IEEE 802.1Q §9.6."""
    _, _, number = part.bits(
        2, ("priority", 3, None), ("drop eligible", 1, None), ("VLAN", 12, None)
    )
    name = _typed(part, part.hexa("type", 2, ETHERTYPES))
    part.node.value = f"{number}, {part.node.value}"
    return name


def cooked(part: Part) -> str:
    """LINKTYPE_LINUX_SLL."""
    part.uint("packet type", 2, _COOKED_TYPES)
    part.uint("ARP hardware type", 2)
    length = part.uint("address length", 2, unit="bytes")
    part.take("source", 8, lambda raw: raw[: min(length, 8)].hex(":"))
    return _typed(part, part.hexa("protocol", 2, ETHERTYPES))


def cooked2(part: Part) -> str:
    """LINKTYPE_LINUX_SLL2."""
    kind = part.hexa("protocol", 2, ETHERTYPES)
    part.raw("reserved", 2)
    part.uint("interface index", 4)
    part.uint("ARP hardware type", 2)
    part.uint("packet type", 1, _COOKED_TYPES)
    length = part.uint("address length", 1, unit="bytes")
    part.take("source", 8, lambda raw: raw[: min(length, 8)].hex(":"))
    return _typed(part, kind)


def null(part: Part) -> str:
    """LINKTYPE_NULL: the socket family in the capturing machine's byte order."""
    raw = part.take("family", 4, lambda raw: str(_family(raw)))
    return {2: "ipv4"}.get(_family(raw)) or by_version(part.peek(1))


def loop(part: Part) -> str:
    """LINKTYPE_LOOP: the same in network order."""
    return "ipv4" if part.uint("family", 4) == 2 else by_version(part.peek(1))


def _family(raw: bytes) -> int:
    return min(int.from_bytes(raw, "little"), int.from_bytes(raw, "big"))


def mpls(part: Part) -> str:
    """One label of the stack (RFC 3032 §2.1)."""
    label, _, last, _ = part.bits(
        4, ("label", 20, None), ("traffic class", 3, None), ("last", 1, None), ("TTL", 8, None)
    )
    part.node.value = f"label {label}"
    return by_version(part.peek(1)) if last else "mpls"


def arp(part: Part) -> str:
    """RFC 826."""
    hardware = part.uint("hardware type", 2, {1: "Ethernet"})
    protocol = part.hexa("protocol type", 2, ETHERTYPES)
    sizes = part.uint("hardware size", 1), part.uint("protocol size", 1)
    operation = part.uint("operation", 2, _ARP_OPERATIONS)
    part.node.value = _ARP_OPERATIONS.get(operation, "")
    if (hardware, protocol, *sizes) == (1, 0x0800, 6, 4):
        for end in ("sender", "target"):
            part.mac(f"{end} MAC")
            part.ip4(f"{end} IP")
    else:
        for end in ("sender", "target"):
            part.raw(f"{end} hardware address", sizes[0])
            part.raw(f"{end} protocol address", sizes[1])
    return ""


def data(part: Part) -> str:
    """What is not read further."""
    part.node.value = f"{part.left} bytes"
    part.node.length = part.left
    part.octets(part.left)
    return ""


def padding(data_: bytes, at: int) -> Node:
    """What fills a short frame up, behind the packet."""
    return Node("padding", f"{len(data_) - at} bytes", at, len(data_) - at)
