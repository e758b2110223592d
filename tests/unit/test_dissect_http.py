"""HTTP/1 messages: framing, pairing, holes, and what servers refuse."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.dissect import http, http_messages
from tests.unit.segments import ACK, FIN, RST, SYN, data, segments, talk

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def read(table: pd.DataFrame, **options: Any) -> list[dict[str, Any]]:
    return http.read(table, **options).to_dict("records")


def exchange(request: bytes, response: bytes) -> list[dict[str, Any]]:
    return read(talk((0, request), (1, response)))


def test_a_request_and_its_response() -> None:
    request, response = exchange(
        b"POST /form?a=1 HTTP/1.1\r\nHost: www.example.org\r\nContent-Type: text/plain\r\n"
        b"content-length: 3\r\n\r\nabc",
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nSet-Cookie: a=1\r\n"
        b"Set-Cookie: b=2\r\nContent-Length: 2\r\n\r\nno",
    )
    assert request["kind"] == "request"
    assert (request["method"], request["target"], request["version"]) == (
        "POST",
        "/form?a=1",
        "1.1",
    )
    assert (request["host"], request["body"]) == ("www.example.org", b"abc")
    assert request["headers"][2] == ("content-length", "3")
    assert (response["status"], response["reason"]) == (404, "Not Found")
    assert response["content_type"] == "text/html"
    assert [value for name, value in response["headers"] if name == "Set-Cookie"] == ["a=1", "b=2"]
    assert response["request_frame"] == request["frame"] == 3
    assert response["complete"] and not response["cut"] and not response["malformed"]


def test_a_message_over_many_segments_is_complete_with_its_last_one() -> None:
    pieces = [HELLO[i : i + 7] for i in range(0, len(HELLO), 7)]
    (found,) = read(talk(*((1, piece) for piece in pieces)))
    assert (found["first_frame"], found["frame"]) == (3, 2 + len(pieces))
    head = HELLO.index(b"\r\n\r\n") + 4
    assert found["head_frame"] == 3 + (head - 1) // 7
    assert (found["body"], found["body_bytes"]) == (b"hello", 5)


def test_chunks_are_joined_and_their_framing_left_out() -> None:
    body = b"4;x=y\r\nwiki\r\n6\r\npedia \r\n0\r\nTrailer: t\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    rows = read(talk((0, GET + GET), (1, head + body + HELLO)))
    bodies = [row["body"] for row in rows if row["kind"] == "response"]
    assert bodies == [b"wikipedia ", b"hello"]


def test_pipelined_requests_are_answered_in_order() -> None:
    head = b"HEAD /big HTTP/1.1\r\nHost: h\r\n\r\n"
    empty = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"  # of a HEAD: no body follows
    early = b"HTTP/1.1 100 Continue\r\n\r\n"
    rows = read(talk((0, head + GET), (0, GET), (1, empty + early + HELLO + HELLO)))
    answers = [row for row in rows if row["kind"] == "response"]
    assert [row["status"] for row in answers] == [200, 100, 200, 200]
    assert [row["request_frame"] for row in answers] == [3, 3, 3, 4]
    assert [row["body_bytes"] for row in answers] == [0, 0, 5, 5]
    assert answers[0]["content_bytes"] == 1000


def test_the_end_of_the_stream_ends_a_body_without_length() -> None:
    head = b"HTTP/1.0 200 OK\r\n\r\n"
    table = segments(
        (1, 0, SYN | ACK, b"", 0),
        data(1, 1, head + b"ab"),
        data(1, 22, b"cd"),
        (1, 24, FIN, b"", 0),
    )
    (found,) = read(table)
    assert (found["body"], found["complete"], found["frame"]) == (b"abcd", True, 4)
    (found,) = read(table.iloc[:3])
    assert (found["body_bytes"], found["complete"], found["cut"]) == (4, False, True)
    reset = segments((1, 0, SYN | ACK, b"", 0), data(1, 1, head + b"ab"), (1, 22, RST, b"", 0))
    (found,) = read(reset)
    assert (found["complete"], found["cut"]) == (False, False)


def test_a_body_that_ends_too_early_is_incomplete() -> None:
    table = segments((1, 0, SYN | ACK, b"", 0), data(1, 1, HELLO[:-2]), (1, 42, FIN, b"", 0))
    (found,) = read(table)
    assert (found["complete"], found["cut"], found["malformed"]) == (False, False, False)
    assert (found["content_bytes"], found["body_bytes"]) == (5, 3)


def test_a_hole_in_a_body_is_passed_and_the_next_message_found() -> None:
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n"
    start = 1 + len(big)
    table = segments(
        (1, 0, SYN | ACK, b"", 0),
        data(1, 1, big + b"x" * 1000),
        data(1, start + 2000, b"y" * 1000 + HELLO),
    )
    first, second = read(table)
    assert (first["body_bytes"], first["cut"], first["complete"]) == (3000, True, True)
    assert (second["body"], second["cut"]) == (b"hello", False)


def test_a_hole_in_a_head_or_among_chunks_loses_that_message_alone() -> None:
    for beginning in (
        b"HTTP/1.1 200 OK\r\nSer",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    ):
        table = segments(
            (1, 0, SYN | ACK, b"", 0),
            data(1, 1, beginning),
            data(1, 1 + len(beginning) + 100, b"rest\r\n\r\n" + HELLO),
        )
        first, second = read(table)
        assert (first["status"], first["cut"], first["complete"]) == (200, True, False)
        assert not first["malformed"]
        assert second["body"] == b"hello"


def test_a_status_line_without_an_end_is_cut() -> None:
    line = b"HTTP/1.1 200 OK"
    for flags in (FIN, RST):
        table = segments((1, 0, SYN | ACK, b"", 0), data(1, 1, line), (1, 16, flags, b"", 0))
        (found,) = read(table)
        assert (found["status"], found["cut"], found["malformed"]) == (None, True, False)


def test_no_more_of_holes_is_read_than_what_was_captured_allows() -> None:
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n"
    opening, start = [(1, 0, SYN | ACK, b"", 0), data(1, 1, big)], 1 + len(big)
    few = [data(1, start + (number << 24), b"x") for number in range(1, 20)]
    last = data(1, start + (20 << 24), HELLO)
    first, second = read(segments(*opening, *few, last))
    assert (first["cut"], first["complete"], first["body_bytes"]) == (True, False, 0)
    assert second["body"] == b"hello"
    parts = [data(1, start + 1500 * number, bytes(30)) for number in range(2000)]  # a small snaplen
    (found,) = read(segments(*opening, *parts))
    assert found["body_bytes"] == 1500 * 1999 + 30


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "Host"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "Host"),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "request line"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", "header"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "Content-Length"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            "Length",
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "Transfer-Encoding"),
    ],
)
def test_what_a_server_refuses_is_read_and_says_why(request_: bytes, problem: str) -> None:
    refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    first, answer, second, last = read(talk((0, request_), (1, refusal), (0, GET), (1, HELLO)))
    assert first["malformed"] and problem.lower() in first["problem"].lower()
    assert (first["method"], first["version"]) == (request_.split()[0].decode(), "1.1")
    assert (answer["status"], answer["request_frame"]) == (400, first["frame"])
    assert (second["method"], second["malformed"]) == ("GET", False)
    assert last["request_frame"] == second["frame"]


def test_another_protocol_follows_an_upgrade_or_a_connect() -> None:
    upgrade = b"GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    rows = read(talk((0, upgrade), (1, switch), (1, b"\x81\x02hi" + HELLO), (0, GET)))
    assert [row["status"] for row in rows if row["kind"] == "response"] == [101]
    assert [row["target"] for row in rows if row["kind"] == "request"] == ["/chat"]
    connect = b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"
    opened = b"HTTP/1.1 200 Connection established\r\n\r\n"
    rows = read(talk((0, connect), (1, opened), (0, b"\x16\x03\x01"), (1, b"\x16\x03\x03")))
    assert [(row["complete"], row["body_bytes"]) for row in rows] == [(True, 0)] * 2


def test_a_stream_that_began_before_the_capture_is_searched_at_known_ports() -> None:
    table = segments(data(1, 500, b"the end of a body\r\n" + HELLO), data(0, 7, GET))
    assert [row["kind"] for row in read(table)] == ["response", "request"]
    strange = segments(data(1, 500, b"the end of a body\r\n" + HELLO), ports=(40000, 9000))
    assert read(strange) == []
    assert [row["status"] for row in read(strange, ports=[9000])] == [200]


def test_long_bodies_are_kept_in_part_and_counted_whole() -> None:
    body = bytes(200_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n"
    parts = [(1, (head + body)[i : i + 50_000]) for i in range(0, 250_000, 50_000)]
    (found,) = read(talk(*(part for part in parts if part[1])), most_body_bytes=100)
    assert (len(found["body"]), found["body_bytes"]) == (100, 200_000)


def test_other_protocols_are_not_http() -> None:
    assert exchange(b"\x16\x03\x01\x02\x00\x01", b"220 mail.example.org ESMTP\r\n") == []
    assert exchange(b"SSH-2.0-OpenSSH\r\n", b"GET lost\r\n") == []


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 400), st.binary(max_size=8)), max_size=6),
    st.lists(st.integers(0, 12), max_size=3, unique=True),
    st.integers(5, 60),
)
def test_any_bytes_in_any_pieces_are_read(
    edits: list[tuple[int, int, bytes]], lost: list[int], piece: int
) -> None:
    said = [bytearray(GET * 3 + GET), bytearray(HELLO * 3)]
    for side, place, octets in edits:
        at = place % len(said[side])
        said[side][at : at + len(octets)] = octets
    parts = [
        (side, bytes(octets[i : i + piece]))
        for side, octets in enumerate(said)
        for i in range(0, len(octets), piece)
    ]
    table = talk(*parts).drop(index=[at + 2 for at in lost if at < len(parts)])
    for row in read(table):
        assert row["first_frame"] <= row["head_frame"] <= row["frame"]
        assert row["body_bytes"] >= len(row["body"])


def test_messages_of_one_connection_are_bounded_and_the_last_one_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_messages, "MOST_MESSAGES", 3)
    found = read(talk((0, GET * 5), (1, HELLO * 2)))
    requests = [row for row in found if row["kind"] == "request"]
    assert [row["cut"] for row in requests] == [False, False, True]
    assert requests[-1]["problem"] == "only 3 messages of a connection are read"
    assert not requests[-1]["malformed"]
    assert sum(row["kind"] == "response" for row in found) == 2
