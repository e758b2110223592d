"""Messages of applications and routing protocols in a few words."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest

from analysis import messages, packets
from analysis.filters.names import DISSECTORS
from tests.unit.raw_packets import ACK, FIN, ip, pcap, tcp

CAPTURES = Path(__file__).parents[1] / "captures"


def words(capture: bytes) -> list[str]:
    table = packets.read(io.BytesIO(capture), list(packets.COLUMNS))
    return [f"{protocol} {text}" for protocol, text in said(table).values()]


def said(table: object) -> dict[int, tuple[str, str]]:
    return messages.by_frame(messages.find(table))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "frame", "text"),
    [
        ("applications", 2, "DNS response A www.example.org → web.example.org, 192.0.2.7"),
        ("applications", 6, "DNS response A no.example.org NXDOMAIN"),
        ("applications", 11, "DHCP ACK 10.0.0.5 for 3600 s (client 02:00:00:00:00:01)"),
        ("applications", 12, "HTTP GET /index.html?a=1 (www.example.org)"),
        ("applications", 13, "HTTP 200 OK (text/html, 5 bytes)"),
        ("applications", 14, "TLS client hello, TLS 1.3, www.example.org, ALPN h2,http/1.1"),
        ("rip", 1, "RIP v2 request for the whole table"),
        ("ripng", 2, "RIPng v1 response, 7 routes"),
        ("ospf", 2, "OSPF v2 hello, router 192.168.0.3, area 0.0.0.0, neighbours 192.168.0.5"),
    ],
)
def test_a_message_reads_as_one(name: str, frame: int, text: str) -> None:
    table = packets.read(CAPTURES / f"{name}.pcap", list(packets.COLUMNS))
    assert " ".join(said(table)[frame]) == text


def test_who_joins_and_leaves_a_group() -> None:
    group = bytes([239, 1, 1, 1])
    head = bytes([0x22, 0, 0, 0, 0, 0, 0, 1])
    join, leave = (head + bytes([kind, 0, 0, 0]) + group for kind in (4, 3))
    old = bytes([0x16, 0, 0, 0]) + group
    query = bytes([0x11, 0, 0, 0, 0, 0, 0, 0])
    assert words(pcap(ip(2, body) for body in (join, leave, old, query, b"\x22"))) == [
        "IGMP v3 report joined 239.1.1.1",
        "IGMP v3 report left 239.1.1.1",
        "IGMP v2 report 239.1.1.1",
        "IGMP query",
        "IGMP message [malformed]",
    ]


def test_openflow_messages_of_one_segment() -> None:
    echo = struct.pack("!BBHI", 4, 2, 8, 1)
    segment = bytearray(tcp(0, ACK, 1, 1, echo * 5))
    segment[22:24] = (6653).to_bytes(2, "big")
    assert words(pcap([bytes(segment)])) == [
        "OpenFlow ECHO_REQUEST · ECHO_REQUEST · ECHO_REQUEST · 2 more"
    ]


def test_a_status_line_without_an_end_is_a_message_in_part() -> None:
    assert words(pcap([tcp(0, ACK | FIN, 1, 1, b"HTTP/1.1 200 OK")])) == ["HTTP message [cut]"]


def test_every_dissector_has_its_words() -> None:
    names = {name for name in DISSECTORS if name not in {"bootp", "openflow_v4"}}
    assert names <= messages.PROTOCOLS
