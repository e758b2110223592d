"""Whose variant a submission was written for: hints with evidence, which never change points.

The solutions of two variants differ in values (addresses, names, numbers). A submission that has
more of those of another student's variant than of its own was hardly written for its own. Solutions
without such values, as those of labs for programs, give no hints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from testbed.grading.answers import shown
from testbed.grading.library import LabFolder

_WORD = re.compile(r"[\w.:@/+-]+")
_VALUE = re.compile(r"\d|\w\.\w")
"""What a word of a variant has: a digit, or a dot inside. Other words are too common."""

_LEAST_SHARE, _LEAST_VALUES = 0.5, 3
_MOST_SHOWN = 6
_LARGEST_BYTES = 256 << 10
"""Of a submission's file: more is not read for hints."""


@dataclass(frozen=True)
class Fit:
    """A submission that fits another student's variant better than its own.

    Attributes:
        student: who handed it in.
        other: whose variant it fits.
        share: share of the values that only the other's solution has, of the two, that are in the
            submission, 0 to 1.
        own: the same for the student's own solution.
        values: some of them.
    """

    student: str
    other: str
    share: float
    own: float
    values: tuple[str, ...]


def fits(
    lab: LabFolder, secret: bytes, submissions: Mapping[str, Mapping[str, bytes]]
) -> list[Fit]:
    """The submissions that fit another variant of the class, sorted by student.

    Args:
        lab: the lab.
        secret: the course's.
        submissions: student → files by name, as they were graded.
    """
    solved = {who: _values(lab.solution(lab.variant(who, secret), who)) for who in submissions}
    found = []
    for student, files in submissions.items():
        there = _values(files)
        every = [_fit(student, other, there, solved) for other in submissions if other != student]
        likely = [fit for fit in every if fit is not None]
        if likely:
            found.append(max(likely, key=lambda fit: fit.share))
    return sorted(found, key=lambda fit: fit.student)


def _fit(
    student: str, other: str, there: frozenset[str], solved: Mapping[str, frozenset[str]]
) -> Fit | None:
    """How a student's values fit another's variant, if they do so better than the student's own."""
    theirs, own = solved[other] - solved[student], solved[student] - solved[other]
    both = theirs & there
    if len(both) < _LEAST_VALUES or len(both) < _LEAST_SHARE * len(theirs):
        return None
    share, own_share = len(both) / len(theirs), len(own & there) / len(own) if own else 0.0
    if share <= own_share:
        return None
    return Fit(student, other, share, own_share, tuple(map(shown, sorted(both)[:_MOST_SHOWN])))


def _values(files: Mapping[str, bytes]) -> frozenset[str]:
    texts = (data[:_LARGEST_BYTES].decode("utf-8", "replace") for data in files.values())
    words = (word.strip(".:/-") for text in texts for word in _WORD.findall(text))
    return frozenset(word for word in words if _VALUE.search(word))
