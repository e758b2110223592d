"""Names by which a filter finds values: display-filter fields, protocols, our columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from analysis import tcp
from analysis.dissect import (
    bgp,
    dhcp,
    dns,
    http,
    http2,
    http3,
    igmp,
    openflow,
    ospf,
    quic,
    rip,
    tls,
    websocket,
)
from analysis.packets.flags import FLAGS

if TYPE_CHECKING:
    import pandas as pd

FIELDS: dict[str, tuple[str, ...]] = {
    "frame.number": ("frame",),
    "frame.len": ("wire_bytes",),
    "frame.cap_len": ("captured_bytes",),
    "frame.interface_name": ("interface",),
    "eth.addr": ("eth_src", "eth_dst"),
    "eth.src": ("eth_src",),
    "eth.dst": ("eth_dst",),
    "eth.type": ("eth_type",),
    "vlan.id": ("vlan_id", "vlan_inner_id"),
    "vlan.priority": ("vlan_pcp",),
    "arp.opcode": ("arp_op",),
    "arp.src.hw_mac": ("arp_sender_mac",),
    "arp.src.proto_ipv4": ("arp_sender_ip",),
    "arp.dst.hw_mac": ("arp_target_mac",),
    "arp.dst.proto_ipv4": ("arp_target_ip",),
    "ip.version": ("ip_version",),
    "ip.addr": ("ip_src", "ip_dst"),
    "ip.host": ("ip_src", "ip_dst"),
    "ip.src": ("ip_src",),
    "ip.dst": ("ip_dst",),
    "ip.proto": ("ip_proto",),
    "ip.len": ("ip_bytes",),
    "ip.hdr_len": ("ip_header_bytes",),
    "ip.ttl": ("ip_ttl",),
    "ip.dsfield.dscp": ("ip_dscp",),
    "ip.dsfield.ecn": ("ip_ecn",),
    "ip.id": ("ip_id",),
    "ip.flags.df": ("ip_df",),
    "ip.flags.mf": ("ip_mf",),
    "ip.frag_offset": ("ip_offset_bytes",),
    "ipv6.addr": ("ip_src", "ip_dst"),
    "ipv6.host": ("ip_src", "ip_dst"),
    "ipv6.src": ("ip_src",),
    "ipv6.dst": ("ip_dst",),
    "ipv6.nxt": ("ip_proto",),
    "ipv6.hlim": ("ip_ttl",),
    "ipv6.flow": ("ip6_flow_label",),
    "icmp.type": ("icmp_type",),
    "icmp.code": ("icmp_code",),
    "icmp.ident": ("icmp_id",),
    "icmp.seq": ("icmp_seq",),
    "icmp.mtu": ("icmp_mtu",),
    "icmp.redir_gw": ("icmp_gateway",),
    "icmpv6.type": ("icmp_type",),
    "icmpv6.code": ("icmp_code",),
    "icmpv6.mtu": ("icmp_mtu",),
    "icmpv6.nd.ns.target_address": ("icmp6_target",),
    "icmpv6.nd.na.target_address": ("icmp6_target",),
    "udp.port": ("udp_sport", "udp_dport"),
    "udp.srcport": ("udp_sport",),
    "udp.dstport": ("udp_dport",),
    "udp.length": ("udp_bytes",),
    "tcp.port": ("tcp_sport", "tcp_dport"),
    "tcp.srcport": ("tcp_sport",),
    "tcp.dstport": ("tcp_dport",),
    "tcp.seq_raw": ("tcp_seq",),
    "tcp.ack_raw": ("tcp_ack",),
    "tcp.flags": ("tcp_flags",),
    "tcp.window_size_value": ("tcp_window",),
    "tcp.urgent_pointer": ("tcp_urgent",),
    "tcp.hdr_len": ("tcp_header_bytes",),
    "tcp.len": ("tcp_payload_bytes",),
    "tcp.options.mss_val": ("tcp_mss",),
    "tcp.options.wscale.shift": ("tcp_wscale",),
    "tcp.options.sack_perm": ("tcp_sack_permitted",),
    "tcp.options.timestamp.tsval": ("tcp_tsval",),
    "tcp.options.timestamp.tsecr": ("tcp_tsecr",),
    "tcp.options.sack_le": tuple(f"tcp_sack{n}_left" for n in range(1, 5)),
    "tcp.options.sack_re": tuple(f"tcp_sack{n}_right" for n in range(1, 5)),
}
"""Wireshark's name of a field → our columns; a test holds if it holds for one of them."""

ONLY_IN_VERSION = {"ip": 4, "ipv6": 6, "icmp": 4, "icmpv6": 6}
"""Fields and protocols whose columns IPv4 and IPv6 share, by the first part of their names."""


def version_of(field: str) -> int | None:
    """The version of IP that a field is of; None: both, or not of IP."""
    return None if field == "ip.version" else ONLY_IN_VERSION.get(field.split(".", maxsplit=1)[0])


FLAG_BITS = {
    f"tcp.flags.{name.lower()}": bit for name, bit in FLAGS.items() if name not in {"PSH", "RST"}
} | {"tcp.flags.push": FLAGS["PSH"], "tcp.flags.reset": FLAGS["RST"]}
"""Single flags of TCP, by Wireshark's names."""

PROTOCOLS: dict[str, str] = {
    "frame": "frame > 0",
    "eth": "eth.src or eth.dst",
    "vlan": "vlan_id",
    "arp": "protocol == ARP or arp_op",
    "ip": "ip_version == 4",
    "ipv6": "ip_version == 6",
    "icmp": "ip_proto == 1 and (icmp_type or protocol == ICMP)",
    "icmpv6": "ip_proto == 58 and (icmp_type or protocol == ICMPv6)",
    "igmp": "ip_proto == 2 and ip_version == 4",
    "udp": "udp_sport",
    "tcp": "tcp_sport",
}
"""A protocol's name alone → the test it stands for."""

DISSECTORS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "dns": dns.read,
    "dhcp": dhcp.read,
    "bootp": dhcp.read,
    "http": http.read,
    "http2": http2.read,
    "quic": quic.packets,
    "http3": http3.read,
    "websocket": websocket.read,
    "tls": tls.read,
    "rip": partial(rip.read, names=["rip"]),
    "ripng": partial(rip.read, names=["ripng"]),
    "ospf": ospf.read,
    "openflow": openflow.read,
    "openflow_v4": openflow.read,
    "igmp": igmp.read,
    "bgp": bgp.read,
}
"""A protocol above → its dissector, whose table has a column `frame`."""

NEEDED: dict[str, tuple[str, ...]] = {
    "dns": dns.COLUMNS,
    "dhcp": dhcp.COLUMNS,
    "bootp": dhcp.COLUMNS,
    "http": http.COLUMNS,
    "http2": http2.COLUMNS,
    "quic": quic.COLUMNS,
    "http3": http3.COLUMNS,
    "websocket": websocket.COLUMNS,
    "tls": tls.COLUMNS,
    "rip": rip.COLUMNS,
    "ripng": rip.COLUMNS,
    "ospf": ospf.COLUMNS,
    "openflow": openflow.COLUMNS,
    "openflow_v4": openflow.COLUMNS,
    "igmp": igmp.COLUMNS,
    "bgp": bgp.COLUMNS,
}
"""A protocol above → the columns its dissector reads."""

DISSECTED: dict[str, tuple[str, str]] = {
    "dns.id": ("dns", "id"),
    "dns.flags.response": ("dns", "response"),
    "dns.flags.authoritative": ("dns", "authoritative"),
    "dns.flags.truncated": ("dns", "truncated"),
    "dns.flags.recdesired": ("dns", "recursion_desired"),
    "dns.flags.rcode": ("dns", "rcode"),
    "dns.qry.name": ("dns", "question"),
    "dns.qry.type": ("dns", "type"),
    "dhcp.option.dhcp": ("dhcp", "type"),
    "dhcp.id": ("dhcp", "xid"),
    "dhcp.ip.your": ("dhcp", "your_ip"),
    "dhcp.ip.client": ("dhcp", "client_ip"),
    "dhcp.hw.mac_addr": ("dhcp", "client_mac"),
    "http.request": ("http", "method"),
    "http.response": ("http", "status"),
    "http.request.method": ("http", "method"),
    "http.request.uri": ("http", "target"),
    "http.response.code": ("http", "status"),
    "http.response.phrase": ("http", "reason"),
    "http.host": ("http", "host"),
    "http.content_type": ("http", "content_type"),
    "http.content_length_header": ("http", "content_bytes"),
    "http2.streamid": ("http2", "stream"),
    "http2.length": ("http2", "payload_bytes"),
    "http2.type": ("http2", "type"),
    "http2.headers.method": ("http2", "method"),
    "http2.headers.path": ("http2", "target"),
    "http2.headers.authority": ("http2", "host"),
    "http2.headers.status": ("http2", "status"),
    "quic.version": ("quic", "version"),
    "quic.dcid": ("quic", "target_id"),
    "quic.scid": ("quic", "source_id"),
    "quic.packet_number": ("quic", "number"),
    "quic.key_phase": ("quic", "key_phase"),
    "quic.packet_length": ("quic", "packet_bytes"),
    "http3.frame_type": ("http3", "type"),
    "http3.frame_length": ("http3", "payload_bytes"),
    "websocket.fin": ("websocket", "fin"),
    "websocket.rsv": ("websocket", "rsv"),
    "websocket.opcode": ("websocket", "opcode"),
    "websocket.mask": ("websocket", "masked"),
    "websocket.pmc": ("websocket", "compressed"),
    "websocket.payload.close.status_code": ("websocket", "close_code"),
    "tls.handshake.extensions_server_name": ("tls", "server_name"),
    "rip.command": ("rip", "command"),
    "ripng.cmd": ("ripng", "command"),
    "rip.version": ("rip", "version"),
    "bgp.type": ("bgp", "type"),
    "bgp.open.myas": ("bgp", "asn"),
    "bgp.open.identifier": ("bgp", "router_id"),
    "ospf.msg": ("ospf", "type"),
    "ospf.srcrouter": ("ospf", "router_id"),
    "ospf.area_id": ("ospf", "area"),
}
"""Fields of those protocols → dissector and column of its table."""

ANALYSED: dict[str, str] = {
    "tcp.stream": "connection",
    "tcp.seq": "seq",
    "tcp.ack": "ack",
    "tcp.window_size": "window_bytes",
    "tcp.analysis.acks_frame": "acks_frame",
    "tcp.analysis.bytes_in_flight": "bytes_in_flight",
    "tcp.analysis.duplicate_ack_num": "duplicate_ack_number",
    "tcp.analysis.duplicate_ack_frame": "duplicate_ack_frame",
    "tcp.analysis.reused_ports": "reused_ports",
} | {f"tcp.analysis.{kind}": kind for kind in tcp.KINDS}
"""Fields of the TCP analysis → column of `analysis.tcp.analyse`."""

SECONDS = ("frame.time_relative", "time_s")
"""Seconds since the first packet."""

ALL = tuple({*FIELDS, *FLAG_BITS, *PROTOCOLS, *DISSECTORS, *DISSECTED, *ANALYSED, *SECONDS})
"""All names but the table's own columns."""
