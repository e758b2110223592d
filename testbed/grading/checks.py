"""Turns verdicts into points: judges each claim of a lab."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from testbed.core.claims import Claim, MissingDataError, Status, Verdict, inconclusive
from testbed.core.tables import Tables
from testbed.grading.assignment import Assignment
from testbed.grading.library import LabFolder
from testbed.grading.loading import HIDDEN, PUBLIC
from testbed.grading.manifest import Manifest
from testbed.grading.result import CheckResult, Mark, mark_of
from testbed.grading.submission import SubmissionError

_FINISHED = "a run that finishes"


@dataclass(frozen=True)
class End:
    """How a scenario ended.

    Attributes:
        fault: ``""`` if it finished, else ``submission`` or ``grader``.
        reason: in words.
    """

    fault: str = ""
    reason: str = ""


def check_of(
    lab: LabFolder, experiment: Assignment, claim: Claim, ends: Mapping[str, End], tables: Tables
) -> CheckResult:
    """Judges one claim."""
    verdict = _verdict(experiment, claim, ends, tables)
    mark, share = mark_of(verdict)
    check, of = lab.manifest.checks[claim.name], lab.manifest.points_of(claim.name)
    return CheckResult(
        name=claim.name,
        sentence=claim.sentence,
        source=claim.source,
        hint=check.hint,
        hidden=check.hidden,
        mark=mark,
        points=round(share * of, 4),
        of=round(of, 4),
        observed=verdict.observed,
        expected=verdict.expected,
        tolerance=verdict.tolerance,
        evidence=tuple(asdict(e) for e in verdict.evidence),
    )


def _verdict(
    experiment: Assignment, claim: Claim, ends: Mapping[str, End], tables: Tables
) -> Verdict:
    """A claim's verdict; if data is missing, it depends on whose fault that is."""
    needed = {n: e for n, e in ends.items() if not claim.scenarios or n in claim.scenarios}
    broken = next((e for e in needed.values() if e.fault), None)
    if broken and claim.scenarios:
        return _without(broken)
    try:
        return claim.check(experiment, tables)
    except SubmissionError as error:
        return Verdict(Status.FAIL, str(error), "")
    except MissingDataError as missing:
        return _without(broken) if broken else inconclusive(str(missing))
    except Exception as error:  # noqa: BLE001 (a lab's code on a hostile run)
        return inconclusive(grader_failure("this check", error))


def _without(end: End) -> Verdict:
    if end.fault == "submission":
        return Verdict(Status.FAIL, end.reason, _FINISHED)
    return inconclusive(end.reason)


def followed(checks: Sequence[CheckResult], manifest: Manifest) -> tuple[CheckResult, ...]:
    """The checks, with a note at those that earned nothing because another one failed, too.

    That is a check they need (see `Check.needs`), or the first one for which the network did not
    run, either. Points do not change.
    """
    failed = {c.name for c in checks if c.mark in (Mark.FAIL, Mark.PARTIAL)}
    unfinished: dict[str, str] = {}
    found = []
    for check in checks:
        cause = ""
        if check.mark is Mark.FAIL:
            cause = next((n for n in manifest.checks[check.name].needs if n in failed), "")
            if not cause and check.expected == _FINISHED:
                cause = unfinished.setdefault(check.observed, check.name)
        found.append(replace(check, follows_from="" if cause == check.name else cause))
    return tuple(found)


def grader_failure(what: str, error: Exception) -> str:
    """Our own failure in one line, with the place in the lab's code; `--debug` shows the rest."""
    logging.getLogger(__name__).info("%s failed", what, exc_info=error)
    frames = list(traceback.extract_tb(error.__traceback__))
    frames = [f for f in frames if Path(f.filename).name in (PUBLIC, HIDDEN)] or frames
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    return f"{what} failed in the grader: {type(error).__name__} ({place})"
