"""The result of grading one submission: points by check, with evidence. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from testbed.core.claims import Status, Verdict

FORMAT = 1


class Mark(StrEnum):
    """How a check ended."""

    PASS = "PASS"
    PARTIAL = "PARTIAL"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class CheckResult:
    """One check.

    Attributes:
        points: earned; 0 if inconclusive, which counts in `Result.open_points`.
        of: the maximum.
        evidence: as in ``verdicts.json``.
        follows_from: name of a check that failed, too, and without which this one cannot hold.
    """

    name: str
    sentence: str
    source: str
    hint: str
    hidden: bool
    mark: Mark
    points: float
    of: float
    observed: str
    expected: str
    tolerance: str = ""
    evidence: tuple[Mapping[str, Any], ...] = ()
    follows_from: str = ""


@dataclass(frozen=True)
class Result:
    """One submission.

    Attributes:
        key: hash of everything the result depends on.
        problems: what was wrong with the files, one line each.
        fingerprint: of the runs' captures; empty if nothing finished.
    """

    lab: str
    title: str
    student: str
    key: str
    problems: tuple[str, ...] = ()
    fingerprint: str = ""
    checks: tuple[CheckResult, ...] = field(default_factory=tuple)

    @property
    def of(self) -> float:
        """What the lab is worth."""
        return round(sum(c.of for c in self.checks), 6)

    @property
    def points(self) -> float:
        """Points certainly earned."""
        return round(sum(c.points for c in self.checks), 2)

    @property
    def open_points(self) -> float:
        """Points neither earned nor lost: those of checks that must be graded again."""
        return round(sum(c.of for c in self.checks if c.mark is Mark.INCONCLUSIVE), 2)

    def sentence_of(self, name: str) -> str:
        """The sentence of a check."""
        return next(c.sentence for c in self.checks if c.name == name)

    @property
    def conclusive(self) -> bool:
        """True if nothing has to be graded again."""
        return all(c.mark is not Mark.INCONCLUSIVE for c in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """For ``result.json``."""
        sums = {"points": self.points, "of": self.of, "open_points": self.open_points}
        return {"format": FORMAT, **asdict(self), **sums}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        """A result from `as_dict`. Raises KeyError, TypeError or ValueError if it is invalid."""
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']}")
        checks = tuple(
            CheckResult(**{**c, "mark": Mark(c["mark"]), "evidence": tuple(c["evidence"])})
            for c in data["checks"]
        )
        names = ("lab", "title", "student", "key", "fingerprint")
        return cls(**{n: data[n] for n in names}, problems=tuple(data["problems"]), checks=checks)


def mark_of(verdict: Verdict) -> tuple[Mark, float]:
    """How a check with this verdict ended, and the share of its points that it earns."""
    if verdict.status is Status.PASS:
        return Mark.PASS, 1.0
    if verdict.status is Status.INCONCLUSIVE:
        return Mark.INCONCLUSIVE, 0.0
    share = min(max(verdict.score, 0.0), 1.0)
    return (Mark.PARTIAL if share else Mark.FAIL), share


def points_text(points: float) -> str:
    """As printed: up to two decimals."""
    return f"{points:.2f}".rstrip("0").rstrip(".")
