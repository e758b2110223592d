"""Boundaries: a stream keeps none, by whichever cause it is cut; datagrams keep theirs."""

from __future__ import annotations

from testbed import (
    MSS_BYTES,
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    claim,
    pick,
    presuming,
    same,
)

from .conversations import (
    BUFFERED_BYTES,
    BUFFERED_WRITES,
    LONG_BYTES,
    MERGED_WRITES,
    MESSAGES_BYTES,
    READ_IN_PARTS_BYTES,
    SMALL_READ_BYTES,
    WRITE_BYTES,
)

INITIAL_WINDOW = 10
"""Segments that may leave before the first acknowledgement (RFC 6928)."""

STREAMS = ("merged", "buffered", "split", "slow-reader", "small-reads")


class Boundaries(Experiment):
    """Boundaries: a stream keeps none, by whichever cause it is cut; datagrams keep theirs."""

    @claim(
        "TCP delivers every byte once and in order, but does not keep the boundaries of writes.",
        source="RFC 9293 §2.2, §3.9.1.2",
    )
    def stream_is_one(self, tables: Tables) -> Verdict:
        """Checksums of all bytes written and read, and the sizes of both."""
        sums, kept = [], []
        for name in STREAMS:
            ends = pick(tables, name, table="calls", op="end").set_index("node")
            if not {"h1", "h2"} <= set(ends.index):
                raise MissingDataError(f"step {name}: an end did not report")
            sums.append(ends["written_crc32"]["h1"] == ends["got_crc32"]["h2"])
            read = self._sizes(tables, name, "h2", "read")
            kept.append(read == self._sizes(tables, name, "h1", "write"))
        return all_of(
            same(sums, len(STREAMS) * [True], "all bytes as written"),
            at_most(sum(kept), 0, unit=f"of {len(STREAMS)} streams with a read for each write"),
        ).because("sockets' calls", tables.of("calls").query("op == 'end'"), scenario="main")

    @claim(
        "Nagle's algorithm merges messages: what is written while a small segment is "
        "unacknowledged leaves in one segment.",
        source="RFC 896; RFC 9293 §3.7.4",
    )
    def nagle_merges(self, tables: Tables) -> Verdict:
        """Ten messages, written at once."""
        rest = (MERGED_WRITES - 1) * WRITE_BYTES
        return self._cut(tables, "merged", [WRITE_BYTES, rest], [WRITE_BYTES, rest])

    @claim(
        "Messages merge in the send buffer while the congestion window is full, even with "
        "TCP_NODELAY.",
        source="RFC 9293 §3.8.6.2.1, §3.9.1.2; RFC 6928",
    )
    def send_buffer_merges(self, tables: Tables) -> Verdict:
        """Thirty messages at once: ten segments fill the first window, the rest waits."""
        sizes = self._segments(tables, "buffered")
        rest = (BUFFERED_WRITES - INITIAL_WINDOW) * BUFFERED_BYTES
        tail = [MSS_BYTES, rest - MSS_BYTES]
        return same(
            sizes, [*INITIAL_WINDOW * [BUFFERED_BYTES], *tail], "segments in bytes"
        ).because(
            "segments",
            pick(tables, "buffered", "h2-eth0", table="segments", ip_src=self._h1(tables)),
        )

    @claim(
        "A message longer than the MSS is split, and may be read in as many parts as there are "
        "segments.",
        source="RFC 9293 §3.7.1, §3.9.1.2",
    )
    def mss_splits(self, tables: Tables) -> Verdict:
        """5000 bytes in one write; the link is slow enough that each segment is read alone."""
        full, rest = divmod(LONG_BYTES, MSS_BYTES)
        parts = [*full * [MSS_BYTES], rest]
        return self._cut(tables, "split", parts, parts)

    @claim(
        "A slow reader gets several messages in one read, although each came in its own segment.",
        source="RFC 9293 §3.9.1.3",
    )
    def slow_reader_merges(self, tables: Tables) -> Verdict:
        """Five messages with pauses; the reader comes a second late."""
        return self._cut(tables, "slow-reader", list(MESSAGES_BYTES), [sum(MESSAGES_BYTES)])

    @claim(
        "A reader with a buffer smaller than a message reads it in parts, even if it came in one "
        "segment.",
        source="RFC 9293 §3.9.1.3",
    )
    def small_reads_split(self, tables: Tables) -> Verdict:
        """100 bytes in one segment, read seven at a time."""
        whole, rest = divmod(READ_IN_PARTS_BYTES, SMALL_READ_BYTES)
        return self._cut(
            tables,
            "small-reads",
            [READ_IN_PARTS_BYTES],
            [*whole * [SMALL_READ_BYTES], *([rest] if rest else [])],
        )

    @claim(
        "UDP keeps boundaries: one datagram per write, one read per datagram, however late the "
        "reader is.",
        source="RFC 768; RFC 8085 §3.2",
    )
    def udp_keeps_boundaries(self, tables: Tables) -> Verdict:
        """The same five messages to the same slow reader, in datagrams."""
        came = pick(tables, "datagrams", "h2-eth0", ip_src=self._h1(tables))
        sizes = [int(n) - 8 for n in came["udp_bytes"].dropna()]
        wanted = list(MESSAGES_BYTES)
        carrying = came[came["udp_bytes"].notna() | (came["tcp_payload_bytes"] > 0)]
        late_s = self._first_read_s(tables, "datagrams") - float(carrying["time_s"].max())
        return presuming(
            at_least(late_s, 0.5, unit="s from the last arrival to the first read"),
            same(sizes, wanted, "datagrams in bytes"),
            same(self._sizes(tables, "datagrams", "h2", "read"), wanted, "reads in bytes"),
        ).because("datagrams", came)

    # ---- what the claims look at

    def _h1(self, tables: Tables) -> str:
        return address(tables, "h1-eth0")

    def _sizes(self, tables: Tables, name: str, node: str, op: str) -> list[int]:
        """Sizes of one end's reads or writes."""
        calls = pick(tables, name, table="calls", node=node, op=op)
        return [int(n) for n in calls["bytes"]]

    def _first_read_s(self, tables: Tables, name: str) -> float:
        calls = pick(tables, name, table="calls", node="h2", op="read")
        return float(calls["time_s"].min())

    def _segments(self, tables: Tables, name: str) -> list[int]:
        """Sizes of h1's segments with data as they reached h2."""
        came = pick(tables, name, "h2-eth0", table="segments", ip_src=self._h1(tables))
        return [int(n) for n in came["payload_bytes"] if n]

    def _cut(self, tables: Tables, name: str, segments: list[int], reads: list[int]) -> Verdict:
        came = pick(tables, name, "h2-eth0", table="segments", ip_src=self._h1(tables))
        return all_of(
            same(self._segments(tables, name), segments, "segments in bytes"),
            same(self._sizes(tables, name, "h2", "read"), reads, "reads in bytes"),
        ).because("segments", came[came["payload_bytes"] > 0])
