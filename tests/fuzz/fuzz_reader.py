# mypy: ignore-errors
# Atheris has no types, and is no dependency: pip install atheris.
"""Coverage-guided fuzzing of the packet reader and the TCP analysis.

    python tests/fuzz/fuzz_reader.py FOLDER... -max_total_time=600 -max_len=4096

Needs atheris. `tests/fuzz/corpus` holds a minimised corpus, which the unit tests read each time.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from unittest.mock import patch

import atheris
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["analysis"]):
    from analysis import compiled, packets, streams, tcp
    from analysis.filters import names
from testbed.core.errors import CaptureError


def read(octets: bytes) -> tuple[pd.DataFrame, str]:
    """Any bytes give packets or a `CaptureError` with the packets before."""
    try:
        return packets.read(io.BytesIO(octets), max_packets=100_000), ""
    except CaptureError as error:
        return error.packets, str(error)


def one_input(octets: bytes) -> None:
    """Compiled code gives the same as NumPy, and its analysis comes to an end."""
    frame, said = read(octets)
    with patch.object(compiled, "library", return_value=None):
        without, said_without = read(octets)
    assert said == said_without
    pd.testing.assert_frame_equal(frame, without)
    segments = tcp.analyse(frame)
    tcp.connections(frame, segments)
    tcp.states(segments)
    dissect(octets)


def dissect(octets: bytes) -> None:
    """Streams, datagrams and all dissectors come to an end, too."""
    try:
        table = packets.read(io.BytesIO(octets), packets.COLUMNS, max_packets=10_000)
    except CaptureError as error:
        table = error.packets
    for conversation in streams.conversations(table):
        for part in conversation.parts():
            assert part.frame in table["frame"].to_numpy()
    for read_messages in names.DISSECTORS.values():
        assert set(read_messages(table)["frame"]) <= set(table["frame"])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
