"""What a packet says, in a few words, as a network engineer would read it out.

For ladder diagrams and for evidence in reports; the words follow Wireshark's where it has some.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.packets import flag_names

COLUMNS = (
    "frame",
    "wire_bytes",
    "protocol",
    "eth_src",
    "eth_dst",
    "arp_op",
    "arp_sender_mac",
    "arp_sender_ip",
    "arp_target_ip",
    "ip_version",
    "ip_src",
    "ip_dst",
    "ip_proto",
    "ip_bytes",
    "ip_header_bytes",
    "ip_ttl",
    "ip_id",
    "ip_df",
    "ip_mf",
    "ip_offset_bytes",
    "icmp_type",
    "icmp_code",
    "icmp_id",
    "icmp_seq",
    "icmp_mtu",
    "icmp6_target",
    "udp_sport",
    "udp_dport",
    "udp_bytes",
    "tcp_sport",
    "tcp_dport",
    "tcp_seq",
    "tcp_ack",
    "tcp_flags",
    "tcp_payload_bytes",
)
"""What `packets` reads."""

UNREACHABLE = {
    0: "network unreachable",
    1: "host unreachable",
    2: "protocol unreachable",
    3: "port unreachable",
    4: "fragmentation needed",
    5: "source route failed",
    9: "network prohibited",
    10: "host prohibited",
    13: "administratively prohibited",
}
"""RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1."""

ICMP = {
    0: "echo reply",
    4: "source quench",
    5: "redirect",
    8: "echo request",
    9: "router advertisement",
    10: "router solicitation",
    11: "time exceeded",
    12: "parameter problem",
}

ICMP6 = {
    1: "unreachable",
    2: "packet too big",
    3: "time exceeded",
    4: "parameter problem",
    128: "echo request",
    129: "echo reply",
    130: "MLD query",
    131: "MLD report",
    132: "MLD done",
    133: "router solicitation",
    134: "router advertisement",
    135: "neighbour solicitation",
    136: "neighbour advertisement",
    137: "redirect",
    143: "MLDv2 report",
}

_ICMP6_PROTO, _IGMP_PROTO = 58, 2


def packets(table: pd.DataFrame) -> pd.Series[str]:
    """One description a packet, from the columns `COLUMNS`."""
    return pd.Series([_one(row) for row in table.itertuples()], index=table.index, dtype="string")


def _one(row: Any) -> str:
    if not pd.isna(row.arp_op):
        return _arp(row)
    if pd.isna(row.ip_version):
        return str(row.protocol)
    offset = 0 if pd.isna(row.ip_offset_bytes) else int(row.ip_offset_bytes)
    if offset:
        more = ", more follow" if row.ip_mf else ", the last"
        return f"fragment of {int(row.ip_id)}, from byte {offset}{more}"
    text = _transport(row)
    if not pd.isna(row.ip_mf) and row.ip_mf:
        text += f" (first fragment of {int(row.ip_id)})"
    return text


def _transport(row: Any) -> str:
    if not pd.isna(row.icmp_type):
        return _icmp6(row) if row.ip_version == 6 else _icmp(row)
    if not pd.isna(row.udp_sport):
        data = "" if pd.isna(row.udp_bytes) else f", {int(row.udp_bytes) - 8} bytes"
        return f"UDP {int(row.udp_sport)} → {int(row.udp_dport)}{data}"
    if not pd.isna(row.tcp_sport):
        return _tcp(row)
    if row.ip_proto == _IGMP_PROTO:
        return "IGMP"
    return f"IP protocol {row.ip_proto}" if pd.isna(row.protocol) else str(row.protocol)


def _arp(row: Any) -> str:
    sender, target = row.arp_sender_ip, row.arp_target_ip
    if row.arp_op == 1:
        if sender == "0.0.0.0":
            return f"ARP probe: is {target} in use?"
        if sender == target:
            return f"ARP announcement: {sender} is at {row.arp_sender_mac}"
        return f"ARP who has {target}? tell {sender}"
    if row.arp_op == 2:
        return f"ARP {sender} is at {row.arp_sender_mac}"
    return f"ARP operation {row.arp_op}"


def _icmp(row: Any) -> str:
    kind, code = int(row.icmp_type), int(row.icmp_code)
    if kind in (0, 8):
        return f"{ICMP[kind]} id {int(row.icmp_id)} seq {int(row.icmp_seq)}, TTL {row.ip_ttl}"
    if kind == 3:
        mtu = "" if pd.isna(row.icmp_mtu) or code != 4 else f", MTU {int(row.icmp_mtu)}"
        return f"{UNREACHABLE.get(code, f'unreachable, code {code}')}{mtu}"
    return ICMP.get(kind, f"ICMP type {kind} code {code}")


def _icmp6(row: Any) -> str:
    kind = int(row.icmp_type)
    text = ICMP6.get(kind, f"ICMPv6 type {kind} code {row.icmp_code}")
    if not pd.isna(row.icmp6_target):
        text += f" for {row.icmp6_target}"
    if kind == 2 and not pd.isna(row.icmp_mtu):
        text += f", MTU {int(row.icmp_mtu)}"
    return text


def _tcp(row: Any) -> str:
    length = 0 if pd.isna(row.tcp_payload_bytes) else int(row.tcp_payload_bytes)
    return (
        f"TCP {int(row.tcp_sport)} → {int(row.tcp_dport)} {flag_names(int(row.tcp_flags))}"
        f"{f', {length} bytes' if length else ''}"
    )
