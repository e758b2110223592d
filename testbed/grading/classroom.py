"""Grades a class: one process per core, each student separately; resumes where it stopped."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from testbed.core import files
from testbed.core.errors import ConfigError, OutputError, RunIncompleteError
from testbed.core.rundir import read_json
from testbed.execution.cluster import Cluster
from testbed.execution.engine import each
from testbed.execution.shared import Shared
from testbed.grading import accept, deadlines, grade, history, integrity, library, similarity
from testbed.grading.answers import shown
from testbed.grading.deadlines import Deadlines, Late
from testbed.grading.entries import ARCHIVES, is_archive
from testbed.grading.library import VARIANT, LabFolder
from testbed.grading.manifest import Manifest
from testbed.grading.result import CheckResult, Mark, Result
from testbed.grading.submission import FOLDER
from testbed.lifetime import guard

_log = logging.getLogger(__name__)

STUDENTS = "students"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,63}")


@dataclass(frozen=True)
class Source:
    """A submission: its student, and the folder or archive it is in."""

    student: str
    path: Path


@dataclass(frozen=True)
class Graded:
    """A student's result.

    Attributes:
        result: of the student.
        unchanged: it is an earlier one that is still valid.
        ran: networks were run for it; without, an earlier run was judged again.
    """

    result: Result
    unchanged: bool = False
    ran: bool = True


@dataclass
class Request:
    """What to grade.

    Attributes:
        lab: the lab.
        secret: the course's.
        sources: the submissions.
        out: folder for results.
        cluster: who grades.
        again: also regrade unchanged submissions.
        versions: hash over everything that grades; filled in.
        deadlines: when work is due; None: lateness costs nothing.
        note: why one student is graded again.
        alone: the only source is one student of a class whose other results stay.
    """

    lab: LabFolder
    secret: bytes
    sources: Sequence[Source]
    out: Path
    cluster: Cluster = field(default_factory=Cluster)
    again: bool = False
    versions: str = ""
    deadlines: Deadlines | None = None
    note: str = ""
    alone: bool = False


def find(paths: Sequence[Path], manifest: Manifest, student: str | None = None) -> list[Source]:
    """The submissions in the paths a teacher gave, sorted by student.

    What a path means depends only on the command, never on what students put in a folder: a single
        folder is the class's, and everything in it is a submission; of several paths each is a
        submission, and so is a single archive. The name is the student's id.

    Args:
        paths: as given.
        manifest: of the lab.
        student: ID of the student, if the only path is one submission.

    Raises:
        ConfigError: no submission, two of one student, or one without a clear owner.
    """
    if student is not None:
        if len(paths) != 1:
            raise ConfigError(f"--student {student}: give one folder or archive, that student's")
        return [Source(library.student_id(student), _submission(paths[0]))]
    found: dict[str, Source] = {}
    for path in _each_submission(paths, manifest):
        source = Source(_student_of(path), path)
        one = found.setdefault(library.same_person(source.student), source)
        if one is not source:
            raise ConfigError(
                f"student {source.student!r} has two submissions: {one.path} and {source.path}; "
                "keep one"
            )
    return sorted(found.values(), key=lambda source: source.student)


def _each_submission(paths: Sequence[Path], manifest: Manifest) -> list[Path]:
    if len(paths) > 1 or not paths[0].is_dir():
        return [_submission(path) for path in paths]
    (root,) = paths
    theirs = [name for name in (VARIANT, *manifest.files) if os.path.lexists(root / name)]
    if theirs:
        raise ConfigError(
            f"{root}: holds {theirs[0]}, so it is one student's and not the class's; say whose:"
            " --student ID"
        )
    inside = [
        child.absolute()
        for child in sorted(root.iterdir())
        if not child.name.startswith(".")
        and (child.is_dir() or child.is_symlink() or is_archive(child))
    ]
    if not inside:
        raise ConfigError(f"{root}: contains no submissions (folders or archives)")
    if len(inside) == 1:  # as of `submissions/*` with one student: a class would have more
        raise ConfigError(
            f"{root}: holds nothing but '{shown(inside[0].name)}'; grade one student's work by"
            f" --student ID {root}"
        )
    return inside


def _submission(path: Path) -> Path:
    if path.is_dir() or (path.is_file() and is_archive(path)):
        return path.absolute()
    kinds = ", ".join(ARCHIVES)
    raise ConfigError(f"{path}: is neither a folder nor an archive ({kinds})")


def _student_of(path: Path) -> str:
    name = path.name
    for suffix in ARCHIVES:
        if name.lower().endswith(suffix) and not path.is_dir():
            name = name[: -len(suffix)]
            break
    return library.student_id(name)


def folder_name(student: str) -> str:
    """A folder name for a student: the ID if it is a plain name, else a unique plain form."""
    if _PLAIN.fullmatch(student):
        return student
    digest = hashlib.sha256(student.encode()).hexdigest()[:10]
    return f"{re.sub(r'[^A-Za-z0-9@._+-]', '_', student)[:40].strip('.')}-{digest}"


def grade_class(
    request: Request, on_graded: Callable[[Graded], None] = lambda _: None
) -> list[Graded]:
    """Grades all submissions and writes every page and gradebook; results sorted by student.

    Finished grades stay, however it ends: the same command resumes. If two commands write to the
        same folder, the second one waits.

    Raises:
        RunIncompleteError: a worker was killed from outside.
    """
    grade.refuse_if_shown(request.lab.path, request.out, *(s.path for s in request.sources))
    request.versions = grade.versions_hash(grade.grading_runtime(request.lab))
    files.make_folder(request.out, what="--out")
    with guard.alone_in(request.out, _tell_waiting) as lock:
        return _grade_all(request, on_graded, lock)


def _tell_waiting(folder: Path) -> None:
    _log.warning("%s: another command is grading there; waiting until it ends", folder)


def _grade_all(request: Request, on_graded: Callable[[Graded], None], lock: int) -> list[Graded]:
    from testbed.grading import pages

    graded = {g.result.student: g for g in _each(request, on_graded, lock)}
    results = [graded[s.student] for s in request.sources]
    everybody = _with_the_rest(request, [g.result for g in results])
    links = {
        r.student: quote(f"{STUDENTS}/{folder_name(r.student)}/{pages.FEEDBACK}") for r in everybody
    }
    handed = {r.student: _files_of(request.out, r.student) for r in everybody}
    lost = any(r.points + r.open_points < r.of for r in everybody)
    fits = integrity.fits(request.lab, request.secret, handed) if lost else []
    history.add(request.out, [g.result for g in results], request.note)
    alike = similarity.pairs(request.lab, request.secret, handed)
    late, t = _lateness(request, everybody), request.lab.words()
    pages.write_class(everybody, links, request.out, fits, late, alike, t)
    return results


def _with_the_rest(request: Request, results: list[Result]) -> list[Result]:
    """All results of the class; if one student is graded alone, the others' as they were."""
    if not request.alone or not (request.out / STUDENTS).is_dir():
        return results
    now = {result.student for result in results}
    rest = [r for r in graded_in(request.out) if r.student not in now and r.lab == request.lab.name]
    return sorted([*results, *rest], key=lambda result: result.student)


def _lateness(request: Request, results: Sequence[Result]) -> dict[str, Late]:
    """How late each student was, on their pages as well; as recorded, if no deadlines are given."""
    from testbed.grading import pages

    before = late = deadlines.recorded(request.out)
    if request.deadlines is not None:
        late = {r.student: request.deadlines.late(r.student) for r in results}
        deadlines.record(request.out, late)
    for result in results:
        now = late.get(result.student, Late())
        if now.days or before.get(result.student, now).days:
            folder = request.out / STUDENTS / folder_name(result.student)
            params = request.lab.variant(result.student, request.secret)
            pages.write_student(request.lab, result, params, folder, now)
    return late


def _files_of(out: Path, student: str) -> dict[str, bytes]:
    """A student's accepted files, without run directories."""
    folder = out / STUDENTS / folder_name(student) / FOLDER
    files = folder.iterdir() if folder.is_dir() else ()
    return {path.name: path.read_bytes() for path in sorted(files) if path.is_file()}


def _each(request: Request, on_graded: Callable[[Graded], None], lock: int) -> Iterator[Graded]:
    workers = min(request.cluster.workers or len(request.sources), len(request.sources))
    elsewhere = bool(request.cluster.where)
    if workers == 1 and not elsewhere:
        for source in request.sources:
            graded = _one(request, source)
            on_graded(graded)
            yield graded
        return
    plain = (request.secret, request.out, request.again, request.versions)
    shared = Shared.new(request.out) if elsewhere else None
    if shared:
        shared.mark()
    jobs = [(request.lab.path, source, plain, shared) for source in request.sources]
    with replace(request.cluster, count=workers).start(held=(lock,)) as engine:
        for graded in each(engine, _work, jobs):
            on_graded(graded)
            yield graded


def _work(job: tuple[Path, Source, tuple[bytes, Path, bool, str], Shared | None]) -> Graded:
    """In a worker: one submission.

    Raises:
        OutputError: the worker is elsewhere and does not see the folder of results.
        RunIncompleteError: it is elsewhere and would grade differently.
    """
    path, source, (secret, out, again, versions), shared = job
    if shared is not None:
        shared.require()
    lab = library.open_once(path)
    if shared is not None and grade.versions_hash(grade.grading_runtime(lab)) != versions:
        raise RunIncompleteError(
            f"worker {socket.gethostname()}: its kernel, packages or testbed are not those of"
            " the machine that grades"
        )
    return _one(Request(lab, secret, [], out, again=again, versions=versions), source)


def _one(request: Request, source: Source) -> Graded:
    """Grades one submission, or reuses a valid earlier result; writes the student's pages."""
    from testbed.grading import pages

    lab = request.lab
    params = lab.variant(source.student, request.secret)
    folder = request.out / STUDENTS / folder_name(source.student)
    runtime = grade.grading_runtime(lab)
    try:
        handed = accept.read(source.path, lab.manifest)
        task = grade.Task(lab, source.student, params, handed, folder)
        earlier = None if request.again else grade.earlier(folder, task.key(request.versions))
        if earlier is not None and (folder / pages.FEEDBACK).is_file():
            if not pages.is_written(folder):  # it is in another language
                pages.write_student(lab, earlier, params, folder)
            return Graded(earlier, unchanged=True, ran=False)
        again = None if request.again else grade.judge_again(task, runtime, request.versions)
        result = again or grade.grade(task, runtime, versions=request.versions)
        pages.write_student(lab, result, params, folder)
    except (OutputError, RunIncompleteError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in files.ENVIRONMENT:
            raise OutputError(f"{folder}: cannot be written: {files.reason(error)}") from error
        _log.exception("grading of '%s' failed", source.student)
        result = not_judged(lab, source.student, f"the grader failed: {type(error).__name__}")
        pages.write_student(lab, result, params, folder)
        again = None
    return Graded(result, ran=again is None)


def graded_in(folder: Path) -> list[Result]:
    """The results that `grade_class` wrote to a folder, sorted by student.

    Raises:
        ConfigError: there are none, or one is damaged.
    """
    found = []
    for path in sorted((folder / STUDENTS).glob(f"*/{grade.RESULT}")):
        try:
            found.append(Result.from_dict(read_json(path)))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ConfigError(f"{path}: is damaged; grade this student again") from None
    if not found:
        raise ConfigError(f"{folder}: holds no grades; 'testbed grade' makes them")
    return sorted(found, key=lambda result: result.student)


def not_judged(lab: LabFolder, student: str, why: str) -> Result:
    """A result with every check open."""
    manifest: Manifest = lab.manifest
    checks: Mapping[str, Any] = manifest.checks
    return Result(
        lab.name,
        manifest.title,
        student,
        key="",
        problems=(why,),
        checks=tuple(
            CheckResult(
                name=claim.name,
                sentence=claim.sentence,
                source=claim.source,
                hint=checks[claim.name].hint,
                hidden=checks[claim.name].hidden,
                mark=Mark.INCONCLUSIVE,
                points=0.0,
                of=round(manifest.points_of(claim.name), 4),
                observed=why,
                expected="",
            )
            for claim in lab.full.claims()
        ),
    )
