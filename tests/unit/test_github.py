"""GitHub Classroom's workflow: what it runs, and what it makes of exit codes."""

import json
import subprocess

import pytest
from ruamel.yaml import YAML

from testbed.core.project import PROJECT
from testbed.grading import github, library


@pytest.fixture(scope="module")
def steps():
    lab = library.open_folder(PROJECT / "tests/labs/letter")
    data = YAML(typ="safe").load(github.workflow(lab, "course/testbed"))
    return data["jobs"]["check"]["steps"]


def test_each_public_check_is_a_test_with_its_points(steps):
    tests = {s["id"]: s["with"]["max-score"] for s in steps if "id" in s}
    assert tests == {"word_arrives": 5, "port": 2}
    assert steps[-1]["with"]["runners"] == "word_arrives,port"
    assert set(steps[-1]["env"]) == {"WORD_ARRIVES_RESULTS", "PORT_RESULTS"}


@pytest.mark.parametrize(
    ("code", "goes_on"), [(0, True), (1, True), (2, False), (3, False), (4, False)]
)
def test_only_a_check_that_ended_gives_points(steps, tmp_path, code, goes_on):
    run = next(s["run"] for s in steps if s.get("name") == "Check")
    program = tmp_path / "testbed/.venv/bin/testbed"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{{}}'\nexit {code}\n")
    program.chmod(0o755)
    done = subprocess.run(["bash", "-e", "-c", run], cwd=tmp_path, check=False)
    assert (done.returncode == 0) == (code in (0, 1))


@pytest.mark.parametrize(("mark", "code"), [("PASS", 0), ("PARTIAL", 1), ("FAIL", 1)])
def test_a_test_passes_if_its_check_holds(steps, tmp_path, mark, code):
    (tmp_path / "result.json").write_text(json.dumps({"checks": [{"name": "port", "mark": mark}]}))
    command = next(s["with"]["command"] for s in steps if s.get("id") == "port")
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, check=False)
    assert done.returncode == code
