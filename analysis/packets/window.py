"""The same header of many packets at once.

`take` copies the first bytes of every packet into equal cells, one memory copy a packet; a field is
a strided view over the cells. Deeper headers reuse the cells while they begin at the same place in
all packets, else their bytes are copied again from where they begin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.signedinteger[Any]]
Rows = slice | npt.NDArray[np.int64]

CELL_BYTES = 96
"""Reaches the end of TCP's options behind Ethernet and IPv4; more would cost every packet."""

WORD_BYTES = 4
REACH_BYTES = 60
"""The longest header read from one window (IPv4 and TCP with all options)."""


def take(data: Bytes, at: Ints, width: int) -> npt.NDArray[np.void]:
    """Copies `width` bytes from each offset; bytes behind the end of `data` read as 0."""
    count = len(data) - width + 1
    if len(at) and count > 0 and int(at.max()) < count:
        return np.ndarray((count,), f"V{width}", data, strides=(1,))[at]
    cells = np.zeros(len(at), f"V{width}")
    if count > 0:
        inside = at < count
        cells[inside] = np.ndarray((count,), f"V{width}", data, strides=(1,))[at[inside]]
        rest = np.flatnonzero(~inside)
    else:
        rest = np.arange(len(at))
    for row in rest.tolist():  # only packets in the last `width` bytes of the buffer
        piece = data[int(at[row]) : int(at[row]) + width]
        cells[row] = np.void(piece.tobytes().ljust(width, b"\0"))
    return cells


class Cells:
    """The first bytes of some packets, all cells of one size.

    Attributes:
        rows: (packets,) the cells; their size is a multiple of `WORD_BYTES`.
    """

    def __init__(self, rows: npt.NDArray[np.void]) -> None:
        self.rows = rows
        self.size = rows.dtype.itemsize

    def field(self, at: int, kind: str) -> npt.NDArray[Any]:
        """The number at byte `at` of every cell, as a view."""
        return np.ndarray((len(self.rows),), kind, self.rows, at, (self.size,))


@dataclass(frozen=True)
class Window:
    """One header of some packets of a batch.

    Attributes:
        data: the buffer.
        start: (rows,) offset of the header in `data`; only right where `present`.
        captured: (rows,) bytes captured from there on, up to the end its carrier states.
        wire: (rows,) the same on the wire.
        rows: which packets of the batch the rows are.
        present: rows that have the header at all; None: all.
        cells: (rows,) copied bytes.
        base: where in the cells the header begins.
    """

    data: Bytes
    start: Ints
    captured: Ints
    wire: Ints
    rows: Rows
    present: Mask | None
    cells: Cells
    base: int = 0

    def __len__(self) -> int:
        return len(self.start)

    def _field(self, at: int, kind: str) -> npt.NDArray[Any]:
        return self.cells.field(self.base + at, kind)

    def stored(self, at: int, kind: str) -> npt.NDArray[Any]:
        """A field as it lies in the cells (`>u4`, ...): to be stored without another copy."""
        return self._field(at, kind)

    def u8(self, at: int) -> npt.NDArray[np.uint8]:
        """The byte at `at` of every row."""
        return self._field(at, "u1").copy()

    def u16(self, at: int) -> npt.NDArray[np.uint16]:
        """The 16-bit number (network order) at `at` of every row."""
        return self._field(at, ">u2").astype(np.uint16)

    def u32(self, at: int) -> npt.NDArray[np.uint32]:
        """The 32-bit number (network order) at `at` of every row."""
        return self._field(at, ">u4").astype(np.uint32)

    def u48(self, at: int) -> npt.NDArray[np.uint64]:
        """The 48-bit number (network order) at `at` of every row."""
        # Swapping bytes and widening in one go would take NumPy several times as long.
        if (self.base + at) % WORD_BYTES:
            value = self.u16(at).astype(np.uint64)
            value <<= np.uint64(32)
            value |= self.u32(at + 2)
        else:
            value = self.u32(at).astype(np.uint64)
            value <<= np.uint64(16)
            value |= self.u16(at + 4)
        return value

    def u64(self, at: int) -> npt.NDArray[np.uint64]:
        """The 64-bit number (network order) at `at` of every row."""
        return self._field(at, ">u8").astype(np.uint64)

    def raw32(self, at: int) -> npt.NDArray[np.uint32]:
        """Four bytes in the machine's order, for sums and comparisons; not to be written to."""
        return self._field(at, "=u4")

    def matrix(self, at: int, width: int) -> Bytes:
        """(rows, width) bytes from `at`, no copy."""
        cells = self.cells
        return np.ndarray((len(self), width), "u1", cells.rows, self.base + at, (cells.size, 1))

    def has(self, count: int) -> Mask | None:
        """Rows whose first `count` bytes are captured; None: all."""
        if self._least >= count:
            return self.present
        enough: Mask = self.captured >= count
        return enough if self.present is None else enough & self.present

    @cached_property
    def _least(self) -> int:
        return int(self.captured.min(initial=REACH_BYTES))

    def only(self, keep: Mask) -> Window | None:
        """The same header of fewer packets; None if of none."""
        return self.next(0, keep)

    def next(self, step: int | Ints, keep: Mask | None, end: Ints | None = None) -> Window | None:
        """The header `step` bytes on, of the packets in `keep`; None if of none.

        Args:
            step: one number, or one for each row.
            keep: rows that have it; None: those this one has.
            end: bytes from this header's start to the end it states; None: no statement.
        """
        keep = _both(keep, self.present)
        count = len(self) if keep is None else int(np.count_nonzero(keep))
        if count == 0:
            return None
        wire = self.wire if end is None else np.minimum(end, self.wire)
        captured = np.minimum(self.captured, wire)
        if keep is None or count == len(self):
            return self._dense(step, None, captured, wire)
        if count * 2 > len(self):
            return self._dense(step, keep, captured, wire)
        return self._sparse(step, np.flatnonzero(keep), captured, wire)

    def _dense(self, step: int | Ints, keep: Mask | None, captured: Ints, wire: Ints) -> Window:
        """Keeps all rows and marks those present: cheaper than picking when most are."""
        if not isinstance(step, int):
            of_kept = step if keep is None else step[keep]
            low, high = int(of_kept.min()), int(of_kept.max())
            if low == high:
                step = low
        start, captured, wire = self.start + step, captured - step, wire - step
        if isinstance(step, int):
            base = self.base + step
            if base + REACH_BYTES <= self.cells.size:
                return replace(
                    self, start=start, captured=captured, wire=wire, present=keep, base=base
                )
        at = start if keep is None else np.where(keep, start, self.start)
        cells = Cells(take(self.data, np.minimum(at, len(self.data)), CELL_BYTES))
        return Window(self.data, start, captured, wire, self.rows, keep, cells)

    def _sparse(self, step: int | Ints, picked: Ints, captured: Ints, wire: Ints) -> Window:
        by = step if isinstance(step, int) else step[picked]
        start = self.start[picked] + by
        rows = picked + self.rows.start if isinstance(self.rows, slice) else self.rows[picked]
        cells = Cells(take(self.data, np.minimum(start, len(self.data)), CELL_BYTES))
        return Window(self.data, start, captured[picked] - by, wire[picked] - by, rows, None, cells)


def _both(first: Mask | None, second: Mask | None) -> Mask | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second
