"""HTTP/3 of `testbed.programs`: priorities as server and client understand them, and the files
that the server has."""

from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("aioquic")

from aioquic.quic.configuration import QuicConfiguration

from testbed.programs import http3_priorities as priorities
from testbed.programs import http3_server


@pytest.mark.parametrize(
    ("field", "rank"),
    [
        ("u=1", (1, 8)),
        ("u=1, i", (1, -1)),
        ("i", (3, -1)),
        ("i=?0, u=0", (0, 8)),
        ("", (3, 8)),
        ("u=9, x=y;z", (3, 8)),
        ("u=1;x, i;y=2", (1, -1)),
        ("u=١", (3, 8)),
        ("u=" + "5" * 5000, (3, 8)),
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


@pytest.mark.parametrize(
    ("authority", "target", "file"),
    [
        ("a.example:443", "/", "a.example/index.html"),
        ("b.example", "/a.example/index.html", "a.example/index.html"),
        ("a.example", "/../secret", None),
        ("..", "/secret", None),
        (".", "/../secret", None),
        ("../", "/secret", None),
        ("link", "/secret", None),
        ("a.example", "/%00", None),
        ("a.example", "/" + "x" * 5000, None),
        ("x" * 5000, "/a.example/", None),
    ],
)
def test_files_are_those_below_the_root(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    authority: str,
    target: str,
    file: str | None,
) -> None:
    root = tmp_path / "srv"
    (root / "a.example").mkdir(parents=True)
    (root / "a.example" / "index.html").touch()
    (tmp_path / "secret").touch()
    (root / "link").symlink_to(tmp_path)
    monkeypatch.setitem(http3_server.settings, "root", str(root))
    assert http3_server.file_of(authority, target) == (root / file if file else None)
