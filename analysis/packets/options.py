"""TCP options beyond the usual timestamp: gathered over many batches, read side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.packets.table import Table
from analysis.packets.window import Bytes, Ints, Mask, Window

COLUMNS = (
    "tcp_mss",
    "tcp_wscale",
    "tcp_sack_permitted",
    "tcp_tsval",
    "tcp_tsecr",
    "tcp_sack_count",
    *(f"tcp_sack{i}_{side}" for i in (1, 2, 3, 4) for side in ("left", "right")),
)

_FIXED = ((2, 4), (3, 3), (4, 2), (8, 10))
"""Kind and length of the options with one length: MSS, scale, SACK permitted, timestamps."""

_MOST_GATHERED = 1 << 15


@dataclass(frozen=True)
class Gathered:
    """Options of some segments of one batch.

    Attributes:
        octets: (rows, 40) bytes behind the fixed header.
        stated: (rows,) bytes of options by the data offset.
        end: (rows,) how many of them were captured.
        rows: (rows,) the segments' rows in the table.
    """

    octets: Bytes
    stated: Ints
    end: Ints
    rows: npt.NDArray[np.int64]


def gather(out: Table, window: Window, header: Ints, picked: npt.NDArray[np.int64]) -> None:
    """Puts the options of the window's rows `picked` aside.

    Few segments have any; one by one they would cost each batch a loop of its own.
    """
    stated = header[picked] - 20
    end = np.minimum(stated, window.captured[picked] - 20)
    octets = window.matrix(20, 40)[picked]
    out.other_options.append(Gathered(octets, stated, end, out.rows_of(window, picked)))


def settle(out: Table, least: int = _MOST_GATHERED) -> None:
    """Reads what was put aside, if it is at least so much."""
    found: list[Gathered] = out.other_options
    if not found or sum(len(one.rows) for one in found) < least:
        return
    out.other_options = []
    _Reading(
        out,
        np.concatenate([one.octets for one in found]),
        np.concatenate([one.stated for one in found]),
        np.concatenate([one.end for one in found]),
        np.concatenate([one.rows for one in found]),
    ).read()


class _Reading:
    """Reads options of many segments."""

    def __init__(
        self, out: Table, octets: Bytes, stated: Ints, end: Ints, rows: npt.NDArray[np.int64]
    ) -> None:
        self.out, self.octets, self.stated, self.end, self.rows = out, octets, stated, end, rows
        flat = octets.reshape(-1)
        # a number starts at every byte: overlapping, no copy
        self.words = np.ndarray((max(0, len(flat) - 3),), ">u4", flat, strides=(1,))
        self.bad = np.zeros(len(rows), np.bool_)

    def read(self) -> None:
        """Walks all segments' options side by side; each step passes one option."""
        at = np.zeros(len(self.rows), np.int64)
        live = np.flatnonzero(at < self.end)
        while len(live):
            here = at[live]
            kind = self.octets[live, here]
            size = np.ones(len(live), np.int64)
            with_length = kind > 1
            cut = with_length & (here + 1 >= self.end[live])
            self.bad[live[cut & (here + 1 >= self.stated[live])]] = True
            size[with_length] = self.octets[
                live[with_length], np.minimum(here[with_length] + 1, 39)
            ]
            lies = with_length & ~cut & ((size < 2) | (here + size > self.stated[live]))
            self.bad[live[lies]] = True
            inside = with_length & ~cut & ~lies & (here + size <= self.end[live])
            self._store(live[inside], kind[inside], size[inside], here[inside])
            on = ~cut & ~lies & (kind != 0)
            at[live[on]] += size[on]
            live = live[on]
            live = live[at[live] < self.end[live]]
        self.out.flag_rows(self.rows[self.bad], "TCP option length")

    def _number(self, which: Ints, at: Ints, width: int) -> npt.NDArray[np.uint32]:
        """The number of 1, 2 or 4 bytes that ends at `at + width`."""
        if width == 1:
            return self.octets[which, at].astype(np.uint32)
        last = which * 40 + at + width - 4  # not negative: a kind and a length stand before
        value: npt.NDArray[np.uint32] = self.words[last].astype(np.uint32)
        value &= np.uint32((1 << 8 * width) - 1)
        return value

    def _put(self, name: str, which: Ints, values: npt.NDArray[np.uint32] | Mask) -> None:
        if len(which) and self.out.wants(name):
            self.out.put_rows(name, self.rows[which], values)

    def _store(self, which: Ints, kind: Bytes, size: Ints, at: Ints) -> None:
        """Options of RFC 9293 §3.1, RFC 7323 (2, 3) and RFC 2018 (2, 3)."""

        seen = np.bincount(kind, minlength=9)
        for number, length in _FIXED:
            if not seen[number]:
                continue
            those = kind == number
            match = those & (size == length)
            self.bad[which[those & ~match]] = True
            self._store_one(number, which[match], at[match])
        if seen[5]:
            self._sack(which, kind, size, at)

    def _store_one(self, number: int, rows: Ints, begin: Ints) -> None:
        if number == 2:
            self._put("tcp_mss", rows, self._number(rows, begin + 2, 2))
        elif number == 3:
            self._put("tcp_wscale", rows, self._number(rows, begin + 2, 1))
        elif number == 4:
            self._put("tcp_sack_permitted", rows, np.ones(len(rows), np.bool_))
        else:
            self._put("tcp_tsval", rows, self._number(rows, begin + 2, 4))
            self._put("tcp_tsecr", rows, self._number(rows, begin + 6, 4))

    def _sack(self, which: Ints, kind: Bytes, size: Ints, at: Ints) -> None:
        match = (kind == 5) & (size >= 10) & ((size - 2) % 8 == 0)
        self.bad[which[(kind == 5) & ~match]] = True
        rows, begin, count = which[match], at[match], (size[match] - 2) // 8
        self._put("tcp_sack_count", rows, count)
        for block in range(1, int(count.max(initial=0)) + 1):
            have = count >= block
            left = begin[have] + 2 + 8 * (block - 1)
            self._put(f"tcp_sack{block}_left", rows[have], self._number(rows[have], left, 4))
            self._put(f"tcp_sack{block}_right", rows[have], self._number(rows[have], left + 4, 4))
