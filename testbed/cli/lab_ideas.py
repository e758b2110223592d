"""`testbed lab preview`, `try` and `github`: what students see, what an idea loses, a workflow."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click
from rich.markup import escape

from testbed.cli.console import err, out
from testbed.cli.grade import secret_option
from testbed.core.errors import ConfigError, ExitCode
from testbed.core.files import building, write_bytes, write_text
from testbed.grading import library
from testbed.grading.github import PATH, workflow
from testbed.grading.library import LabFolder
from testbed.grading.manifest import Mutant
from testbed.grading.result import Result, points_text
from testbed.lifetime import guard

_STUDENT = "example"
_IDEA = "my_idea"


@click.command()
@click.argument("lab")
@click.option("--student", default=_STUDENT, show_default=True, help="The student's id.")
@secret_option
@click.option("--out", "target", type=click.Path(path_type=Path), help="New folder.", required=True)
def preview(lab: str, student: str, secret: Path, target: Path) -> None:
    """Show what a student of LAB sees: bundle, handout, and pages about the starter files.

    The new folder has the bundle, check.html (what 'testbed check' reports on the starter files)
    and feedback.html (what the student gets when these are graded, hidden checks included).
    """
    from testbed.grading import export, pages

    found, student = library.open_lab(lab), library.student_id(student)
    key = library.read_secret(secret)
    params = found.variant(student, key)
    with guard.folder("preview") as scratch, building(target, what="--out") as part:
        result = _graded(found, student, params, found.starter(params, student), scratch)
        for name, data in export.bundle(found, student, key).items():
            (part / "bundle" / name).parent.mkdir(parents=True, exist_ok=True)
            write_bytes(part / "bundle" / name, data)
        theirs = tuple(c for c in result.checks if not c.hidden)
        for page, one in (("check", replace(result, checks=theirs)), ("feedback", result)):
            pages.write_student(found, one, params, scratch / "student")
            text = (scratch / "student" / pages.FEEDBACK).read_text(encoding="utf-8")
            write_text(part / f"{page}.html", text)
    out.print(
        f"{target}: bundle, check.html, feedback.html; the starter files earn"
        f" {points_text(result.points)} of {points_text(result.of)} points",
        highlight=False,
        soft_wrap=True,
    )


@click.command("try")
@click.argument("lab")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--student", default=_STUDENT, show_default=True, help="Whose variant FOLDER solves.")
@secret_option
@click.option("--name", default=_IDEA, show_default=True, help="Name of the mutant.")
@click.option("--what", default="", help="The idea, in words.")
def try_idea(lab: str, folder: Path, student: str, secret: Path, name: str, what: str) -> None:
    """Try a wrong idea on LAB: grade a changed solution, and print it as a mutant for lab.yaml.

    FOLDER holds what 'testbed lab solution' wrote, with your changes. Exit code 0: the idea loses
    points; 1: it loses none, so no check notices it; 4: something could not be judged.
    """
    from testbed.grading import accept, idea

    if not folder.is_dir():
        raise ConfigError(f"{folder}: is not a folder; 'testbed lab solution' makes one to change")
    found, student = library.open_lab(lab), library.student_id(student)
    key = library.read_secret(secret)
    params = found.variant(student, key)
    handed = accept.read(folder.absolute(), found.manifest)
    mutant = idea.mutant_of(found, params, student, handed.files, what or "describe it here")
    _tell_if_narrow(found, key, name, mutant)
    with guard.folder("try") as scratch:
        result = _graded(found, student, params, handed.files, scratch)
    for check in result.checks:
        if check.points < check.of:
            lost = points_text(check.of - check.points)
            words = f"{check.name}: loses {lost}: {check.observed}"
            out.print(escape(words), highlight=False, soft_wrap=True)
    if not result.conclusive:
        raise SystemExit(ExitCode.INCONCLUSIVE)
    lost_points = idea.losses(result)
    if not lost_points:
        err.print("the idea earns all points: no check notices it", highlight=False)
        sys.exit(ExitCode.CLAIM_FAILED)
    click.echo("mutants:\n" + idea.as_yaml(name, mutant.model_copy(update={"loses": lost_points})))


def _tell_if_narrow(lab: LabFolder, secret: bytes, name: str, mutant: Mutant) -> None:
    """Says so if a mutant does not fit the variant of another student."""
    manifest = lab.manifest.model_copy(update={"mutants": {name: mutant}})
    other = "somebody else"
    try:
        replace(lab, manifest=manifest).mutant(name, lab.variant(other, secret), other)
    except ConfigError as error:
        err.print(
            f"[yellow]note:[/] it fits this variant only: {escape(str(error))}; write values of the"
            " variant as the solution's template does",
            highlight=False,
            soft_wrap=True,
        )


def _graded(
    lab: LabFolder, student: str, params: dict[str, object], files: dict[str, bytes], at: Path
) -> Result:
    """The result of some files, with the run in ``student/``."""
    from testbed.grading.accept import Handed
    from testbed.grading.grade import Task, grade, grading_runtime

    task = Task(lab, student, params, Handed(files), at / "student")
    with err.status("running the network"):
        return grade(task, grading_runtime(lab), workers=2)


@click.command()
@click.argument("lab")
@click.option("--testbed", required=True, metavar="OWNER/NAME", help="Repository of the testbed.")
@click.option("--out", "target", type=click.Path(path_type=Path), default=Path(PATH))
def github(lab: str, testbed: str, target: Path) -> None:
    """Write LAB's workflow for GitHub Classroom, for repositories that hold a student's bundle.

    It runs 'testbed check' once, and makes each public check a test with its points. It needs no
    secret; grade hidden checks yourself. Open checks (exit code 4) give no grade, never 0 points.
    """
    found = library.open_lab(lab)
    if testbed.count("/") != 1:
        raise ConfigError(f"--testbed {testbed}: is not a repository; give OWNER/NAME")
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, workflow(found, testbed), what="--out")
    out.print(f"{target}: {len(found.manifest.public().checks)} tests", highlight=False)
