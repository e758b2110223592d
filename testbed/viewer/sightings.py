"""Packets as they were seen at interfaces: who they are, and which way they went.

A packet that crosses a link is seen twice, where it is sent and where it arrives, and once more
behind each router. `key` is the same for all of these: a hash over what routers leave as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testbed.viewer.graph import Graph

COLUMNS = (
    "frame",
    "time_ns",
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
    "ip_ttl",
    "ip_id",
    "ip_offset_bytes",
    "icmp_type",
    "icmp_code",
    "icmp_id",
    "icmp_seq",
    "icmp6_target",
    "udp_sport",
    "udp_dport",
    "tcp_sport",
    "tcp_dport",
    "tcp_seq",
    "tcp_ack",
    "tcp_flags",
    "tcp_window",
    "tcp_payload_bytes",
    "tcp_tsval",
)
"""Packet columns that are read."""

_CONTENT = (
    "arp_op",
    "arp_sender_mac",
    "arp_sender_ip",
    "arp_target_ip",
    "ip_version",
    "ip_proto",
    "ip_bytes",
    "ip_id",
    "ip_offset_bytes",
    "icmp_type",
    "icmp_code",
    "icmp_id",
    "icmp_seq",
    "icmp6_target",
    "tcp_seq",
    "tcp_ack",
    "tcp_flags",
    "tcp_payload_bytes",
    "tcp_tsval",
)
"""What not even an address translation changes."""

_ENDS = ("ip_src", "ip_dst", "udp_sport", "udp_dport", "tcp_sport", "tcp_dport")

_DATAGRAM = ("ip_src", "ip_dst", "ip_proto", "ip_id", "ip_offset_bytes")
"""What an IPv4 packet and the first fragment that a router makes of it share (RFC 791, 3.2)."""

_FRAME = ("protocol", "eth_src", "eth_dst", "wire_bytes")
"""Identifies frames of protocols that the reader does not decode (LLDP, STP)."""

_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ divided by the golden ratio
_SHIFT = np.uint64(29)


def of_capture(packets: pd.DataFrame) -> pd.DataFrame:
    """What the viewer keeps of each packet.

    Args:
        packets: with `COLUMNS`.

    Returns:
        ``frame``, ``time_ns``, ``bytes``, ``protocol``, ``src`` and ``dst`` (IP addresses, or MAC
        addresses without IP), ``mac_src``, ``mac_dst``, ``sport``, ``dport`` (0: none), ``flags``
        (TCP's), ``ttl`` (0: no IP), ``ip`` (whether it is IP), ``key`` (uint64, the packet's
        identity), ``content`` (the same without addresses and ports), ``datagram`` (of an IPv4
        packet what its first fragment keeps; 0: not IPv4).
    """
    is_ip = packets["ip_version"].notna().to_numpy()
    is_ipv4 = packets["ip_version"].eq(4).to_numpy(bool, na_value=False)
    unread = ~is_ip & packets["arp_op"].isna().to_numpy()
    content = _hash(packets, _CONTENT)
    content = np.where(unread, _hash(packets, _FRAME), content)
    return pd.DataFrame(
        {
            "frame": packets["frame"].to_numpy(np.int64),
            "time_ns": packets["time_ns"].to_numpy(np.int64),
            "bytes": packets["wire_bytes"].to_numpy(np.int64),
            "protocol": _texts(packets["protocol"]),
            "src": _texts(packets["ip_src"], packets["eth_src"]),
            "dst": _texts(packets["ip_dst"], packets["eth_dst"]),
            "mac_src": _texts(packets["eth_src"]),
            "mac_dst": _texts(packets["eth_dst"]),
            "sport": _number(packets, "tcp_sport", "udp_sport"),
            "dport": _number(packets, "tcp_dport", "udp_dport"),
            "flags": _number(packets, "tcp_flags"),
            "ttl": _number(packets, "ip_ttl"),
            "ip": is_ip,
            "key": _hash(packets, _ENDS, content),
            "content": content,
            "datagram": np.where(is_ipv4, _hash(packets, _DATAGRAM), np.uint64(0)),
        }
    )


def directions(seen: pd.DataFrame, interface: str, graph: Graph) -> NDArray[np.int64]:
    """Whether each packet left by an interface (1), came in by it (-1), or neither is known (0).

    A frame's source address belongs to a node, which is on one side of the link; if it belongs to
    none (it is forged), the destination's node is on the other side.
    """
    found = _by_owner(seen["mac_src"], interface, graph.macs, graph)
    for column, owners, sign in (("mac_dst", graph.macs, -1), ("src", graph.addresses, 1)):
        if (found == 0).any():
            other = sign * _by_owner(seen[column], interface, owners, graph)
            found = np.where(found == 0, other, found)
    return found


def _by_owner(
    addresses: pd.Series[Any], interface: str, owners: Any, graph: Graph
) -> NDArray[np.int64]:
    categories = list(addresses.cat.categories)
    sides = graph.nearer((owners.get(address) for address in categories), interface)
    return np.array([*sides, 0], np.int64)[addresses.cat.codes.to_numpy()]


def _texts(*columns: pd.Series[Any]) -> pd.Categorical:
    """The first column's texts, where it has none the next one's, else an empty text."""
    known = [column.astype("category") for column in columns]
    names = dict.fromkeys(str(text) for column in known for text in column.cat.categories)
    places = {name: place for place, name in enumerate(dict.fromkeys([*names, ""]))}
    codes = np.full(len(columns[0]), places[""], np.int64)
    for column in reversed(known):
        own = np.array(
            [*(places[str(text)] for text in column.cat.categories), places[""]], np.int64
        )
        there = column.notna().to_numpy()
        codes = np.where(there, own[column.cat.codes.to_numpy()], codes)
    return pd.Categorical.from_codes(codes, pd.Index(list(places), dtype="str"))


def _number(packets: pd.DataFrame, *names: str) -> NDArray[np.int64]:
    """The first of some columns that has a value; 0 if none has."""
    found = np.zeros(len(packets), np.int64)
    for name in reversed(names):
        column = packets[name]
        there = column.notna().to_numpy()
        found = np.where(there, column.fillna(0).to_numpy(np.int64), found)
    return found


def _hash(
    packets: pd.DataFrame, names: tuple[str, ...], start: NDArray[np.uint64] | None = None
) -> NDArray[np.uint64]:
    """One number for all values of a row (multiplicative hashing, Knuth 6.4)."""
    found = np.zeros(len(packets), np.uint64) if start is None else start.copy()
    for name in names:
        found = (found ^ _as_numbers(packets[name])) * _FACTOR
        found ^= found >> _SHIFT
    return found


def _as_numbers(column: pd.Series[Any]) -> NDArray[np.uint64]:
    """Values as numbers that do not depend on the capture; missing ones are one of their own."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        texts = column.cat.categories.to_numpy(object)
        own = np.append(pd.util.hash_array(texts, categorize=False), np.uint64(0))
        return own[column.cat.codes.to_numpy()].astype(np.uint64)
    numbers = column.fillna(0).to_numpy(np.int64).astype(np.uint64) + np.uint64(1)
    return np.where(column.notna().to_numpy(), numbers, np.uint64(0))
