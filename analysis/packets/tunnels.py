"""Packets inside packets: what GRE, IP in IP, 6in4, VXLAN, MPLS and PPPoE carry, as a table."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import pandas as pd

from analysis import rows
from analysis.packets import link
from analysis.packets.columns import COLUMNS as PACKET_COLUMNS
from analysis.packets.columns import need
from analysis.packets.reader import read

COLUMNS = (
    "frame",
    "time_ns",
    "eth_type",
    "ip_proto",
    "ip_bytes",
    "ip_header_bytes",
    "udp_dport",
    "udp_bytes",
    "payload",
)
"""What `packets` must hold."""

_VXLAN_PORT, _UDP_HEADER_BYTES = 4789, 8
_MPLS = (0x8847, 0x8848)
_PPPOE_SESSION = 0x8864
_OF_PPP = (b"\0\x21", b"\0\x57")  # IPv4 and IPv6 (RFC 1332, RFC 5072)
_TRANSPARENT_ETHERNET = 0x6558
_MAGIC_NS = 0xA1B23C4D

Inside = tuple[int, int]
"""Link type of the packet inside, and where it begins in the payload."""


def inner(packets: pd.DataFrame) -> pd.DataFrame:
    """The packets that tunnels carry, with all columns of `packets.COLUMNS`.

    Args:
        packets: with `COLUMNS`.

    Returns:
        one row per packet inside, with the index, ``frame`` and ``time_ns`` of the packet that
        carries it: ``packets.join(inner(packets).add_prefix("inner_"))`` sets both side by side.
        Of a packet inside such a packet this function tells when it is given the result.
    """
    need(packets, COLUMNS)
    found: dict[int, list[tuple[int, bytes, int]]] = {link.ETHERNET: [], link.RAW: []}
    for at, row in enumerate(rows(_values(packets))):
        inside = _inside(row) if row.payload else None
        if inside is not None:
            kind, begin = inside
            data = row.payload[begin:]
            header = _UDP_HEADER_BYTES if row.udp_dport is not None else 0
            stated = (row.ip_bytes or 0) - (row.ip_header_bytes or 0) - header - begin
            found[kind].append((at, data, max(stated, len(data))))
    used = {kind: carried for kind, carried in found.items() if carried} or {link.RAW: []}
    tables = [_read(packets, kind, carried) for kind, carried in used.items()]
    return tables[0] if len(tables) == 1 else pd.concat(tables).sort_values("frame", kind="stable")


def _values(packets: pd.DataFrame) -> pd.DataFrame:
    """What `inner` looks at, with None for what is missing."""
    values = packets[list(COLUMNS)].astype(object)
    return values.where(values.notna(), None)


def _inside(row: Any) -> Inside | None:
    """What a packet carries; None if it is not a tunnel's."""
    if row.ip_proto is None:
        if row.eth_type == _PPPOE_SESSION:
            return _of_pppoe(row.payload)
        return _of_mpls(row.payload) if row.eth_type in _MPLS else None
    if row.udp_dport == _VXLAN_PORT:
        return _of_vxlan(row.payload)
    reader = _BY_PROTO.get(row.ip_proto)
    return reader(row.payload) if reader else None


def _of_ip(_data: bytes) -> Inside:
    """IP in IP (RFC 2003), 6in4 (RFC 4213)."""
    return link.RAW, 0


def _of_gre(data: bytes) -> Inside | None:
    """GRE with its optional fields (RFC 2784, RFC 2890)."""
    if len(data) < 4 or data[1] & 7:  # other versions: PPTP
        return None
    begin = 4 + 4 * sum(bool(data[0] & bit) for bit in (0x80, 0x20, 0x10))
    kind = int.from_bytes(data[2:4], "big")
    if kind == _TRANSPARENT_ETHERNET:
        return link.ETHERNET, begin
    if kind in _MPLS:
        within = _of_mpls(data[begin:])
        return None if within is None else (within[0], begin + within[1])
    return (link.RAW, begin) if kind in (link.IPV4, link.IPV6) else None


def _of_vxlan(data: bytes) -> Inside | None:
    """VXLAN (RFC 7348 §5): the flag I must be set."""
    return (link.ETHERNET, 8) if len(data) >= 8 and data[0] & 8 else None


def _of_mpls(data: bytes) -> Inside | None:
    """A stack of labels, the last one marked (RFC 3032 §2.1); IP below it by its version."""
    for begin in range(4, len(data), 4):
        if data[begin - 2] & 1:
            return (link.RAW, begin) if data[begin] >> 4 in (4, 6) else None
    return None


def _of_pppoe(data: bytes) -> Inside | None:
    """PPP over Ethernet, a session's packet (RFC 2516 §4)."""
    return (link.RAW, 8) if data[:2] == b"\x11\0" and data[6:8] in _OF_PPP else None


_BY_PROTO: dict[int, Callable[[bytes], Inside | None]] = {4: _of_ip, 41: _of_ip, 47: _of_gre}


def _read(
    packets: pd.DataFrame, link_type: int, carried: list[tuple[int, bytes, int]]
) -> pd.DataFrame:
    """Reads packets as a capture of their own."""
    parts = [struct.pack("<IHHiIII", _MAGIC_NS, 2, 4, 0, 0, 1 << 18, link_type)]
    for _, data, stated in carried:
        parts += [struct.pack("<4I", 0, 0, len(data), stated), data]
    table = read(io.BytesIO(b"".join(parts)), PACKET_COLUMNS)
    outer = packets.iloc[[at for at, *_ in carried]]
    table = table.assign(frame=outer["frame"].to_numpy(), time_ns=outer["time_ns"].to_numpy())
    return table.set_index(outer.index)
