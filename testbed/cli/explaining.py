"""`testbed check --explain CHECK`: one check with what it looked at, on the terminal."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from testbed.cli.console import out
from testbed.core.errors import ConfigError, nearest
from testbed.core.language import Words
from testbed.core.rundir import RunDir
from testbed.grading import library, pages
from testbed.grading.answers import shown
from testbed.grading.grade import RUN
from testbed.grading.result import CheckResult, Mark, Result, points_text


def checked_name(lab: library.LabFolder, name: str) -> str:
    """The name of a check of a lab.

    Raises:
        ConfigError: there is none.
    """
    known = list(lab.manifest.checks)
    if name not in known:
        raise ConfigError(f"--explain {name}: unknown{nearest(name, known)}; {', '.join(known)}")
    return name


def explain(lab: library.LabFolder, result: Result, name: str, folder: Path) -> CheckResult:
    """Shows a check: its sentence, how it is judged, what was seen, and the packets.

    Args:
        lab: the lab.
        result: of the student.
        name: of the check.
        folder: the student's, with the run.
    """
    check = next(c for c in result.checks if c.name == name)
    t = lab.words()
    for line in _lines(lab, result, check, t):
        out.print(escape(line), highlight=False, soft_wrap=True)
    for evidence in pages.evidence(RunDir(folder / RUN), check):
        where = f" · {t('captured at')} {evidence['of'].capture}" * bool(evidence["of"].capture)
        out.print(f"\n{escape(evidence['of'].what)}{where}", highlight=False, soft_wrap=True)
        if evidence["rows"]:
            table = Table(*map(str, evidence["rows"][0]), box=None, header_style="bold")
            for row in evidence["rows"]:
                table.add_row(*(escape(shown(value)) for value in row.values()))
            out.print(table)
    return check


def _lines(lab: library.LabFolder, result: Result, check: CheckResult, t: Words) -> Iterator[str]:
    claim = next(c for c in lab.full.claims() if c.name == check.name)
    yield t(check.sentence) + f" ({check.source})" * bool(check.source)
    judged = inspect.getdoc(getattr(lab.full, claim.name)) or ""
    if judged:
        yield t.pair(t("judged by"), " ".join(judged.split()))
    points = t("open") if check.mark is Mark.INCONCLUSIVE else points_text(check.points)
    told = t("{points} of {of} points").format(points=points, of=points_text(check.of))
    yield t.pair(check.mark, told)
    yield t.pair(t("observed"), check.observed)
    if check.expected:
        yield t.pair(t("expected"), f"{check.expected} {check.tolerance}".rstrip())
    if check.follows_from:
        yield t.pair(t("follows from"), t(result.sentence_of(check.follows_from)))
    if check.hint and check.mark is not Mark.PASS:
        yield t.pair(t("hint"), t(check.hint))
