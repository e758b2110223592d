"""One batch of packets: link, network and transport layer, column by column."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analysis.packets import link, network, options, straight, transport
from analysis.packets.records import Interface, Records
from analysis.packets.table import PROTOCOLS, Table
from analysis.packets.window import CELL_BYTES, WORD_BYTES, Bytes, Cells, Rows, Window, take

_CODE = {name: code for code, name in enumerate(PROTOCOLS)}
_BY_ETHERTYPE = {
    link.IPV4: "IPv4",
    link.IPV6: "IPv6",
    link.ARP: "ARP",
    0x88CC: "LLDP",
    0x8847: "MPLS",
    0x8864: "PPPoE",
    0x8863: "PPPoE",
}
_BY_PROTO = {
    1: "ICMP",
    2: "IGMP",
    4: "IPIP",
    6: "TCP",
    17: "UDP",
    41: "IPIP",
    47: "GRE",
    50: "ESP",
    51: "AH",
    58: "ICMPv6",
    88: "EIGRP",
    89: "OSPF",
    103: "PIM",
    112: "VRRP",
    132: "SCTP",
}
_PROTO_CODES = np.zeros(256, np.int32)
for _number, _name in _BY_PROTO.items():
    _PROTO_CODES[_number] = _CODE[_name]


def decode(
    out: Table, data: Bytes, records: Records, interfaces: list[Interface], first_frame: int
) -> None:
    """Adds a batch of packets to the table.

    Args:
        out: the table; `begin` has made room for the batch.
        data: the buffer the records are in.
        records: the batch.
        interfaces: what `records.interface` counts through.
        first_frame: number of the batch's first packet.
    """
    count = len(records.time_ns)
    out.put_all("frame", np.arange(first_frame, first_frame + count))
    out.put_all("time_ns", records.time_ns)
    out.put_all("wire_bytes", records.wire_bytes)
    out.put_all("captured_bytes", records.captured_bytes)
    payloads = _Payloads(count) if out.wants("payload") else None
    captured, wire = _lengths(records.captured_bytes), _lengths(records.wire_bytes)
    for link_type, rows in _by_link_type(records, interfaces):
        if not link.is_known(link_type):
            out.links_not_decoded.add(link_type)
        left: Rows | None = rows
        if link_type == link.ETHERNET and isinstance(rows, slice):
            left = straight.decode(out, data, records.start, captured, wire, payloads)
        if left is None:
            continue
        start, base = records.start[left], link.lead_bytes(link_type)
        cells = Cells(take(data, start - base, CELL_BYTES + WORD_BYTES))
        window = Window(data, start, captured[left], wire[left], left, None, cells, base)
        out.flag(window, window.captured > window.wire, "captured longer than wire")
        _layers(out, window, link_type, payloads)
    _put_interface(out, records, interfaces)
    if payloads is not None:
        out.put_payloads(payloads.array(data))
    out.end()
    options.settle(out)


def _lengths(stated: npt.NDArray[np.uint32]) -> npt.NDArray[np.int32]:
    """Lengths as signed numbers; a lying one is cut to 2^31 - 1."""
    return np.minimum(stated, 0x7FFF_FFFF).astype(np.int32)


def _by_link_type(
    records: Records, interfaces: list[Interface]
) -> list[tuple[int, slice | npt.NDArray[np.int64]]]:
    """The batch's link types, each with its rows."""
    every = slice(0, len(records.time_ns))
    if records.interface is None:
        return [(interfaces[0].link_type, every)]
    types = _by_interface(records.interface, lambda number: interfaces[number].link_type)
    kinds = np.unique(types)
    if len(kinds) == 1:
        return [(int(kinds[0]), every)]
    return [(int(kind), np.flatnonzero(types == kind)) for kind in kinds]


class _Payloads:
    """Where the payload of each packet of a batch is."""

    def __init__(self, count: int) -> None:
        self.start = np.zeros(count, np.int64)
        self.length = np.full(count, -1, np.int64)

    def add(self, window: Window) -> None:
        """Takes in the packets of a payload window."""
        rows = np.arange(len(self.start))[window.rows]
        start, length = window.start, np.maximum(window.captured, 0)
        if window.present is not None:
            rows, start, length = (a[window.present] for a in (rows, start, length))
        self.start[rows], self.length[rows] = start, length

    def array(self, data: Bytes) -> pa.Array:
        """The payloads, null where there is none."""
        places = zip(self.start.tolist(), self.length.tolist(), strict=True)
        pieces = [data[at : at + n].tobytes() if n >= 0 else None for at, n in places]
        return pa.array(pieces, pa.large_binary())


def _layers(out: Table, window: Window, link_type: int, payloads: _Payloads | None) -> None:
    inner, kinds = link.decode(out, window, link_type)
    if inner is None:
        return
    if out.wants("protocol"):
        _put_link_protocol(out, inner, kinds)
    deep = ("protocol", "malformed", "problem", "payload")
    if not (out.wants_layer("ARP", "IP", "ICMP", "UDP", "TCP") or out.wants(*deep)):
        return
    if payloads is not None and (other := inner.only(~network.is_decoded(kinds))) is not None:
        payloads.add(other)
    for transport_window, protos in network.decode(out, inner, kinds):
        if out.wants("protocol"):
            _put_protocol(out, transport_window, protos)
        if out.wants_layer("ICMP", "UDP", "TCP") or out.wants("malformed", "problem", "payload"):
            for payload in transport.decode(out, transport_window, protos):
                if payloads is not None:
                    payloads.add(payload)


def _put_link_protocol(out: Table, window: Window, kinds: link.Types) -> None:
    codes = np.where(kinds < 1536, _CODE["802.3"], 0).astype(np.int32)
    codes[kinds == 0] = 0
    for kind, name in _BY_ETHERTYPE.items():
        codes[kinds == kind] = _CODE[name]
    out.put("protocol", window, codes, window.present)


def _put_protocol(out: Table, window: Window, protos: network.Protos) -> None:
    codes = _PROTO_CODES[protos]
    known = codes > 0
    if window.present is not None:
        known &= window.present
    out.put("protocol", window, codes, None if known.all() else known)


def _put_interface(out: Table, records: Records, interfaces: list[Interface]) -> None:
    if records.interface is None or not out.wants("interface"):
        return
    encode = out.texts["interface"].of_one
    names = _by_interface(
        records.interface, lambda number: encode(interfaces[number].name or str(number))
    )
    out.put_all("interface", names.astype(np.int32))


def _by_interface(
    numbers: npt.NDArray[np.int32], value: Callable[[int], int]
) -> npt.NDArray[np.int64]:
    """A value of each packet's interface; asked for those of the batch's section alone."""
    low, high = (int(numbers.min()), int(numbers.max())) if len(numbers) else (0, -1)
    values = np.array([value(number) for number in range(low, high + 1)], np.int64)
    return values[numbers - low]
