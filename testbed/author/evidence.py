"""Verdicts that show the evidence against them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.core.claims import MissingDataError, Verdict, holds
from testbed.core.quantities import number

if TYPE_CHECKING:
    import pandas as pd


def none_of(wrong: pd.DataFrame, every: pd.DataFrame, what: str, expected: str) -> Verdict:
    """PASS if no row is `wrong`; shows the first wrong packets, or else the first that are right.

    Args:
        wrong: rows that contradict the claim.
        every: all rows judged.
        what: completes ``3 of 10 ...``.
        expected: in words.

    Raises:
        MissingDataError: there are no rows to judge.
    """
    if every.empty:
        raise MissingDataError(f"nothing to judge: {expected}")
    observed = f"{len(wrong)} of {len(every)} {what}"
    verdict = holds(wrong.empty, observed=observed, expected=expected)
    is_packets = {"frame", "capture", "scenario"} <= set(wrong.columns)
    if not is_packets:
        return verdict
    if wrong.empty:
        return verdict.because(
            f"the first of {number(len(every), 'packets')} judged", every.head(3)
        )
    return verdict.because(what, wrong.head(6))
