"""IP, ICMP, IGMP and GRE as trees."""

from __future__ import annotations

from analysis.describe import ICMP, ICMP6, UNREACHABLE
from analysis.dissect.igmp import TYPES as IGMP_TYPES
from analysis.dissect.ospf import TYPES as OSPF_TYPES
from analysis.tree.nodes import Part, flags_text
from testbed.core.checksum import internet_checksum

PROTOCOLS = {
    0: "hop-by-hop options",
    1: "ICMP",
    2: "IGMP",
    4: "IPv4",
    6: "TCP",
    17: "UDP",
    41: "IPv6",
    43: "routing",
    44: "fragment",
    47: "GRE",
    50: "ESP",
    51: "AH",
    58: "ICMPv6",
    59: "nothing",
    60: "destination options",
    88: "EIGRP",
    89: "OSPF",
    103: "PIM",
    112: "VRRP",
    132: "SCTP",
}
_NEXT = {
    1: "icmp",
    2: "igmp",
    4: "ipv4",
    6: "tcp",
    17: "udp",
    41: "ipv6",
    47: "gre",
    58: "icmpv6",
    89: "ospf",
    0: "options6",
    60: "options6",
    43: "routing6",
    44: "fragment6",
}
_ECN = {0: "not ECN-capable", 1: "ECT(1)", 2: "ECT(0)", 3: "congestion experienced"}
_IP_OPTIONS = {
    0: "end",
    1: "no operation",
    7: "record route",
    68: "timestamp",
    131: "loose source route",
    137: "strict source route",
    148: "router alert",
}
_ND_OPTIONS = {
    1: "source link-layer address",
    2: "target link-layer address",
    3: "prefix information",
    4: "redirected header",
    5: "MTU",
    25: "recursive DNS server",
    31: "DNS search list",
}


def _ecn(value: int) -> str:
    return f"{value} ({_ECN[value]})"


def ipv4(part: Part) -> str:
    """RFC 791 §3.1."""
    start = part.at
    _, words = part.bits(
        1, ("version", 4, None), ("header length", 4, lambda n: f"{n} ({4 * n} bytes)")
    )
    part.bits(1, ("DSCP", 6, None), ("ECN", 2, _ecn))
    total = part.uint("total length", 2, unit="bytes")
    part.hexa("identification", 2)
    flags = flags_text([(4, "reserved"), (2, "don't fragment"), (1, "more fragments")])
    _, offset = part.bits(
        2, ("flags", 3, flags), ("fragment offset", 13, lambda n: f"{n} ({8 * n} bytes)")
    )
    part.uint("time to live", 1)
    protocol = part.uint("protocol", 1, PROTOCOLS)
    right = internet_checksum(part.data[start : start + 4 * words]) == 0
    part.take("header checksum", 2, lambda raw: f"0x{raw.hex()} ({'right' if right else 'wrong'})")
    source, target = part.ip4("source"), part.ip4("destination")
    part.node.value = f"{source} → {target}"
    if total >= 4 * words:
        part.end = min(part.end, start + total)
    if words > 5:
        _options(part.below("options", 4 * words - 20))
    return "fragment" if offset else _NEXT.get(protocol, "data")


def _options(part: Part) -> None:
    for _ in part.each():
        kind = part.peek(1)[0]
        name = _IP_OPTIONS.get(kind, f"option {kind}")
        if kind in (0, 1):
            part.hexa(name, 1)
            continue
        size = part.peek(1, 1)
        option = part.below(name, max(size[0] if size else 2, 2))
        option.uint("type", 1)
        option.uint("length", 1)
        if kind in (7, 131, 137) and option.left:
            option.uint("pointer", 1)
            while option.left >= 4:
                option.ip4("address")
        if option.left:
            option.raw("data", option.left)


def ipv6(part: Part) -> str:
    """RFC 8200 §3."""
    start = part.at
    part.bits(
        4,
        ("version", 4, None),
        ("DSCP", 6, None),
        ("ECN", 2, _ecn),
        ("flow label", 20, lambda n: f"0x{n:05x}"),
    )
    length = part.uint("payload length", 2, unit="bytes")
    protocol = part.uint("next header", 1, PROTOCOLS)
    part.uint("hop limit", 1)
    source, target = part.ip6("source"), part.ip6("destination")
    part.node.value = f"{source} → {target}"
    if length:
        part.end = min(part.end, start + 40 + length)
    return _NEXT.get(protocol, "data")


def options6(part: Part) -> str:
    """Hop-by-hop and destination options (RFC 8200 §4.3, §4.6)."""
    protocol = part.uint("next header", 1, PROTOCOLS)
    size = part.uint("length", 1, unit="units of 8 bytes, and 8")
    options = part.below("options", 8 * size + 6)
    for _ in options.each():
        kind = options.peek(1)[0]
        if kind == 0:
            options.hexa("padding", 1)
            continue
        length = options.peek(1, 1)
        option = options.below(
            {1: "padding", 5: "router alert"}.get(kind, f"option {kind}"),
            2 + (length[0] if length else 0),
        )
        option.uint("type", 1)
        option.uint("length", 1)
        if option.left:
            option.raw("data", option.left)
    return _NEXT.get(protocol, "data")


def routing6(part: Part) -> str:
    """RFC 8200 §4.4."""
    protocol = part.uint("next header", 1, PROTOCOLS)
    size = part.uint("length", 1, unit="units of 8 bytes, and 8")
    part.uint("routing type", 1)
    part.uint("segments left", 1)
    part.raw("data", 8 * size + 4)
    return _NEXT.get(protocol, "data")


def fragment6(part: Part) -> str:
    """RFC 8200 §4.5."""
    protocol = part.uint("next header", 1, PROTOCOLS)
    part.uint("reserved", 1)
    offset, _, _ = part.bits(
        2,
        ("fragment offset", 13, lambda n: f"{n} ({8 * n} bytes)"),
        ("reserved", 2, None),
        ("more fragments", 1, None),
    )
    part.hexa("identification", 4)
    return "fragment" if offset else _NEXT.get(protocol, "data")


def icmp(part: Part) -> str:
    """RFC 792, RFC 1191 §4."""
    kind = part.uint("type", 1, {**ICMP, 3: "unreachable"})
    part.uint("code", 1, UNREACHABLE if kind == 3 else None)
    part.hexa("checksum", 2)
    part.node.value = {**ICMP, 3: "unreachable"}.get(kind, f"type {kind}")
    if kind in (0, 8):
        part.hexa("identifier", 2)
        part.uint("sequence number", 2)
        return "data"
    if kind == 3:
        part.raw("unused", 2)
        part.uint("MTU of the next hop", 2, unit="bytes")
    elif kind == 5:
        part.ip4("gateway")
    else:
        part.raw("unused", 4)
    return "ipv4" if kind in (3, 4, 5, 11, 12) and part.left else "data"


def icmpv6(part: Part) -> str:
    """RFC 4443; neighbour discovery: RFC 4861 §4."""
    kind = part.uint("type", 1, ICMP6)
    part.uint("code", 1)
    part.hexa("checksum", 2)
    part.node.value = ICMP6.get(kind, f"type {kind}")
    if kind in (128, 129):
        part.hexa("identifier", 2)
        part.uint("sequence number", 2)
        return "data"
    if kind in (1, 2, 3, 4):
        part.uint("MTU", 4, unit="bytes") if kind == 2 else part.raw("unused", 4)
        return "ipv6" if part.left else ""
    if kind == 134:
        _router_advertisement(part)
    elif kind in (133, 135, 136, 137):
        part.hexa("flags, reserved", 4)
        for name in {133: (), 137: ("target", "destination")}.get(kind, ("target",)):
            part.ip6(name)
    else:
        return "data"
    _nd_options(part)
    return ""


def _router_advertisement(part: Part) -> None:
    part.uint("hop limit", 1)
    part.hexa("flags", 1)
    part.uint("router lifetime", 2, unit="s")
    part.uint("reachable time", 4, unit="ms")
    part.uint("retransmission timer", 4, unit="ms")


def _nd_options(part: Part) -> None:
    for _ in part.each():
        kind, size = (*part.peek(2), 0, 0)[:2]
        option = part.below(_ND_OPTIONS.get(kind, f"option {kind}"), max(8 * size, 2))
        option.uint("type", 1)
        option.uint("length", 1, unit="units of 8 bytes")
        if kind in (1, 2) and option.left == 6:
            option.mac("address")
        elif kind == 3 and option.left >= 30:
            option.uint("prefix length", 1)
            option.hexa("flags", 1)
            option.uint("valid lifetime", 4, unit="s")
            option.uint("preferred lifetime", 4, unit="s")
            option.raw("reserved", 4)
            option.ip6("prefix")
        elif kind == 5 and option.left >= 6:
            option.raw("reserved", 2)
            option.uint("MTU", 4, unit="bytes")
        if option.left:
            option.raw("data", option.left)


def igmp(part: Part) -> str:
    """RFC 2236 §2, RFC 3376 §4."""
    kind = part.hexa("type", 1, IGMP_TYPES)
    part.node.value = IGMP_TYPES.get(kind, "")
    part.uint("maximum response time", 1)
    part.hexa("checksum", 2)
    if kind != 0x22:
        part.ip4("group")
        return "data" if part.left else ""
    part.raw("reserved", 2)
    part.uint("records", 2)
    for _ in part.each():
        sources = int.from_bytes(part.peek(2, 2), "big")
        extra = (*part.peek(2), 0, 0)[1]
        record = part.below("record", 8 + 4 * sources + 4 * extra)
        record.uint("type", 1)
        record.uint("auxiliary words", 1)
        record.uint("sources", 2)
        record.ip4("group")
        for _ in range(min(sources, record.left // 4)):
            record.ip4("source")
    return ""


def gre(part: Part) -> str:
    """RFC 2784, RFC 2890."""
    flags = part.hexa("flags, version", 2)
    kind = part.hexa("protocol", 2)
    if flags & 0x8000:
        part.hexa("checksum, reserved", 4)
    if flags & 0x2000:
        part.hexa("key", 4)
    if flags & 0x1000:
        part.uint("sequence number", 4)
    names = {0x0800: "ipv4", 0x86DD: "ipv6", 0x6558: "ethernet", 0x8847: "mpls"}
    return names.get(kind, "data")


def fragment(part: Part) -> str:
    """What follows an IP header in all fragments but the first."""
    part.node.value = f"{part.left} bytes"
    part.octets(part.left)
    return ""


def ospf(part: Part) -> str:
    """RFC 2328 §A.3.1, RFC 5340 §A.3.1: the header; the rest as data."""
    version = part.uint("version", 1)
    kind = part.uint("type", 1, OSPF_TYPES)
    part.node.value = f"v{version} {OSPF_TYPES.get(kind, kind)}"
    part.uint("length", 2, unit="bytes")
    part.ip4("router")
    part.ip4("area")
    part.hexa("checksum", 2)
    if version == 2:
        part.uint("authentication type", 2, {0: "none", 1: "password", 2: "cryptographic"})
        part.raw("authentication", 8)
    elif version == 3:
        part.uint("instance", 1)
        part.uint("reserved", 1)
    return "data" if part.left else ""
