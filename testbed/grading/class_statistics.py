"""What a class's results say about it and about each check: distribution, item analysis.

Open points are in no figure: nobody knows yet whether they were earned.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import StatisticsError, correlation, fmean

from testbed.grading.deadlines import Late
from testbed.grading.result import CheckResult, Mark, Result, points_text

_BINS = 10
_LEAST_FOR_CORRELATION = 5
_MOST_WRONG = 3
_MOST_DAYS = 60


@dataclass(frozen=True)
class Bin:
    """Number of students with points in an interval."""

    label: str
    count: int
    share: float


@dataclass(frozen=True)
class Item:
    """One check of the lab, over the class (classical item analysis).

    Attributes:
        name: of the check.
        sentence: what it checks.
        hidden: whether students' own checks lack it.
        earned: mean share of its points that students earned, 0 to 1; NaN if it is open for all.
        discrimination: correlation (Pearson) of that share with the students' points in all
            other checks, -1 to 1; NaN for fewer than five students, or if one of the two does not
            vary. Near 0 or below, the check does not measure what the others measure.
        marks: how often each mark was given.
        wrong: what was most often observed where points were lost, with the number of students.
    """

    name: str
    sentence: str
    hidden: bool
    earned: float
    discrimination: float
    marks: dict[str, int]
    wrong: tuple[tuple[str, int], ...]


def mean_points(results: Sequence[Result]) -> float | None:
    """Average points of the students without open points; None if there are none."""
    judged = [r.points for r in results if r.conclusive]
    return fmean(judged) if judged else None


def histogram(results: Sequence[Result]) -> list[Bin]:
    """Distribution of points in ten intervals, of students without open points."""
    of = results[0].of
    counts = [0] * _BINS
    for result in (r for r in results if r.conclusive):
        counts[min(int(result.points / of * _BINS + 1e-9), _BINS - 1)] += 1
    most = max([*counts, 1])
    edges = [points_text(of * i / _BINS) for i in range(_BINS + 1)]
    return [
        Bin(f"{edges[i]} – {edges[i + 1]}", count, count / most) for i, count in enumerate(counts)
    ]


def hand_ins(late: Mapping[str, Late]) -> list[Bin]:
    """Number of students who handed in on each day, from the first to the last; unknown: none."""
    days = sorted(datetime.fromisoformat(x.handed_in).date() for x in late.values() if x.handed_in)
    if not days:
        return []
    counts = Counter(days)
    every = [days[0] + timedelta(n) for n in range((days[-1] - days[0]).days + 1)][-_MOST_DAYS:]
    return [Bin(str(day), counts[day], counts[day] / max(counts.values())) for day in every]


def items(results: Sequence[Result]) -> list[Item]:
    """All checks, those that cost the class most points first."""
    found = [_item(results, number) for number in range(len(results[0].checks))]
    return sorted(found, key=lambda item: 1.0 if math.isnan(item.earned) else item.earned)


def _item(results: Sequence[Result], number: int) -> Item:
    check = results[0].checks[number]
    column = [r.checks[number] for r in results]
    judged = [c for c in column if c.mark is not Mark.INCONCLUSIVE]
    return Item(
        check.name,
        check.sentence,
        check.hidden,
        earned=fmean(map(_share, judged)) if judged else math.nan,
        discrimination=_discrimination(results, number),
        marks={m.value: sum(c.mark is m for c in column) for m in Mark},
        wrong=_wrong(judged),
    )


def _share(check: CheckResult) -> float:
    return check.points / check.of


def _discrimination(results: Sequence[Result], number: int) -> float:
    judged = [r for r in results if r.conclusive]
    if len(judged) < _LEAST_FOR_CORRELATION:
        return math.nan
    shares = [_share(r.checks[number]) for r in judged]
    rest = [sum(c.points for n, c in enumerate(r.checks) if n != number) for r in judged]
    try:
        return correlation(shares, rest)
    except StatisticsError:  # one of them is the same for all
        return math.nan


def _wrong(judged: Sequence[CheckResult]) -> tuple[tuple[str, int], ...]:
    """The most frequent observations where points were lost; those of one student do not count,
    nor what only follows from another check."""
    own = [c for c in judged if c.mark is not Mark.PASS and not c.follows_from]
    seen = Counter(" ".join(c.observed.split()) for c in own)
    common = sorted(seen.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple((words, count) for words, count in common[:_MOST_WRONG] if count > 1)
