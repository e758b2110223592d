"""A quick round of `bench/kills.py`: commands killed at random moments leave nothing and go on."""

import json
import os
import subprocess
import sys

import pytest

from testbed.core.project import PROJECT

pytestmark = pytest.mark.guest


def kills(tmp_path, *options):
    argv = [sys.executable, "bench/kills.py", "--folder", str(tmp_path), *options]
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_nothing_is_left_of_killed_commands(tmp_path, guest_kernel):
    code, said = kills(tmp_path, "--quick", "--times", "2", "--compare-every", "2", "--jobs", "2")
    assert code == 0, said
    rows = [line for line in said.splitlines() if line.endswith("nothing")]
    assert len(rows) == (9 if os.geteuid() == 0 else 7) * 4, said


LEAVES = """
import sys
sys.path.insert(0, "bench")
import kills
from killing.commands import COMMANDS, Command
program = (
    "trap 'exit 9' TERM; (setsid sleep 60 &); touch $TMPDIR/left$$; date +%N >> times; sleep 2"
)
COMMANDS["leaves"] = Command(
    ["sh", "-c", program], lambda place, _: (place.work / "times").read_text()
)
sys.exit(kills.main())
"""


def test_what_is_left_is_found(tmp_path, guest_kernel):
    options = ["--folder", str(tmp_path), "--commands", "leaves", "--times", "1"]
    argv = [sys.executable, "-c", LEAVES, *options, "--signals", "TERM"]
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    for found in ("process", "sleep 60", "file tmp/left", "other results", "exit code 9"):
        assert found in done.stdout, done.stdout


def test_kills_that_came_too_late_are_told(tmp_path):
    kill = {
        "command": "run",
        "signal": "KILL",
        "moment_s": 1.0,
        "hit": True,
        "took_s": 0.1,
        "code": -9,
        "allowed_s": 8.0,
        "gone_s": 6.5,
        "settle_s": 10.0,
    }
    lines = [json.dumps(kill | {"hit": hit}) for hit in (True, False)]
    (tmp_path / "kills.jsonl").write_text("\n".join(lines) + "\n")
    given = ["--show", "--results", str(tmp_path / "kills.jsonl"), "--commands", "run,grade"]
    code, said = kills(tmp_path, *given, "--signals", "KILL", "--times", "2")
    assert code == 1, said
    assert [" ".join(line.split()) for line in said.splitlines()[1:]] == [
        "run KILL 1 0 0.10 of 8 s 6.50 of 10 s nothing",
        "run KILL: killed 1 of 2 times while it ran",
        "grade KILL: killed 0 of 2 times while it ran",
    ]
