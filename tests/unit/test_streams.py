"""Streams put together again, against a model that keeps every byte, and on hostile captures."""

from __future__ import annotations

import time

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import streams
from analysis.streams import Conversation, Stream
from testbed.core.errors import ConfigError
from tests.unit.segments import ACK, FIN, PSH, RST, SYN, data, segments


def only(table: pd.DataFrame) -> Conversation:
    (found,) = streams.conversations(table)
    return found


def told(stream: Stream) -> list[tuple[int, int, bytes]]:
    return [(run.begin, run.missing_bytes, run.data) for run in stream.runs]


def test_in_order_from_syn_to_fin() -> None:
    table = segments(
        (0, 99, SYN, b"", 0),
        (1, 499, SYN | ACK, b"", 0),
        data(0, 100, b"GET"),
        data(1, 500, b"OK"),
        data(0, 103, b" more"),
        (0, 108, FIN | ACK, b"", 0),
    )
    found = only(table)
    assert told(found.client) == [(0, 0, b"GET more")]
    assert told(found.server) == [(0, 0, b"OK")]
    assert found.client.from_start
    assert (found.client.close, found.server.close) == ("fin", "open")
    assert (found.client.src, found.client.sport) == ("10.0.0.1", 40000)
    assert (found.server.src, found.server.sport) == ("10.0.0.2", 80)
    assert [(p.side, p.frame, p.data) for p in found.parts()] == [
        (0, 3, b"GET"),
        (1, 4, b"OK"),
        (0, 5, b" more"),
    ]


def test_a_hole_is_flagged_and_what_fills_it_later_delivers_the_rest() -> None:
    late = segments(data(0, 100, b"ab"), data(0, 104, b"ef"), data(0, 102, b"cd"))
    stream = only(late).client
    assert told(stream) == [(0, 0, b"abcdef")]
    assert [stream.frame(place) for place in (0, 2, 4)] == [1, 3, 2]
    assert [stream.delivered(place) for place in (0, 2, 4)] == [1, 3, 3]
    lost = only(segments(data(0, 100, b"ab"), data(0, 104, b"ef"))).client
    assert told(lost) == [(0, 0, b"ab"), (4, 2, b"ef")]
    assert not lost.runs[1].cut
    assert lost.missing_bytes == 2


def test_what_the_capture_cut_off_is_missing_and_cut() -> None:
    table = segments((0, 100, ACK, b"ab", 10), data(0, 110, b"yz"), (0, 112, ACK, b"", 7))
    stream = only(table).client
    assert told(stream) == [(0, 0, b"ab"), (10, 8, b"yz"), (19, 7, b"")]
    assert [run.cut for run in stream.runs] == [False, True, False]
    assert [(p.missing_bytes, p.data) for p in only(table).parts()] == [
        (0, b"ab"),
        (8, b"yz"),
        (7, b""),
    ]


def test_the_first_bytes_that_arrive_count() -> None:
    table = segments(data(0, 100, b"abcd"), data(0, 102, b"XXef"), data(0, 98, b"ZZZZ"))
    assert told(only(table).client) == [(0, 0, b"ZZabcdef")]


def test_nothing_comes_before_a_syn_and_a_reset_brings_no_data() -> None:
    table = segments((0, 99, SYN, b"", 0), data(0, 90, b"0123456789abc"), (0, 103, RST, b"why", 3))
    stream = only(table).client
    assert told(stream) == [(0, 0, b"abc")]
    assert stream.close == "reset"


def test_a_keep_alive_in_front_is_not_the_streams() -> None:
    table = segments(data(0, 99, b"\0"), (0, 100, ACK | PSH, b"GET", 3))
    assert told(only(table).client) == [(0, 0, b"GET")]
    typed = segments((0, 99, ACK | PSH, b"l", 1), (0, 100, ACK | PSH, b"s", 1))
    assert told(only(typed).client) == [(0, 0, b"ls")]


def test_data_in_the_syn_and_numbers_that_wrap() -> None:
    start = 2**32 - 3
    table = segments((0, start - 1, SYN, b"ab", 2), data(0, start + 2, b"cdef"))
    assert told(only(table).client) == [(0, 0, b"abcdef")]


def test_ports_choose_and_a_missing_column_is_named() -> None:
    table = segments(data(0, 1, b"x"))
    assert not list(streams.conversations(table, ports={81}))
    assert len(list(streams.conversations(table, ports={80}))) == 1
    with pytest.raises(ConfigError, match="column 'payload' is missing"):
        next(streams.conversations(table.drop(columns="payload")))
    assert not list(streams.conversations(table.iloc[:0]))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9), st.integers(0, 9)), max_size=25),
    st.integers(0, 2**32 - 1),
)
def test_any_segments_against_a_model(parts: list[tuple[int, int, int]], isn: int) -> None:
    rows = [(0, isn, SYN, b"", 0)]
    model: dict[int, tuple[int, int]] = {}
    for number, (at, length, kept) in enumerate(parts):
        octets = bytes([number + 1] * min(kept, length))
        rows.append((0, isn + 1 + at, ACK, octets, length))
        for place in range(at, at + len(octets)):
            model.setdefault(place, (number + 1, number + 2))
    if not parts:
        return
    stream = only(segments(*rows)).client
    seen = {}
    for run in stream.runs:
        assert run.end == run.begin + len(run.data)
        seen |= {run.begin + offset: octet for offset, octet in enumerate(run.data)}
    assert seen == {place: octet for place, (octet, _) in model.items()}
    assert {place: stream.frame(place) for place in seen} == {p: f for p, (_, f) in model.items()}
    assert stream.missing_bytes == max(a + n for a, n, _ in parts) - len(model)


def test_time_is_linear_in_hostile_orders() -> None:
    count = 20_000
    even = [data(0, 100 + 2 * n, b"ab") for n in range(0, count, 2)]
    odd = [data(0, 100 + 2 * n, b"ab") for n in range(count - 1, 0, -2)]
    again = [data(0, 100 + n, b"x" * 50) for n in range(0, count, 7)]
    table = segments(*even, *odd, *again)
    before = time.process_time()
    stream = only(table).client
    assert len(stream.runs[0].data) > 2 * count - 10
    assert time.process_time() - before < 5


def test_what_is_wanted_is_chosen_by_how_pieces_begin() -> None:
    table = segments(
        data(0, 100, b"GET"),
        data(0, 100, b"GET more"),  # only its last five bytes are new
        data(0, 108, b"x"),
        data(1, 500, b"OK"),
    )
    seen = []

    def all_of(pieces: streams.Beginnings) -> streams.Mask:
        seen.append(pieces)
        return pieces.head

    (found,) = streams.conversations(table, wanted=all_of)
    assert told(found.client) == [(0, 0, b"GET morex")]
    (pieces,) = seen
    assert pieces.head.tolist() == [True, False, False, True]
    assert bytes(pieces.first.tolist()) == b"G xO"
    assert pieces.second.tolist() == [ord("E"), ord("m"), -1, ord("K")]
    assert pieces.sport[0] == pieces.dport[3]
    assert not list(streams.conversations(table, wanted=lambda pieces: pieces.first == ord("Z")))
