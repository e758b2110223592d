"""What a packet says, in a few words, as a network engineer would read it out.

For ladder diagrams and for evidence in reports; the words follow Wireshark's where it has some.
"""

from __future__ import annotations

import math
from collections import namedtuple
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

_Row = namedtuple("_Row", COLUMNS)  # type: ignore[misc]

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
    """One description a packet, from the columns `COLUMNS`, of which any value may be missing.

    A number that the packet should have but that was cut off reads ``?``.
    """
    nothing = [None] * len(table)
    columns = [_values(table[name]) if name in table else nothing for name in COLUMNS]
    said = [_one(_Row(*values)) for values in zip(*columns, strict=True)]
    return pd.Series(said, index=table.index, dtype="string")


def _values(column: pd.Series[Any]) -> list[Any]:
    """A column's values, None where one is missing; of few packets much faster than pandas' own."""
    return [None if _is_missing(value) else value for value in column.tolist()]


def _is_missing(value: Any) -> bool:
    return value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _text(value: Any) -> str:
    """A number in a sentence."""
    return "?" if value is None else str(int(value))


def _one(row: Any) -> str:
    if row.arp_op is not None:
        return _arp(row)
    if row.ip_version is None:
        return row.protocol or "not decoded"
    offset = int(row.ip_offset_bytes or 0)
    if offset:
        more = ", more follow" if row.ip_mf else ", the last"
        return f"fragment of {_text(row.ip_id)}, from byte {offset}{more}"
    text = _transport(row)
    if row.ip_mf:
        text += f" (first fragment of {_text(row.ip_id)})"
    return text


def _transport(row: Any) -> str:
    if row.icmp_type is not None:
        return _icmp6(row) if row.ip_version == 6 else _icmp(row)
    if row.udp_sport is not None:
        data = "" if row.udp_bytes is None else _udp_length(int(row.udp_bytes))
        return f"UDP {_text(row.udp_sport)} → {_text(row.udp_dport)}{data}"
    if row.tcp_sport is not None:
        return _tcp(row)
    if row.ip_proto == _IGMP_PROTO:
        return "IGMP"
    return row.protocol or f"IP protocol {_text(row.ip_proto)}"


def _udp_length(length: int) -> str:
    """Bytes of data; the length field counts the header of 8 bytes (RFC 768)."""
    return f", {length - 8} bytes" if length >= 8 else f", length field {length} is too small"


def _arp(row: Any) -> str:
    sender, target = row.arp_sender_ip or "?", row.arp_target_ip or "?"
    sender_mac = row.arp_sender_mac or "?"
    if row.arp_op == 1:
        if sender == "0.0.0.0":
            return f"ARP probe: is {target} in use?"
        if sender == target != "?":
            return f"ARP announcement: {sender} is at {sender_mac}"
        return f"ARP who has {target}? tell {sender}"
    if row.arp_op == 2:
        return f"ARP {sender} is at {sender_mac}"
    return f"ARP operation {_text(row.arp_op)}"


def _icmp(row: Any) -> str:
    kind, code = int(row.icmp_type), row.icmp_code
    if kind in (0, 8):
        about = f"id {_text(row.icmp_id)} seq {_text(row.icmp_seq)}"
        return f"{ICMP[kind]} {about}, TTL {_text(row.ip_ttl)}"
    if kind == 3:
        mtu = "" if row.icmp_mtu is None or code != 4 else f", MTU {_text(row.icmp_mtu)}"
        return f"{UNREACHABLE.get(code, f'unreachable, code {_text(code)}')}{mtu}"
    return ICMP.get(kind, f"ICMP type {kind} code {_text(code)}")


def _icmp6(row: Any) -> str:
    kind = int(row.icmp_type)
    text = ICMP6.get(kind, f"ICMPv6 type {kind} code {_text(row.icmp_code)}")
    if row.icmp6_target is not None:
        text += f" for {row.icmp6_target}"
    if kind == 2 and row.icmp_mtu is not None:
        text += f", MTU {_text(row.icmp_mtu)}"
    return text


def _tcp(row: Any) -> str:
    length = int(row.tcp_payload_bytes or 0)
    flags = " [cut off]" if row.tcp_flags is None else f" {flag_names(int(row.tcp_flags))}"
    return (
        f"TCP {_text(row.tcp_sport)} → {_text(row.tcp_dport)}{flags}"
        f"{f', {length} bytes' if length else ''}"
    )
