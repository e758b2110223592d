"""Hostile captures: never a crash, a hang or more memory than the file's size explains."""

from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis import packets, tcp
from testbed.core.errors import CaptureError
from tests.unit.raw_packets import SYN, ip, pcap

pytestmark = pytest.mark.usefixtures("compiled_reader")
LAYERS = (Path(__file__).parents[1] / "captures" / "layers.pcap").read_bytes()
FUZZ = Path(__file__).parents[1] / "fuzz" / "corpus"


def read(octets: bytes) -> pd.DataFrame:
    """What the reader makes of any bytes: packets, or an error that holds those before."""
    frame, said = attempt(octets)
    with patch("analysis.compiled.library", return_value=None):
        without, said_without = attempt(octets)
    assert said == said_without
    pd.testing.assert_frame_equal(frame, without)
    assert frame.frame.tolist() == list(range(1, len(frame) + 1))
    assert (frame.problem.notna() == frame.malformed).all()
    segments = tcp.analyse(frame)
    tcp.connections(frame, segments)
    tcp.states(segments)
    return frame


def attempt(octets: bytes) -> tuple[pd.DataFrame, str]:
    try:
        return packets.read(io.BytesIO(octets)), ""
    except CaptureError as error:
        assert error.offset >= 0
        if octets[:2] != b"\x1f\x8b":
            assert error.offset <= len(octets)
        return error.packets, str(error)


def frames() -> list[bytes]:
    here, found = 24, []
    while here < len(LAYERS):
        size = struct.unpack_from("<I", LAYERS, here + 8)[0]
        found.append(LAYERS[here + 16 : here + 16 + size])
        here += 16 + size
    return found


FRAMES = frames()


def capture(octets: list[bytes], wire: list[int] | None = None) -> bytes:
    parts = [LAYERS[:24]]
    for number, one in enumerate(octets):
        length = wire[number] if wire else len(one)
        parts += [struct.pack("<IIII", 1, number, len(one), length), one]
    return b"".join(parts)


edits = st.lists(st.tuples(st.integers(0, 1 << 12), st.integers(0, 255)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(edits)
def test_changed_bytes_anywhere(changes: list[tuple[int, int]]) -> None:
    octets = bytearray(LAYERS)
    for at, value in changes:
        octets[at % len(octets)] = value
    read(bytes(octets))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(FRAMES) - 1), edits, st.integers(0, 200), st.integers(-30, 30))
def test_changed_packets_always_have_rows(
    which: int, changes: list[tuple[int, int]], snap: int, longer: int
) -> None:
    """Only the packet is changed, so every packet has its row, the others as they were."""
    octets = bytearray(FRAMES[which])
    for at, value in changes:
        octets[at % len(octets)] = value
    changed = bytes(octets)[: max(snap, 1)]
    wire = max(0, len(octets) + longer)
    got = read(capture([FRAMES[3], changed, FRAMES[3]], [len(FRAMES[3]), wire, len(FRAMES[3])]))
    assert len(got) == 3
    assert got.tcp_payload_bytes[[0, 2]].tolist() == [700, 700]
    assert not got.malformed[[0, 2]].any()


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([0, 1, 12, 101, 108, 113, 147, 228, 276]))
def test_random_packets_of_any_link_type(octets: bytes, link: int) -> None:
    head = LAYERS[:20] + struct.pack("<I", link)
    assert len(read(head + capture([octets])[24:])) == 1


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=600))
def test_random_pcapng(octets: bytes) -> None:
    section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    read(section + octets)


def changed(which: int, *edits_: tuple[int, bytes]) -> pd.DataFrame:
    octets = bytearray(FRAMES[which])
    for at, value in edits_:
        octets[at : at + len(value)] = value
    return read(capture([bytes(octets)]))


@pytest.mark.parametrize(
    ("problem", "which", "edit"),
    [
        ("IP version", 2, (14, b"\x55")),
        ("IP header length", 2, (14, b"\x44")),
        ("IP length", 2, (16, b"\xff\xff")),
        ("IP length", 2, (16, b"\x00\x10")),
        ("TCP header length", 2, (46, b"\x40")),
        ("TCP header length", 2, (46, b"\xf0")),
        ("TCP option length", 0, (55, b"\x00")),
        ("TCP option length", 0, (55, b"\x29")),
        ("TCP header cut", 2, (16, b"\x00\x1e")),
        ("UDP length", 10, (38, b"\x00\x07")),
        ("UDP length", 10, (38, b"\xff\x00")),
        ("UDP header cut", 11, (16, b"\x00\x16")),
        ("ICMP header cut", 17, (16, b"\x00\x16")),
        ("IPv6 extension header", 34, (55, b"\xff")),
        ("IP version", 27, (14, b"\x40")),
    ],
)
def test_each_problem_is_named(problem: str, which: int, edit: tuple[int, bytes]) -> None:
    assert not read(capture([FRAMES[which]])).malformed.any()
    got = changed(which, edit)
    assert got.problem.tolist() == [problem]


def test_packet_longer_in_the_file_than_on_the_wire() -> None:
    got = read(capture([FRAMES[2]], [len(FRAMES[2]) - 1]))
    assert got.problem.tolist() == ["captured longer than wire"]


def test_options_that_loop_end() -> None:
    """A chain of 1-byte options, and one of length 0 (which must not loop forever)."""
    assert not changed(0, (54, b"\x01" * 20)).malformed.any()
    assert changed(0, (54, b"\x08\x00" * 10)).problem.tolist() == ["TCP option length"]


def test_endless_ipv6_extension_headers() -> None:
    ip = struct.pack(">IHBB", 0x60000000, 8 * 40, 60, 64) + bytes(32)
    packet = FRAMES[26][:12] + b"\x86\xdd" + ip + (b"\x3c" + bytes(7)) * 40
    assert read(capture([packet])).problem.tolist() == ["IPv6 extension header"]


def test_a_bomb_stops_at_max_packets() -> None:
    """Zeros are packets of no bytes: 16 bytes a packet, packed a thousandfold."""
    octets = gzip.compress(LAYERS[:24] + bytes(16 * 200_000))
    assert len(octets) < 10_000
    with pytest.raises(CaptureError, match="max_packets=100000") as caught:
        packets.read(io.BytesIO(octets), max_packets=100_000)
    assert len(caught.value.packets) < 150_000


def test_sections_without_end_take_linear_time() -> None:
    """Alternating byte orders make every block stop the walk; nothing may be walked twice."""
    parts = []
    for number in range(4000):
        order = "<>"[number % 2]
        parts.append(struct.pack(order + "IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28))
    assert len(read(b"".join(parts))) == 0


def test_times_of_centuries() -> None:
    head = struct.pack("<IIII", 0xFFFFFFFF, 0xFFFFFFFF, len(FRAMES[2]), len(FRAMES[2]))
    got = read(LAYERS[:24] + head + FRAMES[2] + struct.pack("<IIII", 0, 0, 0, 0))
    assert got.time_ns[0] > got.time_ns[1] == 0


@pytest.mark.parametrize("path", sorted(FUZZ.glob("*")), ids=lambda path: path.name[:12])
def test_fuzzers_finds(path: Path) -> None:
    """Inputs kept from coverage-guided fuzzing (tests/fuzz/fuzz_reader.py)."""
    read(path.read_bytes())


def test_a_file_of_nothing_but_sections_ends_soon(tmp_path):
    """Each of them is small, and each costs as much as a large one."""
    section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    interface = struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20)
    packet = struct.pack("<IIIIIII", 6, 32, 0, 0, 0, 0, 0) + struct.pack("<I", 32)
    path = tmp_path / "sections.pcapng"
    path.write_bytes((section + interface + packet) * 1500)
    with pytest.raises(CaptureError, match="more than 1024 sections") as error:
        packets.read(path)
    assert len(error.value.packets) == 1024


def test_a_window_scale_that_comes_first_is_the_one_that_was_sent() -> None:
    """The first segment with options begins with it: no number of four bytes ends there."""
    options = bytes([3, 3, 10, 1, 2, 4, 5, 180, 4, 2, 0, 7])
    header = struct.pack("!HHIIBBHHH", 1000, 80, 5, 0, (20 + len(options)) << 2, SYN, 1, 0, 0)
    table = read(pcap([ip(6, header + options)]))
    assert table["tcp_wscale"].tolist() == [10]
    assert table["tcp_mss"].tolist() == [1460]
