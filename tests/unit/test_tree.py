"""Packets as trees: every byte of a field is where the tree says, whatever the packet holds."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from analysis import packets, tree
from analysis.packets import RawPacket
from analysis.tree import Node
from analysis.tree.http2 import begins
from testbed.core.checksum import internet_checksum
from tests.unit import raw_packets

CAPTURES = Path(__file__).parents[1] / "captures"
APPLICATIONS, LAYERS = CAPTURES / "applications.pcap", CAPTURES / "layers.pcap"


def parse(data: bytes, link_type: int = 1) -> Node:
    return tree.of_packet(RawPacket(1, 0, len(data), link_type, "", data))


def found(root: Node, *names: str) -> Node:
    """The node that a path of names leads to."""
    for name in names:
        root = next(child for child in root.children if child.name == name)
    return root


def test_fields_have_names_values_and_bytes() -> None:
    raw = packets.read_raw(APPLICATIONS, 2)
    root = tree.of_packet(raw)
    assert [layer.name for layer in root.children] == ["Ethernet", "IPv4", "UDP", "DNS"]
    source = found(root, "IPv4", "source")
    assert (source.value, raw.data[source.start : source.start + 4]) == (
        "10.0.0.1",
        bytes([10, 0, 0, 1]),
    )
    answer = found(root, "DNS", "answer")
    assert answer.value == "www.example.org CNAME web.example.org"
    assert found(answer, "time to live").value == "60 s"


@pytest.mark.parametrize(
    "name",
    ["applications.pcap", "layers.pcap", "ospf.pcap", "ripng.pcap", "http2.pcapng", "quic.pcapng"],
)
def test_layers_follow_one_another_without_a_hole(name: str) -> None:
    for frame in range(1, len(packets.read(CAPTURES / name)) + 1):
        raw = packets.read_raw(CAPTURES / name, frame)
        at = 0
        for layer in tree.of_packet(raw).children:
            assert layer.start == at
            at += layer.length
        assert at == len(raw.data)


def test_frames_of_http_2_are_read_where_a_packet_begins_with_one() -> None:
    roots = [
        tree.of_packet(packets.read_raw(CAPTURES / "http2.pcapng", frame))
        for frame in range(1, len(packets.read(CAPTURES / "http2.pcapng")) + 1)
    ]
    layers = [found(root, "HTTP/2") for root in roots if root.children[-1].name == "HTTP/2"]
    said = [layer.value for layer in layers]
    assert said[:2] == ["preface, SETTINGS, WINDOW_UPDATE", "HEADERS on stream 1"]
    settings = found(layers[0], "frame")
    assert found(settings, "setting").value == "MAX_CONCURRENT_STREAMS = 100"
    assert found(settings, "length").value == "18 bytes"
    assert "DATA on stream 1" in said
    assert any("PRIORITY on stream 3" in one for one in said)
    assert found(layers[-1], "frame", "error").value == "0 (NO_ERROR)"


def test_headers_of_quic_are_read_as_far_as_they_are_open() -> None:
    file = CAPTURES / "quic.pcapng"
    seen: dict[str, Node] = {}
    for frame in range(1, len(packets.read(file)) + 1):
        layers = tree.of_packet(packets.read_raw(file, frame)).children
        for layer in layers:
            seen |= {n.value: n for n in layer.children if layer.name == "QUIC"}
    assert {"Initial", "Handshake", "1-RTT", "Retry", "Version Negotiation"} <= set(seen)
    initial = seen["Initial"]
    assert found(initial, "packet type").value == "0 (Initial)"
    assert found(initial, "version").value == "0x00000001"
    named = [node.name for node in initial.children]
    assert named.index("length of token") < named.index("length")
    assert named[-1] == "protected: packet number and frames"


@pytest.mark.parametrize("octets", [bytes(40), b"\xff" * 40, b"\0\0\5\4\0\0\0\0\1" + bytes(5)])
def test_other_bytes_are_not_http_2(octets: bytes) -> None:
    """Zeros would be DATA of no stream; SETTINGS are of the connection."""
    assert not begins(octets)


def test_a_header_checksum_is_right_or_wrong() -> None:
    data = bytearray(packets.read_raw(APPLICATIONS, 2).data)
    for said in ("right", "wrong"):
        assert said in str(found(parse(bytes(data)), "IPv4", "header checksum").value)
        data[22] ^= 1  # the time to live


def test_tunnels_and_quoted_packets_are_read() -> None:
    inner = packets.read_raw(APPLICATIONS, 1).data[14:]
    outer = bytearray(inner[:20])
    outer[2:4] = (20 + len(inner)).to_bytes(2, "big")
    outer[9] = 4  # IP in IP
    names = [layer.name for layer in parse(bytes(outer) + inner, 228).children]
    assert names == ["IPv4", "IPv4", "UDP", "DNS"]
    outer[9], error = 1, bytes([3, 3, 0, 0, 0, 0, 0, 0])
    outer[2:4] = (28 + len(inner)).to_bytes(2, "big")
    root = parse(bytes(outer) + error + inner, 228)
    assert [layer.name for layer in root.children] == ["IPv4", "ICMP", "IPv4", "UDP", "DNS"]
    assert found(root, "ICMP", "code").value == "3 (port unreachable)"


def test_a_tunnel_in_a_tunnel_ends_somewhere() -> None:
    head = bytearray(packets.read_raw(APPLICATIONS, 1).data[14:34])
    head[2:4], head[9] = (0).to_bytes(2, "big"), 4
    root = parse(bytes(head) * 1000, 228)
    assert len(root.children) <= tree.MOST_LAYERS + 1
    assert "layers" in root.problem


def test_what_is_cut_off_is_said() -> None:
    raw = packets.read_raw(APPLICATIONS, 2)
    root = tree.of_packet(RawPacket(2, 0, len(raw.data), 1, "", raw.data[:40]))
    assert "cut off" in found(root, "UDP").problem
    assert root.children[-1].name == "not captured"
    assert root.children[-1].value == f"{len(raw.data) - 40} bytes"


def test_a_link_type_that_is_not_decoded_is_data() -> None:
    root = parse(b"abc", 105)
    assert root.problem == "link type 105 is not decoded"
    assert found(root, "data").length == 3


def test_any_bytes_give_a_tree() -> None:
    chance = random.Random(7)
    samples = [
        packets.read_raw(name, frame)
        for name in (APPLICATIONS, LAYERS)
        for frame in range(1, len(packets.read(name)) + 1)
    ]
    for _ in range(4000):
        raw = chance.choice(samples)
        data = bytearray(raw.data)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.choice([0, 1, 4, 255, chance.randrange(256)])
        cut = bytes(data[: chance.randint(0, len(data))]) if chance.random() < 0.3 else bytes(data)
        for _, node in parse(cut).walk():
            assert 0 <= node.start <= node.start + node.length <= len(cut)
            assert node.value.isprintable()


def carrying(protocol: int, layer: bytes, place: int) -> bytes:
    """An IPv4 packet in Ethernet, with the right checksum at a place of its transport header."""
    addresses = bytes([10, 0, 0, 1, 10, 0, 0, 2])
    pseudo = addresses + len(layer).to_bytes(4, "big") + protocol.to_bytes(4, "big")
    right = internet_checksum(pseudo + layer).to_bytes(2, "big")
    filled = layer[:place] + right + layer[place + 2 :]
    return bytes(12) + b"\x08\x00" + raw_packets.ip(protocol, filled)


@pytest.mark.parametrize(("protocol", "name", "place"), [(6, "TCP", 16), (17, "UDP", 6)])
def test_a_checksum_over_addresses_and_data_is_judged(protocol: int, name: str, place: int) -> None:
    head = {
        6: struct.pack("!HHIIBBHHH", 1000, 2000, 7, 0, 0x50, 16, 100, 0, 0),
        17: struct.pack("!4H", 1000, 2000, 11, 0),
    }[protocol]
    good = carrying(protocol, head + b"abc", place)

    def said(data: bytes) -> str:
        return found(parse(data), name, "checksum").value[len("0x0000 ") :]

    assert said(good) == "(right)"
    assert said(good[:-1] + b"X") == "(wrong)"
    begin = 14 + 20 + place
    pseudo = bytes([10, 0, 0, 1, 10, 0, 0, 2, 0, protocol]) + (len(head) + 3).to_bytes(2, "big")
    partly = (0xFFFF - internet_checksum(pseudo)).to_bytes(2, "big")
    offloaded = good[:begin] + partly + good[begin + 2 :]
    assert "left to the network card" in said(offloaded)
    assert said(good[:-1]) == "(not checked: the packet is not whole)"
    fragment = good[:20] + b"\x20\x00" + good[22:]
    assert said(fragment) == "(not checked: a fragment)"
    if protocol == 17:
        assert said(good[:begin] + b"\0\0" + good[begin + 2 :]) == "(none)"
