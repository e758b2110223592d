"""Round-trip times from ACKs and from timestamps, and the bytes in flight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

import numpy as np
import pandas as pd

from analysis.tcp.flows import NEVER, Ints, Mask, last_known, plain
from analysis.tcp.sequence import Analysis, delivered_by_sack


def acked(analysis: Analysis) -> tuple[Ints, Mask]:
    """Which segment each ACK answers: the one it acknowledges to its last byte.

    Returns:
        position of that segment (the oldest transmission of it), -1 if none;
        True where its data were sent more than once, so that the RTT is ambiguous (Karn;
        RFC 6298 §3).
    """
    seg = analysis.seg
    sent = np.flatnonzero(analysis.carries)
    covering = _first_cover(analysis, sent)
    exact = covering >= 0
    exact[exact] = seg.ack[covering[exact]] == seg.end[sent[exact]]
    sent, covering = sent[exact], covering[exact]
    answers = np.full(len(seg), -1, np.int64)
    answers[covering[::-1]] = sent[::-1]  # the oldest is written last and stays
    again = analysis.retransmission | analysis.out_of_order
    count = np.zeros(len(seg), np.int64)
    np.add.at(count, covering, 1)
    ambiguous = count > 1
    some = answers >= 0
    ambiguous[some] |= again[answers[some]]
    return answers, ambiguous


def _first_cover(analysis: Analysis, sent: Ints) -> Ints:
    """The first opposite segment behind each sent one whose ACK covers it, -1 if none."""
    seg = analysis.seg
    following = _next_opposite(analysis)
    found = following[sent]
    highest_ack = seg.along.highest(seg.ack)
    todo = np.flatnonzero(found >= 0)
    short = seg.ack[found[todo]] < seg.end[sent[todo]]
    todo = todo[short]
    if len(todo):
        reached = _search(analysis, highest_ack, sent[todo])
        back = reached >= 0
        back[back] = reached[back] < found[todo[back]]
        for number in np.flatnonzero(back).tolist():  # ACK numbers went back
            reached[number] = _scan(analysis, following, int(sent[todo[number]]))
        found[todo] = reached
    return found


_FAR_ENOUGH = 1000
_LARGEST_WINDOW_BYTES = 1 << 30  # RFC 7323 §2.3


def _scan(analysis: Analysis, following: Ints, at: int) -> int:
    """The first opposite segment behind `at` that acknowledges all of it, -1 if none is near."""
    seg = analysis.seg
    here = int(following[at])
    for _ in range(_FAR_ENOUGH):
        if here >= len(seg) or seg.start[here] != seg.start[at]:
            return -1
        if seg.side[here] != seg.side[at] and seg.ack[here] >= seg.end[at]:
            return here
        here += 1
    return -1


def _next_opposite(analysis: Analysis) -> Ints:
    """Position of the next segment with an ACK in the other direction, -1 if none."""
    seg = analysis.seg
    count = len(seg)
    flipped = np.full(count, -1, np.int64)
    here = np.arange(count)
    for number in (0, 1):
        mine = np.where((seg.side == number) & seg.has_ack, here, count)
        following = np.minimum.accumulate(mine[::-1])[::-1]
        inside = following < count
        inside[inside] = seg.start[following[inside]] == seg.start[inside]
        other = (seg.side != number) & inside
        flipped[other] = following[other]
    return flipped


def _search(analysis: Analysis, highest_ack: Ints, sent: Ints) -> Ints:
    """The first opposite segment at which the highest ACK so far reaches the end of the sent."""
    seg, along = analysis.seg, analysis.seg.along
    order, heads, sizes = along.order, along.heads, along.sizes
    ordered = highest_ack[order]
    owner = seg.start[order[heads]] * 2 + seg.side[order[heads]]
    wanted = seg.start[sent] * 2 + 1 - seg.side[sent]
    which = np.searchsorted(owner, wanted)
    found = np.full(len(sent), -1, np.int64)
    for flow in np.unique(which).tolist():
        if flow >= len(owner):
            continue
        those = np.flatnonzero((which == flow) & (wanted == owner[flow]))
        low, size = int(heads[flow]), int(sizes[flow])
        at = np.searchsorted(ordered[low : low + size], seg.end[sent[those]])
        inside = at < size
        found[those[inside]] = order[low + at[inside]]
    return found


def in_flight(analysis: Analysis) -> Ints:
    """Bytes sent and not acknowledged (nor in SACK blocks) after each data segment; -1: unknown.

    Behind a hole in the capture the count begins at the first segment that was seen, and stops
    until the other side has spoken again. More than any window allows is not believed.
    """
    seg = analysis.seg
    acked_to = last_known(seg.along.highest(seg.ack), seg.opposite, NEVER)
    first_seen = _first_of_flow(analysis)
    floor = np.maximum(acked_to, first_seen)
    floor = np.where(seg.seq < floor, np.minimum(seg.seq, floor), floor)
    top = np.where(analysis.highest > acked_to, analysis.highest, seg.end)
    _follow_odd(analysis, floor, top)
    delivered = last_known(delivered_by_sack(analysis.packets, seg.rows), seg.opposite, 0)
    flight = top - floor - delivered - ((seg.end - seg.seq) > seg.length)
    believed = (flight > 0) & (flight <= _LARGEST_WINDOW_BYTES) & ~_since_hole(analysis)
    return np.where((seg.length > 0) & believed, flight, -1)


def _first_of_flow(analysis: Analysis) -> Ints:
    """The direction's first sequence number that carried something."""
    seg = analysis.seg
    lowest = -seg.along.highest(np.where(analysis.carries, -seg.seq, NEVER))
    return np.where(lowest == -NEVER, seg.seq, lowest)


def _follow_odd(analysis: Analysis, floor: Ints, top: Ints) -> None:
    """Directions in which not all was sent once and in order: goes through them one by one."""
    seg = analysis.seg
    flow = seg.start * 2 + seg.side
    odd = analysis.lost_segment | analysis.spurious_retransmission | analysis.zero_window_probe
    odd |= analysis.keep_alive & (seg.length > 0)
    for one in np.unique(flow[odd]).tolist():
        start, side = one // 2, one % 2
        rows = start + np.flatnonzero(seg.start[start:] == start)
        rows = rows[(seg.side[rows] != side) | analysis.carries[rows]]
        columns = (rows, seg.side[rows] == side, seg.seq[rows], seg.end[rows], seg.ack[rows])
        events = zip(*(column.tolist() for column in columns), strict=True)
        for at, low, high in _pending(events):
            floor[at], top[at] = low, high


def _pending(
    events: Iterable[tuple[int, bool, int, int, int]],
) -> Iterator[tuple[int, int, int]]:
    """Follows one direction's unacknowledged segments.

    Args:
        events: position, True if sent in this direction, seq, end, ack.

    Yields:
        for each sent segment its position, the lowest and the highest byte then pending.
    """
    pending: list[tuple[int, int]] = []
    highest = int(NEVER)
    for at, sends, seq, end, ack in events:
        if sends:
            heappush(pending, (seq, end))
            highest = max(highest, end)
            yield at, pending[0][0], highest
            continue
        while pending and pending[0][0] < ack:
            _, last = heappop(pending)
            if last > ack:
                heappush(pending, (ack, last))
        if not pending:
            highest = int(NEVER)


def _since_hole(analysis: Analysis) -> Mask:
    """True from a hole until the other side's next ACK."""
    seg = analysis.seg
    here = np.arange(len(seg))
    hole = seg.along.highest(np.where(analysis.lost_segment, here, -1))
    ack = seg.along.highest(np.where(seg.has_ack, here, -1))
    blind: Mask = hole > last_known(ack, seg.opposite, -1)
    return blind


def by_timestamp(analysis: Analysis) -> Ints:
    """RTT in ns from each ACK of new data that echoes a timestamp (RFC 7323 §4); -1: none."""
    seg = analysis.seg
    value = plain(analysis.packets, "tcp_tsval", seg.rows, -1)
    echo = plain(analysis.packets, "tcp_tsecr", seg.rows, -1)
    flow = seg.start * 2 + seg.side
    new = (seg.ack > last_known(seg.along.highest(seg.ack), seg.previous, NEVER)) & seg.has_ack
    senders = np.flatnonzero(value >= 0)
    changes = senders[_changes(analysis, value)[senders]]
    table = pd.DataFrame({"flow": flow[changes], "value": value[changes], "sent": changes})
    table = table.drop_duplicates(["flow", "value"])
    asks = np.flatnonzero(new & (echo > 0) & (seg.opposite >= 0))
    query = pd.DataFrame({"flow": flow[asks] ^ 1, "value": echo[asks], "at": asks})
    joined = query.merge(table, on=["flow", "value"])
    joined = joined[joined["sent"] < joined["at"]]
    rtt = np.full(len(seg), -1, np.int64)
    at = joined["at"].to_numpy()
    rtt[at] = seg.time_ns[at] - seg.time_ns[joined["sent"].to_numpy()]
    return rtt


def _changes(analysis: Analysis, value: Ints) -> Mask:
    """Segments whose timestamp differs from the one before in their direction."""
    changed: Mask = value != last_known(value, analysis.seg.previous, -1)
    return changed
