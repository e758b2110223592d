"""Which bytes of a stream a segment brings for the first time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def new_bytes_of_streams(stream: Ints, seq: Ints, end: Ints) -> Ints:
    """The same for segments of many streams at once, in one go.

    Args:
        stream: which stream a segment is of, 0, 1, 2 …
        seq, end: as `new_bytes` takes them.
    """
    if not len(seq):
        return np.zeros(0, np.int64)
    order = np.argsort(stream, kind="stable")
    stream, seq, end = stream[order], seq[order], end[order]
    begins = np.flatnonzero(np.diff(stream, prepend=-1))
    low, high = np.minimum.reduceat(seq, begins), np.maximum.reduceat(end, begins)
    # each behind the one before it, and apart: then they are one stream with holes between
    base = np.concatenate([[0], np.cumsum(high - low + 1)[:-1]]) - low
    shift = np.repeat(base, np.diff(np.append(begins, len(seq))))
    new = np.empty_like(seq)
    new[order] = new_bytes(seq + shift, end + shift)
    return new


def new_bytes(seq: Ints, end: Ints) -> Ints:
    """How many bytes each segment adds to those that came before it.

    Args:
        seq: unwrapped number of each segment's first byte, in the order of arrival.
        end: number behind its last byte.
    """
    if not len(seq):
        return np.zeros(0, np.int64)
    reached = np.maximum.accumulate(end)
    before = np.concatenate([seq[:1], reached[:-1]])
    new: Ints = np.maximum(end - np.maximum(seq, before), 0)
    holes = _Holes()
    if seq.min() < seq[0]:  # what a capture begins with need not be the lowest
        holes.open(int(seq.min()), int(seq[0]))
    for i in np.flatnonzero(seq != before):  # only these make a hole, or may fill one
        if seq[i] > before[i]:
            holes.open(int(before[i]), int(seq[i]))
        else:
            new[i] += holes.fill(int(seq[i]), int(end[i]))
    return new


class _Holes:
    """Ranges not yet seen, in order; they do not touch."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def open(self, start: int, end: int) -> None:
        """A range beyond all others."""
        self._starts.append(start)
        self._ends.append(end)

    def fill(self, start: int, end: int) -> int:
        """Takes a range out of the holes; returns how much of it was one."""
        first, last = bisect_right(self._ends, start), bisect_left(self._starts, end)
        if first >= last:
            return 0
        rest = [
            (self._starts[first], min(self._ends[first], start)),
            (max(self._starts[last - 1], end), self._ends[last - 1]),
        ]
        kept = [(a, b) for a, b in rest if a < b]
        missing = sum(self._ends[first:last]) - sum(self._starts[first:last])
        self._starts[first:last] = [a for a, _ in kept]
        self._ends[first:last] = [b for _, b in kept]
        return missing - sum(b - a for a, b in kept)
