"""The columns while they are filled, batch after batch, and the DataFrame they become."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.packets.codes import Codes, Pairs, ip_text, mac_text, split_ips, split_macs
from analysis.packets.columns import BYTES, CATEGORY, COLUMNS, MASKED
from analysis.packets.window import Mask, Rows, Window

PROTOCOLS = (
    "?",
    "IPv4",
    "IPv6",
    "ARP",
    "TCP",
    "UDP",
    "ICMP",
    "ICMPv6",
    "OSPF",
    "IGMP",
    "GRE",
    "IPIP",
    "SCTP",
    "ESP",
    "AH",
    "VRRP",
    "EIGRP",
    "PIM",
    "LLDP",
    "802.3",
    "MPLS",
    "PPPoE",
)
"""Values of `protocol`; the place of each is its code."""

PROBLEMS = (
    "captured longer than wire",
    "link header cut",
    "ARP cut",
    "IP header cut",
    "IP version",
    "IP header length",
    "IP length",
    "IPv6 extension header",
    "ICMP header cut",
    "UDP header cut",
    "UDP length",
    "TCP header cut",
    "TCP header length",
    "TCP option length",
)
"""What can be malformed; the first found is a packet's `problem`."""

_PROBLEM_CODES = {name: code for code, name in enumerate(PROBLEMS)}
_MAC_COLUMNS = ("eth_dst", "eth_src", "arp_sender_mac", "arp_target_mac")
_IP_COLUMNS = (
    "ip_src",
    "ip_dst",
    "arp_sender_ip",
    "arp_target_ip",
    "icmp_gateway",
    "icmp6_target",
)


_LINE_BYTES = 64  # columns begin at a cache line
_MOST_NARROW: tuple[tuple[np.dtype[Any], int], ...] = (
    (np.dtype(np.int8), 127),
    (np.dtype(np.int16), (1 << 15) - 1),
)
"""pandas numbers fewer categories than this in this type; what has it already is not converted."""


class Table:
    """Columns under construction.

    Arrays are allocated larger than needed, all in one piece of zeros: memory never written costs
    nothing, and pages are large. Every value is written once; that a value is there, and not
    absent, needs no writing at all. Categories share their codes over all batches and over like
    columns.
    """

    def __init__(self, wanted: Iterable[str]) -> None:
        self.columns = [COLUMNS[name] for name in wanted]
        self.names = frozenset(column.name for column in self.columns)
        self.count = 0
        self.low = 0
        self.macs, self.ips = Codes(mac_text), Codes(ip_text)
        self.mac_pairs = Pairs(self.macs, split_macs, self._wanted("eth_dst", "eth_src"))
        self.ip_pairs = Pairs(self.ips, split_ips, self._wanted("ip_src", "ip_dst"))
        self.texts: dict[str, Codes] = {
            "interface": Codes(str),
            "ip6_extensions": Codes(str),
        }
        self._fixed = {"protocol": list(PROTOCOLS), "problem": list(PROBLEMS)}
        self._capacity = 0
        self._code_types = {c.name: _MOST_NARROW[0][0] for c in self.columns if c.kind == CATEGORY}
        self._values: dict[str, npt.NDArray[Any]] = {}
        self._absent: dict[str, Mask] = {}
        self._fresh: set[str] = set()
        self._nullable = [c.name for c in self.columns if c.kind in {MASKED, CATEGORY}]
        self._payloads: list[Any] = []
        self.other_options: list[Any] = []
        self.problem: npt.NDArray[np.int8] = np.empty(0, np.int8)
        self.fragment: Mask | None = None
        self.links_not_decoded: set[int] = set()

    def _wanted(self, first: str, second: str) -> tuple[bool, bool]:
        return first in self.names, second in self.names

    def wants(self, *names: str) -> bool:
        """True if one of the columns is asked for."""
        return not self.names.isdisjoint(names)

    def wants_layer(self, *layers: str) -> bool:
        """True if a column of one of the layers is asked for."""
        return any(column.layer in layers for column in self.columns)

    def begin(self, more: int, expected_total: int = 0) -> None:
        """Makes room for a batch of `more` packets, all columns null."""
        self.low = self.count
        self.count += more
        if self.count > self._capacity:
            self._grow(max(self.count, expected_total, 2 * self._capacity))
        self._fresh = set(self._nullable)
        self.problem = np.full(more, -1, np.int8)
        self.fragment = None

    def _grow(self, capacity: int) -> None:
        """Larger arrays, carved from one block."""
        kinds = [
            (self._values, c.name, self._code_types.get(c.name) or _stored_type(c.dtype))
            for c in self.columns
            if c.kind != BYTES
        ]
        kinds += [(self._absent, c.name, np.dtype(bool)) for c in self.columns if c.kind == MASKED]
        sizes = [-(-capacity * kind.itemsize // _LINE_BYTES) * _LINE_BYTES for *_, kind in kinds]
        block, at = np.zeros(sum(sizes), np.uint8), 0
        for (where, name, kind), size in zip(kinds, sizes, strict=True):
            new = block[at : at + capacity * kind.itemsize].view(kind)
            if self.low:
                new[: self.low] = where[name][: self.low]
            where[name], at = new, at + size
        self._capacity = capacity

    def _widen(self, name: str) -> None:
        """Makes room in a category for all its numbers, before they are stored."""
        kind: np.dtype[Any] = self._code_types[name]
        needed: np.dtype[Any] = np.dtype(np.int32)
        categories = self._fixed[name] if name in self._fixed else self._codes_of(name)
        for narrow, most in reversed(_MOST_NARROW):
            if len(categories) < most:
                needed = narrow
        if needed.itemsize > kind.itemsize:
            self._code_types[name] = needed
            self._values[name] = self._values[name].astype(needed)

    def _open(self, name: str) -> None:
        """Before the first value of some of a batch's packets: all of them are absent."""
        if name in self._fresh:
            self._fresh.discard(name)
            batch = slice(self.low, self.count)
            if name in self._absent:
                self._absent[name][batch] = True
            else:
                self._values[name][batch] = -1

    def whole(self, name: str) -> npt.NDArray[Any] | None:
        """A column's part of this batch, all zeros, to be filled for every packet; None: unwanted.

        Packets whose value is none after all are set right by `clear`.
        """
        if name not in self.names:
            return None
        self._fresh.discard(name)
        if name in self._code_types:
            self._widen(name)
        return self._values[name][self.low : self.count]

    def absent(self, name: str) -> Mask | None:
        """Where a column's part of this batch has no value, for those that fill it by `whole`."""
        return self._absent[name][self.low : self.count] if name in self._absent else None

    def clear(self, rows: npt.NDArray[np.int64], names: Iterable[str]) -> None:
        """Makes columns of some of the batch's packets absent again."""
        at = self.low + rows
        for name in self.names.intersection(names):
            self._values[name][at] = 0 if name in self._absent else -1
            if name in self._absent:
                self._absent[name][at] = True

    def put(self, name: str, window: Window, values: npt.NDArray[Any], known: Mask | None) -> None:
        """Stores one field of the window's packets.

        Args:
            name: the column.
            window: tells which packets the values belong to.
            values: one for each row of the window.
            known: rows whose value is real; None: all.
        """
        at = self._at(window.rows, len(window))
        if name in self._code_types:
            self._widen(name)
        if self._put_first(name, window, values, known):
            return
        self._open(name)
        if name not in self._absent:  # a category's codes
            if known is None:
                self._values[name][at] = values
            else:
                where = self._rows(window.rows, known)
                self._values[name][where] = values[known] if len(values) == len(known) else values
            return
        if known is None:
            self._values[name][at] = values
            self._absent[name][at] = False
        elif isinstance(at, slice):  # other packets' values may be there already
            np.copyto(self._values[name][at], values, where=known, casting="unsafe")
            self._absent[name][at] &= ~known
        else:
            self.put_where(name, window, values, known)

    def _put_first(
        self, name: str, window: Window, values: npt.NDArray[Any], known: Mask | None
    ) -> bool:
        """Stores the first values of a column in this batch, if the window has all its packets."""
        whole = isinstance(window.rows, slice) and len(window) == self.count - self.low
        if name not in self._fresh or not whole:
            return False
        if known is not None and name not in self._absent:
            return False
        self._fresh.discard(name)
        batch = slice(self.low, self.count)
        self._values[name][batch] = values  # `absent` is still all zeros
        if known is not None:
            unknown = ~known
            self._absent[name][batch] = unknown
            self._values[name][batch][unknown] = 0
        return True

    def put_where(self, name: str, window: Window, values: npt.NDArray[Any], where: Mask) -> None:
        """Stores values of some rows and leaves the others as they are."""
        self._open(name)
        rows = self._rows(window.rows, where)
        self._values[name][rows] = values[where]
        if name in self._absent:
            self._absent[name][rows] = False

    def put_rows(self, name: str, rows: npt.NDArray[np.int64], values: npt.NDArray[Any]) -> None:
        """Stores values of packets by their row in the table; their batch has ended."""
        self._values[name][rows] = values
        self._absent[name][rows] = False

    def rows_of(self, window: Window, picked: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Rows in the table of the window's rows `picked`."""
        rows = window.rows
        return self.low + (picked + rows.start if isinstance(rows, slice) else rows[picked])

    def flag_rows(self, rows: npt.NDArray[np.int64], problem: str) -> None:
        """Marks packets by their row in the table; their batch has ended, the first mark stays."""
        if "malformed" in self.names:
            self._values["malformed"][rows] = True
        if "problem" in self.names:
            known = self._values["problem"]
            known[rows] = np.where(known[rows] < 0, _PROBLEM_CODES[problem], known[rows])

    def put_codes(
        self,
        name: str,
        window: Window,
        encode: Callable[..., npt.NDArray[np.int32]],
        known: Mask | None,
        *keys: npt.NDArray[Any],
    ) -> None:
        """Stores a category from its keys; keys that are not known get no category."""
        if known is not None:
            keys = tuple(key[known] for key in keys)
        self.put(name, window, encode(*keys), known)

    def _at(self, rows: Rows, count: int) -> Rows:
        if isinstance(rows, slice):
            return slice(self.low + rows.start, self.low + rows.start + count)
        return rows + self.low

    def _rows(self, rows: Rows, where: Mask) -> npt.NDArray[np.int64]:
        picked = np.flatnonzero(where)
        return self.low + (picked + rows.start if isinstance(rows, slice) else rows[picked])

    def put_all(self, name: str, values: npt.NDArray[Any] | int) -> None:
        """Stores a column of the whole batch."""
        if (place := self.whole(name)) is not None:
            place[:] = values

    def note_fragments(self, window: Window, first: Mask) -> None:
        """Remembers first fragments: their transport's length is that of the whole packet."""
        if window.present is not None:
            first = first & window.present
        if first.any():
            if self.fragment is None:
                self.fragment = np.zeros(len(self.problem), np.bool_)
            self.fragment[self._rows(window.rows, first) - self.low] = True

    def flag(self, window: Window, bad: Mask, problem: str, *, but_fragments: bool = False) -> None:
        """Marks packets malformed; the first mark stays."""
        if window.present is not None:
            bad = bad & window.present
        if not bad.any():
            return
        rows = self._rows(window.rows, bad) - self.low
        if but_fragments and self.fragment is not None:
            rows = rows[~self.fragment[rows]]
        self.problem[rows] = np.where(
            self.problem[rows] < 0, _PROBLEM_CODES[problem], self.problem[rows]
        )

    def end(self) -> None:
        """Closes a batch."""
        self.put_all("malformed", self.problem >= 0)
        self.put_all("problem", self.problem)
        for name in tuple(self._fresh):
            self._open(name)

    def put_payloads(self, array: Any) -> None:
        """Adds the payloads of the batch (an Arrow binary array)."""
        self._payloads.append(array)

    def frame(self) -> pd.DataFrame:
        """The packets so far."""
        self._sort(self.macs, _MAC_COLUMNS)
        self._sort(self.ips, _IP_COLUMNS)
        columns = {column.name: self._finish(column.name) for column in self.columns}
        return pd.DataFrame(columns, copy=False)

    def _sort(self, codes: Codes, names: Iterable[str]) -> None:
        """Puts a kind of address in order, in all its columns; ends their filling."""
        new = codes.sort()
        if not (np.diff(new[:-1]) < 0).any():
            return
        for name in self.names.intersection(names):
            self._widen(name)
            values = self._values[name][: self.count]
            kind = self._code_types[name]
            self._values[name] = new.astype(kind).take(values, mode="wrap")  # -1: the last one

    def _finish(self, name: str) -> Any:
        column = COLUMNS[name]
        if column.kind == BYTES:
            import pyarrow as pa

            chunks = pa.chunked_array(self._payloads, pa.large_binary())
            return pd.Series(pd.arrays.ArrowExtensionArray(chunks))
        if name not in self._values:
            self._grow(0)
        values = self._values[name][: self.count]
        if column.kind == CATEGORY:
            categories = pd.Index(self._categories(name), dtype="str")
            dtype = pd.CategoricalDtype(categories)
            return pd.Categorical.from_codes(values, dtype=dtype, validate=False)
        if column.kind == MASKED:
            absent = self._absent[name][: self.count]
            if column.dtype == "boolean":
                return pd.arrays.BooleanArray(values, absent)
            return pd.arrays.IntegerArray(values, absent)
        return values

    def _categories(self, name: str) -> list[str]:
        return self._fixed[name] if name in self._fixed else self._codes_of(name).texts()

    def _codes_of(self, name: str) -> Codes:
        if name in _MAC_COLUMNS:
            return self.macs
        return self.ips if name in _IP_COLUMNS else self.texts[name]


def empty_frame(columns: Iterable[str]) -> pd.DataFrame:
    """A DataFrame of no packets with the right types."""
    return Table(columns).frame()


def _stored_type(dtype: str) -> np.dtype[Any]:
    return np.dtype("bool" if dtype == "boolean" else dtype.lower())
