"""One packet in all detail: its layers as a tree of fields, each with its bytes.

    for depth, node in tree.of_packet(packets.read_raw("run/r1-eth0.pcap", 17)).walk():
        print("  " * depth, node.name, node.value)

Layers are read one after another; what a layer carries is read by the next, also inside tunnels
and in the packets that ICMP errors quote. A field that the capture cut off ends its layer, which
says so.
"""

from __future__ import annotations

from collections.abc import Callable

from analysis.packets import RawPacket
from analysis.printable import printable
from analysis.tree import applications, checksums, http2, link, network, quic, transport
from analysis.tree.nodes import Cut, Node, Part

__all__ = ["Node", "of_packet"]

MOST_LAYERS = 40
"""Tunnels in tunnels, or stacks of labels, that are followed."""

_Reader = Callable[[Part], str]

_LAYERS: dict[str, tuple[str, _Reader]] = {
    "ethernet": ("Ethernet", link.ethernet),
    "llc": ("LLC", link.llc),
    "vlan": ("VLAN", link.vlan),
    "cooked": ("Linux cooked capture", link.cooked),
    "cooked2": ("Linux cooked capture v2", link.cooked2),
    "null": ("Null/loopback", link.null),
    "loop": ("Loopback", link.loop),
    "mpls": ("MPLS", link.mpls),
    "arp": ("ARP", link.arp),
    "ipv4": ("IPv4", network.ipv4),
    "ipv6": ("IPv6", network.ipv6),
    "options6": ("IPv6 options", network.options6),
    "routing6": ("IPv6 routing header", network.routing6),
    "fragment6": ("IPv6 fragment header", network.fragment6),
    "fragment": ("fragment", network.fragment),
    "icmp": ("ICMP", network.icmp),
    "icmpv6": ("ICMPv6", network.icmpv6),
    "igmp": ("IGMP", network.igmp),
    "gre": ("GRE", network.gre),
    "ospf": ("OSPF", network.ospf),
    "udp": ("UDP", transport.udp),
    "tcp": ("TCP", transport.tcp),
    "vxlan": ("VXLAN", transport.vxlan),
    "dns": ("DNS", applications.dns),
    "dns_tcp": ("DNS over TCP", applications.dns_tcp),
    "dhcp": ("DHCP", applications.dhcp),
    "rip": ("RIP", applications.rip),
    "ripng": ("RIPng", applications.ripng),
    "http": ("HTTP", applications.http),
    "http2": ("HTTP/2", http2.http2),
    "tls": ("TLS", applications.tls),
    "quic": ("QUIC", quic.quic),
    "openflow": ("OpenFlow", applications.openflow),
    "bgp": ("BGP", applications.bgp),
    "data": ("data", link.data),
}
"""Layer → its title, and what reads it and says which layer it carries."""


def of_packet(packet: RawPacket) -> Node:
    """The tree of a packet.

    Args:
        packet: of `analysis.packets.read_raw`.

    Returns:
        a node ``packet``, whose children are the layers.
    """
    size = f"{packet.wire_bytes} bytes on the wire"
    if len(packet.data) != packet.wire_bytes:
        size += f", {len(packet.data)} captured"
    root = Node(f"packet {packet.frame}", size, 0, len(packet.data))
    if packet.interface:
        root.value += f", interface {packet.interface}"
    name = link.first(packet.link_type, packet.data)
    if not name:
        root.problem = f"link type {packet.link_type} is not decoded"
        name = "data"
    at, end = 0, len(packet.data)
    names: list[str] = []
    for _ in range(MOST_LAYERS):
        if not name or (name == "data" and at == end):
            break
        names.append(name)
        name, at, end = _layer(root, name, packet.data, at, end)
    else:
        root.problem = f"more than {MOST_LAYERS} layers"
    checksums.judge(packet.data, names, root.children)
    if end < len(packet.data) and at <= end:
        root.children.append(link.padding(packet.data, end))
    if packet.wire_bytes > len(packet.data):
        missing = f"{packet.wire_bytes - len(packet.data)} bytes"
        root.children.append(Node("not captured", missing, len(packet.data)))
    for _, node in root.walk():
        node.value = printable(node.value)
    return root


def _layer(root: Node, name: str, data: bytes, at: int, end: int) -> tuple[str, int, int]:
    """Reads one layer; returns the next one, where it begins, and where it ends."""
    title, read = _LAYERS[name]
    node = Node(title, "", at)
    root.children.append(node)
    part = Part(data, at, end, node)
    try:
        following = read(part)
    except Cut:
        node.problem = "cut off, or its lengths go over its end"
        node.length = part.end - at
        return "", part.end, part.end
    node.length = part.at - at
    return following, part.at, part.end
