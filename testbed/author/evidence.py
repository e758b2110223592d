"""Evidence for verdicts: packets of a capture by their numbers, and rows of tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from testbed.core.claims import Evidence, MissingDataError, Verdict, holds

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


def none_of(wrong: pd.DataFrame, every: pd.DataFrame, what: str, expected: str) -> Verdict:
    """PASS if no row is `wrong`, out of all there are; shows the first wrong packets.

    Args:
        wrong: rows that contradict the claim.
        every: all rows judged.
        what: completes ``3 of 10 ...``.
        expected: in words.

    Raises:
        MissingDataError: there is no row to judge.
    """
    if every.empty:
        raise MissingDataError(f"nothing to judge: {expected}")
    observed = f"{len(wrong)} of {len(every)} {what}"
    verdict = holds(wrong.empty, observed=observed, expected=expected)
    is_packets = {"frame", "capture", "scenario"} <= set(wrong.columns)
    return verdict.because(*of_packets(what, wrong.head(6))) if is_packets else verdict
