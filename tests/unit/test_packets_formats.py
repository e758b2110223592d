"""File formats: pcap and pcapng in all their variants, compressed, streamed, cut, snapped."""

from __future__ import annotations

import gzip
import io
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import zstandard

from analysis import packets
from testbed.core.errors import CaptureError, ConfigError, MissingPrerequisiteError

LAYERS = Path(__file__).parents[1] / "captures" / "layers.pcap"
pytestmark = pytest.mark.usefixtures("either_reader")
START_NS = 1_700_000_000_123_456_000


@dataclass(frozen=True)
class Packet:
    time_ns: int
    octets: bytes
    wire: int


def split(capture: bytes) -> list[Packet]:
    """The packets of a little-endian µs pcap file, by the plainest loop."""
    here, found = 24, []
    while here < len(capture):
        seconds, micros, kept, wire = struct.unpack_from("<IIII", capture, here)
        octets = capture[here + 16 : here + 16 + kept]
        found.append(Packet(seconds * 10**9 + micros * 1000, octets, wire))
        here += 16 + kept
    return found


def pcap(found: list[Packet], order: str = "<", nano: bool = False, link: int = 1) -> bytes:
    magic, tick = (0xA1B23C4D, 1) if nano else (0xA1B2C3D4, 1000)
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link)]
    for p in found:
        head = (p.time_ns // 10**9, p.time_ns % 10**9 // tick, len(p.octets), p.wire)
        parts += [struct.pack(order + "IIII", *head), p.octets]
    return b"".join(parts)


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, link: int = 1, options: bytes = b"", snap: int = 0) -> bytes:
    return block(order, 1, struct.pack(order + "HHI", link, 0, snap) + options)


def enhanced(order: str, ticks: int, p: Packet, number: int = 0) -> bytes:
    head = (number, ticks >> 32, ticks & 0xFFFFFFFF, len(p.octets), p.wire)
    comment = option(order, 1, b"a comment") + option(order, 0, b"")
    return block(order, 6, struct.pack(order + "IIIII", *head) + padded(p.octets) + comment)


def padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)


@pytest.fixture(scope="module")
def known() -> list[Packet]:
    return split(LAYERS.read_bytes())


@pytest.fixture(scope="module")
def plain(either_reader: None) -> pd.DataFrame:
    return packets.read(LAYERS)


def read(octets: bytes, **options: object) -> pd.DataFrame:
    return packets.read(io.BytesIO(octets), **options)  # type: ignore[arg-type]


def same(got: pd.DataFrame, want: pd.DataFrame, *but: str) -> None:
    columns = [name for name in want if name not in but]
    left, right = (frame[columns].astype(object).map(str) for frame in (got, want))
    pd.testing.assert_frame_equal(left, right)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_pcap_variants(known: list[Packet], plain: pd.DataFrame, order: str, nano: bool) -> None:
    exact = [Packet(p.time_ns + 789, p.octets, p.wire) for p in known]
    got = read(pcap(exact, order, nano))
    assert got.time_ns.tolist() == [p.time_ns + (789 if nano else 0) for p in known]
    same(got, plain, "time_ns")


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_several_interfaces(known: list[Packet], plain: pd.DataFrame, order: str) -> None:
    resolutions = [b"", option(order, 9, b"\x09"), option(order, 9, b"\x8a")]
    scale = [10**6, 10**9, 2**10]
    parts = [section(order)]
    for number, options in enumerate(resolutions):
        name = option(order, 2, f"r1-eth{number}".encode()) + options
        parts.append(interface(order, options=name + option(order, 0, b"")))
    for number, p in enumerate(known):
        ticks = p.time_ns * scale[number % 3] // 10**9
        parts.append(enhanced(order, ticks, p, number % 3))
        parts.append(block(order, 5, bytes(12)))  # statistics, passed over
    got = read(b"".join(parts))
    assert got.interface.tolist() == [f"r1-eth{n % 3}" for n in range(len(known))]
    for number in range(3):
        times = np.array([p.time_ns for p in known[number::3]])
        late = np.abs(got.time_ns[number::3].to_numpy() - times)
        assert late.max() <= 10**9 // scale[number]
    same(got, plain, "time_ns", "interface")


def test_pcapng_time_offset_and_binary_ticks() -> None:
    shift = option("<", 14, struct.pack("<q", 1_700_000_000)) + option("<", 9, b"\xa0")
    parts = [section("<"), interface("<", options=shift)]
    parts.append(enhanced("<", (5 << 32) + (1 << 31), Packet(0, bytes(20), 20)))
    assert read(b"".join(parts)).time_ns.tolist() == [1_700_000_005_500_000_000]


def test_pcapng_simple_and_old_packets(known: list[Packet]) -> None:
    p = known[3]
    simple = block("<", 3, struct.pack("<I", p.wire) + padded(p.octets[:100]))
    old = struct.pack(
        "<HHIIII",
        0,
        3,
        p.time_ns // 1000 >> 32,
        p.time_ns // 1000 & 0xFFFFFFFF,
        len(p.octets),
        p.wire,
    )
    parts = [section("<"), interface("<", snap=100), simple, block("<", 2, old + padded(p.octets))]
    got = read(b"".join(parts))
    assert got.captured_bytes.tolist() == [100, len(p.octets)]
    assert got.wire_bytes.tolist() == [p.wire, p.wire]
    assert got.time_ns.tolist() == [0, p.time_ns]
    assert got.tcp_seq.tolist() == [4_000_000_001] * 2


def test_pcapng_sections_of_both_byte_orders(known: list[Packet], plain: pd.DataFrame) -> None:
    parts = []
    for number, p in enumerate(known):
        order = "<>"[number % 2]
        parts += [section(order), interface(order), enhanced(order, p.time_ns // 1000, p)]
    same(read(b"".join(parts)), plain, "interface")


def test_pcapng_packet_of_an_undescribed_interface(known: list[Packet]) -> None:
    got = read(section("<") + interface("<") + enhanced("<", 0, known[0], 7))
    assert got.wire_bytes.tolist() == [known[0].wire]
    assert got.eth_src.isna().all()


def in_pieces(octets: bytes) -> bytes:
    return gzip.compress(octets[:999]) + gzip.compress(octets[999:])


@pytest.mark.parametrize("packing", ["gzip", "zstd", "gzip in pieces", "plain"])
def test_compressed_and_streamed(plain: pd.DataFrame, tmp_path: Path, packing: str) -> None:
    octets = LAYERS.read_bytes()
    packed = {
        "gzip": gzip.compress,
        "zstd": zstandard.ZstdCompressor().compress,
        "gzip in pieces": in_pieces,
        "plain": bytes,
    }[packing](octets)
    path = tmp_path / "capture"
    path.write_bytes(packed)
    same(packets.read(path), plain)
    same(read(packed), plain)
    with path.open("rb") as stream:
        same(packets.read(stream), plain)


def test_zstd_without_its_library_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "capture"
    path.write_bytes(zstandard.ZstdCompressor().compress(LAYERS.read_bytes()))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingPrerequisiteError, match=r"compressed by zstd.*: make extra-zstd"):
        packets.read(path)
    assert len(packets.read(LAYERS))


class Dribble(io.RawIOBase):
    """A stream without `peek` that gives a few bytes at a time, as a pipe does."""

    def __init__(self, octets: bytes) -> None:
        self.rest = io.BytesIO(octets)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self.rest.read(min(7, size) if size >= 0 else 7)


def test_stream_that_dribbles(plain: pd.DataFrame) -> None:
    same(packets.read(Dribble(LAYERS.read_bytes())), plain)  # type: ignore[arg-type]


def test_stream_in_small_pieces(plain: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.packets.feed.PIECE_BYTES", 100)
    same(read(LAYERS.read_bytes()), plain)


def test_cut_at_every_byte(known: list[Packet], plain: pd.DataFrame) -> None:
    octets = LAYERS.read_bytes()[:1500]
    ends = np.cumsum([24] + [16 + len(p.octets) for p in known])
    for size in [*range(24, 240), *ends[3:9], *(ends[3:9] - 1)]:
        got = read(octets[:size])
        whole = int(np.searchsorted(ends, size, side="right")) - 1
        assert len(got) == whole
        assert got.attrs["truncated_at"] == (None if size in ends else ends[whole])
    same(got, plain.iloc[:whole])


def test_cut_compressed_file_keeps_the_packets_before(plain: pd.DataFrame) -> None:
    packed = gzip.compress(LAYERS.read_bytes())
    with pytest.raises(CaptureError, match="packets before it") as caught:
        read(packed[: len(packed) // 2])
    assert 0 < len(caught.value.packets) < len(plain)
    same(caught.value.packets, plain.iloc[: len(caught.value.packets)])


def test_lying_record_length_keeps_the_packets_before(
    known: list[Packet], plain: pd.DataFrame
) -> None:
    before = pcap(known[:10])
    bad = before + struct.pack("<IIII", 1, 2, 0x7FFFFFFF, 60) + bytes(500)
    with pytest.raises(CaptureError, match=f"byte {len(before)}: .*2147483647") as caught:
        read(bad)
    assert caught.value.offset == len(before)
    same(caught.value.packets, plain.iloc[:10])


@pytest.mark.parametrize("length", [0, 4, 11, 0x7FFFFFFF])
def test_lying_block_length(known: list[Packet], length: int) -> None:
    before = section("<") + interface("<") + enhanced("<", 5, known[0])
    with pytest.raises(CaptureError, match=f"a block of {length} bytes") as caught:
        read(before + struct.pack("<II", 6, length) + bytes(100))
    assert (caught.value.offset, len(caught.value.packets)) == (len(before), 1)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello, world, this is no capture", "not pcap or pcapng"),
        (LAYERS.read_bytes()[:20], "the file header is cut off"),
        (b"\x1f\x8b\x08\x00", "ended before"),
    ],
)
def test_not_a_capture(octets: bytes, reason: str) -> None:
    with pytest.raises(CaptureError, match=reason) as caught:
        read(octets)
    assert len(caught.value.packets) == 0
    assert list(caught.value.packets) == [c for c in packets.COLUMNS if c != "payload"]


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.pcap: No such file"):
        packets.read(tmp_path / "none.pcap")
    with pytest.raises(ConfigError, match="directory"):
        packets.read(tmp_path)


def as_links(ip: bytes, version: int) -> dict[str, tuple[int, bytes]]:
    """An IP packet behind each link header: name → link type, frame."""
    kind = b"\x08\x00" if version == 4 else b"\x86\xdd"
    mac = b"\x02\0\0\0\0\x05"
    family = 2 if version == 4 else 30
    return {
        "cooked": (113, b"\0\0\0\x01\0\x06" + mac + b"\0\0" + kind + ip),
        "cooked2": (276, kind + b"\0\0\0\0\0\x05\0\x01\x04\x06" + mac + b"\0\0" + ip),
        "raw": (101, ip),
        "raw alias": (12, ip),
        "null": (0, struct.pack("<I", family) + ip),
        "null swapped": (0, struct.pack(">I", family) + ip),
        "loopback": (108, struct.pack(">I", family) + ip),
    }


@pytest.mark.parametrize("name", list(as_links(b"", 4)))
@pytest.mark.parametrize("row", [3, 26])
def test_link_types(known: list[Packet], plain: pd.DataFrame, name: str, row: int) -> None:
    version = int(plain.ip_version[row])
    link, frame = as_links(known[row].octets[14:], version)[name]
    got = read(pcap([Packet(START_NS, frame, len(frame))] * 3, link=link))
    deep = [c for c in packets.COLUMNS if c.startswith(("ip", "tcp_")) or c == "protocol"]
    for column in deep:
        if pd.isna(plain[column][row]):
            assert got[column].isna().all(), column
        else:
            assert got[column].tolist() == [plain[column][row]] * 3, column
    assert not got.malformed.any()
    if name.startswith("cooked"):
        assert got.eth_src.tolist() == ["02:00:00:00:00:05"] * 3


def test_unknown_link_type_gives_rows_without_layers(known: list[Packet]) -> None:
    got = read(pcap(known, link=250))
    assert got.attrs["links_not_decoded"] == [250]
    assert read(pcap(known)).attrs["links_not_decoded"] == []
    assert len(got) == len(known)
    assert (
        got.drop(columns=["frame", "time_ns", "wire_bytes", "captured_bytes", "malformed"])
        .isna()
        .all(axis=None)
    )


def test_snapped_packets_keep_what_was_captured(known: list[Packet], plain: pd.DataFrame) -> None:
    """Cut anywhere, a field is as in the whole packet or null; nothing becomes malformed."""
    for snap in [*range(0, 130, 7), 14, 34, 54, 66, 74]:
        cut = [Packet(p.time_ns, p.octets[:snap], p.wire) for p in known]
        got = read(pcap(cut))
        assert not got.malformed.any(), snap
        for name in got.columns.drop(["captured_bytes", "protocol"]):
            kept = got[name].notna()
            assert (got[name][kept].astype(str) == plain[name][kept].astype(str)).all(), name
    headers = read(pcap([Packet(p.time_ns, p.octets[:54], p.wire) for p in known[:9]]))
    assert headers.tcp_payload_bytes.tolist() == plain.tcp_payload_bytes[:9].tolist()


def records(rng: np.random.Generator, count: int, fake: bool) -> bytes:
    """Many packets; `fake` fills payloads with what looks like record headers."""
    lying = struct.pack("<IIII", 1_700_000_000, 5, 16, 16)
    parts = []
    for size in rng.choice([60, 66, 90, 1514], count).tolist():
        body = (lying * (size // 16 + 1))[:size] if fake else rng.bytes(size)
        parts.append(Packet(START_NS, body, size))
    return pcap(parts)


@pytest.mark.parametrize("fake", [False, True])
def test_many_records_in_many_pieces(fake: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.packets.feed.PIECE_BYTES", 1 << 20)
    octets = records(np.random.default_rng(1), 20_000, fake)
    got = read(octets, columns=["wire_bytes"])
    assert len(got) == 20_000
    assert got.wire_bytes.tolist() == [p.wire for p in split(octets)]


def test_pcapng_of_many_blocks(known: list[Packet]) -> None:
    many = known * 500
    octets = section("<") + interface("<")
    octets += b"".join(enhanced("<", p.time_ns // 1000, p) for p in many)
    got = read(octets)
    assert got.time_ns.tolist() == [p.time_ns for p in many]
    assert got.wire_bytes.tolist() == [p.wire for p in many]


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 8])
def test_batches_of_any_mix_give_the_same(
    plain: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """Which layer the majority of a batch has decides the way it is decoded."""
    monkeypatch.setattr("analysis.packets.reader.BATCH_PACKETS", batch)
    same(packets.read(LAYERS), plain)


def test_chunks_together_are_the_whole(
    plain: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.packets.reader.BATCH_PACKETS", 4)
    chunks = list(packets.read_chunks(LAYERS, chunk_packets=10))
    assert all(10 <= len(chunk) < 14 for chunk in chunks[:-1])
    assert len(chunks) == 4
    whole = pd.concat([chunk.astype(object) for chunk in chunks], ignore_index=True)
    same(whole, plain)


def test_chunks_before_damage_are_given(known: list[Packet]) -> None:
    bad = pcap(known[:10]) + struct.pack("<IIII", 1, 2, 0x7FFFFFFF, 60) + bytes(500)
    chunks = packets.read_chunks(io.BytesIO(bad))
    assert len(next(chunks)) == 10
    with pytest.raises(CaptureError):
        next(chunks)


def test_max_packets_bounds_memory(known: list[Packet]) -> None:
    with pytest.raises(CaptureError, match="more than max_packets=5"):
        read(pcap(known), max_packets=5)


def test_parquet_holds_the_same(plain: pd.DataFrame, tmp_path: Path) -> None:
    count = packets.to_parquet(LAYERS, tmp_path / "out.parquet", chunk_packets=7)
    table = pq.read_table(tmp_path / "out.parquet")
    assert count == table.num_rows == len(plain)
    same(table.to_pandas(), plain)


def test_payload_only_when_asked(known: list[Packet], plain: pd.DataFrame) -> None:
    assert "payload" not in plain
    got = packets.read(LAYERS, ["protocol", "payload"])
    assert got.payload[3] == b"x" * 700
    assert got.payload[10] == b"hello"
    assert got.payload[38].startswith(b"\2\1\0\x2c")
    assert pd.isna(got.payload[21])  # ARP has none
    assert got.payload[11] == b""


def test_a_block_that_ends_with_another_length_is_damage(known: list[Packet]) -> None:
    before = section("<") + interface("<") + enhanced("<", 5, known[0])
    lying = bytearray(enhanced("<", 6, known[1]))
    lying[-4] ^= 4
    with pytest.raises(CaptureError, match="bytes long at its start and") as caught:
        read(before + bytes(lying) + enhanced("<", 7, known[2]))
    assert (caught.value.offset, len(caught.value.packets)) == (len(before), 1)


def test_a_compressed_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "layers.pcap.gz"
    path.write_bytes(gzip.compress(LAYERS.read_bytes()))
    packets.read(path)
    opened = Path("/proc/self/fd").iterdir()
    assert not any(fd.is_symlink() and fd.readlink() == path for fd in opened)


def test_any_number_of_vlan_tags_leads_to_the_packet(known: list[Packet]) -> None:
    inner = bytes.fromhex("4500001400000000400000000a0000010a000002")
    tags = b"".join(bytes.fromhex("8100") + number.to_bytes(2, "big") for number in (7, 8, 9))
    octets = bytes(12) + tags + bytes.fromhex("0800") + inner
    (found,) = read(pcap([Packet(0, octets, len(octets))])).to_dict("records")
    assert (found["vlan_id"], found["vlan_inner_id"], found["eth_type"]) == (7, 8, 0x0800)
    assert (found["ip_src"], found["ip_dst"]) == ("10.0.0.1", "10.0.0.2")


def test_a_cut_destination_leaves_the_source() -> None:
    octets = bytes(12) + bytes.fromhex("86dd 6000000000003b40") + bytes(15) + b"\1" + bytes(7)
    (found,) = read(pcap([Packet(0, octets, 54)])).to_dict("records")
    assert found["ip_src"] == "::1" and pd.isna(found["ip_dst"])
