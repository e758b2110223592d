"""IPv4 headers and IGMP reports, from bytes made by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from analysis.dissect import igmp, ipv4, udp
from testbed.core.errors import ParseError
from testbed.programs import raw_udp

ETHERNET = bytes(12) + b"\x08\x00"
PLAIN = bytes.fromhex("45000054 43ee4000 4001dfa5 0a00010b 0a00020b")
ROUTE = bytes.fromhex("01 07 0b 0c 0a000101 0a000102")  # padding, then two addresses


def test_every_field_has_its_bits() -> None:
    fields = ipv4.fields(ETHERNET + PLAIN)
    values = {f.name: f.value for f in fields}
    assert sum(f.bits for f in fields) == 160
    assert values["total length"] == "84"
    assert values["identification"] == "0x43ee"
    assert (values["DF"], values["MF"], values["fragment offset"]) == ("1", "0", "0")
    assert (values["time to live"], values["header checksum"]) == ("64", "0xdfa5")
    assert (values["source address"], values["destination address"]) == ("10.0.1.11", "10.0.2.11")


def test_options_are_words_and_a_route_is_read() -> None:
    frame = ETHERNET + bytes([0x48]) + PLAIN[1:] + ROUTE
    assert next(f.value for f in ipv4.fields(frame) if f.name == "options") == "01 07 0b 0c"
    assert ipv4.recorded_route(frame) == ["10.0.1.1", "10.0.1.2"]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        ETHERNET,
        ETHERNET + PLAIN[:19],
        ETHERNET + b"\x60" + PLAIN[1:],
        ETHERNET + b"\x4f" + PLAIN[1:],
    ],
)
def test_what_is_no_whole_header_has_no_fields(frame: bytes) -> None:
    assert ipv4.fields(frame) == []
    assert ipv4.recorded_route(frame) == []


def test_frames_by_number(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    records = b"".join(struct.pack("<IIII", 0, 0, len(d), len(d)) + d for d in (b"one", b"three"))
    path.write_bytes(b"\x4d\x3c\xb2\xa1" + bytes(20) + records)
    assert ipv4.frames(path, [2, 9]) == {2: b"three"}
    path.write_bytes(b"no capture")
    with pytest.raises(ParseError, match=r"x\.pcap"):
        ipv4.frames(path, [1])


def test_igmp_reports_name_their_group() -> None:
    join = bytes.fromhex("2200 0000 00000001 04000000 ef010203")
    assert igmp.record(join) == (igmp.JOINED, "239.1.2.3")
    assert igmp.record(join[:15]) == (0, "")
    assert igmp.record(b"\x11" + join[1:]) == (0, "")


# ---- UDP

QUERY = bytes.fromhex("e5f30035 000fb19d") + b"abcdefg"
"""Ports 58867 and 53, 7 bytes of data; from 10.0.1.11 to 10.0.2.11."""


def ip(payload: bytes, *, cut: int = 0) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, cut, 64, 17, 0)
    return ETHERNET + head + bytes([10, 0, 1, 11, 10, 0, 2, 11]) + payload


def ip6(payload: bytes) -> bytes:
    head = struct.pack("!IHBB", 6 << 28, len(payload), 17, 64)
    return bytes(12) + b"\x86\xdd" + head + bytes(15) + b"\1" + bytes(15) + b"\2" + payload


def test_checksums_cover_the_pseudo_header() -> None:
    total = raw_udp.checksum("10.0.1.11", "10.0.2.11", 15, QUERY[:6] + b"\0\0" + QUERY[8:])
    found = udp.datagram(ip(QUERY))
    assert found is not None
    assert (found.sport, found.dport, found.length_bytes, found.data) == (58867, 53, 15, b"abcdefg")
    assert found.computed == total != udp.internet_checksum(QUERY[:6] + b"\0\0" + QUERY[8:])
    again = udp.datagram(ip(QUERY[:6] + struct.pack("!H", total) + QUERY[8:]))
    assert again is not None and again.checksum == again.computed


def test_checksums_of_ipv6_and_behind_the_length() -> None:
    found = udp.datagram(ip6(QUERY))
    assert found is not None
    assert found.computed == raw_udp.checksum("::1", "::2", 15, QUERY[:6] + b"\0\0" + QUERY[8:])
    surplus = udp.datagram(ip(QUERY + b"surplus"))
    assert surplus is not None and surplus.computed == udp.datagram(ip(QUERY)).computed  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "frame",
    [b"", ETHERNET, ip(QUERY)[:33], ip(QUERY[:7]), ip(QUERY, cut=0x2000), ip(QUERY, cut=1)],
)
def test_frames_without_a_whole_datagram(frame: bytes) -> None:
    assert udp.datagram(frame) is None
    assert udp.row(frame) == {}
