"""What follows from what, among movements of one moment.

On the virtual clock a question, its answer and all that follows may have one and the same time.
Captures still say in which order each interface saw them, and a packet must reach a node before
it can leave it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MOST_TOGETHER = 400
"""Movements of one moment that are put in order; more than these nobody can follow."""

_REMEMBERED = 16
"""Packets that are the same to the byte and may still be under way."""

_Row = tuple[int, int, int, int, int, int]
"""Number, link, end, number in the capture of the sender, of the receiver, identity."""


def order(found: pd.DataFrame, ends: Sequence[tuple[str, str]]) -> NDArray[np.int64]:
    """Movements in the order in which they follow from one another.

    Args:
        found: of `movements.find`, sorted by ``sent_ns``.
        ends: the nodes of each link.

    Returns:
        places of the rows.
    """
    times = found["sent_ns"].to_numpy(np.int64)
    result = np.arange(len(found))
    starts = np.flatnonzero(np.diff(times, prepend=times[:1] - 1))
    sizes = np.diff(starts, append=len(times))
    several = (sizes > 1) & (sizes <= MOST_TOGETHER)
    columns = [found[name].to_numpy() for name in ("link", "end", "out", "into", "key")]
    for start, size in zip(starts[several].tolist(), sizes[several].tolist(), strict=True):
        there = [column[start : start + size].tolist() for column in columns]
        rows: list[_Row] = list(zip(range(size), *there, strict=True))
        result[start : start + size] = start + np.array(_in_order(rows, ends))
    return result


def _in_order(rows: Sequence[_Row], ends: Sequence[tuple[str, str]]) -> list[int]:
    sorter: TopologicalSorter[int] = TopologicalSorter({row[0]: () for row in rows})
    for earlier, later in (*_by_capture(rows), *_by_path(rows, ends)):
        sorter.add(later, earlier)
    try:
        sorter.prepare()
    except CycleError:  # a packet that runs in a circle
        return [row[0] for row in rows]
    found: list[int] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        found += ready
        sorter.done(*ready)
    return found


def _by_capture(rows: Iterable[_Row]) -> Iterable[tuple[int, int]]:
    """A capture's packets follow one another."""
    seen: dict[Any, list[tuple[int, int]]] = defaultdict(list)
    for number, link, end, out, into, _ in rows:
        if out:
            seen[link, end].append((out, number))
        if into:
            seen[link, 1 - end].append((into, number))
    for packets in seen.values():
        for (_, earlier), (_, later) in pairwise(sorted(packets)):
            if earlier != later:
                yield earlier, later


def _by_path(rows: Iterable[_Row], ends: Sequence[tuple[str, str]]) -> Iterable[tuple[int, int]]:
    """A packet that leaves a node has reached it before."""
    arrives: dict[Any, list[int]] = defaultdict(list)
    leaves: list[tuple[Any, int]] = []
    for number, link, end, _, _, key in rows:
        arrives[key, ends[link][1 - end]].append(number)
        leaves.append(((key, ends[link][end]), number))
    for place, number in leaves:
        for earlier in arrives.get(place, ()):
            yield earlier, number


def packets(found: pd.DataFrame, ends: Sequence[tuple[str, str]]) -> NDArray[np.int64]:
    """Which movements are of one packet: its number for each.

    Two packets may be the same to the byte, as repeated ARP replies are. A movement belongs to the
    newest packet that has reached its start and has not gone this way yet.

    Args:
        found: of `movements.find`, in its order.
        ends: the nodes of each link.
    """
    number = pd.factorize(found["key"])[0].astype(np.int64)
    way = (found["link"] * 2 + found["end"]).to_numpy(np.int64)
    again = pd.DataFrame({"number": number, "way": way}).duplicated().to_numpy()
    repeated = np.flatnonzero(np.isin(number, np.unique(number[again])))
    follow = {int(one): _Same(int(one)) for one in np.unique(number[repeated])}
    fresh = int(number.max(initial=-1)) + 1
    for row in repeated.tolist():
        same, link, end = follow[int(number[row])], *divmod(int(way[row]), 2)
        start, stop = ends[link][end], ends[link][1 - end]
        number[row] = same.next(int(way[row]), start, stop, fresh)
        fresh = max(fresh, int(number[row]) + 1)
    return number


class _Same:
    """Packets that are the same to the byte, the newest last."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._open: list[tuple[int, set[int], set[str]]] = []

    def next(self, way: int, start: str, stop: str, fresh: int) -> int:
        """The number of the packet that goes a way; `fresh` if it is a new one."""
        fitting = [one for one in self._open if way not in one[1]]
        reached = [one for one in fitting if start in one[2]]
        if reached or fitting:
            number, ways, nodes = (reached or fitting)[-1]
        else:
            number, ways, nodes = (fresh if self._open else self._first), set[int](), {start}
            self._open = [*self._open[-_REMEMBERED:], (number, ways, nodes)]
        ways.add(way)
        nodes.add(stop)
        return number
