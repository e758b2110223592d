"""A submission whose run did not change is judged again without running a network."""

import shutil

import pandas as pd
import pytest

from testbed.core.project import PROJECT
from testbed.execution.runtime import Outcome
from testbed.grading import accept, grade, library
from testbed.grading.result import Mark

FILES = {"say.py": b"print(1)\n", "answers.yaml": b"port: 5000\n"}
CHANGES = {
    "a weight": ("lab.yaml", "weight: 5", "weight: 50", False),
    "a hint": ("lab.yaml", "One datagram to", "A datagram to", False),
    "a check": ("hidden.py", "count <= 1", "count <= 2", False),
    "a comment": ("lab.py", "PORT = 5000", "PORT = 5000  # UDP", False),
    "how it is measured": ("lab.py", '"ip_src", ', "", False),
    "what runs": ("lab.py", "net.sleep(20)", "net.sleep(21)", True),
    "a constant": ("lab.py", "PORT = 5000", "PORT = 5001", True),
    "a limit": ("lab.yaml", "disk_mb: 16", "disk_mb: 17", True),
}


class Guests:
    """A runtime whose networks end at once; counts them."""

    name, clock, count = "guest", "virtual", 0

    def run(self, folder, **_):
        self.count += 1
        (folder / "logs").mkdir()
        (folder / "events.jsonl").write_text(str(folder.name))
        return Outcome("complete")


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(PROJECT / "tests/labs/letter", tmp_path / "letter")


def task(folder, at, files=FILES):
    """What is graded, in a lab whose runs always show one datagram."""
    found = library.open_folder(folder)

    class Measured(found.full):
        def measure(self, data):
            row = {"payload": self.params.word.encode(), "frame": 1}
            return {"datagrams": pd.DataFrame([row])}

    lab = library.LabFolder(folder, found.manifest, found.public, Measured)
    params = lab.parameters({"word": "word"})
    return grade.Task(lab, "ada", params, accept.Handed(dict(files)), at / "ada")


def judged(folder, at, guests, files=FILES, versions="v"):
    one = task(folder, at, files)
    return grade.judge_again(one, guests, versions)


@pytest.fixture
def first(folder, tmp_path):
    guests = Guests()
    result = grade.grade(task(folder, tmp_path), guests, versions="v")
    assert (result.points, guests.count) == (10, 1)
    return result


@pytest.mark.parametrize("what", CHANGES)
def test_only_what_changes_the_run_costs_one(folder, tmp_path, first, what):
    file, old, new, runs = CHANGES[what]
    text = (folder / file).read_text()
    assert text.count(old) == 1
    (folder / file).write_text(text.replace(old, new))
    guests = Guests()
    again = judged(folder, tmp_path, guests)
    assert guests.count == 0
    assert (again is None) == runs
    if again is not None:
        assert again.key != first.key
        assert [c.mark for c in again.checks] == [c.mark for c in first.checks]
        worth = round(10 * 50 / 55, 4) if what == "a weight" else 5
        assert again.checks[0].points == worth


def test_other_files_versions_or_captures_are_run_again(folder, tmp_path, first):
    assert judged(folder, tmp_path, Guests()) == first
    assert judged(folder, tmp_path, Guests(), FILES | {"say.py": b"x"}) is None
    assert judged(folder, tmp_path, Guests(), versions="w") is None
    (tmp_path / "ada/run/scenarios/main/events.jsonl").write_text("changed")
    assert judged(folder, tmp_path, Guests()) is None


def test_a_run_that_the_grader_ended_or_that_had_secrets_is_not_kept(folder, tmp_path):
    guests = Guests()
    guests.run = lambda folder, **_: Outcome("killed")
    found = grade.grade(task(folder, tmp_path), guests, versions="v")
    assert found.checks[0].mark is Mark.INCONCLUSIVE
    assert judged(folder, tmp_path, Guests()) is None

    def secret(folder, **_):
        (folder / "keys").mkdir()
        return Outcome("complete")

    guests.run = secret
    assert grade.grade(task(folder, tmp_path), guests, versions="v").conclusive
    assert judged(folder, tmp_path, Guests()) is None
