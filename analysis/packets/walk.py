"""Where the records of a capture start.

Each record says how long it is, so record n+1 is only known after record n: a serial chain. It is
walked in many lanes at once: the bytes are cut into stretches, in each a likely record start is
looked for, and all lanes step together (a few NumPy operations move every lane by one record).
A guess is never trusted: a lane counts only if the lane before it ends exactly where it began;
otherwise that stretch is walked again, one record at a time. The result is always the chain's.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Offsets = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_PREFIX_RECORDS = 64
_MIN_LANES, _MAX_LANES = 16, 4096
_STEP_COST_LANES = 8
"""One step of all lanes costs about as much as finding the starts of this many."""
_TRIES = 8
"""Places looked at in a stretch before it is left to the lane before."""


class RecordRule(ABC):
    """How records of one file format are chained.

    Attributes:
        endian: ``<`` or ``>``.
        header_bytes: bytes needed to know a record's length.
        length_at: offset of the 32-bit length in the record.
        overhead_bytes: bytes of the record that its length does not count.
        min_length: smallest length believed.
        max_length: largest length believed.
    """

    endian: str
    header_bytes: int
    length_at: int
    overhead_bytes: int
    min_length: int
    max_length: int

    @abstractmethod
    def mark(self, data: Bytes, first: int) -> tuple[bytes, int]:
        """Bytes that records have in common, and where in the record they stand.

        Args:
            data: the buffer.
            first: offset of a true record.
        """

    @abstractmethod
    def plausible(self, data: Bytes, at: Offsets) -> npt.NDArray[np.bool_]:
        """Stronger test of some offsets, each of which has a whole header in `data`."""


@dataclass(frozen=True)
class Walked:
    """What a walk found.

    Attributes:
        offsets: starts of the complete records, in order.
        next_offset: behind the last of them.
        bad_length: a length at `next_offset` that is not believable, else None.
    """

    offsets: Offsets
    next_offset: int
    bad_length: int | None = None


def words(data: Bytes, endian: str, width: int = 4) -> npt.NDArray[np.uint32]:
    """An unsigned integer starting at every byte of `data` (overlapping, no copy)."""
    count = max(0, len(data) - width + 1)
    return np.ndarray((count,), f"{endian}u{width}", data, strides=(1,))


def walk(data: Bytes, start: int, stop: int, rule: RecordRule) -> Walked:
    """Walks the records that start in [start, stop) and end within `data`."""
    head = walk_one_by_one(data, start, stop, rule, _PREFIX_RECORDS)
    here = head.next_offset
    if head.bad_length is not None or len(head.offsets) < _PREFIX_RECORDS or here >= stop:
        return head
    rest = _Lanes(data, here, stop, rule, head).walk()
    return Walked(np.concatenate([head.offsets, rest.offsets]), rest.next_offset, rest.bad_length)


def walk_one_by_one(
    data: Bytes,
    start: int,
    stop: int,
    rule: RecordRule,
    most: int | None = None,
    stop_at: int | None = None,
) -> Walked:
    """The plain loop: about 150 ns a record.

    Args:
        data: the buffer.
        start: a sure record start.
        stop: no record is begun here or behind.
        rule: how the records are chained.
        most: number of records to stop after.
        stop_at: stop before a record that begins with this number.
    """
    unpack = struct.Struct(rule.endian + "I").unpack_from
    length_at, overhead, header = rule.length_at, rule.overhead_bytes, rule.header_bytes
    low, high, size = rule.min_length, rule.max_length, len(data)
    view = data.data
    found: list[int] = []
    here = start
    while here < stop and here + header <= size and (most is None or len(found) < most):
        if stop_at is not None and unpack(view, here)[0] == stop_at:
            break
        length: int = unpack(view, here + length_at)[0]
        if not low <= length <= high:
            return Walked(np.array(found, np.int64), here, length)
        after = here + length + overhead
        if after > size:
            break
        found.append(here)
        here = after
    return Walked(np.array(found, np.int64), here)


class _Lanes:
    """One walk by many lanes over [start, stop)."""

    def __init__(self, data: Bytes, start: int, stop: int, rule: RecordRule, head: Walked) -> None:
        self.data, self.start, self.stop, self.rule = data, start, stop, rule
        self.sizes = np.diff(head.offsets, append=head.next_offset)
        self.mark, self.mark_at = rule.mark(data, int(head.offsets[-1]))
        self.last = len(data) - rule.header_bytes
        """No header begins behind it; lanes that would are kept here."""

    def walk(self) -> Walked:
        starts = self._starts()
        # What the last lane says of its last record is not believed: `_tail` looks again.
        ends = np.append(starts[1:], min(self.stop, self.last))
        trail = self._step_all(starts, ends)
        return self._tail(self._join(starts, ends, trail))

    def _starts(self) -> Offsets:
        """Likely record starts, one a stretch; the first is sure."""
        window_bytes = 2 * int(self.sizes.max()) + 64
        span = min(self.stop, self.last - window_bytes) - self.start
        records = max(span, 0) / float(self.sizes.mean())
        wanted = int((records * _STEP_COST_LANES) ** 0.5)
        lanes = min(_MAX_LANES, wanted, span // (2 * window_bytes))
        first = np.array([self.start], np.int64)
        if lanes < _MIN_LANES:
            return first
        begin = self.start + span // lanes * np.arange(1, lanes, dtype=np.int64)
        return np.concatenate([first, self._guesses(begin, window_bytes)])

    def _guesses(self, begin: Offsets, window_bytes: int) -> Offsets:
        """The first plausible place behind each `begin`, in order; none where there is none."""
        count = len(self.data) - window_bytes + 1
        stretches = np.ndarray((count,), f"V{window_bytes}", self.data, strides=(1,))[begin]
        octets = stretches.view(np.uint8).reshape(-1, window_bytes)[:, self.mark_at :]
        width = octets.shape[1] - len(self.mark) + 1
        hit = octets[:, :width] == self.mark[0]
        for number, octet in enumerate(self.mark[1:], 1):
            hit &= octets[:, number : number + width] == octet
        if np.count_nonzero(hit) > _TRIES * len(hit):  # zeros, say: every place looks like one
            hit &= np.cumsum(hit, axis=1, dtype=np.int32) <= _TRIES
        lane, at = np.divmod(np.flatnonzero(hit), width)
        soon = np.arange(len(lane)) - np.searchsorted(lane, lane) < _TRIES
        lane, at = lane[soon], at[soon]
        guesses = begin[lane] + at
        good = self.rule.plausible(self.data, guesses)
        _, first = np.unique(lane[good], return_index=True)
        found: Offsets = guesses[good][first]
        return found

    def _step_all(self, starts: Offsets, ends: Offsets) -> Offsets:
        """Moves all lanes until each has passed its end, or has had steps enough.

        Returns:
            (steps, lanes) the offsets each lane came to.
        """
        rule, lanes = self.rule, len(starts)
        most = 16 + int(4 * (self.stop - self.start) / float(self.sizes.mean()) / lanes)
        trail = np.empty((most + 1, lanes), np.int64)
        trail[0] = starts
        lengths = np.ndarray(
            (self.last + rule.header_bytes - rule.length_at - 3,), f"{rule.endian}u4", self.data,
            rule.length_at, (1,),
        )  # fmt: skip
        for step in range(most):
            here, after = trail[step], trail[step + 1]
            np.add(here, lengths[here], out=after)
            after += rule.overhead_bytes
            np.minimum(after, self.last, out=after)
            if step % 4 == 3 and (after >= ends).all():
                return trail[: step + 2]
        return trail

    def _join(self, starts: Offsets, ends: Offsets, trail: Offsets) -> Offsets:
        """Keeps the lanes that meet; walks again where one began at a wrong place."""
        inside = trail < ends
        counts = inside.sum(axis=0)
        finals = trail[np.minimum(counts, len(trail) - 1), np.arange(len(starts))]
        meets = finals[:-1] == starts[1:]
        if meets.all() and int(counts[-1]) < len(trail):
            return trail.T[inside.T]
        pieces: list[Offsets] = []
        here, lane, lanes = self.start, 0, len(starts)
        while lane < lanes:
            if here == starts[lane]:
                wrong = np.flatnonzero(~meets[lane:])
                last = lane + int(wrong[0]) if len(wrong) else lanes - 1
                those = slice(lane, last + 1)
                pieces.append(trail.T[those][inside.T[those]])
                here, lane = int(finals[last]), last + 1
                if counts[last] == len(trail):  # it had not come to its end
                    pieces[-1] = pieces[-1][:-1]
            else:
                lane += int(np.searchsorted(starts[lane:], here))
            target = int(starts[lane]) if lane < lanes else int(ends[-1])
            again = walk_one_by_one(self.data, here, target, self.rule)
            pieces.append(again.offsets)
            here = again.next_offset
            if again.bad_length is not None or here < target:
                break
        return np.concatenate(pieces)

    def _tail(self, chain: Offsets) -> Walked:
        """Ends the chain at the first length that is not believed, or with its last records."""
        lengths = np.diff(chain) - self.rule.overhead_bytes
        wrong = np.flatnonzero((lengths < self.rule.min_length) | (lengths > self.rule.max_length))
        sure = int(wrong[0]) if len(wrong) else max(0, len(chain) - 1)
        begin = int(chain[sure]) if len(chain) else self.start
        tail = walk_one_by_one(self.data, begin, self.stop, self.rule)
        return Walked(np.concatenate([chain[:sure], tail.offsets]), tail.next_offset,
                      tail.bad_length)  # fmt: skip
