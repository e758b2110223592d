"""The columns while they are filled, batch after batch, and the DataFrame they become."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.packets.columns import BYTES, CATEGORY, COLUMNS, MASKED
from analysis.packets.window import Mask, Rows, Window

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
    "ip_src", "ip_dst", "arp_sender_ip", "arp_target_ip", "icmp_gateway", "icmp6_target",
)  # fmt: skip


_LINE_BYTES = 64  # columns begin at a cache line
_SLOT_BITS = 12
_SPREAD = np.uint64(0x9E37_79B9_7F4A_7C15)
_NO_KEY = np.uint64(2**64 - 1)


class Codes:
    """Gives every distinct value a small number, in the order of appearance.

    Numbers are looked up in a small hash table first, all at once; only what is not there is
    sorted out and added. A key that would displace another stays outside.
    """

    def __init__(self, as_text: Callable[[Any], str]) -> None:
        self._codes: dict[Hashable, int] = {}
        self._as_text = as_text
        self._keys = np.full(1 << _SLOT_BITS, _NO_KEY)
        self._slots = np.full(1 << _SLOT_BITS, -1, np.int32)

    def of(self, values: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """Codes of unsigned numbers below 2^64 - 1, (n,) any integer type."""
        keys = values.astype(np.uint64, copy=False)
        slot = self._slot(keys)
        codes: npt.NDArray[np.int32] = self._slots.take(slot)
        strange = self._keys.take(slot)
        strange -= keys
        if strange.any():
            rows = np.flatnonzero(strange)
            codes[rows] = self._learn(keys[rows])
        return codes

    @staticmethod
    def _slot(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        slot = keys * _SPREAD
        slot >>= np.uint64(64 - _SLOT_BITS)
        return slot.view(np.int64)

    def _learn(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        which, distinct = pd.factorize(keys)
        numbers = self._numbers(distinct.tolist())
        slot = self._slot(distinct)
        free = self._keys[slot] == _NO_KEY
        self._keys[slot[free]] = distinct[free]
        # Two new keys of one slot: the last one's key stands there, and so must its code.
        self._slots[slot[free]] = numbers[free]
        return numbers[which]

    def of_pairs(
        self, high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.int32]:
        """Codes of 128-bit numbers, each key a pair (high, low)."""
        of_high, highs = pd.factorize(high)
        of_low, lows = pd.factorize(low)
        which, pairs = pd.factorize(of_high.astype(np.int64) * len(lows) + of_low)
        keys = [(int(highs[pair // len(lows)]), int(lows[pair % len(lows)])) for pair in pairs]
        return self._numbers(keys)[which]

    def of_one(self, value: Hashable) -> int:
        """The code of one value."""
        return self._codes.setdefault(value, len(self._codes))

    def _numbers(self, keys: Sequence[Hashable]) -> npt.NDArray[np.int32]:
        return np.array([self.of_one(key) for key in keys], np.int32)

    def texts(self) -> list[str]:
        """The distinct values as text, in the order of their codes."""
        return [self._as_text(value) for value in self._codes]


def mac_text(value: int) -> str:
    """`00:1b:21:0a:0b:0c` for a 48-bit number."""
    return value.to_bytes(6, "big").hex(":")


def ip_text(value: int | tuple[int, int]) -> str:
    """An address: IPv4 for a 32-bit number, IPv6 for a pair of 64-bit ones."""
    if isinstance(value, tuple):
        return str(ipaddress.IPv6Address((value[0] << 64) | value[1]))
    return str(ipaddress.IPv4Address(value))


class Table:
    """Columns under construction.

    Arrays are allocated larger than needed, all in one piece of zeros: memory never written costs
    nothing, and pages are large. Every value is written once; that a value is there, and not
    absent, needs no writing at all. Categories share their codes over all batches and over like
    columns.
    """

    def __init__(self, wanted: Iterable[str], protocols: Sequence[str]) -> None:
        self.columns = [COLUMNS[name] for name in wanted]
        self.names = frozenset(column.name for column in self.columns)
        self.count = 0
        self.low = 0
        self.macs, self.ips = Codes(mac_text), Codes(ip_text)
        self.texts: dict[str, Codes] = {
            "interface": Codes(str),
            "ip6_extensions": Codes(str),
        }
        self._fixed = {"protocol": list(protocols), "problem": list(PROBLEMS)}
        self._capacity = 0
        self._values: dict[str, npt.NDArray[Any]] = {}
        self._absent: dict[str, Mask] = {}
        self._fresh: set[str] = set()
        self._nullable = [c.name for c in self.columns if c.kind in {MASKED, CATEGORY}]
        self._payloads: list[Any] = []
        self.other_options: list[Any] = []
        self.problem: npt.NDArray[np.int8] = np.empty(0, np.int8)
        self.fragment: Mask | None = None

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
        kinds = [(self._values, c.name, _stored_type(c.dtype)) for c in self.columns
                 if c.kind != BYTES]  # fmt: skip
        kinds += [(self._absent, c.name, np.dtype(bool)) for c in self.columns if c.kind == MASKED]
        sizes = [-(-capacity * kind.itemsize // _LINE_BYTES) * _LINE_BYTES for *_, kind in kinds]
        block, at = np.zeros(sum(sizes), np.uint8), 0
        for (where, name, kind), size in zip(kinds, sizes, strict=True):
            new = block[at : at + capacity * kind.itemsize].view(kind)
            if self.low:
                new[: self.low] = where[name][: self.low]
            where[name], at = new, at + size
        self._capacity = capacity

    def _open(self, name: str) -> None:
        """Before the first value of some of a batch's packets: all of them are absent."""
        if name in self._fresh:
            self._fresh.discard(name)
            batch = slice(self.low, self.count)
            if name in self._absent:
                self._absent[name][batch] = True
            else:
                self._values[name][batch] = -1

    def put(self, name: str, window: Window, values: npt.NDArray[Any], known: Mask | None) -> None:
        """Stores one field of the window's packets.

        Args:
            name: the column.
            window: tells which packets the values belong to.
            values: one for each row of the window.
            known: rows whose value is real; None: all.
        """
        at = self._at(window.rows, len(window))
        if known is None and len(window) == self.count - self.low and name in self._fresh:
            self._fresh.discard(name)
            self._values[name][at] = values  # `absent` is still all zeros
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
        if name in self.names:
            self._fresh.discard(name)
            self._values[name][self.low : self.count] = values

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
        columns = {column.name: self._finish(column.name) for column in self.columns}
        return pd.DataFrame(columns, copy=False)

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
        if name in _MAC_COLUMNS:
            return self.macs.texts()
        if name in _IP_COLUMNS:
            return self.ips.texts()
        return self._fixed[name] if name in self._fixed else self.texts[name].texts()


def empty_frame(columns: Iterable[str]) -> pd.DataFrame:
    """A DataFrame of no packets with the right types."""
    return Table(columns, ()).frame()


def _stored_type(dtype: str) -> np.dtype[Any]:
    if dtype == CATEGORY:
        return np.dtype(np.int32)
    return np.dtype("bool" if dtype == "boolean" else dtype.lower())
