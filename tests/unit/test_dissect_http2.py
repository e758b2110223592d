"""HTTP/2: frames, header blocks and their table, messages, holes, and hostile input."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import hpack
import pandas as pd
import pytest
from hyperframe import frame as wire
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import packets, tls
from analysis.dissect import http, http2, http2_frames
from analysis.dissect.http2_frames import PREFACE
from analysis.tls import key_log
from tests.unit.segments import ACK, FIN, SYN, data, segments, talk

CAPTURES = Path(__file__).parents[1] / "captures"
ASK = [(":method", "GET"), (":scheme", "http"), (":path", "/a"), (":authority", "h")]
END, HEADERS_END = "END_STREAM", "END_HEADERS"
SETTINGS = wire.SettingsFrame(0, settings={3: 100, 4: 65535}).serialize()


def block(encoder: hpack.Encoder, fields: list[tuple[str, str]]) -> bytes:
    return bytes(encoder.encode(fields))


def headers(stream: int, octets: bytes, *flags: str) -> bytes:
    return wire.HeadersFrame(stream, octets, flags=[HEADERS_END, *flags]).serialize()


def body(stream: int, octets: bytes, *flags: str, **more: int) -> bytes:
    return wire.DataFrame(stream, octets, flags=flags, **more).serialize()


def rows(*said: tuple[int, bytes]) -> list[dict[str, Any]]:
    return http2.read(talk(*said)).to_dict("records")


def exchange() -> tuple[bytes, bytes]:
    """What a client and a server say: two requests of one kind, two answers."""
    ask, answer = hpack.Encoder(), hpack.Encoder()
    client = PREFACE + SETTINGS
    client += headers(1, block(ask, ASK), END) + headers(3, block(ask, ASK), END)
    found = [(":status", "200"), ("content-type", "text/html"), ("content-length", "5")]
    server = SETTINGS + wire.SettingsFrame(0, flags=["ACK"]).serialize()
    server += headers(1, block(answer, [(":status", "103"), ("link", "</b>; rel=preload")]))
    server += headers(1, block(answer, found)) + headers(3, block(answer, found))
    server += body(3, b"second"[:5], END) + body(1, b"fi") + body(1, b"rst", END)
    return client, server


def test_frames_say_what_is_in_them() -> None:
    found = rows((0, exchange()[0]), (1, exchange()[1]))
    assert [row["type"] for row in found] == (
        ["PREFACE", "SETTINGS", "HEADERS", "HEADERS", "SETTINGS", "SETTINGS"]
        + ["HEADERS"] * 3 + ["DATA"] * 3
    )  # fmt: skip
    first, second = found[2:4]
    assert first["headers"] == second["headers"] == tuple(ASK)
    assert (first["method"], first["target"], first["host"]) == ("GET", "/a", "h")
    assert first["field_bytes"] == sum(len(name) + len(value) for name, value in ASK)
    assert second["block_bytes"] == len(ASK) < first["block_bytes"]  # an index per field
    assert first["table_bytes"] == 32 * 2 + len(":path/a") + len(":authorityh")
    assert first["flags"] == "END_STREAM,END_HEADERS"
    assert found[4]["settings"] == "MAX_CONCURRENT_STREAMS=100,INITIAL_WINDOW_SIZE=65535"
    assert [row["from_client"] for row in found] == [True] * 4 + [False] * 8
    assert not any(row["malformed"] or row["cut"] for row in found)


def test_messages_of_streams_that_mix() -> None:
    client, server = exchange()
    found = http2.messages(talk((0, client), (1, server))).to_dict("records")
    told = [(row["kind"], row["stream"], row["status"], row["body"]) for row in found[2:]]
    assert told == [
        ("response", 1, 103, b""),
        ("response", 1, 200, b"first"),
        ("response", 3, 200, b"secon"),
    ]
    assert all(row["complete"] and row["request_frame"] == 3 for row in found[2:])
    assert [(row["method"], row["target"], row["host"]) for row in found[:2]] == [
        ("GET", "/a", "h")
    ] * 2
    assert found[3]["content_bytes"] == 5


def test_every_other_frame() -> None:
    frames = [
        wire.PriorityFrame(3, depends_on=1, stream_weight=15, exclusive=True),
        wire.RstStreamFrame(3, error_code=8),
        wire.PingFrame(0, opaque_data=b"12345678"),
        wire.GoAwayFrame(0, last_stream_id=3, error_code=11, additional_data=b"enough"),
        wire.WindowUpdateFrame(5, window_increment=1000),
        wire.AltSvcFrame(0, origin=b"h", field=b'h3=":443"'),
    ]
    octets = b"".join(one.serialize() for one in frames)
    update = (8).to_bytes(3, "big") + b"\x10" + bytes(5) + (5).to_bytes(4, "big") + b"u=1"
    update = (7).to_bytes(3, "big") + update[3:]
    strange = (2).to_bytes(3, "big") + b"\xee" + bytes(5) + b"ab"
    found = rows((0, PREFACE + SETTINGS + octets + update + strange))[2:]
    assert (found[0]["depends_on"], found[0]["weight"], found[0]["exclusive"]) == (1, 16, True)
    assert found[1]["error"] == "CANCEL"
    assert found[2]["detail"] == b"12345678".hex()
    assert [found[3][key] for key in ("last_stream", "error", "detail")] == [
        *(3, "ENHANCE_YOUR_CALM", "enough")
    ]
    assert (found[4]["stream"], found[4]["increment"]) == (5, 1000)
    assert found[5]["detail"] == 'h3=":443"'
    assert found[6]["detail"].endswith("u=1")
    assert (found[7]["type"], found[7]["malformed"]) == ("type 0xee", False)


def test_a_promise_and_its_response() -> None:
    ask, answer = hpack.Encoder(), hpack.Encoder()
    promise = wire.PushPromiseFrame(1, 2, block(answer, [*ASK[:2], (":path", "/b"), ASK[3]]))
    promise.flags.add(HEADERS_END)
    server = SETTINGS + promise.serialize() + headers(2, block(answer, [(":status", "200")]), END)
    client = PREFACE + SETTINGS + headers(1, block(ask, ASK), END)
    found = http2.messages(talk((0, client), (1, server))).to_dict("records")
    assert [(row["kind"], row["stream"], row["pushed"]) for row in found] == [
        ("request", 1, False),
        ("request", 2, True),
        ("response", 2, True),
    ]
    assert [row["target"] for row in found[:2]] == ["/a", "/b"]
    assert found[2]["request_frame"] == found[1]["frame"]


def test_a_block_over_continuations_is_read_with_its_last_frame() -> None:
    octets = block(hpack.Encoder(), [*ASK, ("x", "y" * 50)])
    parts = wire.HeadersFrame(1, octets[:9], flags=[END]).serialize()
    parts += wire.ContinuationFrame(1, octets[9:20]).serialize()
    parts += wire.ContinuationFrame(1, octets[20:], flags=[HEADERS_END]).serialize()
    found = rows((0, PREFACE + SETTINGS + parts))[2:]
    assert [row["headers"] is None for row in found] == [True, True, False]
    assert found[2]["block_bytes"] == len(octets)
    (message,) = http2.messages(talk((0, PREFACE + SETTINGS + parts))).to_dict("records")
    assert (message["target"], message["complete"]) == ("/a", True)


def test_padding_is_no_data() -> None:
    padded = body(1, b"abc", "PADDED", END, pad_length=9)
    found = rows((0, PREFACE + SETTINGS + padded))[-1]
    assert (found["payload_bytes"], found["data_bytes"]) == (13, 3)


def test_an_upgrade_from_http_1() -> None:
    upgrade = (
        b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    )
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    answer = SETTINGS + headers(1, block(hpack.Encoder(), [(":status", "200")]))
    table = talk(
        (0, upgrade), (1, switch + answer), (0, PREFACE + SETTINGS), (1, body(1, b"x", END))
    )
    (message,) = http2.messages(table).to_dict("records")
    assert (message["status"], message["body"], message["request_frame"]) == (200, b"x", 3)
    assert [row["status"] for row in http.read(table).to_dict("records")][1:] == [101]


def test_other_protocols_are_not_http_2() -> None:
    assert rows((0, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), (1, SETTINGS)) == []
    refused = rows((0, PREFACE + SETTINGS), (1, b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    assert all(row["from_client"] for row in refused)


def test_a_hole_within_data_is_passed() -> None:
    big = body(1, b"x" * 3000)
    said = PREFACE + SETTINGS + big + headers(3, block(hpack.Encoder(), ASK), END)
    at = len(PREFACE + SETTINGS) + 1000
    table = segments(
        (0, 0, SYN, b"", 0),
        data(0, 1, said[:at]),
        data(0, 1 + at + 1500, said[at + 1500 :]),
    )
    *_, holed, after = http2.read(table).to_dict("records")
    assert (holed["type"], holed["cut"], holed["data_bytes"]) == ("DATA", True, 3000)
    assert (after["target"], after["cut"]) == ("/a", False)


def test_a_hole_in_a_header_block_makes_later_ones_unreadable_but_not_malformed() -> None:
    ask = hpack.Encoder()
    first, second = (headers(n, block(ask, ASK), END) for n in (1, 3))
    start = PREFACE + SETTINGS
    table = segments(
        (0, 0, SYN, b"", 0),
        data(0, 1, start + first[:12]),
        data(0, 1 + len(start + first), second),
    )
    *_, cut, after = http2.read(table).to_dict("records")
    for row in (cut, after):
        assert (row["type"], row["headers"], row["cut"], row["malformed"]) == (
            *("HEADERS", None, True, False),
        )
    assert not http2.messages(table)["malformed"].any()


def test_what_lies_behind_a_hole_has_a_row() -> None:
    """The hole takes the end of one frame and the head of the next."""
    octets = [
        headers(1, block(hpack.Encoder(), ASK), END),
        body(1, b"x" * 500),
        body(1, b"y" * 500),
    ]
    said = PREFACE + SETTINGS + b"".join(octets)
    at = said.index(b"y" * 500) - 50
    table = segments(
        (0, 0, SYN, b"", 0),
        data(0, 1, said[:at]),
        data(0, 1 + at + 60, said[at + 60 :]),
    )
    *_, holed, rest = http2.read(table).to_dict("records")
    assert (holed["type"], holed["cut"]) == ("DATA", True)
    assert (rest["type"], rest["cut"], rest["malformed"], rest["frame"]) == ("rest", True, False, 3)
    assert "lacks where a frame begins" in rest["problem"]


def test_a_message_whose_end_lies_behind_a_hole_is_cut() -> None:
    """Although the stream was closed, and none of the captured frames has a hole."""
    ask, answer = hpack.Encoder(), hpack.Encoder()
    said = SETTINGS + headers(1, block(answer, [(":status", "200")])) + body(1, b"first")
    lost = len(body(1, b"second", END))
    table = segments(
        (0, 0, SYN, b"", 0),
        (1, 0, SYN | ACK, b"", 0),
        data(0, 1, PREFACE + SETTINGS + headers(1, block(ask, ASK), END)),
        data(1, 1, said),
        (1, 1 + len(said) + lost, FIN | ACK, b"", 0),
    )
    response = http2.messages(table).to_dict("records")[-1]
    assert (response["cut"], response["complete"], response["body"]) == (True, False, b"first")
    more = segments(
        (0, 0, SYN, b"", 0),
        data(0, 1, PREFACE + SETTINGS + headers(1, block(ask, ASK), END)),
        data(1, 1, said),
        data(1, 1 + len(said) + lost, body(3, b"x", END)),
        (1, 1 + len(said) + lost + len(body(3, b"x", END)), FIN | ACK, b"", 0),
    )
    assert [row["cut"] for row in http2.messages(more).to_dict("records")] == [False, True]


@pytest.mark.parametrize("kept", [4, 12])
def test_a_frame_that_the_sender_broke_off_is_not_cut(kept: int) -> None:
    """Within its head, and within its payload."""
    octets = PREFACE + SETTINGS + body(1, b"x" * 100)[:kept]
    closed = segments(
        (0, 0, SYN, b"", 0), data(0, 1, octets), (0, 1 + len(octets), FIN | ACK, b"", 0)
    )
    found = http2.read(closed).to_dict("records")[-1]
    assert (found["cut"], found["malformed"]) == (False, True)
    assert found["problem"] == "the stream ends within the frame"
    assert http2.read(closed[:-1]).to_dict("records")[-1]["cut"]


@pytest.mark.parametrize(
    ("octets", "problem"),
    [
        (headers(1, b"\xff\xff\xff\xff\x0f", END), "header block"),  # no such index
        (wire.ContinuationFrame(1, b"", flags=[HEADERS_END]).serialize(), "§6.10"),
        (wire.HeadersFrame(1, b"\x82").serialize() + body(1, b"x"), "§6.10"),
        (b"\0\0\1\0\0\0\0\0\0x", "non-zero"),  # DATA of no stream
        (b"\0\0\4\x08\0\0\0\0\0\0\0\0\0", "Window"),  # an increment of 0
        (b"\0\0\5\x06\0\0\0\0\0hello", "PING"),  # 5 bytes
    ],
)
def test_what_breaks_the_standard_is_malformed(octets: bytes, problem: str) -> None:
    found = rows((0, PREFACE + SETTINGS + octets))[-1]
    assert found["malformed"] and problem.lower() in found["problem"].lower()


def test_a_message_without_its_pseudo_field_is_malformed() -> None:
    octets = PREFACE + SETTINGS + headers(1, block(hpack.Encoder(), [("a", "b")]), END)
    (message,) = http2.messages(talk((0, octets))).to_dict("records")
    assert message["malformed"] and ":method" in message["problem"]


def test_a_short_block_that_means_a_long_one_is_refused() -> None:
    """A bomb: one long field in the table, named thousands of times."""
    bomb = b"\x40\x01a" + b"\x7f\xa1\x1e" + b"x" * 4000 + b"\xbe" * 12_000
    octets = headers(1, bomb, END) + headers(3, b"\x82", END) * 2000
    begun = time.process_time()
    found = rows((0, PREFACE + SETTINGS + octets))[2:]
    assert time.process_time() - begun < 5
    assert "larger" in found[0]["problem"]
    assert all(row["headers"] is None and row["malformed"] for row in found)


def test_continuations_without_end_are_read_in_bounded_memory() -> None:
    octets = wire.HeadersFrame(1, b"\0\1a\1b" * 100).serialize()
    octets += wire.ContinuationFrame(1, b"\0\1a\1b" * 3000).serialize() * 100
    found = rows((0, PREFACE + SETTINGS + octets))[2:]
    assert len(found) == 101
    assert any("more than" in str(row["problem"]) for row in found)


def test_the_number_of_frames_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2_frames, "MOST_FRAMES", 10)
    found = rows((0, PREFACE + SETTINGS + body(1, b"x") * 20))
    assert [row["type"] for row in found] == ["PREFACE", "SETTINGS", *["DATA"] * 9, "rest"]
    assert "first 10" in found[-1]["problem"]


def test_a_length_beyond_the_capture_is_cut() -> None:
    table = segments(
        (0, 0, SYN, b"", 0),
        data(0, 1, PREFACE + SETTINGS + b"\xff\xff\xff\0\0\0\0\0\1abc"),
        (0, 200, FIN | ACK, b"", 0),
    )
    found = http2.read(table).to_dict("records")[-1]
    assert (found["payload_bytes"], found["cut"]) == (2**24 - 1, True)


def values(table: pd.DataFrame, field: str, frame: int) -> list[str]:
    return [word for word in str(table.at[frame, field]).split(";") if word]


def test_a_capture_in_the_clear_and_inside_tls_reads_as_in_tshark() -> None:
    """Of real programs (tests/captures/make_http2.py); its secrets are in the file."""
    table = packets.read(CAPTURES / "http2.pcapng", [*http2.COLUMNS, "time_ns"])
    tls.set_keys(table, [key_log.parse(table.attrs["key_logs"][0], "capture")])
    theirs = pd.read_csv(CAPTURES / "http2.tsv", sep="\t", dtype=str).fillna("")
    theirs = theirs.set_index(theirs["frame.number"].astype(int))
    assert theirs["tcp.stream"].nunique() == 3
    ours = http2.read(table).query("type != 'PREFACE'")
    assert sorted(set(ours["frame"])) == theirs.index.tolist()
    assert not (ours["cut"] | ours["malformed"]).any()
    numbers = {name: str(number) for number, name in http2_frames.TYPES.items()}
    for number, said in ours.groupby("frame"):
        frame = int(str(number))
        assert [numbers[name] for name in said["type"]] == values(theirs, "http2.type", frame)
        for ourname, name in (("stream", "streamid"), ("payload_bytes", "length")):
            assert said[ourname].astype(str).tolist() == values(theirs, f"http2.{name}", frame)
        for ourname, name in (("method", "method"), ("target", "path"), ("status", "status")):
            read = [str(one) for one in said[ourname].dropna()]
            assert read == values(theirs, f"http2.headers.{name}", frame)


def test_inside_tls_messages_need_the_keys() -> None:
    table = packets.read(CAPTURES / "http2.pcapng", [*http2.COLUMNS, "time_ns"])
    closed = http2.messages(table)
    tls.set_keys(table, [key_log.parse(table.attrs["key_logs"][0], "capture")])
    opened = http2.messages(table).query("tcp_sport == 443")
    assert closed.query("tcp_sport == 443 or tcp_dport == 443").empty
    assert opened[["stream", "status"]].values.tolist() == [[1, 200], [3, 301], [5, 404]]
    assert opened["complete"].all() and opened["body"].iloc[0] == b"a page\n" * 100


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 400), st.binary(max_size=8)), max_size=6),
    st.lists(st.integers(0, 12), max_size=3, unique=True),
    st.integers(5, 60),
)
def test_any_bytes_in_any_pieces_are_read(
    edits: list[tuple[int, int, bytes]], lost: list[int], piece: int
) -> None:
    said = [bytearray(one) for one in exchange()]
    for side, place, octets in edits:
        at = place % len(said[side])
        said[side][at : at + len(octets)] = octets
    parts = [
        (side, bytes(octets[i : i + piece]))
        for side, octets in enumerate(said)
        for i in range(0, len(octets), piece)
    ]
    table = talk(*parts).drop(index=[at + 2 for at in lost if at < len(parts)])
    for row in http2.read(table).to_dict("records"):
        assert row["first_frame"] <= row["frame"]
    for row in http2.messages(table).to_dict("records"):
        assert row["first_frame"] <= row["head_frame"] <= row["frame"]
