"""QUIC and HTTP/3: against tshark's view of a stored capture, and against damage."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import messages, packets, tls
from analysis.dissect import http3, quic
from analysis.quic import frames, headers, protection, qpack
from analysis.quic.assembly import Assembly
from analysis.quic.connections import Connections, Datagram, Packet
from analysis.quic.headers import QuicReader
from analysis.tls import hello, key_log
from analysis.tls.reader import Cut

CAPTURES = Path(__file__).parents[1] / "captures"
FILE = CAPTURES / "quic.pcapng"

TYPES = {
    **{0: "PADDING", 1: "PING", 2: "ACK", 3: "ACK", 6: "CRYPTO", 7: "NEW_TOKEN", 0x10: "MAX_DATA"},
    **dict.fromkeys(range(8, 16), "STREAM"),
    **{0x11: "MAX_STREAM_DATA", 0x18: "NEW_CONNECTION_ID", 0x19: "RETIRE_CONNECTION_ID"},
    **{0x1A: "PATH_CHALLENGE", 0x1B: "PATH_RESPONSE", 0x1C: "CONNECTION_CLOSE"},
    **{0x1D: "CONNECTION_CLOSE", 0x1E: "HANDSHAKE_DONE"},
}
HTTP_TYPES = {0: "DATA", 1: "HEADERS", 4: "SETTINGS", 0xD: "MAX_PUSH_ID"}


@pytest.fixture(scope="module")
def closed() -> pd.DataFrame:
    return packets.read(FILE, [*quic.COLUMNS, "time_ns"])


@pytest.fixture(scope="module")
def opened(closed: pd.DataFrame) -> pd.DataFrame:
    table = closed.copy()
    tls.set_keys(table, [key_log.parse(closed.attrs["key_logs"][0], "capture")])
    return table


@pytest.fixture(scope="module")
def found(opened: pd.DataFrame) -> pd.DataFrame:
    return quic.read(opened)


@pytest.fixture(scope="module")
def tshark() -> pd.DataFrame:
    table = pd.read_csv(CAPTURES / "quic.tsv", sep="\t", dtype=str).fillna("")
    table = table.set_index(table["frame.number"].astype(int))
    return table[table["quic.dcid"] != ""]


def listed(text: str, base: int = 10) -> list[int]:
    return [int(word, base) for word in text.split(",") if word]


def test_packets_and_frames_are_those_of_tshark(found: pd.DataFrame, tshark: pd.DataFrame) -> None:
    assert len(tshark) > 200
    assert sorted(set(found["frame"])) == tshark.index.tolist()
    closed_to_it = closed_to_tshark(found)
    for frame, rows in found.groupby("frame"):
        wanted = tshark.loc[frame]
        each = rows.drop_duplicates(["packet", "number"])
        assert each["target_id"].tolist() == wanted["quic.dcid"].split(",")
        sources = [one for one in wanted["quic.scid"].split(",") if one]
        assert each["source_id"].dropna().tolist() == sources
        if frame in closed_to_it:
            continue
        assert each["number"].dropna().tolist() == listed(wanted["quic.packet_number"])
        types = [TYPES[number] for number in listed(wanted["quic.frame_type"])]
        assert [one for one in rows["type"] if one] == types
        streams = rows.loc[rows["type"] == "STREAM", "stream"].tolist()
        assert streams == listed(wanted["quic.stream.stream_id"])


def closed_to_tshark(found: pd.DataFrame) -> set[int]:
    """Version 4.0 finds no keys in connections behind Retry or Version Negotiation."""
    odd = found.loc[found["packet"].isin(["Retry", "Version Negotiation"]), "connection"]
    return set(found.loc[found["connection"].isin(odd), "frame"])


def test_everything_with_keys_opens(found: pd.DataFrame) -> None:
    unprotected = {"Retry", "Version Negotiation", "unknown"}
    assert set(found.loc[~found["opened"], "packet"]) == unprotected
    assert {"0-RTT", "1-RTT", "Handshake", "Initial"} <= set(found["packet"])
    assert set(found["key_phase"].dropna()) == {0, 1}
    assert not found["malformed"].any()


def test_connections_go_on_at_another_address(found: pd.DataFrame) -> None:
    moved = found[found["type"] == "PATH_CHALLENGE"]
    assert len(moved) >= 2
    for number in moved["connection"]:
        own = found[found["connection"] == number]
        assert own.loc[own["from_client"], "ip_src"].nunique() == 2


def test_without_keys_only_initial_packets_open(closed: pd.DataFrame) -> None:
    seen = quic.read(closed)
    assert set(seen.loc[seen["opened"], "packet"]) == {"Initial"}
    assert set(seen["server_name"].dropna()) == {"www.example.org"}
    assert set(seen["alpn"].dropna()) == {"h3"}


def test_without_the_library_headers_are_read(
    closed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.quic.connections.library_is_there", lambda: False)
    seen = quic.packets(closed)
    assert not seen["opened"].any()
    assert {"Initial", "Handshake", "1-RTT", "Retry", "Version Negotiation"} <= set(seen["packet"])
    assert set(seen.loc[seen["packet"] == "Version Negotiation", "versions"]) == {"1,2"}


def test_frames_of_http3_are_those_of_tshark(
    opened: pd.DataFrame, found: pd.DataFrame, tshark: pd.DataFrame
) -> None:
    rows = http3.read(opened)
    rows = rows[rows["type"].isin(["HEADERS", "SETTINGS", "MAX_PUSH_ID"])]
    early = set(found.loc[found["packet"] == "0-RTT", "frame"])  # it knows no ALPN yet
    seen = tshark["http3.frame_type"].drop(sorted(early | closed_to_tshark(found)))
    assert (seen != "").sum() > 20
    for frame, wanted in seen.items():
        types = [HTTP_TYPES[n] for n in listed(wanted) if HTTP_TYPES.get(n, "DATA") != "DATA"]
        assert sorted(rows.loc[rows["frame"] == frame, "type"]) == sorted(types), frame


def test_header_fields_are_decoded_with_their_table(opened: pd.DataFrame) -> None:
    rows = http3.read(opened)
    asked = rows[rows["from_client"] & (rows["type"] == "HEADERS")]
    assert {"/small0", "/small1", "/small2", "/large"} <= set(asked["target"])
    assert asked["headers"].notna().all()
    answers = rows[~rows["from_client"] & (rows["type"] == "HEADERS")]
    assert set(answers["status"]) == {"200"}
    assert (rows["kind"] == http3.ENCODER).any()
    settings = rows.loc[rows["type"] == "SETTINGS", "settings"]
    assert settings.str.contains("QPACK_MAX_TABLE_CAPACITY=4096").all()


def test_messages_say_what_a_packet_holds(opened: pd.DataFrame) -> None:
    table = packets.read(FILE, packets.COLUMNS)
    tls.set_keys(table, [tls.keys_of(opened) or key_log.KeyLog()])
    said = messages.find(table, frozenset({"quic", "http3"}))
    texts = "\n".join(said["text"])
    for part in (
        "Initial 0, version 1, ",
        "www.example.org, CRYPTO",
        "Version Negotiation, version 0x00000000, ",
        "offers 1, 2",
        "Retry, version 1, ",
        "7 × NEW_CONNECTION_ID",
        "GET /small0",
        "QPACK encoder stream",
    ):
        assert part in texts


# ---- parts


@pytest.mark.parametrize(
    ("octets", "value"),  # RFC 9000 §A.1
    [
        ("c2197c5eff14e88c", 151288809941952652),
        ("9d7f3e7d", 494878333),
        ("7bbd", 15293),
        ("25", 37),
    ],
)
def test_variable_length_integers(octets: str, value: int) -> None:
    assert QuicReader(bytes.fromhex(octets)).varint() == value


def test_a_cut_integer() -> None:
    with pytest.raises(Cut):
        QuicReader(b"\xc2\x19").varint()


def test_packet_numbers_are_completed() -> None:
    assert protection.whole_number(0x9B32, 16, 0xA82F30EA) == 0xA82F9B32  # RFC 9000 §A.3
    assert protection.whole_number(0, 8, -1) == 0
    assert protection.whole_number(2, 8, 254) == 258
    assert protection.whole_number(250, 8, 258) == 250


def test_initial_keys_of_the_rfc() -> None:
    client, server = protection.initial(bytes.fromhex("8394c8f03e515708"), 1)  # RFC 9001 §A.1
    assert client.iv.hex() == "fa044b2f42a3fd3b46fb255c"
    assert server.iv.hex() == "0ac1493ca1905853b0bba03e"


def test_pieces_are_put_together() -> None:
    stream = Assembly()
    assert stream.add(3, b"def") == b""
    assert stream.has_gap
    assert stream.add(0, b"abcd") == b"abcdef"
    assert stream.add(2, b"cdefgh") == b"gh"
    assert stream.add(0, b"abc") == b""
    assert not stream.has_gap


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ("3f", "no frame has the type 0x3f"),
        ("0600ff", "a frame goes over the packet's end"),
        ("0205000006", "an ACK of negative packet numbers"),
        ("02050080ffffff", "an ACK with 16777215 ranges"),
    ],
)
def test_frames_that_cannot_be_read(payload: str, problem: str) -> None:
    *_, last = frames.read(bytes.fromhex(payload))
    assert (last.type, last.about["problem"]) == (frames.MALFORMED, problem)


# ---- hostile


def test_negotiation_that_nobody_asked_for_is_no_quic() -> None:
    """A DNS query without flags looks like it."""
    query = b"\x80" + bytes(4) + bytes(20)
    assert headers.is_long(query)
    assert not list(Connections(None).packets(Datagram(1, ("a", 1), ("b", 53), query)))


def test_damaged_packets_end_in_rows(opened: pd.DataFrame) -> None:
    """Every payload with some octets changed, or its end cut off."""
    chance = random.Random(1)
    table = opened.iloc[:160].copy()
    tls.set_keys(table, [tls.keys_of(opened) or key_log.KeyLog()])

    def damaged(data: bytes) -> bytes:
        octets = bytearray(data)
        for _ in range(chance.randrange(3)):
            octets[chance.randrange(len(octets))] = chance.randrange(256)
        return bytes(octets[: chance.choice([len(octets), chance.randrange(len(octets) + 1)])])

    for _ in range(5):
        payloads = [damaged(x) if isinstance(x, bytes) and x else x for x in table["payload"]]
        changed = table.assign(payload=payloads)
        tls.set_keys(changed, [tls.keys_of(opened) or key_log.KeyLog()])
        quic.read(changed)
        quic.packets(changed)
        http3.read(changed)


def test_frames_of_random_octets_come_to_an_end() -> None:
    chance = random.Random(2)
    for _ in range(2000):
        for one in frames.read(chance.randbytes(chance.randrange(60))):
            quic.frame_words(one)


def test_ids_longer_than_allowed_are_no_quic() -> None:
    data = b"\xc0" + struct.pack("!IB", 1, 21) + bytes(1200)
    assert not headers.is_long(data)
    assert not list(headers.read(data, ()))


# ---- large and repeated


def streamed(pieces: list[bytes]) -> Iterator[dict[str, Any]]:
    """Frames of HTTP/3 on stream 0, a packet for each piece."""
    header = headers.Header(headers.ONE_RTT, None, b"", None, 0, 0, 0)
    streams: dict[tuple[int, bool, int], http3._Stream] = {}
    offset = 0
    for number, data in enumerate(pieces, start=1):
        about = {"stream": 0, "offset": offset, "data_bytes": len(data), "fin": False}
        frame = frames.Frame(frames.STREAM, about, data)
        datagram = Datagram(number, ("c", 1), ("s", 443), b"")
        packet = Packet(datagram, 0, False, header, 1, None, (frame,), None, ("h3",))
        yield from http3._frames(packet, streams)
        assert len(streams[0, False, 0].payload) <= 1 << 14
        offset += len(data)


HTTP3_FRAMES = (
    b"\x01\x03abc"  # HEADERS
    + b"\x40\x00\x80\x00\x10\x00"  # DATA, 4,096 bytes; type and size longer than need be
    + bytes(1 << 12)
    + b"\x00\x00"  # DATA, none
    + b"\x21\x02xy"  # reserved
    + b"\x01\x80\x00\x40\x01"  # HEADERS, 16,385 bytes: too many
    + bytes((1 << 14) + 1)
)


@pytest.mark.parametrize("size", [1, 7, 1200, 1 << 20])
def test_frames_in_pieces_of_any_size(size: int) -> None:
    pieces = [HTTP3_FRAMES[at : at + size] for at in range(0, len(HTTP3_FRAMES), size)]
    found = list(streamed(pieces))
    wanted = [
        ("HEADERS", 3, b"abc", 0, 5),
        ("DATA", 1 << 12, b"", 5, 11 + (1 << 12)),
        ("DATA", 0, b"", 11 + (1 << 12), 13 + (1 << 12)),
        ("0x21", 2, b"", 13 + (1 << 12), 17 + (1 << 12)),
        ("HEADERS", (1 << 14) + 1, b"", 17 + (1 << 12), len(HTTP3_FRAMES)),
    ]
    keys = ("type", "payload_bytes", "payload", "first_frame", "frame")
    assert [tuple(row[key] for key in keys) for row in found] == [
        (*about, begin // size + 1, (end - 1) // size + 1) for *about, begin, end in wanted
    ]


def test_a_long_body_costs_its_bytes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0

    class Counting(QuicReader):
        def __init__(self, data: bytes) -> None:
            nonlocal looked
            looked += len(data)
            super().__init__(data)

    monkeypatch.setattr(http3, "QuicReader", Counting)
    size = 1 << 20
    body = b"\x00" + (size | 0x80000000).to_bytes(4, "big") + bytes(size)
    (row,) = streamed([body[at : at + 1200] for at in range(0, len(body), 1200)])
    assert (row["payload_bytes"], row["payload"]) == (size, b"")
    assert looked <= 2 * len(body)


def test_pieces_in_reverse_order() -> None:
    stream, count = Assembly(), 50_000
    assert not any(stream.add(at, b"x") for at in range(count, 0, -1))
    assert stream.add(0, b"a") == b"a" + count * b"x"
    assert not stream.has_gap


def test_the_longest_known_id_is_taken() -> None:
    ids = {b"a", b"abc", b"abx"}
    (header,) = headers.read(b"\x40abcd" + bytes(30), ids)
    assert header.target == b"abc"
    (header,) = headers.read(b"\x40zbcd" + bytes(30), ids)
    assert header.target == b""


def test_a_repeated_hello_is_told_and_read_once(
    closed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = next(iter(quic._datagrams(closed)))
    (initial, *_) = Connections(None).packets(first)
    crypto = [one for one in initial.frames if one.type == frames.CRYPTO]
    monkeypatch.setattr("analysis.quic.frames.read", lambda payload: iter(100 * crypto))
    reads = []
    parse = hello.parse
    monkeypatch.setattr("analysis.tls.hello.parse", lambda m: reads.append(m) or parse(m))
    connections = Connections(None)
    packets_of_it = [*connections.packets(first), *connections.packets(first)]
    told = [packet for packet in packets_of_it if packet.hello is not None]
    assert len(packets_of_it) >= 2
    assert len(told) == len(reads) == 1


def test_lines_of_a_header_block() -> None:
    assert qpack.lines(bytes.fromhex("0000510b2f696e6465782e68746d6c")) == 1  # RFC 9204 §B.1
    assert qpack.lines(bytes.fromhex("03811011")) == 2  # §B.2
    assert qpack.lines(bytes.fromhex("050080c181")) == 3  # §B.4
    for damaged in ("", "00", "00005105", "0000ff" + 20 * "ff"):
        with pytest.raises(Cut):
            qpack.lines(bytes.fromhex(damaged))


def test_small_blocks_do_not_become_large_headers() -> None:
    pylsqpack = pytest.importorskip("pylsqpack")
    encoder = pylsqpack.Encoder()
    taught = encoder.apply_settings(1 << 16, 16)
    value = (1 << 15) * b"v"
    for stream in range(3):  # until the field is in the table
        more, block = encoder.encode(stream, [(b"x", value)])
        taught += more
    assert len(block) < 10
    prefix, line = block[:2], block[2:]
    found: list[int] = []

    def tell(fields: qpack.Fields) -> None:
        found.append(sum(len(name) + len(text) for name, text in fields))

    room = qpack.Room()
    decoder = qpack.Qpack(room)
    decoder.allow(1 << 16)
    decoder.learn(taught)
    decoder.read(3, prefix + 257 * line, tell)
    assert found == []
    for stream in range(4, 40):
        decoder.read(stream, prefix + 200 * line, tell)
    assert set(found) == {200 * (1 + len(value))}
    assert sum(found) < (1 << 26) + found[0]
    assert room.left <= 0
