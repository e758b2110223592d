"""`testbed check --watch`: checks again whenever a file that the lab takes was saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from testbed.grading import accept
from testbed.grading.accept import Handed
from testbed.grading.grade import Task
from testbed.grading.result import CheckResult, Mark, Result, points_text

_POLL_S = 0.3


def again(
    task: Task, folder: Path, result: Result, check: Callable[[Task], Result]
) -> Iterator[tuple[Result, Result]]:
    """Checks after each change of the student's files; never ends by itself.

    Args:
        task: what was checked.
        folder: with the student's files.
        result: of that check.
        check: checks a task.

    Yields:
        The result before, and the new one.
    """
    while True:
        task = replace(task, handed=_next(folder, task))
        before, result = result, check(task)
        yield before, result


def _next(folder: Path, task: Task) -> Handed:
    """Waits until the files differ and have stopped changing: editors save in several steps."""
    known = task.handed
    while True:
        time.sleep(_POLL_S)
        now = accept.read(folder, task.lab.manifest)
        if now != task.handed and now == known:
            return now
        known = now


def changes(before: Result, now: Result) -> list[str]:
    """What changed, one line per check or note; says so if nothing did."""
    earlier = {c.name: c for c in before.checks}
    lines = [
        f"{_points(earlier[c.name])} → {_points(c)} of {points_text(c.of)}  {c.name}: {c.observed}"
        for c in now.checks
        if (c.mark, c.points, c.observed) != _seen(earlier[c.name])
    ]
    lines += [f"note: {line}" for line in now.problems if line not in before.problems]
    lines += [f"fixed: {line}" for line in before.problems if line not in now.problems]
    return lines or ["no check changed"]


def _seen(check: CheckResult) -> tuple[Mark, float, str]:
    return check.mark, check.points, check.observed


def _points(check: CheckResult) -> str:
    return "open" if check.mark is Mark.INCONCLUSIVE else points_text(check.points)
