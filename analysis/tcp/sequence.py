"""What each TCP segment is: retransmission, duplicate ACK, window full, ... and the RTT it shows.

The meanings are Wireshark's (User's Guide, 'TCP Analysis'; fields `tcp.analysis.*`), computed for
all segments at once: state such as 'highest sequence number so far' is a running maximum.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.tcp.flows import ACK, FIN, NEVER, RST, SYN, Ints, Mask, Segments, last_known, plain

FAST_RETRANSMIT_NS = 20_000_000
"""A fast retransmission follows the duplicate ACK within this time (Wireshark's choice)."""

REORDERING_NS = 3_000_000
"""Late data within this time are out of order, not lost, where the RTT is not known."""

_NO_DATA = SYN | FIN | RST


class Analysis:
    """The analysis of one capture's segments; every array has one entry a segment."""

    def __init__(self, packets: pd.DataFrame, seg: Segments) -> None:
        self.packets, self.seg = packets, seg
        self.count = len(seg)
        self.is_control = (seg.flags & _NO_DATA) != 0
        self.window = plain(packets, "tcp_window", seg.rows)
        self.window_before = last_known(self.window, seg.previous, -1)
        self.ack_before = last_known(seg.ack, seg.previous, NEVER)
        self.their_ack = last_known(seg.ack, seg.opposite, NEVER)
        self.their_window = last_known(self.window, seg.opposite, -1)
        self.same_ack = (seg.ack == self.ack_before) & (seg.previous >= 0) & seg.has_ack
        self.carries = (seg.length > 0) | ((seg.flags & (SYN | FIN)) != 0)
        self._next_seq()
        self._kinds()
        self._duplicate_acks()
        self._losses()
        self._retransmissions()
        del self.window_before, self.ack_before, self.their_window, self.same_ack  # large
        del self.next_seq, self.known, self.expected, self.advances, self.advanced_at

    def _next_seq(self) -> None:
        """`next_seq`: the highest `end` of the direction before each segment.

        A zero window probe does not count, and whether it is one depends on `next_seq`: the few
        candidates are settled by repeating.
        """
        seg = self.seg
        self.zero_window_probe = np.zeros(self.count, np.bool_)
        candidates = (seg.length == 1) & (self.their_window == 0)
        for _ in range(8):
            end = np.where(self.zero_window_probe, NEVER, seg.end)
            self.highest = seg.along.highest(end)
            self.next_seq = last_known(self.highest, seg.previous, NEVER)
            probes = candidates & (seg.seq == self.next_seq)
            if np.array_equal(probes, self.zero_window_probe):
                break
            self.zero_window_probe = probes
        self.known = self.next_seq != NEVER
        self.expected = self.known & (seg.seq == self.next_seq)
        advances = (seg.end > self.next_seq) & ~self.zero_window_probe
        self.advances = advances | ~self.known
        here = np.where(self.advances, np.arange(self.count), -1)
        self.advanced_at = last_known(seg.along.highest(here), seg.previous, -1)

    def _kinds(self) -> None:
        seg, data = self.seg, ~self.is_control
        probe = self.zero_window_probe
        self.zero_window = (self.window == 0) & data & ~probe
        lost = self.known & (seg.seq > self.next_seq) & ((seg.flags & RST) == 0)
        self.lost_segment = lost & ~probe
        short = (seg.length <= 1) & data & self.known & ~probe
        self.keep_alive = short & (seg.seq == self.next_seq - 1)
        repeats = (seg.length == 0) & self.expected & self.same_ack & data
        nonzero = self.window > 0
        self.window_update = repeats & nonzero & (self.window != self.window_before)
        same = repeats & (self.window == self.window_before)
        their_keep_alive = last_known(self.keep_alive, seg.opposite, False)
        their_probe = last_known(probe, seg.opposite, False)
        self.keep_alive_ack = same & nonzero & their_keep_alive
        self.zero_window_probe_ack = same & ~nonzero & their_probe
        self.duplicate_ack = same & nonzero & ~self.keep_alive_ack
        self._window_full(data & ~probe)

    def _window_full(self, data: Mask) -> None:
        """Data up to the edge of the window the other side has offered."""
        seg = self.seg
        scale = self.window_shift()
        other = scale[1 - seg.side, seg.connection]
        their_flags = last_known(seg.flags, seg.opposite, 0)
        shift = np.where((their_flags & SYN) != 0, 0, np.maximum(other, 0))
        edge = self.their_ack + (np.maximum(self.their_window, 0) << shift)
        known = (other != -1) & (seg.opposite >= 0)
        self.window_full = data & known & (seg.length > 0) & (seg.end == edge)

    def window_shift(self) -> Ints:
        """(2, connections) window scale of each side; 0: none in use, -1: handshake not seen."""
        seg = self.seg
        connections = int(seg.connection.max(initial=-1)) + 1
        shift = np.full((2, connections), -1, np.int64)
        opening = np.flatnonzero((seg.flags & SYN) != 0)
        if not len(opening):
            return shift
        option = plain(self.packets, "tcp_wscale", seg.rows[opening], -2)
        shift[seg.side[opening], seg.connection[opening]] = np.minimum(option, 14)  # RFC 7323 §2.3
        both = (shift != -1).all(axis=0)
        unused = both & (shift == -2).any(axis=0)
        shift[:, unused] = 0
        shift[shift == -2] = -1
        return shift

    def _duplicate_acks(self) -> None:
        """Counts duplicates since the ACK number changed, in each direction."""
        seg = self.seg
        changed = ~((seg.ack == self.ack_before) & (seg.previous >= 0))
        here = np.where(changed, np.arange(self.count), -1)
        self.first_of_ack = seg.along.highest(here)
        total = seg.along.total(self.duplicate_ack)
        self.duplicates = total - total[np.maximum(self.first_of_ack, 0)]
        self.duplicates[self.first_of_ack < 0] = 0
        self.their_duplicates = last_known(self.duplicates, seg.opposite, 0)

    def _losses(self) -> None:
        """ACKs of data that were never captured."""
        seg = self.seg
        their_highest = last_known(self.highest, seg.opposite, NEVER)
        beyond = seg.has_ack & (their_highest != NEVER) & (seg.ack > their_highest)
        suspects = np.zeros(int(seg.connection.max(initial=-1)) + 1, np.bool_)
        suspects[seg.connection[self.lost_segment | beyond]] = True
        self.ack_lost_segment = np.zeros(self.count, np.bool_)
        rows = np.flatnonzero(suspects[seg.connection]) if len(suspects) else seg.rows[:0]
        if len(rows):
            self._follow_holes(rows)

    def _follow_holes(self, rows: Ints) -> None:
        """Follows 'received without a hole up to here' through connections that have holes."""
        seg = self.seg
        columns = (
            rows,
            seg.start[rows],
            seg.side[rows],
            seg.seq[rows],
            seg.ack[rows],
            seg.has_ack[rows],
            self.highest[rows],
            self.duplicates[rows],
            self.zero_window_probe[rows],
        )
        found: list[int] = []
        here, whole, top = -1, [None, None], [NEVER, NEVER]
        duplicates, told = [0, 0], [False, False]
        for at, start, side, seq, ack, has_ack, highest, count, probe in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            if start != here:
                here, whole, top = start, [None, None], [NEVER, NEVER]
                duplicates, told = [0, 0], [False, False]
            other = 1 - side
            if count == 0 or count != duplicates[side]:
                told[side] = False
            duplicates[side] = count
            bound = whole[other]
            if has_ack and bound is not None and ack > bound:
                if bound < top[other]:
                    whole[other] = top[other]
                    found.append(at)
                else:
                    if duplicates[other] == 0 and not told[other]:
                        found.append(at)
                    told[other] = True
            top[side] = highest
            if (whole[side] is None or seq == whole[side]) and not probe:
                whole[side] = highest
        self.ack_lost_segment[found] = True

    def first_rtt(self) -> tuple[Ints, Ints]:
        """The handshake's RTT of each connection and where it was known.

        Returns:
            (connections,) ns from the last SYN to the first ACK without SYN, -1 if not seen;
            (connections,) position of that ACK.
        """
        seg = self.seg
        connections = int(seg.connection.max(initial=-1)) + 1
        rtt, at = np.full(connections, -1, np.int64), np.full(connections, self.count, np.int64)
        opening = (seg.flags & (SYN | ACK)) == SYN
        here = np.arange(self.count)
        last_syn = np.maximum.accumulate(np.where(opening, here, -1)) if self.count else here
        pure = ((seg.flags & (SYN | ACK)) == ACK) & (last_syn >= seg.start)
        answers = np.flatnonzero(pure)
        which, first = np.unique(seg.connection[answers], return_index=True)
        at[which] = answers[first]
        rtt[which] = seg.time_ns[at[which]] - seg.time_ns[last_syn[at[which]]]
        return rtt, at

    def _retransmissions(self) -> None:
        """Data that do not advance: spurious, fast, out of order, or after a timeout."""
        seg = self.seg
        behind = self.carries & self.known & (seg.seq < self.next_seq) & ~self.keep_alive
        # One byte behind and longer: the byte before was a probe (not a retransmission).
        behind &= ~((seg.length > 1) & (seg.seq == self.next_seq - 1))
        acked = (seg.length > 0) & (self.their_ack > NEVER) & ~self.keep_alive
        self.spurious_retransmission = acked & (seg.seq + seg.length <= self.their_ack)
        behind &= ~self.spurious_retransmission
        since_ack = seg.time_ns - last_known(seg.time_ns, seg.opposite, NEVER)
        fast = behind & (self.their_duplicates >= 2) & (self.their_ack == seg.seq)
        fast &= (since_ack >= 0) & (since_ack < FAST_RETRANSMIT_NS)
        self.fast_retransmission = fast
        rtt, known_at = self.first_rtt()
        usable = (np.arange(self.count) > known_at[seg.connection]) & (rtt[seg.connection] > 0)
        limit = np.where(usable, rtt[seg.connection], REORDERING_NS)
        since = seg.time_ns - last_known(seg.time_ns, self.advanced_at, NEVER)
        late = behind & ~fast & (since >= 0) & (since < limit) & (self.next_seq != seg.end)
        self.out_of_order = late
        self.timeout_retransmission = behind & ~fast & ~late
        self.retransmission = fast | self.timeout_retransmission | self.spurious_retransmission


def delivered_by_sack(packets: pd.DataFrame, rows: Ints) -> Ints:
    """Bytes beyond the ACK in the first three SACK blocks of each row.

    A block that tells of a duplicate (RFC 2883 §4) delivers nothing: it comes first, and lies below
    the ACK or within the second block.
    """
    total = np.zeros(len(rows), np.int64)
    some = np.flatnonzero(plain(packets, "tcp_sack_count", rows) > 0)
    ack = plain(packets, "tcp_ack", rows[some])
    left, size = [], []
    for block in (1, 2, 3):
        left.append(plain(packets, f"tcp_sack{block}_left", rows[some]))
        right = plain(packets, f"tcp_sack{block}_right", rows[some])
        size.append(_distance(left[-1], right))
    duplicate = _distance(left[0] + size[0], ack) < 1 << 31
    duplicate |= (size[1] > 0) & (_distance(left[1], left[0]) + size[0] <= size[1])
    total[some] = np.where(duplicate, 0, size[0]) + size[1] + size[2]
    return total


def _distance(first: Ints, second: Ints) -> Ints:
    """Bytes from one sequence number on to another, modulo 2^32."""
    return (second - first).astype(np.uint32).astype(np.int64)
