"""Whose variant a submission was written for: hints with evidence, which never change points.

Each variant's solution has values that belong to it alone in the class (addresses, names, numbers).
A submission with many values of another student's variant was hardly written for its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
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
        share: share of the values of that variant alone that are in the submission, 0 to 1.
        own: the same for the student's own variant.
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
    alone = _values_alone(lab, secret, list(submissions))
    found = []
    for student, files in submissions.items():
        there = _values(files)
        shares = {
            who: len(values & there) / len(values)
            for who, values in alone.items()
            if len(values) >= _LEAST_VALUES
        }
        own = shares.pop(student, 0.0)
        if not shares:
            continue
        other = max(shares, key=shares.__getitem__)
        both = alone[other] & there
        if shares[other] >= _LEAST_SHARE and shares[other] > own and len(both) >= _LEAST_VALUES:
            some = tuple(shown(value) for value in sorted(both)[:_MOST_SHOWN])
            found.append(Fit(student, other, shares[other], own, some))
    return sorted(found, key=lambda fit: fit.student)


def _values_alone(
    lab: LabFolder, secret: bytes, students: Sequence[str]
) -> dict[str, frozenset[str]]:
    """Student → the values that only this student's solution has."""
    every = {who: _values(lab.solution(lab.variant(who, secret), who)) for who in students}
    count = Counter(value for values in every.values() for value in values)
    return {who: frozenset(v for v in values if count[v] == 1) for who, values in every.items()}


def _values(files: Mapping[str, bytes]) -> frozenset[str]:
    texts = (data[:_LARGEST_BYTES].decode("utf-8", "replace") for data in files.values())
    words = (word.strip(".:/-") for text in texts for word in _WORD.findall(text))
    return frozenset(word for word in words if _VALUE.search(word))
