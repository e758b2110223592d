"""The usual packet at once: TCP behind an IPv4 header without options and plain Ethernet.

Nearly all packets of most captures look like that. Their fields stand at the same places, all of
them are there, and nothing contradicts itself: each column is one copy, without any mask. What
looks otherwise is left to the layers' own modules, which give the same for any packet.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from analysis.packets import link, options, transport
from analysis.packets.table import Table
from analysis.packets.window import Cells, Ints, Mask, Window

_IP_AT, _TCP_AT, _HEADERS_BYTES = 14, 34, 54
_LEAST_SHARE = 0.75
"""With fewer usual packets than this, decoding all the other way costs less."""

_FIELDS = {
    "ip_id": (_IP_AT + 4, ">u2"),
    "ip_ttl": (_IP_AT + 8, "u1"),
    "tcp_sport": (_TCP_AT, ">u2"),
    "tcp_dport": (_TCP_AT + 2, ">u2"),
    "tcp_seq": (_TCP_AT + 4, ">u4"),
    "tcp_ack": (_TCP_AT + 8, ">u4"),
    "tcp_window": (_TCP_AT + 14, ">u2"),
    "tcp_urgent": (_TCP_AT + 18, ">u2"),
}
"""Columns that are a field as it stands: where in the packet, and of what type."""

_SAME = {
    "eth_type": link.IPV4, "ip_version": 4, "ip_proto": transport.TCP, "ip_header_bytes": 20,
    "ip_mf": 0, "ip_offset_bytes": 0,
}  # fmt: skip
"""Columns in which all usual packets are alike."""

_MADE = (
    "eth_dst", "eth_src", "ip_src", "ip_dst", "ip_bytes", "ip_dscp", "ip_ecn", "ip_df",
    "ip_checksum_ok", "tcp_flags", "tcp_header_bytes", "tcp_payload_bytes",
)  # fmt: skip


def decode(out: Table, window: Window) -> tuple[Window | None, Window | None]:
    """Decodes the usual packets, if they are most.

    Args:
        out: the table.
        window: the Ethernet headers of a whole batch; the cells of packets that are not usual are
            overwritten.

    Returns:
        the packets left, None if none; the payloads of those decoded, None if none were.
    """
    if not out.wants_layer("IP", "TCP"):
        return window, None
    heads = _Heads(window)
    usual = heads.usual()
    count = int(np.count_nonzero(usual))
    if count < max(1, _LEAST_SHARE * len(window)):
        return window, None
    present, rest = None, None
    if count < len(window):
        present, others = usual, np.flatnonzero(~usual)
        rest = _part(window, others)
        window = _alike(window, others, int(np.argmax(usual)))
        heads = _Heads(window)
    heads.put(out)
    segments = heads.segments(present)
    if out.wants(*options.COLUMNS, "malformed", "problem"):
        transport.put_options(out, segments, heads.header, np.ones(len(window), np.bool_))
    if rest is not None:
        out.clear(rest, [*_FIELDS, *_SAME, *_MADE])
    return rest, segments.next(heads.header, None) if out.wants("payload") else segments


def _part(window: Window, rows: npt.NDArray[np.int64]) -> Window:
    return Window(
        window.data, window.start[rows], window.captured[rows], window.wire[rows], rows, None,
        Cells(window.cells.rows[rows]), window.base,
    )  # fmt: skip


def _alike(window: Window, rows: npt.NDArray[np.int64], model: int) -> Window:
    """The same window with some rows made like another one."""
    captured, wire = window.captured.copy(), window.wire.copy()
    for array in (captured, wire, window.cells.rows):
        array[rows] = array[model]
    return Window(
        window.data, window.start, captured, wire, window.rows, None, window.cells, window.base
    )


class _Heads:
    """The first 54 bytes of packets that are taken for usual ones.

    Attributes:
        total: (rows,) length of the IP packet.
        header: (rows,) length of the TCP header.
    """

    def __init__(self, window: Window) -> None:
        self.window = window
        self.first, self.second, self.third = (window.u32(_IP_AT + at) for at in (0, 4, 8))
        self.offset = window.u16(_TCP_AT + 12)
        self.total: Ints = (self.first & np.uint32(0xFFFF)).view(np.int32)
        self.header: Ints = ((self.offset >> np.uint16(12)) << np.uint16(2)).astype(np.int32)

    def usual(self) -> Mask:
        """Rows that are what they are taken for, captured to the end of TCP's fixed header."""
        window = self.window
        usual: Mask = window.u16(12) == link.IPV4
        usual &= (self.first >> np.uint32(24)) == 0x45
        usual &= (self.second & np.uint32(0x3FFF)) == 0  # no fragment
        usual &= (self.third & np.uint32(0x00FF_0000)) == transport.TCP << 16
        usual &= self.header >= 20
        usual &= self.header + np.int32(20) <= self.total
        usual &= self.total + np.int32(_IP_AT) <= window.wire
        usual &= window.captured >= _HEADERS_BYTES
        usual &= window.captured <= window.wire
        return usual

    def segments(self, present: Mask | None) -> Window:
        """The TCP headers' window."""
        window, wire = self.window, self.total - np.int32(20)
        captured = np.minimum(window.captured - np.int32(_TCP_AT), wire)
        start = window.start + _TCP_AT
        return Window(
            window.data, start, captured, wire, window.rows, present, window.cells,
            window.base + _TCP_AT,
        )  # fmt: skip

    def put(self, out: Table) -> None:
        """Stores all columns but TCP's options."""
        for name, (at, kind) in _FIELDS.items():
            if (place := out.whole(name)) is not None:
                place[:] = self.window.stored(at, kind)
        for name, value in _SAME.items():
            if (place := out.whole(name)) is not None and value:
                place[:] = value
        self._put_addresses(out)
        self._put_ip(out)
        self._put_tcp(out)

    def _put_addresses(self, out: Table) -> None:
        if out.wants("eth_dst", "eth_src"):
            codes = out.mac_pairs.of(self.window.u64(0), self.window.u32(8))
            for name, values in zip(("eth_dst", "eth_src"), codes, strict=True):
                _put(out, name, values)
        if out.wants("ip_src", "ip_dst", "ip_checksum_ok"):
            ends = self.window.u64(_IP_AT + 12)
            _put(out, "ip_checksum_ok", self._checksum_ok(ends))
            if out.wants("ip_src", "ip_dst"):
                codes = out.ip_pairs.of(ends)
                for name, values in zip(("ip_src", "ip_dst"), codes, strict=True):
                    _put(out, name, values)

    def _checksum_ok(self, ends: npt.NDArray[np.uint64]) -> Mask:
        """The ones' complement sum of the header is 0xFFFF (RFC 1071)."""
        total = ends >> np.uint64(32)
        total += ends & np.uint64(0xFFFF_FFFF)
        for word in (self.first, self.second, self.third):
            total += word
        for _ in range(2):  # of five 32-bit numbers at most 0xFFFF + 5 is left
            total = (total >> np.uint64(16)) + (total & np.uint64(0xFFFF))
        right: Mask = total == 0xFFFF
        return right

    def _put_ip(self, out: Table) -> None:
        _put(out, "ip_bytes", self.total)
        if out.wants("ip_dscp", "ip_ecn"):
            traffic_class = self.window.u8(_IP_AT + 1)
            _put(out, "ip_dscp", traffic_class >> 2)
            _put(out, "ip_ecn", traffic_class & 3)
        _put(out, "ip_df", (self.second & np.uint32(0x4000)) != 0)

    def _put_tcp(self, out: Table) -> None:
        _put(out, "tcp_flags", self.offset & np.uint16(transport.FLAG_BITS))
        _put(out, "tcp_header_bytes", self.header)
        if (place := out.whole("tcp_payload_bytes")) is not None:
            np.subtract(self.total, self.header, out=place)
            place -= 20


def _put(out: Table, name: str, values: npt.NDArray[np.generic]) -> None:
    if (place := out.whole(name)) is not None:
        place[:] = values
