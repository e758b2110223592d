"""What each side of a TCP connection sent, put together in order: the bytes applications read.

    for conversation in streams.conversations(packets):
        for run in conversation.client.runs:
            ...

A byte counts when it first arrived; what was sent again adds nothing. Where the capture lacks bytes
(packets that are not in it, or that it holds in part) a new run begins, which says how many are
missing. Memory is that of one connection's bytes besides the packets, time is linear in them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.packets.columns import need
from analysis.tcp.coverage import Pieces, pieces_of_streams
from analysis.tcp.flows import (
    ACK,
    FIN,
    RST,
    SEGMENT_COLUMNS,
    SYN,
    Ints,
    Mask,
    Segments,
    segments,
)

_ANYWHERE = -(2**62)

COLUMNS = (*SEGMENT_COLUMNS, "payload")
"""What `packets` must hold."""


@dataclass(frozen=True)
class Run:
    """Bytes of a stream without a hole.

    Attributes:
        begin: place of its first byte in the stream.
        missing_bytes: bytes before it that the capture lacks; 0 also where their number is unknown,
            in front of a stream whose beginning was not captured.
        cut: the capture kept packets in part, and the missing bytes are among those it did not.
        pieces: the bytes of each segment.
    """

    begin: int
    missing_bytes: int
    cut: bool
    pieces: tuple[bytes, ...]

    @cached_property
    def data(self) -> bytes:
        """All bytes."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)

    @cached_property
    def end(self) -> int:
        """Place behind the last byte."""
        return self.begin + sum(map(len, self.pieces))


@dataclass(frozen=True)
class Stream:
    """What one side of a connection sent.

    Attributes:
        src, sport: the sender.
        dst, dport: the receiver.
        runs: its bytes in order; a last run may hold no bytes, only what is missing at the end.
        from_start: True if the SYN was captured, so that place 0 is the first byte sent.
        close: ``fin``, ``reset`` or ``open``: how the stream ends.
        close_frame: the first frame that closed it so, 0 if none did.
        starts: (pieces,) place in the stream of each segment's first new byte.
        frames: (pieces,) the frame that brought it.
    """

    src: str
    sport: int
    dst: str
    dport: int
    runs: tuple[Run, ...]
    from_start: bool
    close: str
    close_frame: int
    starts: Ints
    frames: Ints

    @property
    def end(self) -> int:
        """Place behind the last byte."""
        return self.runs[-1].end if self.runs else 0

    @property
    def missing_bytes(self) -> int:
        """Bytes that were sent and are not in the capture, as far as it shows them."""
        return sum(run.missing_bytes for run in self.runs)

    @property
    def head(self) -> bytes:
        """The first segment's bytes, empty if they are not in the capture."""
        first = self.runs[0] if self.runs else None
        return b"" if first is None or first.missing_bytes or not first.pieces else first.pieces[0]

    def frame(self, place: int) -> int:
        """The frame that brought a byte of a run."""
        return int(self.frames[np.searchsorted(self.starts, place, "right") - 1])

    def delivered(self, place: int) -> int:
        """The frame with which this byte and all before it had arrived, so that it can be read."""
        return int(self._delivered[np.searchsorted(self.starts, place, "right") - 1])

    @cached_property
    def _delivered(self) -> Ints:
        return np.maximum.accumulate(self.frames)


class Octets:
    """The bytes of a stream by their places, which only grow."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.runs, self.number = stream, stream.runs, 0

    def at(self, place: int, count: int) -> bytes:
        """Up to so many bytes from a place on, to the next hole."""
        self._move(place)
        if self.number == len(self.runs) or place < self.runs[self.number].begin:
            return b""
        run = self.runs[self.number]
        return run.data[place - run.begin : place - run.begin + count]

    def more(self, place: int) -> bool:
        """True if bytes at the place or behind it were captured."""
        self._move(place)
        return any(run.pieces for run in self.runs[self.number :])

    def lacking(self, place: int) -> bool:
        """True if the capture, not the sender, ends what it holds up to the place."""
        self._move(place)
        return self.number < len(self.runs) or self.stream.close == "open"

    def next_begin(self, place: int) -> int:
        """The first captured byte at the place or behind it."""
        self._move(place)
        return next(max(place, run.begin) for run in self.runs[self.number :] if run.pieces)

    def _move(self, place: int) -> None:
        while self.number < len(self.runs) and self.runs[self.number].end <= place:
            self.number += 1


@dataclass(frozen=True)
class Part:
    """Bytes of a conversation that came with one frame.

    Attributes:
        side: 0 from the client, 1 from the server.
        frame: the frame with which they could be read.
        missing_bytes: bytes missing before them.
        data: the bytes.
    """

    side: int
    frame: int
    missing_bytes: int
    data: bytes


@dataclass(frozen=True)
class Conversation:
    """Both streams of a connection.

    Attributes:
        connection: its number, as in `analysis.tcp.analyse`.
        client: the stream of the side that opened the connection, or that was seen first.
        server: the other one.
    """

    connection: int
    client: Stream
    server: Stream

    @property
    def sides(self) -> tuple[Stream, Stream]:
        """Both, by the number of the side."""
        return self.client, self.server

    def parts(self) -> Iterator[Part]:
        """Who said what, in the order in which it could be read."""
        found: list[tuple[int, int, int, Part]] = []
        for side, stream in enumerate(self.sides):
            for run in stream.runs:
                place, missing = run.begin, run.missing_bytes
                last = stream.delivered(place) if len(stream.frames) else 0
                for data in run.pieces or (b"",):
                    frame = stream.delivered(place) if data else last
                    found.append((frame, side, place, Part(side, frame, missing, data)))
                    place, missing = place + len(data), 0
        return (part for *_, part in sorted(found, key=lambda one: one[:3]))


@dataclass(frozen=True)
class Beginnings:
    """How the pieces of all streams begin, one value per piece.

    Attributes:
        head: True for the first piece of a stream.
        first, second: its first two bytes; the second is -1 for a piece of one byte.
        sport, dport: of its segment.
    """

    head: Mask
    first: Ints
    second: Ints
    sport: Ints
    dport: Ints


def conversations(
    packets: pd.DataFrame,
    ports: Collection[int] | None = None,
    wanted: Callable[[Beginnings], Mask] | None = None,
) -> Iterator[Conversation]:
    """The connections in which data were sent, in the order of their first segments.

    Args:
        packets: DataFrame of `analysis.packets.read` with `COLUMNS`.
        ports: only connections with one of these ports at one end; None: all.
        wanted: chooses pieces; only connections with one of these are put together. Cheap: it sees
            all pieces at once. None: all.

    Raises:
        ConfigError: a column is missing.
    """
    need(packets, COLUMNS)
    if ports is not None:
        either = packets["tcp_sport"].isin(ports) | packets["tcp_dport"].isin(ports)
        packets = packets[either.to_numpy(bool)]
    seg = segments(packets)
    yield from _Assembly(packets, seg).conversations(wanted)


class _Assembly:
    """Puts the segments of a capture together."""

    def __init__(self, packets: pd.DataFrame, seg: Segments) -> None:
        self.packets, self.seg = packets, seg
        self.flow = seg.connection * 2 + seg.side
        syn = ((seg.flags & SYN) != 0).astype(np.int64)
        self.first = seg.seq + syn
        self.stated_end = self.first + np.where((seg.flags & RST) != 0, 0, seg.length)
        octets = pa.array(packets["payload"], pa.large_binary(), from_pandas=True)
        self.octets = pa.chunked_array(octets) if isinstance(octets, pa.Array) else octets
        self.kept = pc.fill_null(pc.binary_length(self.octets), 0).to_numpy()[seg.rows]
        self.end = np.minimum(self.first + self.kept, self.stated_end)
        self.from_start, self.begin = self._begins(syn > 0)
        low = np.maximum(self.first, self.begin[self.flow])
        self.pieces: Pieces = pieces_of_streams(self.flow, low, self.end)

    def _begins(self, opening: Mask) -> tuple[Mask, Ints]:
        """(flows,) whether the SYN was captured; the first number that can be the stream's.

        Without a SYN a stream does not begin with the byte of a keep-alive: one byte, not pushed,
        which is not the stream's (RFC 9293 §3.8.4 lets it be anything).
        """
        seg, flows = self.seg, 2 * (int(self.seg.connection.max(initial=-1)) + 1)
        begin, from_start = np.full(flows, _ANYWHERE, np.int64), np.zeros(flows, np.bool_)
        head = np.flatnonzero(seg.previous < 0)[::-1]
        probe = head[(seg.length[head] == 1) & (seg.flags[head] == ACK)]
        begin[self.flow[probe]] = self.first[probe] + 1
        at = np.flatnonzero(opening)[::-1]
        begin[self.flow[at]] = self.first[at]  # the earliest is written last and stays
        from_start[self.flow[at]] = True
        return from_start, begin

    def beginnings(self) -> Beginnings:
        """How all pieces begin."""
        segment = self.pieces.segment
        rows, flow = self.seg.rows[segment], self.flow[segment]
        long = self.pieces.end - self.pieces.start > 1
        first, second = self._first_two(rows, self.pieces.start - self.first[segment], long)
        sport, dport = (
            self.packets[name].to_numpy(np.int64, na_value=-1)[rows]
            for name in ("tcp_sport", "tcp_dport")
        )
        head = np.diff(flow, prepend=-1) != 0
        return Beginnings(head, first, np.where(long, second, -1), sport, dport)

    def _first_two(self, rows: Ints, skipped: Ints, long: Mask) -> tuple[Ints, Ints]:
        """Two bytes of the payload in each of the rows, `skipped` bytes behind its beginning."""
        first, second = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
        low = 0
        for chunk in self.octets.chunks:
            own = np.flatnonzero((rows >= low) & (rows < low + len(chunk)))
            if len(own):
                _, offsets, data = chunk.buffers()
                octets = np.frombuffer(data, np.uint8)
                begins = np.frombuffer(offsets, np.int64)[chunk.offset :]
                at = begins[rows[own] - low] + skipped[own]
                first[own], second[own] = octets[at], octets[at + long[own]]
            low += len(chunk)
        return first, second

    def conversations(
        self, wanted: Callable[[Beginnings], Mask] | None = None
    ) -> Iterator[Conversation]:
        """One after another."""
        seg, flows = self.seg, len(self.begin)
        of_piece = self.flow[self.pieces.segment]
        bounds = np.searchsorted(of_piece, np.arange(flows + 1))
        last = np.full(flows, _ANYWHERE, np.int64)
        shows = (self.stated_end > self.first) | ((seg.flags & (FIN | RST)) == FIN)
        np.maximum.at(last, self.flow[shows], self.stated_end[shows])
        sent = np.zeros(flows, np.bool_)
        sent[self.flow[self.stated_end > self.first]] = True
        finished, reset = (self._first_with(bit) for bit in (FIN, RST))
        starts = np.flatnonzero(np.diff(seg.start, prepend=-1))
        at_of = np.empty(flows // 2, np.int64)
        at_of[seg.connection[starts]] = starts
        chosen = sent[0::2] | sent[1::2]
        if wanted is not None:
            chosen = np.zeros(flows // 2, np.bool_)
            chosen[of_piece[wanted(self.beginnings())] // 2] = True
        for connection in np.flatnonzero(chosen).tolist():
            ends = self._ends(int(at_of[connection]))
            both = []
            for side in (0, 1):
                flow = 2 * connection + side
                close = "reset" if reset[flow] else "fin" if finished[flow] else "open"
                closing = (close, int(reset[flow] or finished[flow]))
                pieces = slice(int(bounds[flow]), int(bounds[flow + 1]))
                both.append(self._stream(flow, pieces, int(last[flow]), closing, ends[side]))
            yield Conversation(connection, both[0], both[1])

    def _first_with(self, bit: int) -> Ints:
        """(flows,) first frame with a flag, 0 if there is none."""
        found = np.zeros(len(self.begin), np.int64)
        at = np.flatnonzero((self.seg.flags & bit) != 0)[::-1]
        found[self.flow[at]] = self.seg.frame[at]  # the earliest is written last and stays
        return found

    def _ends(self, at: int) -> tuple[tuple[str, int, str, int], tuple[str, int, str, int]]:
        """Addresses and ports as each side of the connection that begins at `at` sends them."""
        row = int(self.seg.rows[at])
        src, sport, dst, dport = (
            self.packets[name].iat[row] for name in ("ip_src", "tcp_sport", "ip_dst", "tcp_dport")
        )
        here = (str(src), int(str(sport)), str(dst), int(str(dport)))
        there = (*here[2:], *here[:2])
        return (here, there) if self.seg.side[at] == 0 else (there, here)

    def _stream(
        self,
        flow: int,
        which: slice,
        last: int,
        closing: tuple[str, int],
        ends: tuple[str, int, str, int],
    ) -> Stream:
        """One stream, from its pieces."""
        segment = self.pieces.segment[which]
        start, end = self.pieces.start[which], self.pieces.end[which]
        from_start = bool(self.from_start[flow])
        base = int(self.begin[flow]) if from_start else int(start[0]) if len(start) else last
        frames = self.seg.frame[segment]
        breaks = np.flatnonzero(start[1:] != end[:-1]) + 1
        octets = self._bytes(segment, start, end)
        runs: list[Run] = []
        reached, whole = base, True
        bounds = [0, *breaks.tolist(), len(start)] if len(start) else [0]
        for low, high in pairwise(bounds):
            begin, pieces = int(start[low]), tuple(octets[low:high])
            runs.append(Run(begin - base, begin - reached, not whole, pieces))
            reached = int(end[high - 1])
            whole = bool(self.stated_end[segment[high - 1]] == reached)
        if last > reached:
            runs.append(Run(last - base, last - reached, not whole, ()))
        return Stream(*ends, tuple(runs), from_start, *closing, start - base, frames)

    def _bytes(self, segment: Ints, start: Ints, end: Ints) -> list[bytes]:
        """The bytes of pieces."""
        octets: list[bytes] = self.octets.take(pa.array(self.seg.rows[segment])).to_pylist()
        skipped = start - self.first[segment]
        for at in np.flatnonzero((skipped > 0) | (end - start < self.kept[segment])).tolist():
            octets[at] = octets[at][int(skipped[at]) : int(skipped[at] + end[at] - start[at])]
        return octets
