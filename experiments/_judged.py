"""Verdicts over cases of which a stall of the host may have spoiled some."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.core.claims import Verdict, all_of, inconclusive

JUDGED_SHARE = 0.25
"""At least so many of a link's packets must have met no stall of the host, or the link is not
judged."""

_NAMED = 4


def with_unjudged(judged: Sequence[Verdict], unjudged: Sequence[str], worst_us: float) -> Verdict:
    """FAIL if a judged case fails; a PASS only if all cases were judged.

    Args:
        judged: verdicts of those that could be judged.
        unjudged: names of the others.
        worst_us: the longest stall that fell on any case.
    """
    if not unjudged:
        return all_of(judged)
    more = f" and {len(unjudged) - _NAMED} more" if len(unjudged) > _NAMED else ""
    spoiled = inconclusive(
        f"the host's stalls (up to {worst_us / 1e3:.1f} ms) leave nothing to judge of "
        f"{'; '.join(unjudged[:_NAMED])}{more}"
    )
    return all_of([*judged, spoiled])
