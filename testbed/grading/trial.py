"""Tests a lab on its own files: the solution earns all points, each mutant loses what it must."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from testbed.execution.engine import LocalEngine, each
from testbed.grading import library
from testbed.grading.accept import Handed
from testbed.grading.grade import Task, grade, grading_runtime
from testbed.grading.library import LabFolder
from testbed.grading.result import Mark, Result, points_text
from testbed.lifetime import guard

SOLUTION, STARTER = "solution", "starter"
_SECRET = b"the secret of a lab's trial"
_CLOSE = 0.006
"""Points have two decimals."""


@dataclass(frozen=True)
class Trial:
    """One of the lab's own submissions.

    Attributes:
        name: ``solution``, ``starter`` or a mutant's name.
        student: the student whose variant was used.
        result: what it earned.
        wrong: deviations from what must be, one line each.
    """

    name: str
    student: str
    result: Result
    wrong: tuple[str, ...]


def names(lab: LabFolder) -> list[str]:
    """Names of all of a lab's own submissions."""
    return [SOLUTION, STARTER, *lab.manifest.mutants]


def files(lab: LabFolder, name: str, student: str) -> dict[str, bytes]:
    """The files of one of them, for a student's variant."""
    params = lab.variant(student, _SECRET)
    if name == SOLUTION:
        return lab.solution(params, student)
    return lab.starter(params, student) if name == STARTER else lab.mutant(name, params, student)


def run(
    lab: LabFolder,
    chosen: Iterable[str],
    students: Iterable[str],
    folder: Path,
    on_trial: Callable[[Trial], None] = lambda _: None,
    workers: int = 0,
) -> list[Trial]:
    """Grades the chosen submissions, for each student's variant.

    Args:
        lab: the lab.
        chosen: of `names`.
        students: ids.
        folder: for the runs.
        on_trial: called for each one when it and all before it are done, so the order is fixed.
        workers: number of parallel processes; 0: one per processor.
    """
    asked = [(student, name) for student in students for name in chosen]
    found: dict[tuple[str, str], Trial] = {}
    told: list[Trial] = []
    jobs = [(lab.path, student, name, folder) for student, name in asked]
    with LocalEngine(min(workers or guard.processors(), len(asked))) as engine:
        for trial in each(engine, _one, jobs):
            found[trial.student, trial.name] = trial
            while len(told) < len(asked) and asked[len(told)] in found:
                told.append(found[asked[len(told)]])
                on_trial(told[-1])
    return told


def _one(what: tuple[Path, str, str, Path]) -> Trial:
    """In a worker: one submission."""
    path, student, name, folder = what
    lab = library.open_once(path)
    params = lab.variant(student, _SECRET)
    task = Task(lab, student, params, Handed(files(lab, name, student)), folder / student / name)
    result = grade(task, grading_runtime(lab))
    return Trial(name, student, result, tuple(_wrong(lab, name, result)))


def _wrong(lab: LabFolder, name: str, result: Result) -> Iterable[str]:
    for check in result.checks:
        if check.mark is Mark.INCONCLUSIVE:
            yield f"{check.name}: INCONCLUSIVE: {check.observed}"
    if name == STARTER:
        if result.points >= result.of:
            yield "the starter files earn all points"
        return
    mutant = lab.manifest.mutants.get(name)
    for check in result.checks:
        lost = check.of - check.points
        must = mutant.loses.get(check.name, 0.0) if mutant else 0.0
        if check.mark is not Mark.INCONCLUSIVE and abs(lost - must) > _CLOSE:
            yield (
                f"{check.name}: loses {points_text(lost)}, must lose {points_text(must)}"
                f" ({check.observed}; expected {check.expected})"
            )
    if name == SOLUTION and result.problems:
        yield f"the solution has problems: {'; '.join(result.problems)}"
