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

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["analysis"]):
    from analysis import packets, tcp
from testbed.errors import CaptureError


def one_input(octets: bytes) -> None:
    """Any bytes give packets or a `CaptureError` with the packets before."""
    try:
        frame = packets.read(io.BytesIO(octets), max_packets=100_000)
    except CaptureError as error:
        frame = error.packets
    segments = tcp.analyse(frame)
    tcp.connections(frame, segments)
    tcp.states(segments)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
