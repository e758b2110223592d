"""Verdicts with partial credit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from testbed.core.claims import Status, Verdict, all_of


def share_of(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict over several equally weighted cases: earns the share of those that hold.

    INCONCLUSIVE as soon as one case is, as its share is unknown.
    """
    whole = all_of(*verdicts)
    unknown = [v for v in verdicts if v.status is Status.INCONCLUSIVE]
    if unknown:
        return replace(all_of(*unknown), score=0.0)
    held = sum(1.0 if v.status is Status.PASS else v.score for v in verdicts)
    return whole if whole.status is Status.PASS else replace(whole, score=held / len(verdicts))
