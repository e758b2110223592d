"""TCP segments sorted into connections and directions, with sequence numbers that do not wrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.packets.columns import need
from analysis.packets.flags import FLAGS

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

FIN, SYN, RST, PSH, ACK = (FLAGS[name] for name in ("FIN", "SYN", "RST", "PSH", "ACK"))

NEVER = np.int64(-(2**62))
"""Stands for a sequence number not seen yet."""

SEGMENT_COLUMNS = (
    "frame",
    "time_ns",
    "ip_src",
    "ip_dst",
    "tcp_sport",
    "tcp_dport",
    "tcp_seq",
    "tcp_ack",
    "tcp_flags",
    "tcp_payload_bytes",
)
"""Packet columns that `segments` reads."""

NO_BASE = np.int64(-1)
"""Stands for the number from which a direction counts that sent nothing."""

NEEDED = (
    *SEGMENT_COLUMNS,
    "wire_bytes",
    "tcp_window",
    "tcp_mss",
    "tcp_wscale",
    "tcp_sack_permitted",
    "tcp_tsval",
    "tcp_tsecr",
    "tcp_sack_count",
    *(f"tcp_sack{i}_{side}" for i in (1, 2, 3) for side in ("left", "right")),
)
"""Packet columns the analysis reads."""


class FlowOrder:
    """Segments sorted by direction, for sums and maxima along each.

    Attributes:
        order: positions, direction after direction.
        heads: where in `order` each direction begins.
    """

    def __init__(self, side: npt.NDArray[np.int8], start: Ints) -> None:
        count = len(side)
        here = np.arange(count)
        second = np.cumsum(side) - side  # of side 1, before each segment
        second_here = second - second[start]
        begins = np.flatnonzero(start == here)
        sizes = np.diff(np.append(begins, count))
        seconds = np.add.reduceat(side.astype(np.int64), begins) if count else begins
        firsts = np.repeat(sizes - seconds, sizes)
        rank = np.where(side == 0, here - start - second_here, firsts + second_here)
        self.order = np.empty(count, np.int64)
        self.order[start + rank] = here
        heads = np.stack([begins, begins + sizes - seconds], axis=1).ravel()
        self.sizes = np.stack([sizes - seconds, seconds], axis=1).ravel()
        self.heads = heads[self.sizes > 0]
        self.sizes = self.sizes[self.sizes > 0]

    def total(self, step: npt.NDArray[Any]) -> Ints:
        """Running sum along each direction, the segment itself included."""
        ordered = step[self.order].astype(np.int64)
        total = np.cumsum(ordered)
        before = (total - ordered)[self.heads]
        return self.back(total - np.repeat(before, self.sizes))

    def highest(self, values: Ints) -> Ints:
        """Running maximum along each direction, the segment itself included."""
        group = np.repeat(np.arange(len(self.sizes)), self.sizes)
        return self.back(pd.Series(values[self.order]).groupby(group).cummax().to_numpy())

    def back(self, ordered: Ints) -> Ints:
        """Values in direction order, put back in the segments' order."""
        result = np.empty(len(ordered), ordered.dtype)
        result[self.order] = ordered
        return result


@dataclass
class Segments:
    """TCP segments sorted by connection, in capture order within each.

    Every array has one entry a segment. `previous` and `opposite` are positions of the last
    segment before it in its own and in the other direction, -1 if there is none.

    Attributes:
        rows: position in the packet DataFrame.
        connection: number, counted from 0 in the order of first segments.
        start: position of the connection's first segment since it was last opened.
        side: 0 from the side that opened (or was seen first), 1 from the other.
        seq: relative to the direction's first sequence number.
        ack: in the other direction's `seq`; the last one known, or `NEVER`.
        end: behind the last byte; SYN and FIN count one.
    """

    rows: Ints
    connection: Ints
    start: Ints
    side: npt.NDArray[np.int8]
    previous: Ints
    opposite: Ints
    time_ns: Ints
    frame: Ints
    seq: Ints
    ack: Ints
    end: Ints
    length: Ints
    flags: npt.NDArray[np.uint16]
    has_ack: Mask
    reused: Mask
    along: FlowOrder

    @property
    def flow(self) -> Ints:
        """One number for each connection and direction."""
        return self.connection * 2 + self.side

    def __len__(self) -> int:
        return len(self.rows)


def plain(packets: pd.DataFrame, name: str, rows: Ints, missing: int = 0) -> Ints:
    """A nullable column as plain integers."""
    values = packets[name].array.take(rows)
    return np.asarray(values.to_numpy(dtype=np.int64, na_value=missing))


def segments(packets: pd.DataFrame) -> Segments:
    """Finds the connections in packets.

    A SYN with a new sequence number between the same sockets begins a new connection.

    Args:
        packets: DataFrame of `analysis.packets.read` with the columns `SEGMENT_COLUMNS`.

    Raises:
        ConfigError: a column is missing.
    """
    need(packets, SEGMENT_COLUMNS)
    rows = np.flatnonzero(packets["tcp_payload_bytes"].notna().to_numpy())  # the header is whole
    pair, forward = _pairs(packets, rows)
    small = pair.astype(np.uint16) if len(pair) and int(pair.max()) < 1 << 16 else pair
    order = np.argsort(small, kind="stable")  # a radix sort for 16 bits
    rows, pair, forward = rows[order], pair[order], forward[order]
    flags = plain(packets, "tcp_flags", rows).astype(np.uint16)
    raw_seq = plain(packets, "tcp_seq", rows)
    first_of_pair = np.diff(pair, prepend=-1) != 0
    reused = _reused(flags, raw_seq, pair, forward)
    begins = first_of_pair | reused
    connection = np.cumsum(begins) - 1
    opening = np.flatnonzero(begins)[connection]
    side = _sides(forward, flags, opening)
    anew = begins | _opened_again(flags, raw_seq, side, opening)
    start = np.flatnonzero(anew)[np.cumsum(anew) - 1]
    previous, opposite = _neighbours(side, start)
    along = FlowOrder(side, start)
    length = plain(packets, "tcp_payload_bytes", rows)
    base = _bases(flags, raw_seq, side, start, opening)
    seq = _unwrapped(raw_seq, previous, along) + _signed(raw_seq - base[side, start])[_heads(along)]
    has_ack = (flags & ACK) != 0
    raw_ack = plain(packets, "tcp_ack", rows)
    ack = _acks(raw_ack, has_ack, base[1 - side, start], along)
    end = seq + length + ((flags & (SYN | FIN)) != 0)
    return Segments(
        rows,
        _by_first_frame(connection, rows),
        start,
        side,
        previous,
        opposite,
        packets["time_ns"].to_numpy()[rows],
        packets["frame"].to_numpy()[rows],
        seq,
        ack,
        end,
        length,
        flags,
        has_ack,
        reused,
        along,
    )


def _codes(packets: pd.DataFrame, name: str) -> Ints:
    column = packets[name]
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy().astype(np.int64)
    return pd.factorize(column)[0].astype(np.int64)


def _pairs(packets: pd.DataFrame, rows: Ints) -> tuple[Ints, Mask]:
    """A number for each pair of sockets, and whether the segment goes from the smaller one."""
    source, target = _addresses(packets)
    one = (source[rows] << 16) | plain(packets, "tcp_sport", rows)
    two = (target[rows] << 16) | plain(packets, "tcp_dport", rows)
    forward = one <= two
    low, high = np.where(forward, one, two), np.where(forward, two, one)
    of_low = pd.factorize(low)[0].astype(np.int64)
    of_high, highs = pd.factorize(high)
    return pd.factorize(of_low * max(1, len(highs)) + of_high)[0].astype(np.int64), forward


def _addresses(packets: pd.DataFrame) -> tuple[Ints, Ints]:
    source, target = packets["ip_src"], packets["ip_dst"]
    if source.dtype == target.dtype and isinstance(source.dtype, pd.CategoricalDtype):
        return _codes(packets, "ip_src"), _codes(packets, "ip_dst")
    both = pd.factorize(pd.concat([source, target]).astype(object))[0].astype(np.int64)
    return both[: len(packets)], both[len(packets) :]


def _reused(flags: npt.NDArray[np.uint16], raw_seq: Ints, pair: Ints, forward: Mask) -> Mask:
    """SYNs with another sequence number than the direction's first before them."""
    reused = np.zeros(len(flags), np.bool_)
    opening = np.flatnonzero((flags & (SYN | ACK)) == SYN)
    base: dict[tuple[int, bool], int] = {}
    for at in opening.tolist():
        key = (int(pair[at]), bool(forward[at]))
        known = base.get(key)
        if known is None:
            begins = at == 0 or pair[at - 1] != pair[at]
            reused[at] = not begins and _was_seen(pair, forward, at)
        else:
            reused[at] = known != raw_seq[at]
        base[key] = int(raw_seq[at])
    return reused


def _was_seen(pair: Ints, forward: Mask, at: int) -> bool:
    """True if the direction of the segment at `at` had segments before."""
    first = int(np.searchsorted(pair, pair[at]))
    return bool((forward[first:at] == forward[at]).any())


def _by_first_frame(connection: Ints, rows: Ints) -> Ints:
    """Renumbers connections in the order of their first segments."""
    firsts = rows[np.flatnonzero(np.diff(connection, prepend=-1))]
    rank = np.empty(len(firsts), np.int64)
    rank[np.argsort(firsts)] = np.arange(len(firsts))
    return rank[connection]


def _sides(forward: Mask, flags: npt.NDArray[np.uint16], start: Ints) -> npt.NDArray[np.int8]:
    """0 for the direction of the first segment, or of the opposite one if that is a SYN+ACK."""
    opener = forward[start] ^ ((flags[start] & (SYN | ACK)) == (SYN | ACK))
    side: npt.NDArray[np.int8] = (forward != opener).astype(np.int8)
    return side


def _opened_again(
    flags: npt.NDArray[np.uint16], raw_seq: Ints, side: npt.NDArray[np.int8], opening: Ints
) -> Mask:
    """Where a connection begins again with the same SYN: what came before counts no more.

    A SYN after a reset, or the last SYN before a SYN+ACK with another sequence number than the one
    before (itself, if there is none between): the other end has begun anew.
    """
    anew = np.zeros(len(flags), np.bool_)
    here, answer, syn, reset = -1, -1, -1, False
    for at in np.flatnonzero((flags & (SYN | RST)) != 0).tolist():
        if opening[at] != here:
            here, answer, syn, reset = int(opening[at]), -1, -1, False
        if flags[at] & RST:
            reset = True
        elif flags[at] & ACK:
            if answer >= 0 and raw_seq[answer] != raw_seq[at] and side[answer] == side[at]:
                anew[syn if syn > answer else at] = True
            answer = at
        else:
            if reset and at != here:
                anew[at], reset = True, False
            syn = at
    return anew


def _bases(
    flags: npt.NDArray[np.uint16],
    raw_seq: Ints,
    side: npt.NDArray[np.int8],
    start: Ints,
    opening: Ints,
) -> Ints:
    """(2, segments) the number on the wire from which each side counts, at each `start`; else 0.

    That of its first segment, but of a reset that answers a SYN (RFC 9293 §3.5.2 gives it 0) only
    if it sends nothing else; where a connection begins again without its SYN, the one before.
    A side that sent nothing yet is acknowledged from the first number that the other side says.
    """
    base = np.full((2, len(side)), NO_BASE, np.int64)
    head = np.diff(start, prepend=-1) != 0
    for number in (0, 1):
        mine = side == number
        for candidates in (mine, mine & ((flags & RST) == 0)):
            mine_at = np.flatnonzero(candidates)[::-1]
            base[number, start[mine_at]] = raw_seq[mine_at]  # the first is written last and stays
    for at in np.flatnonzero(head & (start != opening)).tolist():
        before = int(start[at - 1])
        for number in (0, 1):
            until = at + int(np.argmax(np.append(start[at:] != start[at], True)))
            mine = side[at:until] == number
            if not ((flags[at:until][mine] & SYN) != 0).any() and base[number, before] != NO_BASE:
                base[number, at] = base[number, before]
    return base


def _heads(along: FlowOrder) -> Ints:
    """The position of the first segment of each segment's direction."""
    return along.back(np.repeat(along.order[along.heads], along.sizes))


def _neighbours(side: npt.NDArray[np.int8], start: Ints) -> tuple[Ints, Ints]:
    here = np.arange(len(side))
    last = []
    for number in (0, 1):
        seen = np.maximum.accumulate(np.where(side == number, here, -1)) if len(side) else here
        before = np.concatenate([[-1], seen[:-1]]) if len(side) else here
        last.append(np.where(before >= start, before, -1))
    return np.where(side == 0, last[0], last[1]), np.where(side == 0, last[1], last[0])


def _unwrapped(raw: Ints, previous: Ints, along: FlowOrder) -> Ints:
    """Numbers modulo 2^32 as a continuous count from the first of each direction."""
    step = _signed(raw - raw[previous])
    step[previous < 0] = 0
    return along.total(step)


def _signed(difference: Ints) -> Ints:
    """A difference modulo 2^32 as the nearest signed number (RFC 9293 §3.4)."""
    return difference.astype(np.uint32).astype(np.int32).astype(np.int64)


def _acks(raw: Ints, has: Mask, base: Ints, along: FlowOrder) -> Ints:
    """Acknowledgement numbers in the count of the direction they acknowledge.

    Args:
        raw: as on the wire.
        has: segments with ACK flag; the others count as the last one that has.
        base: the number on the wire from which the acknowledged direction counts.
        along: the order of directions.
    """
    order = along.order
    marked = np.where(has[order], np.arange(len(order)), -1)
    group = np.repeat(along.heads, along.sizes)
    last = np.maximum(np.maximum.accumulate(marked), group) if len(order) else marked
    values, flagged = raw[order][last], has[order][last]
    step = _signed(np.diff(values, prepend=0))
    anchor = np.where(base != NO_BASE, base, raw)[order]
    begin = np.zeros(len(order), np.bool_)
    begin[along.heads] = True
    before_any = ~flagged
    was_before = np.concatenate([[True], before_any[:-1]])
    opens = flagged & (begin | was_before)
    step[opens] = _signed((values - anchor)[opens])
    step[before_any] = 0
    total = np.cumsum(step)
    opened = np.maximum.accumulate(np.where(opens, np.arange(len(order)), 0))
    result = total - (total - step)[opened]
    result[before_any] = NEVER
    return along.back(result)


def last_known(values: npt.NDArray[Any], at: Ints, missing: Any) -> npt.NDArray[Any]:
    """`values` at the positions `at`; `missing` where the position is -1."""
    return np.where(at >= 0, values[at], missing)
