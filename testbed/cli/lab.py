"""`testbed lab`: list, check and hand out labs (for teachers)."""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from testbed.cli.console import err, out, tell_error
from testbed.cli.grade import secret_option
from testbed.cli.lab_ideas import github, preview, try_idea
from testbed.core.errors import ConfigError, ExitCode, TestbedError, nearest
from testbed.core.files import writing
from testbed.core.quantities import number
from testbed.grading import library
from testbed.grading.answers import shown
from testbed.grading.result import points_text
from testbed.lifetime import guard


@click.group("lab")
def lab_group() -> None:
    """Manage labs: list them, check them, make bundles for students."""


@lab_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_labs(as_json: bool) -> None:
    """List the labs.

    Exit code 0: all are valid; 2: some are not, with the reason.
    """
    labs, broken = [], []
    for name in library.names():
        try:
            labs.append(library.open_lab(name))
        except TestbedError as error:  # a half-written lab must not hide the others
            broken.append(f"{name}: {error}")
    _show_list(labs, as_json=as_json)
    for line in broken:
        tell_error(line)
    sys.exit(ExitCode.USAGE if broken else ExitCode.PASS)


def _show_list(labs: list[library.LabFolder], *, as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "name": x.name,
                "title": x.manifest.title,
                "points": x.manifest.points,
                "checks": len(x.manifest.checks),
            }
            for x in labs
        ]
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    table = Table(
        "lab", "points", "checks", "hidden", "mutants", "title", box=None, header_style="bold"
    )
    for x in labs:
        hidden = sum(c.hidden for c in x.manifest.checks.values())
        table.add_row(
            x.name,
            points_text(x.manifest.points),
            str(len(x.manifest.checks)),
            str(hidden),
            str(len(x.manifest.mutants)),
            escape(x.manifest.title),
        )
    out.print(table)


@lab_group.command()
@click.argument("lab")
def describe(lab: str) -> None:
    """Show LAB's files, checks, points and mutants."""
    found = library.open_lab(lab)
    manifest = found.manifest
    out.print(
        f"[bold]{found.name}[/]  {escape(manifest.title)}, {points_text(manifest.points)} points\n",
        highlight=False,
    )
    files = Table("file", "kind", "what", box=None, header_style="bold")
    for name, file in manifest.files.items():
        files.add_row(name, file.kind, escape(file.what))
    checks = Table("check", "points", "seen by", "sentence", box=None, header_style="bold")
    sentences = {c.name: c.sentence for c in found.full.claims()}
    for name, check in manifest.checks.items():
        who = "grader" if check.hidden else "students"
        points = points_text(manifest.points_of(name))
        checks.add_row(name, points, who, escape(sentences[name]))
    mutants = Table("mutant", "loses", "what it does", box=None, header_style="bold")
    for name, mutant in manifest.mutants.items():
        loses = ", ".join(f"{c} {points_text(p)}" for c, p in mutant.loses.items())
        mutants.add_row(name, loses, escape(mutant.what))
    for table in (files, checks, mutants):
        out.print(table, "")


@lab_group.command("test")
@click.argument("lab")
@click.option(
    "--student", "students", multiple=True, help="Use this student id's variant (repeatable)."
)
@click.option(
    "--only", multiple=True, help="Test only this mutant, 'solution' or 'starter' (repeatable)."
)
@click.option(
    "--out", "folder", type=click.Path(path_type=Path), help="Keep the runs in this folder."
)
def test_lab(
    lab: str, students: tuple[str, ...], only: tuple[str, ...], folder: Path | None
) -> None:
    """Test LAB: grade its solution, starter files and mutants against the points they must earn.

    Exit code 0: yes; 1: no.
    """
    from testbed.grading import trial

    found = library.open_lab(lab)
    for name in only:
        if name not in trial.names(found):
            known = trial.names(found)
            raise ConfigError(f"--only {name}: unknown{nearest(name, known)}; {', '.join(known)}")

    def show(tried: trial.Trial) -> None:
        mark = "[red]✗[/]" if tried.wrong else "[green]✓[/]"
        points = f"{points_text(tried.result.points)} of {points_text(tried.result.of)}"
        out.print(f"{mark} {tried.name} ({escape(tried.student)}): {points}", highlight=False)
        for line in tried.wrong:
            out.print(f"    {escape(line)}", highlight=False, soft_wrap=True)

    with guard.folder("lab") as scratch:
        done = trial.run(
            found,
            only or trial.names(found),
            students or ("example",),
            (folder or scratch).resolve(),
            show,
        )
    sys.exit(ExitCode.CLAIM_FAILED if any(t.wrong for t in done) else ExitCode.PASS)


@lab_group.command()
@click.argument("lab")
@click.option("--student", required=True, help="The student's id.")
@secret_option
@click.option(
    "--out",
    "target",
    type=click.Path(path_type=Path),
    help="Folder, or archive NAME.zip [default: LAB-STUDENT.zip].",
)
def export(lab: str, student: str, secret: Path, target: Path | None) -> None:
    """Make a student's bundle for LAB: handout, starter files, variant and public checks.

    It contains no solution, mutants or hidden checks. An archive holds one folder, LAB, in which
    'testbed check' works.
    """
    from testbed.grading import export as bundles
    from testbed.grading.classroom import folder_name

    found, student = library.open_lab(lab), library.student_id(student)
    files = bundles.bundle(found, student, library.read_secret(secret))
    target = target or Path(f"{found.name}-{folder_name(student)}.zip")
    bundles.write(files, target, top=found.name)
    out.print(f"{target}: {bundles.describe(found, files)}", highlight=False, soft_wrap=True)


@lab_group.command()
@click.argument("lab")
@click.option("--student", required=True, help="The student's id.")
@secret_option
@click.option(
    "--out",
    "target",
    type=click.Path(path_type=Path),
    help="New folder, or archive NAME.zip [default: LAB-STUDENT-solution].",
)
def solution(lab: str, student: str, secret: Path, target: Path | None) -> None:
    """Write the files that earn all points of LAB with a student's variant.

    'testbed grade LAB FOLDER --student ID' grades them like any submission.
    """
    from testbed.grading import export as bundles
    from testbed.grading.classroom import folder_name

    found, student = library.open_lab(lab), library.student_id(student)
    files = found.solution(found.variant(student, library.read_secret(secret)), student)
    target = target or Path(f"{found.name}-{folder_name(student)}-solution")
    bundles.write(files, target)
    out.print(f"{target}: {', '.join(files)}", highlight=False, soft_wrap=True)


@lab_group.command()
@click.argument("lab")
@secret_option
@click.option(
    "--out",
    "target",
    type=click.Path(path_type=Path),
    help="Folder, or archive NAME.zip [default: LAB-gradescope.zip].",
)
def gradescope(lab: str, secret: Path, target: Path | None) -> None:
    """Make LAB's autograder for Gradescope. Upload the archive unchanged.

    It contains the course's secret and the hidden checks, so give it to nobody but the platform.
    Gradescope wants its files at the top of the archive, so unpack it only in an empty folder.
    """
    from testbed.grading import export as bundles
    from testbed.grading import gradescope as platform

    found = library.open_lab(lab)
    files = platform.bundle(found, library.read_secret(secret))
    target = target or Path(f"{found.name}-gradescope.zip")
    bundles.write(files, target, platform.executables(files))
    size_mb = sum(map(len, files.values())) / 1e6
    out.print(
        f"{target}: {len(files)} files, {size_mb:.0f} MB before packing",
        highlight=False,
        soft_wrap=True,
    )


@lab_group.command()
@click.argument("roster", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--grades",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder that 'testbed grade' filled, such as grades/rip.",
)
@click.option(
    "--out",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Write the filled file here.",
)
@click.option("--students", "student_column", default="", help="Column with the students' IDs.")
@click.option("--points", "points_column", default="", help="Column for the points.")
@click.option(
    "--feedback",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the feedback pages to this new archive, as Moodle wants them.",
)
def gradebook(
    roster: Path,
    grades: Path,
    target: Path,
    student_column: str,
    points_column: str,
    feedback: Path | None,
) -> None:
    """Enter points into ROSTER, the gradebook that Moodle, Canvas or Blackboard exported as CSV.

    Everything else in the file stays as it is. What lateness costs is subtracted. Students with
    open points get none. Exit code 0: all graded students were found in ROSTER; 4: some were not,
    or have open points.
    """
    from testbed.grading import deadlines, platforms
    from testbed.grading.classroom import graded_in

    results, late = graded_in(grades), deadlines.recorded(grades)
    done = platforms.fill(
        roster,
        results,
        student_column=student_column,
        points_column=points_column,
        lost={r.student: late[r.student].lost(r) for r in results if r.student in late},
    )
    if feedback is not None:
        _write_feedback(done.feedback_folders, grades, feedback)
    with writing(target, what="--out") as file:
        file.write(done.data)
    out.print(
        f"{target}: {done.platform}, points of {number(len(done.filled), 'students')} in "
        f"'{escape(done.points_column)}', found by '{escape(done.student_column)}'",
        highlight=False,
        soft_wrap=True,
    )
    for what, names in (("open points", done.open), ("not in the file", done.strangers)):
        if names:
            words = ", ".join(escape(shown(name)) for name in names)
            out.print(f"[bold blue]{what}:[/] {words}", highlight=False, soft_wrap=True)
    sys.exit(ExitCode.INCONCLUSIVE if done.open or done.strangers else ExitCode.PASS)


def _write_feedback(folders: dict[str, str], grades: Path, target: Path) -> None:
    """Feedback pages in an archive, one folder per student."""
    from testbed.grading import export as bundles
    from testbed.grading.classroom import STUDENTS, folder_name
    from testbed.grading.pages import FEEDBACK

    if not folders:
        raise ConfigError(
            f"--feedback {target}: the roster must be Moodle's grading worksheet, with a column "
            "'Identifier'"
        )
    pages = {student: grades / STUDENTS / folder_name(student) / FEEDBACK for student in folders}
    files = {
        f"{folder}/{FEEDBACK}": pages[student].read_bytes() for student, folder in folders.items()
    }
    bundles.write_zip(files, target)


@lab_group.command()
@click.argument("path", type=click.Path(path_type=Path))
def secret(path: Path) -> None:
    """Create a course secret at PATH. All variants derive from it, so do not lose it."""
    with writing(path, new=True, durable=True, mode=0o600) as file:
        file.write(f"{secrets.token_hex(32)}\n".encode())
    err.print(f"{path}: keep it safe, and do not give it to students", highlight=False)


for _command in (github, preview, try_idea):
    lab_group.add_command(_command)
