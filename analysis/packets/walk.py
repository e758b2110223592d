"""Where the records of a capture start.

Each record says how long it is, so record n+1 is only known after record n: a serial chain. It is
walked in many lanes at once: the file is cut into stretches, in each a likely record start is
looked for, and all lanes step together (one NumPy operation moves every lane by one record).
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

_PREFIX_RECORDS = 512
_MIN_LANES = 16
_MAX_LANES = 4096
_STEP_COST_BYTES = 12_000
"""One step of all lanes costs about as much as searching this many bytes for a record start."""


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
    def likely(self, window: Bytes, first: int) -> npt.NDArray[np.bool_]:
        """Cheap test of every byte of a 2-D window (less 16 columns): may a record start here?

        Args:
            window: (stretches, bytes), the bytes behind each stretch's start.
            first: offset of a true record before them, to compare with.
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
    lanes = _Lanes(data, here, stop, rule, head)
    rest = lanes.walk()
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
        self.true = int(head.offsets[-1])
        sizes = np.diff(head.offsets, append=head.next_offset)
        self.mean_bytes = float(sizes.mean())
        self.words = data[: len(data) // 4 * 4].view("<u4")
        self.last_header = len(data) - rule.header_bytes
        self.window_bytes = min(2 * int(sizes.max()) + 64, 1 << 17)

    def walk(self) -> Walked:
        starts = self._starts()
        ends = np.append(starts[1:], self.stop)
        offsets, counts, finals = self._step_all(starts, ends)
        return self._join(starts, ends, offsets, counts, finals)

    def _starts(self) -> Offsets:
        """Likely record starts, one a stretch; the first is sure."""
        span = min(self.stop, len(self.data) - self.window_bytes - 64) - self.start
        records = max(span, 0) / self.mean_bytes
        wanted = int((records * _STEP_COST_BYTES / self.window_bytes) ** 0.5)
        lanes = min(_MAX_LANES, wanted, span // (4 * self.window_bytes))
        first = np.array([self.start], np.int64)
        if lanes < _MIN_LANES:
            return first
        stretch = span // lanes
        begin = self.start + stretch * np.arange(1, lanes, dtype=np.int64)
        windows = np.lib.stride_tricks.as_strided(
            self.data[begin[0] :], (lanes - 1, self.window_bytes + 16), (stretch, 1)
        )
        lane, at = np.nonzero(self.rule.likely(windows, self.true))
        guesses = begin[lane] + at
        good = self.rule.plausible(self.data, guesses)
        lane, guesses = lane[good], guesses[good]
        first_of_lane = np.flatnonzero(np.diff(lane, prepend=-1))
        return np.concatenate([first, guesses[first_of_lane]])

    def _step_all(
        self, starts: Offsets, ends: Offsets
    ) -> tuple[Offsets, npt.NDArray[np.int64], Offsets]:
        """Moves all lanes until each has reached its end (or cannot go on).

        Returns:
            the record offsets lane after lane, how many each lane has, where each stopped.
        """
        count, rule, size = len(starts), self.rule, len(self.data)
        here, lane = starts.copy(), np.arange(count)
        # A lane stops at its end, in the last bytes, or at a length that cannot be believed.
        bound = np.minimum(ends, self.last_header + 1)
        counts, finals = np.zeros(count, np.int64), starts.copy()
        trail: list[tuple[Offsets, npt.NDArray[np.int64]]] = []
        while len(here):
            stops = here >= bound
            if np.count_nonzero(stops):
                here, lane, bound = self._stop(here, lane, bound, stops, finals, counts, trail)
                continue
            length = self._lengths(here)
            after = here + length
            after += rule.overhead_bytes
            low, high = int(length.min()), int(length.max())
            if low < rule.min_length or high > rule.max_length or int(after.max()) > size:
                wrong = (length < rule.min_length) | (length > rule.max_length) | (after > size)
                after = after[~wrong]
                here, lane, bound = self._stop(here, lane, bound, wrong, finals, counts, trail)
            trail.append((here, lane))
            here = after
        return self._by_lane(trail, counts), counts, finals

    def _lengths(self, here: Offsets) -> npt.NDArray[np.uint32]:
        """Lengths of the records at `here`, each put together from two aligned words.

        An aligned `take` costs half of reading words wherever they lie.
        """
        at = here + self.rule.length_at
        shift = ((at & 3) << 3).astype(np.uint64)
        at >>= 2
        both = self.words.take(at, mode="clip").astype(np.uint64)
        at += 1
        both |= self.words.take(at, mode="clip").astype(np.uint64) << np.uint64(32)
        both >>= shift
        length = both.astype(np.uint32)
        return length if self.rule.endian == "<" else length.byteswap()

    @staticmethod
    def _stop(
        here: Offsets,
        lane: npt.NDArray[np.int64],
        bound: Offsets,
        stops: npt.NDArray[np.bool_],
        finals: Offsets,
        counts: npt.NDArray[np.int64],
        trail: list[tuple[Offsets, npt.NDArray[np.int64]]],
    ) -> tuple[Offsets, npt.NDArray[np.int64], Offsets]:
        """Notes where lanes stop and after how many records; returns the others."""
        finals[lane[stops]] = here[stops]
        counts[lane[stops]] = len(trail)
        goes = ~stops
        return here[goes], lane[goes], bound[goes]

    @staticmethod
    def _by_lane(
        trail: list[tuple[Offsets, npt.NDArray[np.int64]]], counts: npt.NDArray[np.int64]
    ) -> Offsets:
        """The offsets of all steps, lane after lane."""
        first = np.cumsum(counts) - counts
        offsets = np.empty(int(counts.sum()), np.int64)
        lanes, begin = None, first
        for number, (at, of_lane) in enumerate(trail):
            if of_lane is not lanes:
                lanes, begin = of_lane, first[of_lane]
            offsets[begin + number] = at
        return offsets

    def _join(
        self,
        starts: Offsets,
        ends: Offsets,
        offsets: Offsets,
        counts: npt.NDArray[np.int64],
        finals: Offsets,
    ) -> Walked:
        """Keeps the lanes that meet; walks again where one began at a wrong place."""
        first = np.cumsum(counts) - counts
        meets = finals[:-1] == starts[1:]
        if meets.all():
            return self._ended(offsets, int(finals[-1]))
        pieces: list[Offsets] = []
        here, lane, lanes = self.start, 0, len(starts)
        while lane < lanes:
            if here == starts[lane]:
                wrong = np.flatnonzero(~meets[lane:])
                last = lane + int(wrong[0]) if len(wrong) else lanes - 1
                pieces.append(offsets[first[lane] : first[last] + counts[last]])
                here, lane = int(finals[last]), last + 1
            else:
                lane += int(np.searchsorted(starts[lane:], here))
            target = int(starts[lane]) if lane < lanes else int(ends[-1])
            again = walk_one_by_one(self.data, here, target, self.rule)
            pieces.append(again.offsets)
            here = again.next_offset
            if again.bad_length is not None or here < target:
                return Walked(np.concatenate(pieces), here, again.bad_length)
        return self._ended(np.concatenate(pieces), here)

    def _ended(self, offsets: Offsets, here: int) -> Walked:
        """Says why the last lane stopped: at the end, in a cut record, or at a bad length."""
        ended = walk_one_by_one(self.data, here, self.stop, self.rule, most=1)
        return Walked(offsets, here, ended.bad_length)
