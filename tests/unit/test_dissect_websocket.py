"""WebSocket frames: headers, messages, compression, holes, and what endpoints refuse."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import packets
from analysis.dissect import websocket, websocket_frames
from tests.unit.segments import FIN, talk

CAPTURES = Path(__file__).parents[1] / "captures"
KEY = bytes([0x37, 0xFA, 0x21, 0x3D])
ASK = (
    b"GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
)
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"


def frame(
    opcode: int, payload: bytes = b"", *, fin: int = 1, key: bytes = b"", rsv: int = 0
) -> bytes:
    """One frame with a length in its shortest form."""
    size, more = len(payload), b""
    if size >= 1 << 16:
        size, more = 127, struct.pack(">Q", size)
    elif size > 125:
        size, more = 126, struct.pack(">H", size)
    head = bytes([fin << 7 | rsv << 4 | opcode, bool(key) << 7 | size]) + more + key
    return head + (websocket_frames.unmask(payload, key) if key else payload)


def read(table: pd.DataFrame, **options: Any) -> list[dict[str, Any]]:
    found = websocket.read(table, **options)
    return found.astype(object).where(found.notna(), None).to_dict("records")


def upgraded(*said: tuple[int, bytes], more: bytes = b"") -> list[dict[str, Any]]:
    """Frames of a connection with its handshake in packets 3 and 4, the rest from packet 5 on."""
    return read(talk((0, ASK), (1, SWITCH + more + b"\r\n"), *said))


def test_the_examples_of_the_standard() -> None:
    """RFC 6455 §5.7."""
    sent = bytes.fromhex("818537fa213d7f9f4d5158" + "010348656c" + "80026c6f" + "890548656c6c6f")
    answered = bytes.fromhex("8a8537fa213d7f9f4d5158")
    long = [frame(2, bytes(256)), frame(2, bytes(65536))]
    assert [one[:4].hex() for one in long] == ["827e0100", "827f0000"]
    rows = upgraded((0, sent[:11]), (1, sent[11:]), (0, answered), (1, long[0]), (1, long[1]))
    seen = [(r["frame"], r["side"], r["type"], r["fin"], r["masked"], r["text"]) for r in rows]
    assert seen == [
        (5, "client", "text", True, True, "Hello"),
        (6, "server", "text", False, False, "Hel"),
        (6, "server", "continuation", True, False, "lo"),
        (6, "server", "ping", True, False, None),
        (7, "client", "pong", True, True, None),
        (8, "server", "binary", True, False, None),
        (9, "server", "binary", True, False, None),
    ]
    assert [(r["header_bytes"], r["payload_bytes"]) for r in rows[-2:]] == [(4, 256), (10, 65536)]
    assert [(r["message"], r["message_type"]) for r in rows[1:4]] == [
        (1, "text"),
        (1, "text"),
        (0, None),
    ]
    assert rows[0]["masking_key"] == KEY.hex() and rows[4]["data"] == b"Hello"
    assert not any(r["malformed"] or r["cut"] or not r["complete"] for r in rows)


def test_a_frame_in_the_packet_of_the_handshake_and_one_over_many() -> None:
    long = frame(1, b"abc" * 50)
    pieces = [(1, long[at : at + 20]) for at in range(0, len(long), 20)]
    answer = SWITCH + b"\r\n" + frame(1, b"welcome")
    rows = read(talk((0, ASK), (1, answer), *pieces))
    assert [(r["first_frame"], r["frame"], r["text"]) for r in rows] == [
        (4, 4, "welcome"),
        (5, 4 + len(pieces), "abc" * 50),
    ]


def test_closing() -> None:
    rows = upgraded(
        (0, frame(8, b"\3\xe8bye", key=KEY)), (1, frame(8)), (1, frame(1, b"late")), (1, b"\x88\1x")
    )
    assert [(r["close_code"], r["text"]) for r in rows[:1]] == [(1000, "bye")]
    assert rows[1]["close_code"] is None
    assert [r["problem"] for r in rows] == [
        None,
        None,
        "comes after a close",
        "comes after a close; a close code of one byte",
    ]


@pytest.mark.parametrize(
    ("side", "octets", "problem"),
    [
        (0, frame(1, b"x"), "a client's frame has no mask"),
        (1, frame(1, b"x", key=KEY), "a server's frame is masked"),
        (1, frame(3, b"x"), "a reserved opcode"),
        (1, frame(1, b"x", rsv=4), "reserved bits without an extension that uses them"),
        (1, frame(9, b"x", fin=0), "a control frame in fragments"),
        (1, frame(9, bytes(126)), "a control frame of more than 125 bytes"),
        (1, b"\x82\x7e\0\1x", "the length is not in its shortest form"),
        (1, b"\x82\x7f" + b"\xff" * 8, "a length of more than 63 bits"),
        (1, frame(0, b"x"), "continues no message"),
        (1, frame(1, b"\xff"), "text that is not UTF-8"),
        (1, frame(8, b"\3\xed"), "close code 1005 must not be sent"),
    ],
)
def test_what_breaks_a_rule_says_which(side: int, octets: bytes, problem: str) -> None:
    (row,) = upgraded((side, octets))
    assert (row["malformed"], row["problem"]) == (True, problem)


def test_a_message_inside_another() -> None:
    rows = upgraded((1, frame(1, b"a", fin=0) + frame(9) + frame(2, b"b") + frame(1, b"c")))
    assert [r["problem"] for r in rows] == [
        None,
        None,
        "begins a message before the last one has ended",
        None,
    ]


def test_a_character_in_two_frames() -> None:
    octets = "é".encode()
    rows = upgraded((1, frame(1, octets[:1], fin=0) + frame(0, octets[1:])))
    assert [(r["text"], r["malformed"]) for r in rows] == [("", False), ("é", False)]


def deflated(octets: bytes, squeezer: Any) -> bytes:
    return (squeezer.compress(octets) + squeezer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_compressed_messages_share_their_window() -> None:
    squeezer = zlib.compressobj(wbits=-15)
    one, two = (deflated(b"the same words " * 4, squeezer) for _ in range(2))
    said = frame(1, one[:5], fin=0, rsv=4) + frame(0, one[5:]) + frame(1, two, rsv=4)
    rows = upgraded((1, said + frame(1, b"plain")), more=DEFLATE)
    assert rows[0]["text"] + rows[1]["text"] == rows[2]["text"] == "the same words " * 4
    assert rows[3]["text"] == "plain"
    assert [r["compressed"] for r in rows] == [True, True, True, False]
    assert rows[0]["extensions"] == "permessage-deflate" and not any(r["malformed"] for r in rows)


def test_compressed_messages_behind_a_hole() -> None:
    fresh = DEFLATE.replace(b"\r\n", b"; server_no_context_takeover\r\n")
    for more, texts in ((DEFLATE, [None, None]), (fresh, [None, "words"])):
        squeezer = zlib.compressobj(wbits=-15)
        one, two = (deflated(b"words", squeezer) for _ in range(2))
        if more is fresh:
            two = deflated(b"words", zlib.compressobj(wbits=-15))
        said = frame(1, one, rsv=4)
        parts = [(1, said[:3]), (1, said[3:5]), (1, said[5:]), (1, frame(1, two, rsv=4))]
        table = talk((0, ASK), (1, SWITCH + more + b"\r\n"), *parts).drop(index=5)
        assert [r["text"] for r in read(table)] == texts


def test_a_bomb_is_not_inflated() -> None:
    squeezer = zlib.compressobj(wbits=-15)
    bomb = frame(1, deflated(bytes(1 << 26), squeezer), rsv=4)
    parts = [(1, bomb[at : at + 1400]) for at in range(0, len(bomb), 1400)]
    (row,) = upgraded(*parts, more=DEFLATE)
    assert len(row["text"]) <= websocket.MOST_DATA_BYTES


def test_a_hole_in_a_payload_and_one_in_a_header() -> None:
    said = frame(1, b"a" * 30) + frame(1, b"b") + frame(1, b"c")
    parts = [(1, said[:10]), (1, said[10:20]), (1, said[20:33]), (1, said[33:])]
    table = talk((0, ASK), (1, SWITCH + b"\r\n"), *parts)
    rows = read(table.drop(index=5))
    assert [(r["frame"], r["cut"], r["complete"], r["text"]) for r in rows] == [
        (7, True, True, "a" * 8),
        (8, False, True, "b"),
        (8, False, True, "c"),
    ]
    rows = read(table.drop(index=6))
    assert [(r["type"], r["cut"], r["malformed"]) for r in rows] == [
        ("text", True, False),
        ("rest", True, False),
    ]
    assert rows[-1]["problem"] == "the capture lacks where a frame begins: the rest is unread"


@pytest.mark.parametrize("sent_bytes", [1, 5, 50])
def test_what_the_sender_broke_off_is_not_cut(sent_bytes: int) -> None:
    said = frame(1, b"a" * 100)[: 2 + sent_bytes]
    table = talk((0, ASK), (1, SWITCH + b"\r\n"), (1, said))
    table.loc[table.index[-1], "tcp_flags"] |= FIN
    (row,) = read(table)
    assert (row["cut"], row["complete"], len(row["text"])) == (False, False, sent_bytes)


def test_without_its_handshake_nothing_is_websocket() -> None:
    assert read(talk((0, frame(1, b"x", key=KEY)), (1, frame(1, b"x")))) == []
    other = SWITCH.replace(b"websocket", b"h2c")
    assert read(talk((0, ASK), (1, other + b"\r\n" + frame(1, b"x")))) == []


def test_very_many_frames_are_read_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_frames, "MOST_FRAMES", 5)
    rows = upgraded((1, frame(1, b"x") * 8))
    assert [r["type"] for r in rows] == ["text"] * 5 + ["rest"]
    assert rows[-1]["problem"] == "more than 5 frames: the rest is unread"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 400), st.binary(max_size=8)), max_size=6),
    st.lists(st.integers(0, 12), max_size=3, unique=True),
    st.integers(3, 60),
)
def test_any_bytes_in_any_pieces_are_read(
    edits: list[tuple[int, int, bytes]], lost: list[int], piece: int
) -> None:
    squeezed = deflated(b"words" * 9, zlib.compressobj(wbits=-15))
    said = [
        bytearray(frame(1, b"hello", key=KEY) * 4 + frame(8, b"\3\xe8", key=KEY)),
        bytearray(frame(1, squeezed, rsv=4) + frame(1, b"a", fin=0) + frame(0, b"b" * 200)),
    ]
    for side, place, octets in edits:
        at = place % len(said[side])
        said[side][at : at + len(octets)] = octets
    parts = [
        (side, bytes(octets[i : i + piece]))
        for side, octets in enumerate(said)
        for i in range(0, len(octets), piece)
    ]
    table = talk((0, ASK), (1, SWITCH + DEFLATE + b"\r\n"), *parts)
    rows = read(table.drop(index=[at + 4 for at in lost if at < len(parts)]))
    for row in rows:
        assert row["first_frame"] <= row["frame"]
        assert len(row["data"]) <= row["payload_bytes"]


def test_frames_as_tshark_reads_them() -> None:
    """tests/captures/make_websocket.py."""
    table = packets.read(CAPTURES / "websocket.pcap", list(websocket.COLUMNS))
    got = [
        (row["frame"], row["opcode"], row["fin"], row["masked"], row["payload_bytes"])
        for row in read(table)
    ]
    tshark = pd.read_csv(CAPTURES / "websocket.tsv", sep="\t", dtype=str).fillna("")
    want = []
    for number, *values in tshark.iloc[:, :5].itertuples(index=False):
        for opcode, fin, mask, length in zip(*(v.split(";") for v in values), strict=True):
            yes = {"1", "True"}
            want.append((int(number), int(opcode), fin in yes, mask in yes, int(length)))
    assert got == want and len(want) > 10
    codes = [int(row["close_code"]) for row in read(table) if row["close_code"] is not None]
    assert codes == [int(text) for text in tshark.iloc[:, 5] if text]
