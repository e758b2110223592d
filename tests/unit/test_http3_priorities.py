"""Priorities of HTTP/3, as the server and the client of `testbed.programs` understand them."""

from types import SimpleNamespace

import pytest

pytest.importorskip("aioquic")

from aioquic.quic.configuration import QuicConfiguration

from testbed.programs import http3_priorities as priorities


@pytest.mark.parametrize(
    ("field", "rank"),
    [
        ("u=1", (1, 8)),
        ("u=1, i", (1, -1)),
        ("i", (3, -1)),
        ("i=?0, u=0", (0, 8)),
        ("", (3, 8)),
        ("u=9, x=y;z", (3, 8)),
    ],
)
def test_a_priority_field_says_where_a_stream_stands(field: str, rank: tuple[int, int]) -> None:
    assert priorities.rank(8, field) == rank


def test_updates_are_found_wherever_the_stream_is_cut() -> None:
    said = b"\x00\x04\x00" + priorities.update(8, "u=0") + priorities.update(400, "u=2, i")
    assert priorities.updates(said) == {8: "u=0", 400: "u=2, i"}
    for end in range(len(said)):
        assert set(priorities.updates(said[:end])) <= {8, 400}
    assert priorities.updates(b"\x02" + said[1:]) == {}  # QPACK's


def test_streams_are_served_by_rank_and_equal_ones_in_turn() -> None:
    ranks = {0: priorities.rank(0, "u=6"), 8: priorities.rank(8, "u=1")}
    streams = [SimpleNamespace(stream_id=n) for n in (0, 4, 12, 8, 3)]
    queue = priorities._Queue(streams, ranks)
    assert [stream.stream_id for stream in queue] == [3, 8, 4, 12, 0]
    served = priorities._Queue([s for s in queue if s.stream_id != 4] + [streams[1]], ranks)
    assert [stream.stream_id for stream in served] == [3, 8, 12, 4, 0]


def test_the_library_has_the_queue_that_we_order() -> None:
    connection = priorities.Connection(configuration=QuicConfiguration())
    assert isinstance(connection._streams_queue, priorities._Queue)
