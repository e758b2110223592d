"""Reads captures: finds the format, walks the records, decodes batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from analysis.packets import options, pcap, pcapng
from analysis.packets.columns import choose
from analysis.packets.decode import decode
from analysis.packets.feed import Feed, Source
from analysis.packets.records import Interface, Records
from analysis.packets.table import Table
from analysis.packets.walk import Walked
from analysis.packets.window import Bytes
from testbed.core.errors import CaptureError, ConfigError

BATCH_PACKETS = 1 << 15
"""Most packets decoded at once: their fields stay in the processor's cache."""

MAX_PACKETS = 100_000_000
"""Most packets `read` puts into one DataFrame: a small compressed file can hold any number."""


class Format(Protocol):
    """What reading needs of a file format."""

    interfaces: list[Interface]

    def walk(self, data: Bytes, start: int, most: int) -> Walked:
        """Where at most this many records start, from a certain start on."""

    def describe(self, data: Bytes, walked: Walked) -> Records:
        """The packets among the records."""

    def reason(self, bad_length: int) -> str:
        """Why a record's length is not believed."""


def read(
    source: Source, columns: Iterable[str] | None = None, *, max_packets: int = MAX_PACKETS
) -> pd.DataFrame:
    """Reads a whole capture.

    Args:
        source: path or binary stream of a pcap or pcapng capture, plain, gzip or zstd.
        columns: names from `COLUMNS`; default all but `payload`. Only what they need is decoded.
        max_packets: the most packets taken into memory.

    Returns:
        one row a packet in capture order. `attrs["truncated_at"]` is the offset of a last packet
        that was cut off (tcpdump stopped while writing), else None. `attrs["links_not_decoded"]`
        lists the link types (LINKTYPE_ numbers; -1: of an interface the file does not describe)
        whose packets have times and lengths only. `attrs["key_logs"]`, if there, lists the TLS key
        logs (bytes) in a pcapng file.

    Raises:
        ConfigError: no such file, or an unknown column.
        CaptureError: not a capture, or damaged; its `packets` holds all packets before.
    """
    wanted = choose(columns)
    with closing(Feed(source)) as feed:
        reading = _Reading(feed, wanted)
        for _ in reading.batches():
            if reading.table.count > max_packets:
                raise CaptureError(
                    feed.name,
                    reading.here + feed.offset,
                    f"more than max_packets={max_packets} packets; use read_chunks or to_parquet",
                    reading.frame(),
                )
        return reading.frame()


def read_chunks(
    source: Source, columns: Iterable[str] | None = None, *, chunk_packets: int = 500_000
) -> Iterator[pd.DataFrame]:
    """Reads a capture of any size in bounded memory.

    Args:
        source: as in `read`.
        columns: as in `read`.
        chunk_packets: about how many packets come at once.

    Yields:
        DataFrames as `read` gives; `frame` counts on. Categories may differ between chunks.

    Raises:
        CaptureError: after the packets before the damage were yielded.
    """
    if chunk_packets < 1:
        raise ConfigError(f"chunk_packets: {chunk_packets} is out of range; 1 or more")
    wanted = choose(columns)
    with closing(Feed(source)) as feed:
        reading = _Reading(feed, wanted, chunk_packets + BATCH_PACKETS)
        try:
            for _ in reading.batches():
                if reading.table.count >= chunk_packets:
                    yield reading.frame()
                    reading.restart()
        except CaptureError as error:
            if len(error.packets):
                yield error.packets
            raise
        if reading.table.count:
            yield reading.frame()


@dataclass(frozen=True)
class RawPacket:
    """One packet's bytes.

    Attributes:
        frame: its number, from 1.
        time_ns: capture time since the Unix epoch.
        wire_bytes: length on the wire.
        link_type: LINKTYPE_ number of its interface.
        interface: the interface's name, or empty.
        data: the captured bytes.
    """

    frame: int
    time_ns: int
    wire_bytes: int
    link_type: int
    interface: str
    data: bytes


def read_raw(source: Source, frame: int) -> RawPacket:
    """Reads one packet, undecoded.

    Args:
        source: as in `read`.
        frame: number of the packet, from 1.

    Raises:
        ConfigError: no such file, or the capture has no packet of this number.
        CaptureError: not a capture, or damaged before this packet.
    """
    return read_raw_many(source, [frame])[frame]


def read_raw_many(source: Source, frames: Iterable[int]) -> dict[int, RawPacket]:
    """Reads some packets, undecoded, in one pass.

    Args:
        source: as in `read`.
        frames: numbers of the packets, from 1.

    Returns:
        number → packet.

    Raises:
        ConfigError: no such file, or the capture has no packet of one of these numbers.
        CaptureError: not a capture, or damaged before the last of these packets.
    """
    with closing(Feed(source)) as feed:
        search = _Search(feed, frames)
        for _ in search.batches():
            if not search.wanted_frames:
                return search.found
        if not search.wanted_frames:
            return search.found
        count = search.packets
        there = f"its packets are 1 to {count}" if count else "it has no packets"
        missing = min(search.wanted_frames)
        raise ConfigError(f"{feed.name}: there is no packet {missing}; {there}")


class _Reading:
    """One pass over a capture."""

    def __init__(self, feed: Feed, wanted: list[str], most: int = MAX_PACKETS) -> None:
        self.feed, self.wanted, self.most = feed, wanted, most
        self.here = 0
        self.packets = 0
        self.truncated_at: int | None = None
        self.table = Table(wanted)
        self.format = self._open_format()

    def restart(self) -> None:
        """Begins a new table."""
        self.table = Table(self.wanted)

    def frame(self) -> pd.DataFrame:
        """The packets decoded since the last restart."""
        options.settle(self.table, 1)
        frame = self.table.frame()
        frame.attrs.update(
            source=self.feed.name,
            truncated_at=self.truncated_at,
            links_not_decoded=sorted(self.table.links_not_decoded),
        )
        format_ = getattr(self, "format", None)  # not yet, if the file is no capture
        if key_logs := getattr(format_, "key_logs", None):
            frame.attrs["key_logs"] = list(key_logs)
        return frame

    def _open_format(self) -> Format:
        head = self.feed.data[: pcap.HEADER_BYTES].tobytes()
        if pcap.is_pcap(head):
            if len(head) < pcap.HEADER_BYTES:
                raise self._error(0, "the file header is cut off")
            self.here = pcap.HEADER_BYTES
            return pcap.Pcap.from_header(head)
        if pcapng.is_pcapng(head):
            return pcapng.Pcapng()
        what = self.feed.damage or ("the file is empty" if not head else "not pcap or pcapng")
        raise self._error(0, what)

    def _error(self, at: int, reason: str) -> CaptureError:
        return CaptureError(self.feed.name, self.feed.offset + at, reason, self.frame())

    def batches(self) -> Iterator[None]:
        """Decodes batch after batch into `table`."""
        feed = self.feed
        while True:
            walked = self.format.walk(feed.data, self.here, BATCH_PACKETS)
            if len(walked.offsets):
                self._decode(walked)
                yield
            self.here = walked.next_offset
            if walked.bad_length is not None:
                raise self._error(self.here, self.format.reason(walked.bad_length))
            if not len(walked.offsets) and not self._more():
                return

    def _more(self) -> bool:
        """Reads on; at the end, notes a packet that was cut off."""
        feed = self.feed
        if not feed.ended:
            grew = feed.more(self.here)
            self.here = 0
            if grew:
                return True
        if feed.damage:
            raise self._error(len(feed.data), feed.damage)
        if self.here < len(feed.data):
            self.truncated_at = feed.offset + self.here
        return False

    def _decode(self, walked: Walked) -> None:
        records = self.format.describe(self.feed.data, walked)
        count = len(records.time_ns)
        if count:
            self.table.begin(count, self._expected(count, walked.next_offset))
            decode(self.table, self.feed.data, records, self.format.interfaces, self.packets + 1)
        self.packets += count

    def _expected(self, more: int, walked_to: int) -> int:
        """A guess at the table's final length, so that its columns need no copy."""
        known, total = self.table.count + more, self.feed.total_bytes
        if total:
            share = (self.feed.offset + walked_to) / total
            known = max(known, int((self.packets + more) / share * 1.02))
        return min(known, self.most)


class _Search(_Reading):
    """A pass that looks for some packets and decodes none."""

    def __init__(self, feed: Feed, wanted_frames: Iterable[int]) -> None:
        super().__init__(feed, [])
        self.wanted_frames = set(wanted_frames)
        self.found: dict[int, RawPacket] = {}

    def _decode(self, walked: Walked) -> None:
        records = self.format.describe(self.feed.data, walked)
        first, count = self.packets + 1, len(records.time_ns)
        self.packets += count
        for frame in sorted(f for f in self.wanted_frames if first <= f < first + count):
            self.found[frame] = self._packet(records, frame, frame - first)
            self.wanted_frames.remove(frame)

    def _packet(self, records: Records, frame: int, at: int) -> RawPacket:
        start = int(records.start[at])
        interface = 0 if records.interface is None else int(records.interface[at])
        about = self.format.interfaces[interface]
        return RawPacket(
            frame,
            int(records.time_ns[at]),
            int(records.wire_bytes[at]),
            about.link_type,
            about.name,
            self.feed.data[start : start + int(records.captured_bytes[at])].tobytes(),
        )
