"""`testbed grade` for teachers, `testbed check` for students."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from testbed.cli.bars import WithBar
from testbed.cli.console import err, out
from testbed.cli.options import cluster_of, cluster_options, with_language
from testbed.core.errors import ConfigError, ExitCode
from testbed.core.files import building, copy_tree, write_text
from testbed.core.language import Words
from testbed.core.quantities import number
from testbed.grading import bundle_trust, library
from testbed.grading.answers import shown
from testbed.grading.class_statistics import mean_points
from testbed.grading.classroom import Graded, Request, find, grade_class
from testbed.grading.deadlines import read as read_deadlines
from testbed.grading.grade import refuse_if_shown
from testbed.grading.result import Mark, Result, points_text
from testbed.lifetime import guard

if TYPE_CHECKING:
    from testbed.grading.grade import Task

SECRET = Path("course.secret")
COLOURS = {
    Mark.PASS: "green",
    Mark.PARTIAL: "yellow",
    Mark.FAIL: "bold red",
    Mark.INCONCLUSIVE: "bold blue",
}

_KEPT_TEXT = """\
'testbed check --keep' made this folder. While this file is here, nothing in the folder counts as
handed in: move any file that you want to hand in out of it.
"""

secret_option = click.option(
    "--secret",
    type=click.Path(path_type=Path),
    default=SECRET,
    show_default=True,
    help="File with the course's secret (see 'testbed lab secret').",
)


class _View(WithBar):
    """A bar on a terminal; in a log, a line per finished student."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("grading"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[last]}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total, last="")

    def graded(self, one: Graded) -> None:
        """A student's grading is done."""
        result = one.result
        state = f"{points_text(result.points)} of {points_text(result.of)}"
        if not result.conclusive:
            state += f", {points_text(result.open_points)} open"
        line = f"{shown(result.student)}: {state}{_how(one)}"
        self._bar.update(self._task, advance=1, last=escape(line))
        if not self._console.is_terminal:
            self._console.print(escape(line), highlight=False, soft_wrap=True)


def _how(one: Graded) -> str:
    """What was not done for a result."""
    return " (unchanged)" if one.unchanged else " (judged again, not run)" * (not one.ran)


@with_language
@click.command("grade")
@click.argument("lab")
@click.argument("submissions", nargs=-1, required=True, type=click.Path(path_type=Path))
@secret_option
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder for results [default: grades/LAB].",
)
@click.option("--student", help="Student ID for a single submission.")
@click.option(
    "--jobs", type=click.IntRange(1, 256), help="Number of parallel jobs [default: cores]."
)
@click.option("--again", is_flag=True, help="Regrade unchanged submissions as well.")
@click.option(
    "--deadlines",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with deadline, late days, extensions and times of hand-ins.",
)
@click.option("--note", default="", help="With --student: why this student is graded again.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def grade_command(
    lab: str,
    submissions: tuple[Path, ...],
    secret: Path,
    folder: Path | None,
    student: str | None,
    jobs: int | None,
    again: bool,
    deadlines: Path | None,
    note: str,
    as_json: bool,
    **elsewhere: Any,
) -> None:
    """Grade SUBMISSIONS of LAB: the class's folder, or several folders or archives (zip, tar,
    tar.gz), one per student; the name is the student's id.

    Unchanged submissions keep their earlier grade, so an interrupted command resumes when repeated.
    With --student, the other students' results in the folder stay, and the class's pages have all.
    Exit code 0: all graded; 4: something must be graded again.
    """
    if note and student is None:
        raise ConfigError("--note: say which student is graded again: --student ID")
    found = library.open_lab(lab)
    refuse_if_shown(secret)
    request = Request(
        found,
        library.read_secret(secret),
        find(submissions, found.manifest, student),
        (folder or Path("grades") / found.name).resolve(),
        again=again,
        deadlines=read_deadlines(deadlines) if deadlines else None,
        note=note,
        alone=student is not None,
    )
    request.cluster = cluster_of({**elsewhere, "workers": jobs}, request.out / "logs")
    with _View(err, len(request.sources)) as view:
        results = grade_class(request, view.graded)
    _report(results, request.out, as_json)
    conclusive = all(g.result.conclusive for g in results)
    sys.exit(ExitCode.PASS if conclusive else ExitCode.INCONCLUSIVE)


grade_command.params += [option for option in cluster_options() if option.name != "workers"]


def _report(results: list[Graded], folder: Path, as_json: bool) -> None:
    if as_json:
        rows = [{"unchanged": g.unchanged, **g.result.as_dict()} for g in results]
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    new = sum(not g.unchanged for g in results)
    regrade = [g.result for g in results if not g.result.conclusive]
    mean = mean_points([g.result for g in results])
    of = points_text(results[0].result.of)
    average = f", average {points_text(mean)} of {of} points" if mean is not None else ""
    out.print(
        f"{number(len(results), 'students')}, {new} graded now{average}"
        + f" (without {number(len(regrade), 'students')} with open points)" * bool(regrade),
        highlight=False,
    )
    if regrade:
        names = ", ".join(escape(shown(r.student)) for r in regrade[:10])
        more = f" and {len(regrade) - 10} more" * (len(regrade) > 10)
        out.print(f"[bold blue]to be graded again:[/] {names}{more}", highlight=False)
    for name in ("class.html", "gradebook.csv"):
        out.print(str(folder / name), soft_wrap=True, highlight=False)


@with_language
@click.command("check")
@click.argument("lab", required=False)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    help="Folder with your files [default: this one].",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page with the evidence to this file.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, exists=False),
    help="Keep your networks' captures and logs in this new folder.",
)
@click.option(
    "--trust", is_flag=True, help="Run the lab's code in this folder: it comes from your course."
)
@click.option("--explain", metavar="CHECK", help="Show one check with what it looked at.")
@click.option("--watch", is_flag=True, help="Check again whenever you save a file, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check_command(
    lab: str | None,
    folder: Path,
    report: Path | None,
    keep: Path | None,
    trust: bool,
    explain: str | None,
    watch: bool,
    as_json: bool,
) -> None:
    """Check your work on LAB: show your public points and why you got them.

    Inside your bundle's folder LAB can be omitted. Exit code 0: all public points; 1: not all;
    4: something could not be judged. With --explain it says this of one check. The lab code in the
    bundle runs with your permissions, so you must allow it once (--trust), unless your testbed has
    the same lab.
    """
    from testbed.cli import explaining
    from testbed.grading import accept, pages
    from testbed.grading.grade import RUN, Task, grade, grading_runtime

    if keep is not None and os.path.lexists(keep):
        raise ConfigError(f"--keep {keep}: already exists; choose a new folder")
    if watch and (keep is not None or as_json):
        raise ConfigError("--watch checks many times: it goes with neither --keep nor --json")
    if explain and (watch or as_json):
        raise ConfigError("--explain shows one check: it goes with neither --watch nor --json")
    with guard.folder("check") as scratch:
        found, student, params = _own_lab(lab, folder, scratch, trust)
        t = found.words()  # of the folder's lab, of which the copy is gone below
        explain = explain and explaining.checked_name(found, explain)
        handed = accept.read(folder.absolute(), found.manifest)
        task = Task(found, student, params, handed, scratch / "student")

        def check(task: Task) -> Result:
            with err.status("running your network"):
                result = grade(task, grading_runtime(found), workers=2)
            if report is not None:
                pages.write_student(found, result, params, task.folder)
                page = (task.folder / pages.FEEDBACK).read_text(encoding="utf-8")
                write_text(report, page, what="--report")
            return result

        result = check(task)
        if watch:
            _watch(task, folder.absolute(), result, check)
        if keep is not None:
            _keep(task.folder / RUN / "scenarios", keep)
        if explain:
            one = explaining.explain(found, result, explain, task.folder)
            result = replace(result, checks=(one,))
    if as_json:
        click.echo(json.dumps(result.as_dict(), indent=1, ensure_ascii=False))
    elif not explain:
        _print(result, t)
    full = all(c.mark is Mark.PASS for c in result.checks)
    bad = ExitCode.CLAIM_FAILED if result.conclusive else ExitCode.INCONCLUSIVE
    sys.exit(ExitCode.PASS if full else bad)


def _watch(task: Task, folder: Path, result: Result, check: Callable[[Task], Result]) -> None:
    """Shows the first result, and then what each save of a file changed, until Ctrl-C."""
    from testbed.cli import watching

    t = task.lab.words()
    _print(result, t)
    err.print("waiting for you to save a file; Ctrl-C ends")
    for before, now in watching.again(task, folder, result, check):
        for line in watching.changes(before, now):
            out.print(escape(line), highlight=False, soft_wrap=True)
        _print_sum(now, t)


def _own_lab(
    name: str | None, folder: Path, scratch: Path, trust: bool
) -> tuple[library.LabFolder, str, dict[str, object]]:
    """The public part of the lab, from the bundle or the project, and the student's variant."""
    variant = library.read_variant(folder)
    if name is None and variant is None:
        raise ConfigError(
            f"{folder.absolute()}: has no {library.VARIANT}; go to your bundle's folder, or name"
            f" the lab: {', '.join(library.names())}"
        )
    if variant is not None and name not in (None, variant[0]):
        raise ConfigError(
            f"{folder.absolute()}: holds a bundle of lab '{variant[0]}', not '{name}'"
        )
    wanted = name or (variant[0] if variant else "")
    if not wanted.isidentifier():
        raise ConfigError(f"lab '{wanted}': is not a valid lab name")
    bundled = folder.absolute() / library.BUNDLED / wanted
    found = (
        bundle_trust.open_bundled(bundled, scratch, trust=trust)
        if bundled.is_dir()
        else library.open_lab(wanted)
    )
    values = variant[2] if variant else {}
    student = variant[1] if variant else "example"
    return found.students_part(), student, found.parameters(values)


def _keep(scenarios: Path, folder: Path) -> None:
    """Copies what the networks left, marked as not part of a hand-in; nothing if none came up."""
    from testbed.grading.accept import KEPT

    if not scenarios.is_dir():
        err.print(f"--keep {escape(str(folder))}: no network came up", highlight=False)
        return
    with building(folder, what="--keep") as part:
        write_text(part / KEPT, _KEPT_TEXT)
        copy_tree(scenarios, part)


def _print(result: Result, t: Words) -> None:
    for line in result.problems:
        out.print(f"[yellow]{t('note')}:[/] {escape(line)}", highlight=False, soft_wrap=True)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(t("points"), no_wrap=True)
    for column in (t("check"), t("observed"), t("expected")):
        table.add_column(column, overflow="fold")
    for c in result.checks:
        points = t("open") if c.mark is Mark.INCONCLUSIVE else points_text(c.points)
        why = ""
        seen = [escape(c.observed), escape(f"{c.expected} {c.tolerance}".strip())]
        if c.follows_from:
            first = escape(t(result.sentence_of(c.follows_from)))
            why, seen = f"\n[dim]{t.pair(t('follows from'), first)}[/]", []
        elif c.hint and c.mark is not Mark.PASS:
            why = f"\n[dim]{t.pair(t('hint'), escape(t(c.hint)))}[/]"
        told = t("{points} of {of}").format(
            points=f"[{COLOURS[c.mark]}]{points}[/]", of=points_text(c.of)
        )
        table.add_row(told, f"{escape(t(c.sentence))}{why}", *seen)
    out.print(table)
    _print_sum(result, t)


def _print_sum(result: Result, t: Words) -> None:
    total = t("{points} of {of} public points").format(
        points=points_text(result.points), of=points_text(result.of)
    )
    left = t("{points} open").format(points=points_text(result.open_points))
    shown_sum = total if result.conclusive else t.listed([total, left])
    out.print(f"\n{shown_sum}", highlight=False)
