"""The usual packet at once: TCP behind an IPv4 header without options and plain Ethernet.

Nearly all packets of most captures look like that. Their fields stand at the same places, all of
them are there, and nothing contradicts itself: straight.c writes them to the columns without a copy
in between. What looks otherwise is left to the layers' own modules, which give the same for any
packet, and read them all where straight.c could not be compiled.
"""

from __future__ import annotations

import ctypes
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from analysis import compiled
from analysis.packets import link, options, transport
from analysis.packets.codes import SLOT_BITS, Pairs
from analysis.packets.table import PROTOCOLS, Table
from analysis.packets.walk import Offsets
from analysis.packets.window import Bytes, Cells, Mask, Rows, take

_IP_ENDS_AT = 14 + 12
_SAMPLE = 64
"""Number of packets of a batch looked at: if few are usual, the layers alone cost less."""

_SAME = {
    "protocol": PROTOCOLS.index("TCP"),
    "eth_type": link.IPV4,
    "ip_version": 4,
    "ip_proto": transport.TCP,
    "ip_header_bytes": 20,
    "ip_mf": 0,
    "ip_offset_bytes": 0,
}
"""Columns in which all usual packets are alike."""

_MACS, _IPS = ("eth_dst", "eth_src"), ("ip_src", "ip_dst")
_TIMESTAMPS = ("tcp_tsval", "tcp_tsecr")
_WRITTEN = (
    "ip_bytes",
    "ip_dscp",
    "ip_ecn",
    "ip_id",
    "ip_df",
    "ip_ttl",
    "ip_checksum_ok",
    "tcp_sport",
    "tcp_dport",
    "tcp_seq",
    "tcp_ack",
    "tcp_flags",
    "tcp_window",
    "tcp_urgent",
    "tcp_header_bytes",
    "tcp_payload_bytes",
    *_TIMESTAMPS,
)
"""Columns that straight.c writes where they are; it writes addresses' codes to arrays of theirs."""

Lengths = npt.NDArray[np.int32]
Places = dict[str, npt.NDArray[Any]]


class Payloads(Protocol):
    """Where the payload of each packet of a batch is; -1 bytes: nowhere."""

    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]


def decode(
    out: Table,
    data: Bytes,
    start: Offsets,
    captured: Lengths,
    wire: Lengths,
    payloads: Payloads | None,
) -> Rows | None:
    """Decodes the usual packets, if they are most.

    Args:
        out: the table.
        data: the buffer.
        start: where the Ethernet headers of a whole batch begin.
        captured: bytes captured of each packet.
        wire: its length on the wire.
        payloads: takes the payloads' places, if they are wanted.

    Returns:
        the packets left; None if none.
    """
    library, count = compiled.library(), len(start)
    if library is None or not out.wants_layer("IP", "TCP"):
        return slice(0, count)
    packets = ctypes.byref(
        _Packets(*(_address(a) for a in (data, start, captured, wire)), len(data), count)
    )
    step = -(-count // _SAMPLE)
    if library.count_usual(packets, ctypes.c_int64(step)) * step * 2 < count:
        return slice(0, count)
    places, aside, usual = _places(out, count, payloads), _Aside(out, count), np.empty(count, "?")
    columns = _Columns(**{name: _address(place) for name, place in places.items()})
    found: int = library.put_usual(
        packets,
        _table(out.mac_pairs),
        _table(out.ip_pairs),
        ctypes.byref(columns),
        ctypes.byref(aside.struct),
        ctypes.c_void_p(_address(usual)),
    )
    aside.keep(out)
    _put_addresses(out, data, start, usual, places)
    if found == count:
        return None
    left = np.flatnonzero(~usual)
    out.clear(left, [*_SAME, *_MACS, *_IPS, *_WRITTEN])
    return left


def _address(array: npt.NDArray[Any]) -> int:
    return array.ctypes.data


class _Packets(ctypes.Structure):
    """`struct packets` of straight.c."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("data", "start", "captured", "wire")),
        ("size", ctypes.c_int64),
        ("count", ctypes.c_int64),
    ]


class _Pairs(ctypes.Structure):
    """`struct pairs` of straight.c."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("wide", "narrow", "first", "second")),
        ("slot_bits", ctypes.c_int64),
    ]


class _Columns(ctypes.Structure):
    """`struct columns` of straight.c."""

    _fields_ = [
        (name, ctypes.c_void_p)
        for name in (
            *_MACS,
            *_IPS,
            *_WRITTEN,
            *(f"{name}_absent" for name in _TIMESTAMPS),
            "payload_start",
            "payload_length",
        )
    ]


class _Options(ctypes.Structure):
    """`struct options` of straight.c."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("octets", "stated", "captured", "packet")),
        ("count", ctypes.c_int64),
    ]


class _Aside:
    """Room for the options that straight.c puts aside, if they are wanted."""

    def __init__(self, out: Table, count: int) -> None:
        self.struct = _Options()
        if out.wants(*options.COLUMNS, "malformed", "problem"):
            self.octets = np.empty((count, 40), np.uint8)
            self.stated, self.captured = np.empty(count, np.int32), np.empty(count, np.int32)
            self.packet = np.empty(count, np.int64)
            arrays = (self.octets, self.stated, self.captured, self.packet)
            self.struct = _Options(*(_address(array) for array in arrays))

    def keep(self, out: Table) -> None:
        """Hands over what was put aside, without the room for more."""
        if n := self.struct.count:
            octets, stated, captured = self.octets[:n], self.stated[:n], self.captured[:n]
            found = options.Gathered(
                octets.copy(), stated.copy(), captured.copy(), out.low + self.packet[:n]
            )
            out.other_options.append(found)


def _table(pairs: Pairs) -> Any:
    arrays = (pairs.wide, pairs.narrow, pairs.first, pairs.second)
    return ctypes.byref(_Pairs(*(_address(array) for array in arrays), SLOT_BITS))


def _places(out: Table, count: int, payloads: Payloads | None) -> Places:
    """What is wanted of straight.c; columns in which all packets are alike are filled here."""
    for name, value in _SAME.items():
        if (place := out.whole(name)) is not None and value:
            place[:] = value
    places = {name: out.whole(name) for name in _WRITTEN}
    places |= {f"{name}_absent": out.absent(name) for name in _TIMESTAMPS}
    for pair in (_MACS, _IPS):
        if out.wants(*pair):
            places |= {name: np.full(count, -1, np.int32) for name in pair}
    if payloads is not None:
        places |= {"payload_start": payloads.start, "payload_length": payloads.length}
    return {name: place for name, place in places.items() if place is not None}


def _put_addresses(out: Table, data: Bytes, start: Offsets, usual: Mask, places: Places) -> None:
    """Stores the addresses' codes, after seeing to those that straight.c did not know."""
    for names, pairs, at in ((_MACS, out.mac_pairs, 0), (_IPS, out.ip_pairs, _IP_ENDS_AT)):
        if names[0] not in places:
            continue
        first, second = (places[name] for name in names)
        new = np.flatnonzero(usual & (first < 0))
        if len(new):
            keys = Cells(take(data, start[new] + at, 12))
            narrow = keys.field(8, ">u4").astype(np.uint32)
            if pairs is out.ip_pairs:
                narrow[:] = 0
            first[new], second[new] = pairs.learn(keys.field(0, ">u8").astype(np.uint64), narrow)
        out.put_all(names[0], first)
        out.put_all(names[1], second)
