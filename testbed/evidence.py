"""Evidence for verdicts: packets of a capture by their numbers, and rows of tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from testbed.claims import Evidence

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 12


def in_packets(what: str, scenario: str, capture: str, frames: Iterable[int]) -> Evidence:
    """Packets of one capture, by number."""
    return Evidence(what, scenario, capture, frames=tuple(int(f) for f in frames))


def in_rows(what: str, scenario: str, table: pd.DataFrame) -> Evidence:
    """The first rows of a table."""
    found = table.head(_ROWS).round(4).to_dict("records")
    return Evidence(
        what, scenario, rows=tuple({str(k): v for k, v in row.items()} for row in found)
    )


def of_packets(what: str, packets: pd.DataFrame) -> tuple[Evidence, ...]:
    """Packets of one or several captures (columns `scenario`, `capture`, `frame`)."""
    groups = packets.groupby(["scenario", "capture"], sort=False, observed=True)
    return tuple(
        in_packets(what, str(scenario), str(capture), group["frame"])
        for (scenario, capture), group in groups
    )
