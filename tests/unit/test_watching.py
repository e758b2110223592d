"""`testbed check --watch`: what starts another check, and what is shown of it."""

import threading
from pathlib import Path

import pytest

from testbed.cli import watching
from testbed.core.project import PROJECT
from testbed.grading import accept, library
from testbed.grading.grade import Task
from testbed.grading.result import CheckResult, Mark, Result


@pytest.fixture(scope="module")
def lab():
    return library.open_folder(PROJECT / "tests/labs/letter")


def result(points, observed="seen", problems=(), mark=Mark.PARTIAL):
    check = CheckResult("port", "A port.", "", "", False, mark, points, 4.0, observed, "x")
    return Result("letter", "A letter", "ada", "key", tuple(problems), checks=(check,))


def test_a_saved_file_starts_a_check_with_its_new_content(lab, tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "_POLL_S", 0.01)
    (tmp_path / "say.py").write_text("old")
    handed = accept.read(tmp_path, lab.manifest)
    task = Task(lab, "ada", {}, handed, Path("unused"))
    seen = []

    def check(task):
        seen.append(task.handed.files["say.py"])
        return result(4.0)

    def save():
        (tmp_path / "notes.txt").write_text("not the lab's")
        (tmp_path / "say.py").write_text("new")

    threading.Timer(0.1, save).start()
    first = result(1.0)
    before, now = next(watching.again(task, tmp_path, first, check))
    assert (before, now, seen) == (first, result(4.0), [b"new"])


def test_only_what_changed_is_shown():
    assert watching.changes(result(1.0), result(1.0)) == ["no check changed"]
    assert watching.changes(result(1.0), result(4.0, "1024", mark=Mark.PASS)) == [
        "1 → 4 of 4  port: 1024"
    ]
    assert watching.changes(result(1.0, problems=["a"]), result(1.0, problems=["b"])) == [
        "note: b",
        "fixed: a",
    ]
    unknown = result(0.0, mark=Mark.INCONCLUSIVE)
    assert watching.changes(unknown, result(4.0, mark=Mark.PASS)) == ["open → 4 of 4  port: seen"]
