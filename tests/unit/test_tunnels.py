"""Packets that tunnels carry, as tables of their own."""

from __future__ import annotations

import io
import struct

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import packets
from analysis.packets import tunnels

UDP = bytes.fromhex("0007 0009 000a 0000") + b"hi"


def ip(proto: int, payload: bytes, last: int = 1) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, proto, 0)
    return head + bytes([10, 0, 0, last, 10, 0, 0, 9]) + payload


def ip6(proto: int, payload: bytes) -> bytes:
    head = struct.pack(">IHBB", 6 << 28, len(payload), proto, 64)
    return head + bytes(15) + b"\1" + bytes(15) + b"\2" + payload


def ethernet(kind: int, payload: bytes) -> bytes:
    return bytes(11) + b"\7" + kind.to_bytes(2, "big") + payload


def read(*frames: bytes) -> pd.DataFrame:
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for number, frame in enumerate(frames):
        parts += [struct.pack("<4I", number, 0, len(frame), len(frame)), frame]
    return packets.read(io.BytesIO(b"".join(parts)), packets.COLUMNS)


INSIDE = ip(17, UDP, last=5)
VXLAN = b"\x08\0\0\0\0\0\7\0" + ethernet(0x0800, INSIDE)
CARRIERS = {
    "IP in IP": ip(4, INSIDE),
    "GRE": ip(47, bytes.fromhex("00000800") + INSIDE),
    "GRE with key and number": ip(47, bytes.fromhex("30000800 00000001 00000002") + INSIDE),
    "Ethernet in GRE": ip(47, bytes.fromhex("00006558") + ethernet(0x0800, INSIDE)),
    "MPLS in GRE": ip(47, bytes.fromhex("00008847 00010140") + INSIDE),
    "VXLAN": ip(17, struct.pack(">4H", 1, 4789, 8 + len(VXLAN), 0) + VXLAN),
}


@pytest.mark.parametrize("name", list(CARRIERS))
def test_the_packet_inside(name: str) -> None:
    outer = read(ethernet(0x0800, INSIDE), ethernet(0x0800, CARRIERS[name]))
    (found,) = packets.inner(outer).to_dict("records")
    assert (found["frame"], found["ip_src"], found["udp_dport"]) == (2, "10.0.0.5", 9)
    assert (found["payload"], found["malformed"]) == (b"hi", False)
    both = outer.join(packets.inner(outer).add_prefix("inner_"))
    assert both["inner_ip_src"].isna().tolist() == [True, False]
    assert both["ip_src"].tolist() == ["10.0.0.5", "10.0.0.1"]


def test_mpls_labels_and_ipv6_in_ipv4_and_pppoe() -> None:
    labels = bytes.fromhex("00010040 00020140")
    session = bytes.fromhex("1100 0001 0020 0021")
    outer = read(
        ethernet(0x8847, labels + INSIDE),
        ethernet(0x0800, ip(41, ip6(17, UDP))),
        ethernet(0x8864, session + INSIDE),
    )
    found = packets.inner(outer)
    assert found["ip_src"].tolist() == ["10.0.0.5", "::1", "10.0.0.5"]
    assert found["frame"].tolist() == [1, 2, 3]


def test_tunnels_in_tunnels_are_opened_one_by_one() -> None:
    outer = read(ethernet(0x0800, ip(4, ip(47, bytes.fromhex("00000800") + INSIDE, last=2))))
    middle = packets.inner(outer)
    assert middle["ip_src"].tolist() == ["10.0.0.2"]
    assert packets.inner(middle)["ip_src"].tolist() == ["10.0.0.5"]
    assert packets.inner(packets.inner(middle)).empty


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(CARRIERS)), st.integers(0, 90), st.binary(max_size=6))
def test_any_bytes_are_read(name: str, at: int, octets: bytes) -> None:
    frame = bytearray(ethernet(0x0800, CARRIERS[name]))
    frame[14 + at % 70 : 14 + at % 70 + len(octets)] = octets
    outer = read(bytes(frame), bytes(frame[: 14 + at]))
    assert set(packets.inner(outer)["frame"]) <= {1, 2}
    assert list(packets.inner(outer)) == list(packets.COLUMNS)
    assert set(tunnels.COLUMNS) <= set(packets.inner(outer))
