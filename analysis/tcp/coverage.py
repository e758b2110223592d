"""Which bytes of a stream each segment brings for the first time."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Pieces:
    """Ranges of bytes that do not overlap, in the order of their streams and places.

    Attributes:
        segment: (pieces,) which segment brought the range first.
        start: (pieces,) number of its first byte.
        end: (pieces,) number behind its last byte.
    """

    segment: Ints
    start: Ints
    end: Ints


def new_bytes(seq: Ints, end: Ints) -> Ints:
    """How many bytes each segment of one stream adds to those that came before it.

    Args:
        seq: (segments,) unwrapped number of each segment's first byte, in the order of arrival.
        end: (segments,) number behind its last byte.
    """
    return new_bytes_of_streams(np.zeros(len(seq), np.int64), seq, end)


def new_bytes_of_streams(stream: Ints, seq: Ints, end: Ints) -> Ints:
    """The same for segments of many streams at once; `stream` says which one a segment is of."""
    found = pieces_of_streams(stream, seq, end)
    new = np.zeros(len(seq), np.int64)
    np.add.at(new, found.segment, found.end - found.start)
    return new


def pieces_of_streams(stream: Ints, seq: Ints, end: Ints) -> Pieces:
    """The ranges that segments of many streams bring first.

    Segments that overlap no other are pieces as they are; only the others are gone through.

    Args:
        stream: (segments,) which stream a segment is of, 0, 1, 2 …
        seq, end: as `new_bytes` takes them; segments without bytes bring nothing.
    """
    rows = np.flatnonzero(end > seq)
    stream, seq, end = stream[rows], seq[rows], end[rows]
    order = np.lexsort((seq, stream))  # stable: equal ones stay in the order of arrival
    rows, stream, seq, end = rows[order], stream[order], seq[order], end[order]
    begins = np.flatnonzero(np.diff(stream, prepend=-1))
    shift = _apart(seq, end, begins)
    low, high = seq + shift, end + shift
    reached = np.maximum.accumulate(high) if len(high) else high
    first = np.ones(len(rows), np.bool_)
    first[1:] = low[1:] >= reached[:-1]
    group = np.cumsum(first) - 1
    alone = np.bincount(group, minlength=1)[group] == 1 if len(group) else first
    segment, start, stop = [rows[alone]], [seq[alone]], [end[alone]]
    places = [low[alone]]
    crowd = np.flatnonzero(~alone)
    if len(crowd):
        swept = _sweep(rows[crowd].tolist(), low[crowd].tolist(), high[crowd].tolist())
        which, begin, until = np.array(swept, np.int64).reshape(-1, 3).T
        back = shift[np.searchsorted(low, begin, "right") - 1]
        segment.append(which)
        start.append(begin - back)
        stop.append(until - back)
        places.append(begin)
    in_order = np.argsort(np.concatenate(places), kind="stable")
    return Pieces(*(np.concatenate(parts)[in_order] for parts in (segment, start, stop)))


def _apart(seq: Ints, end: Ints, begins: Ints) -> Ints:
    """What to add to the numbers of each stream to lay all of them on one line, apart."""
    if not len(seq):
        return seq
    low, high = seq[begins], np.maximum.reduceat(end, begins)
    base = np.concatenate([[0], np.cumsum(high - low + 1)[:-1]]) - low
    return np.repeat(base, np.diff(np.append(begins, len(seq))))


def _sweep(arrival: list[int], low: list[int], high: list[int]) -> list[tuple[int, int, int]]:
    """Goes along the line; each byte belongs to the first that arrived of those that hold it.

    Args:
        arrival: the order of arrival of ranges, which are sorted by `low`.
    """
    found: list[tuple[int, int, int]] = []
    waiting: list[tuple[int, int]] = []  # ranges begun and not passed: arrival, end
    here, following = 0, 0
    while following < len(low) or waiting:
        if not waiting:
            here = max(here, low[following])
        while following < len(low) and low[following] <= here:
            heappush(waiting, (arrival[following], high[following]))
            following += 1
        while waiting and waiting[0][1] <= here:
            heappop(waiting)
        if not waiting:
            continue
        which, stop = waiting[0]
        if following < len(low):
            stop = min(stop, low[following])
        if found and found[-1][0] == which and found[-1][2] == here:
            found[-1] = (which, found[-1][1], stop)
        else:
            found.append((which, here, stop))
        here = stop
    return found
