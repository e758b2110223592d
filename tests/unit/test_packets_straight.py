"""Batches of mostly usual TCP packets are decoded at once: that must change no value."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from random import Random
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis import packets
from testbed.errors import CaptureError

LAYERS = (Path(__file__).parents[1] / "captures" / "layers.pcap").read_bytes()
COLUMNS = [*packets.COLUMNS]
OPTIONS = (
    b"", b"\1\1\x08\x0a\0\0\0\7\0\0\0\x09", b"\2\4\5\xb4\4\2\x08\x0a\0\0\0\1\0\0\0\0\1\3\3\7",
    b"\1\1\5\x0a\0\0\0\1\0\0\0\2", b"\1\1\x08\x0a\0\0\0\7\0\0\0\x09\1\1\5\x12" + bytes(16),
    b"\x08\x09" + bytes(10), b"\x1e\x04\0\0", b"\0\0\0\0",
    b"\1\1\x08\x0a\0\0\0\7\0\0\0\x08\5\x03\1\0",
)  # fmt: skip
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
    tcp = struct.pack(">HHIIBBHHH", 1024 + flow, 80, 7 + size, 9, (20 + len(options)) << 2, 0x18,
                      501, 0, flow % 3)  # fmt: skip
    total = 40 + len(options) + size
    ip = struct.pack(">BBHHHBBHII", 0x45, flow & 255, total, flow, 0x4000, 64, 6, 0, 0x0A000001,
                     0x0A000100 + flow)  # fmt: skip
    words = sum(struct.unpack(">10H", ip))
    words = (words & 0xFFFF) + (words >> 16)
    right = ~((words & 0xFFFF) + (words >> 16)) & 0xFFFF
    ip = ip[:10] + struct.pack(">H", right) + ip[12:]
    macs = b"\2\0\0\0\0" + bytes([flow & 255]) + b"\2\0\0\0\1\1"
    return macs + b"\x08\0" + ip + tcp + options + bytes(size)


def both_ways(octets: bytes) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A capture decoded with and without the straight way."""
    found = []
    for share in (0.5, 2):
        with patch("analysis.packets.straight._LEAST_SHARE", share):
            try:
                found.append(packets.read(io.BytesIO(octets), COLUMNS))
            except CaptureError as error:
                found.append(error.packets)
    return found[0], found[1]


usual = st.builds(segment, st.integers(0, 5), st.sampled_from(OPTIONS), st.integers(0, 40))
change = st.tuples(st.integers(0, 80), st.integers(0, 255))
cut = st.one_of(st.none(), st.integers(0, 90))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(usual, min_size=3, max_size=12),
    st.lists(st.tuples(usual, st.lists(change, max_size=3), cut, st.integers(-9, 9)), max_size=9),
    st.lists(st.integers(0, len(KNOWN) - 1), max_size=3),
    st.randoms(use_true_random=False),
)
def test_straight_is_as_the_layers_say(
    plain: list[bytes],
    changed: list[tuple[bytes, list[tuple[int, int]], int | None, int]],
    others: list[int],
    random: Random,
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
    straight, layers = (frame.astype(object).map(str) for frame in both_ways(pcap(found)))
    pd.testing.assert_frame_equal(straight, layers)


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
    frames = np.tile(one, (count, 1))
    frames[:, 27:30] = (number[:, None] >> [16, 8, 0]) & 255
    frames[:, 3:6] = frames[:, 9:12] = frames[:, 27:30]
    got = packets.read(io.BytesIO(pcap([(f.tobytes(), len(one)) for f in frames])))
    want = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(count)]
    assert got.ip_src.astype(str).tolist() == want
    tails = [f"{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}" for n in range(count)]
    assert got.eth_dst.astype(str).tolist() == [f"02:00:00:{tail}" for tail in tails]
    assert got.eth_src.astype(str).tolist() == [f"02:00:00:{tail}" for tail in tails]
    assert got.ip_dst.astype(str).eq("10.0.1.0").all()
