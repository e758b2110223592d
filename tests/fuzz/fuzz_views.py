# mypy: ignore-errors
# Atheris has no types, and is no dependency: pip install atheris.
"""Coverage-guided fuzzing of what the capture commands show.

    python tests/fuzz/fuzz_views.py FOLDER... -max_total_time=600 -max_len=4096

Any capture can be described: lines, trees, statistics, ladders and TCP's health come to an end, and
their texts hold no control characters.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["analysis"]):
    from analysis import expert, ladder, listing, messages, overview, packets, tcp, tree
    from analysis.printable import printable
    from analysis.tcp import health
from testbed.core.errors import CaptureError, ConfigError

_TREES = 8
"""Packets of each capture that are read as trees."""


def one_input(octets: bytes) -> None:
    """All views of one capture."""
    try:
        table = packets.read(io.BytesIO(octets), packets.COLUMNS, max_packets=2_000)
    except CaptureError as error:
        table = error.packets
    if table is None or table.empty:
        return
    segments = tcp.analyse(table.drop(columns="payload"))
    found = messages.find(table)
    said = messages.by_frame(found)
    lines = listing.lines(table, segments, said)
    for text in lines["text"]:
        assert text == printable(text)
    for frame in table["frame"].head(_TREES).tolist():
        view_tree(octets, int(frame))
    expert.summary(expert.find(table, segments, found))
    health.health(tcp.connections(table, segments), segments)
    overview.hierarchy(table, said)
    overview.endpoints(table)
    overview.conversations(table)
    overview.over_time(table)
    drawn = ladder.fold(ladder.messages(table, listing.named(lines), listing.problems(lines)))
    if drawn:
        ladder.svg(drawn[:40])


def view_tree(octets: bytes, frame: int) -> None:
    """Fields lie within the packet, and their values are printable."""
    try:
        raw = packets.read_raw(io.BytesIO(octets), frame)
    except (CaptureError, ConfigError):
        return
    for _, node in tree.of_packet(raw).walk():
        assert 0 <= node.start <= len(raw.data), node
        assert node.value == printable(node.value), node


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
