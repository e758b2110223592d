"""UDP and TCP as trees; what they carry is known by its ports or its first bytes."""

from __future__ import annotations

from analysis.dissect import bgp, dhcp, dns, openflow, rip
from analysis.packets import flag_names
from analysis.tree import http2, quic
from analysis.tree.nodes import Part

_TCP_OPTIONS = {
    0: "end of options",
    1: "no operation",
    2: "maximum segment size",
    3: "window scale",
    4: "SACK permitted",
    5: "SACK",
    8: "timestamps",
    34: "fast open",
}
_VXLAN_PORT = 4789
_UDP_NEXT = {
    **dict.fromkeys(dns.PORTS, "dns"),
    **dict.fromkeys(dhcp.PORTS, "dhcp"),
    rip.PORT: "rip",
    rip.PORT_NG: "ripng",
    _VXLAN_PORT: "vxlan",
}
_HTTP_STARTS = (
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"CONNECT ",
    b"HTTP/1.",
)


def udp(part: Part) -> str:
    """RFC 768."""
    start = part.at
    ports = part.uint("source port", 2), part.uint("destination port", 2)
    part.node.value = f"{ports[0]} → {ports[1]}"
    length = part.uint("length", 2, unit="bytes")
    part.hexa("checksum", 2)
    if length >= 8:
        part.end = min(part.end, start + length)
    if not part.left:
        return ""
    known = next((_UDP_NEXT[port] for port in sorted(ports) if port in _UDP_NEXT), "")
    return known or ("quic" if quic.begins(part.peek(part.left), ports) else "data")


def vxlan(part: Part) -> str:
    """RFC 7348 §5."""
    part.hexa("flags", 1)
    part.raw("reserved", 3)
    part.uint("network identifier", 3)
    part.raw("reserved", 1)
    return "ethernet"


def tcp(part: Part) -> str:
    """RFC 9293 §3.1."""
    ports = part.uint("source port", 2), part.uint("destination port", 2)
    part.uint("sequence number", 4)
    part.uint("acknowledgement number", 4)
    words, _, flags = part.bits(
        2,
        ("data offset", 4, lambda n: f"{n} ({4 * n} bytes)"),
        ("reserved", 4, None),
        ("flags", 8, lambda n: f"0x{n:02x} ({flag_names(n) or 'none'})"),
    )
    part.node.value = f"{ports[0]} → {ports[1]} [{flag_names(flags)}]"
    part.uint("window", 2)
    part.hexa("checksum", 2)
    part.uint("urgent pointer", 2)
    if words > 5:
        _options(part.below("options", min(4 * words - 20, part.left)))
    return _application(part, ports) if part.left else ""


def _options(part: Part) -> None:
    """RFC 9293 §3.2, RFC 7323 §2.2 and §3.2, RFC 2018 §3."""
    for _ in part.each():
        kind, size = (*part.peek(2), 0)[:2]
        name = _TCP_OPTIONS.get(kind, f"option {kind}")
        if kind in (0, 1):
            part.uint(name, 1)
            continue
        option = part.below(name, max(size, 2))
        option.uint("kind", 1)
        option.uint("length", 1)
        if kind == 2 and option.left == 2:
            option.node.value = f"{option.uint('value', 2, unit='bytes')} bytes"
        elif kind == 3 and option.left == 1:
            shift = option.uint("shift", 1)
            option.node.value = f"multiply by {1 << min(shift, 14)}"
        elif kind == 8 and option.left == 8:
            stamp, echo = option.uint("value", 4), option.uint("echo", 4)
            option.node.value = f"{stamp}, echo {echo}"
        elif kind == 5:
            while option.left >= 8:
                option.uint("left edge", 4)
                option.uint("right edge", 4)
        if option.left:
            option.raw("data", option.left)


def _application(part: Part, ports: tuple[int, int]) -> str:
    """What a segment carries, if a message begins with it."""
    head = part.peek(16)
    if head.startswith(_HTTP_STARTS):
        return "http"
    if len(head) >= 3 and 20 <= head[0] <= 24 and head[1] == 3 and head[2] <= 4:
        return "tls"
    if openflow.PORT in ports:
        return "openflow"
    if bgp.PORT in ports:
        return "bgp"
    if 53 in ports:
        return "dns_tcp"
    return "http2" if http2.begins(part.peek(part.left)) else "data"
