"""Captures whose packets were cut at any length: whatever reads them gives an answer."""

from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path

import pandas as pd
import pytest

from analysis import describe, filters, ladder, listing, messages, packets, tcp, tree
from analysis.dissect import dns, openflow, ospf, rip
from testbed.results import capture_page
from testbed.results.capture_page import Contents

CAPTURES = Path(__file__).parents[1] / "captures"
FILES = sorted(path.name for path in CAPTURES.iterdir() if path.suffix == ".pcap")
FILES += ["tcp-random-0.pcap.gz", "tcp-receiver.pcap.gz"]  # others of TCP have the same layers
_MOST_PACKETS = 45


def cut(data: bytes, *lengths: int) -> bytes:
    """A capture of its packets' first bytes, as with a snapshot length; once for each length."""
    order = "<" if data[0] in b"\xd4\x4d" else ">"
    parts = [data[:24]]
    for length in lengths:
        here, end = 24, len(parts) + 2 * _MOST_PACKETS
        while here < len(data) and len(parts) < end:
            seconds, fraction, captured, size = struct.unpack_from(f"{order}4I", data, here)
            kept = min(captured, length)
            parts.append(struct.pack(f"{order}4I", seconds, fraction, kept, size))
            parts.append(data[here + 16 : here + 16 + kept])
            here += 16 + captured
    return b"".join(parts)


def cells(table: pd.DataFrame) -> list[list[str]]:
    return capture_page.cells(table, "")[1]


def read_everything(capture: bytes) -> Contents:
    table = packets.read(io.BytesIO(capture), list(packets.COLUMNS))
    table.insert(0, "time_s", table["time_ns"] / 1e9)
    words = describe.packets(table)
    assert words.notna().all()
    assert not words.str.contains("nan|None|<NA>").any()
    segments = tcp.analyse(table)
    lines = listing.lines(table, segments, messages.by_frame(messages.find(table)))
    assert not lines["text"].str.contains("nan|None|<NA>").any()
    drawn = ladder.messages(table, listing.named(lines), listing.problems(lines))
    if drawn:
        assert ladder.svg(ladder.fold(drawn)).startswith("<svg")
    contents = Contents("cut", table.drop(columns="payload"), segments, messages.find(table))
    tables = capture_page.tables(contents)
    protocols = tables["hierarchy"]
    assert protocols.loc[protocols["depth"] == 0, "packets"].sum() == len(table)
    assert not any("nan" in cell for t in tables.values() for c in cells(t) for cell in c)
    openflow.read(table[list(openflow.COLUMNS)])
    dns.records(table)
    rip.entries(table)
    ospf.lsas(table)
    filters.select(table, "tcp.flags.syn or dns or ospf or tcp.analysis.retransmission")
    return contents


def read_trees(capture: bytes) -> None:
    """Trees of some packets: their bytes are where they say, and what was cut off is said."""
    for frame in range(1, len(packets.read(io.BytesIO(capture), ["frame"])) + 1, 37):
        raw = packets.read_raw(io.BytesIO(capture), frame)
        nodes = [node for _, node in tree.of_packet(raw).walk()]
        assert all(0 <= n.start <= n.start + n.length <= len(raw.data) for n in nodes)
        assert all(n.value.isprintable() and "None" not in n.value for n in nodes)
        if len(raw.data) < raw.wire_bytes:
            assert nodes[-1].name == "not captured"


@pytest.mark.parametrize("name", FILES)
def test_packets_cut_at_every_length(name: str) -> None:
    data = (CAPTURES / name).read_bytes()
    if name.endswith(".gz"):
        data = gzip.decompress(data)
    every = cut(data, *range(83), 100, 150, 300)
    contents = read_everything(every)
    assert "</html>" in capture_page.render(contents)
    read_trees(every)
    for length in (0, 17, 33, 41):  # with some columns missing throughout
        read_everything(cut(data, length))


def test_a_cut_packet_says_what_is_left_of_it() -> None:
    ethernet = bytes(12) + bytes.fromhex("0800")
    head = bytes.fromhex("450000200001")
    octets = ethernet + head
    pcap = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    pcap += struct.pack("<4I", 1, 0, len(octets), 60) + octets
    table = packets.read(io.BytesIO(pcap), list(packets.COLUMNS))
    assert table["ip_version"].tolist() == [4]
    assert describe.packets(table).notna().all()
