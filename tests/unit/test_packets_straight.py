"""Compiled code decodes usual TCP packets, and walks records: that must change no value."""

from __future__ import annotations

import ctypes
import io
import re
import shutil
import struct
from pathlib import Path
from random import Random
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis import compiled, packets
from analysis.packets import straight
from analysis.packets import walk as walk_module
from analysis.packets.pcap import Pcap
from analysis.packets.pcapng import _rule as block_rule
from analysis.packets.walk import RecordRule, Walked, walk
from testbed.core.errors import MissingPrerequisiteError

pytestmark = pytest.mark.usefixtures("compiled_reader")

LAYERS = (Path(__file__).parents[1] / "captures" / "layers.pcap").read_bytes()
COLUMNS = [*packets.COLUMNS]
OPTIONS = (
    b"",
    b"\1\1\x08\x0a\0\0\0\7\0\0\0\x09",
    b"\2\4\5\xb4\4\2\x08\x0a\0\0\0\1\0\0\0\0\1\3\3\7",
    b"\1\1\5\x0a\0\0\0\1\0\0\0\2",
    b"\1\1\x08\x0a\0\0\0\7\0\0\0\x09\1\1\5\x12" + bytes(16),
    b"\x08\x09" + bytes(10),
    b"\x1e\x04\0\0",
    b"\0\0\0\0",
    b"\1\1\x08\x0a\0\0\0\7\0\0\0\x08\5\x03\1\0",
)
"""Options as segments have them, and some that contradict themselves."""


def others_known() -> list[bytes]:
    """Frames of all the protocols there are."""
    here, found = 24, []
    while here < len(LAYERS):
        size = struct.unpack_from("<I", LAYERS, here + 8)[0]
        found.append(LAYERS[here + 16 : here + 16 + size])
        here += 16 + size
    return found


KNOWN = others_known()


def pcap(frames: list[tuple[bytes, int]]) -> bytes:
    """A capture of frames with their lengths on the wire."""
    parts = [LAYERS[:24]]
    for number, (octets, wire) in enumerate(frames):
        parts += [struct.pack("<IIII", 1, number, len(octets), wire), octets]
    return b"".join(parts)


def segment(flow: int, options: bytes, size: int) -> bytes:
    """An Ethernet frame with a TCP segment of one of some flows."""
    tcp = struct.pack(
        ">HHIIBBHHH", 1024 + flow, 80, 7 + size, 9, (20 + len(options)) << 2, 0x18, 501, 0, flow % 3
    )
    total = 40 + len(options) + size
    ip = struct.pack(
        ">BBHHHBBHII",
        0x45,
        flow & 255,
        total,
        flow,
        0x4000,
        64,
        6,
        0,
        0x0A000001,
        0x0A000100 + flow,
    )
    words = sum(struct.unpack(">10H", ip))
    words = (words & 0xFFFF) + (words >> 16)
    right = ~((words & 0xFFFF) + (words >> 16)) & 0xFFFF
    ip = ip[:10] + struct.pack(">H", right) + ip[12:]
    macs = b"\2\0\0\0\0" + bytes([flow & 255]) + b"\2\0\0\0\1\1"
    return macs + b"\x08\0" + ip + tcp + options + bytes(size)


def compare_both_ways(octets: bytes, columns: list[str]) -> None:
    """Reads a capture with and without compiled code; categories' order must be the same, too."""
    got = packets.read(io.BytesIO(octets), columns)
    with patch("analysis.compiled.library", return_value=None):
        want = packets.read(io.BytesIO(octets), columns)
    pd.testing.assert_frame_equal(got, want)


usual = st.builds(segment, st.integers(0, 5), st.sampled_from(OPTIONS), st.integers(0, 40))
change = st.tuples(st.integers(0, 80), st.integers(0, 255))
cut = st.one_of(st.none(), st.integers(0, 90))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(usual, min_size=3, max_size=12),
    st.lists(st.tuples(usual, st.lists(change, max_size=3), cut, st.integers(-9, 9)), max_size=9),
    st.lists(st.integers(0, len(KNOWN) - 1), max_size=3),
    st.randoms(use_true_random=False),
    st.one_of(st.just(COLUMNS), st.lists(st.sampled_from(COLUMNS), min_size=1)),
)
def test_straight_is_as_the_layers_say(
    plain: list[bytes],
    changed: list[tuple[bytes, list[tuple[int, int]], int | None, int]],
    others: list[int],
    random: Random,
    columns: list[str],
) -> None:
    """Usual packets among changed, cut and lying ones, and ones of other protocols and tags."""
    found = [(octets, len(octets)) for octets in plain]
    for octets, edits, snap, longer in changed:
        now = bytearray(octets)
        for at, value in edits:
            now[at % len(now)] = value
        found.append((bytes(now)[:snap], max(0, len(octets) + longer)))
    found += [(KNOWN[number], len(KNOWN[number])) for number in others]
    random.shuffle(found)
    compare_both_ways(pcap(found), columns)


def test_the_straight_way_is_taken() -> None:
    """Else the test above would compare a thing with itself."""
    frames = [segment(number, OPTIONS[1], 10) for number in range(8)]
    octets = pcap([(frame, len(frame)) for frame in frames])
    with patch("analysis.packets.network.decode", side_effect=AssertionError):
        assert packets.read(io.BytesIO(octets)).tcp_tsval.tolist() == [7] * 8


@pytest.mark.parametrize("count", [100, 200, 40_000])
def test_many_addresses(count: int) -> None:
    """More than one byte, or two, can number; more than the table of pairs holds."""
    number = np.arange(count)
    one = np.frombuffer(segment(0, b"", 0), np.uint8)
    frames = np.tile(one, (count, 1))  # the checksum of one of them is right
    frames[:, 27:30] = (number[:, None] >> [16, 8, 0]) & 255
    frames[:, 3:6] = frames[:, 9:12] = frames[:, 27:30]
    got = packets.read(io.BytesIO(pcap([(f.tobytes(), len(one)) for f in frames])))
    want = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(count)]
    assert got.ip_src.astype(str).tolist() == want
    tails = [f"{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}" for n in range(count)]
    assert got.eth_dst.astype(str).tolist() == [f"02:00:00:{tail}" for tail in tails]
    assert got.eth_src.astype(str).tolist() == [f"02:00:00:{tail}" for tail in tails]
    assert got.ip_dst.astype(str).eq("10.0.1.0").all()
    assert int(got.ip_checksum_ok.sum()) == 1


RULES = {
    "pcap": Pcap("<", 1, 0, 1).rule,
    "pcap, big-endian": Pcap(">", 1, 0, 1).rule,
    "pcapng": block_rule("<"),
    "pcapng, big-endian": block_rule(">"),
}


def records(rule: RecordRule, sizes: list[int]) -> bytes:
    """Records of so many bytes behind what each has at least."""
    order, parts = "<>"[rule.endian == ">"], []
    for number, size in enumerate(sizes):
        octets = bytearray(number + i & 255 for i in range(rule.overhead_bytes + rule.min_length))
        struct.pack_into(order + "I", octets, rule.length_at, rule.min_length + size)
        parts.append(bytes(octets) + bytes(range(size)))
    return b"".join(parts)


def compare_walks(octets: bytes, start: int, rule: RecordRule, most: int) -> Walked:
    data = np.frombuffer(octets, np.uint8)
    got = walk(data, start, rule, most)
    with patch("analysis.compiled.library", return_value=None):
        want = walk(data, start, rule, most)
    assert got.offsets.tolist() == want.offsets.tolist()
    assert got.words.tolist() == want.words.tolist()
    assert (got.next_offset, got.bad_length) == (want.next_offset, want.bad_length)
    return got


@pytest.mark.parametrize("name", RULES)
def test_walks_end_at_every_byte(name: str) -> None:
    """Cut anywhere, and asked for any number of records."""
    rule, sizes = RULES[name], [0, 1, 3, 40, 7]
    octets = records(rule, sizes)
    ends = np.cumsum([rule.overhead_bytes + rule.min_length + size for size in sizes])
    for size in range(len(octets) + 1):
        walked = compare_walks(octets[:size], 0, rule, 9)
        assert len(walked.offsets) == int(np.searchsorted(ends, size, side="right"))
    for most in range(7):
        assert len(compare_walks(octets, 0, rule, most).offsets) == min(most, 5)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(list(RULES)),
    st.lists(st.integers(0, 50), max_size=12),
    st.lists(st.tuples(st.integers(0, 900), st.binary(max_size=5)), max_size=4),
    st.integers(0, 9),
)
def test_walks_agree_on_lies(
    name: str, sizes: list[int], edits: list[tuple[int, bytes]], start: int
) -> None:
    rule = RULES[name]
    octets = bytearray(bytes(start) + records(rule, sizes))
    for at, value in edits:
        octets[at : at + len(value)] = value
    compare_walks(bytes(octets), min(start, len(octets)), rule, 8)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("length", [0, 11, 1 << 27, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_walks_stop_at_a_lie(name: str, length: int) -> None:
    rule = RULES[name]
    octets = bytearray(records(rule, [5, 5, 5]))
    second = len(octets) // 3
    struct.pack_into(rule.endian + "I", octets, second + rule.length_at, length)
    walked = compare_walks(bytes(octets), 0, rule, 9)
    if not rule.min_length <= length <= rule.max_length:
        assert (walked.next_offset, walked.bad_length) == (second, length)


# ---- the library itself


def structs() -> dict[str, list[tuple[str, str]]]:
    """The structs of straight.c: name → (type, member)."""
    text = re.sub(r"/\*.*?\*/", "", (compiled.FOLDER / "straight.c").read_text(), flags=re.S)
    found = {}
    for name, body in re.findall(r"^struct (\w+) \{(.*?)^\};", text, re.S | re.M):
        found[name] = [
            (kind, member.strip(" *()").removesuffix(")[40]"))
            for kind, members in re.findall(r"(?:const )?(\w+) ([^;]+);", body)
            for member in members.split(",")
        ]
    return found


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("rule", walk_module._Rule),
        ("end", walk_module._End),
        ("packets", straight._Packets),
        ("pairs", straight._Pairs),
        ("columns", straight._Columns),
        ("options", straight._Options),
    ],
)
def test_structs_are_the_same_in_both_languages(name: str, ours: type[ctypes.Structure]) -> None:
    assert [member for _, member in structs()[name]] == [member for member, *_ in ours._fields_]


def test_columns_have_the_types_that_compiled_code_writes() -> None:
    types = {"bool": "boolean"} | {
        f"{kind}_t": kind for kind in ("uint8", "uint16", "uint32", "int32")
    }
    written = [(kind, name) for kind, name in structs()["columns"] if name in straight._WRITTEN]
    assert len(written) == len(straight._WRITTEN)
    for kind, name in written:
        assert packets.COLUMNS[name].dtype.lower() == types[kind], name


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder with a copy of the library and its source."""
    for path in compiled.FOLDER.glob("*straight*"):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_a_library_of_another_source_is_refused(built: Path) -> None:
    assert compiled.load(built)
    with (built / "straight.c").open("a") as source:
        source.write("/* newer */\n")
    with pytest.raises(MissingPrerequisiteError, match=r"another source.*pip install -e \."):
        compiled.load(built)


def test_a_library_without_its_source_is_refused(built: Path) -> None:
    (built / "straight.c").unlink()
    with pytest.raises(MissingPrerequisiteError, match=r"pip install -e \."):
        compiled.load(built)


def test_what_is_no_library_is_refused(built: Path) -> None:
    (library,) = built.glob("_straight*")
    library.unlink()
    with pytest.raises(MissingPrerequisiteError, match=r"is missing; .*pip install -e \."):
        compiled.load(built)
    library.write_bytes(bytes(100))
    with pytest.raises(MissingPrerequisiteError, match=r"invalid ELF header|file too short"):
        compiled.load(built)
