"""Links are what their parameters say, whatever else the machine does; wrong ones are found out."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.core.claims import Status
from testbed.core.rundir import RunDir
from testbed.execution.runner import Request, run
from testbed.execution.verify import verify
from testbed.results import gate

pytestmark = pytest.mark.guest


DEAR = """#!/bin/sh
for word; do
    shift
    [ "$word" = seccomp=auto ] && word=seccomp=off
    set -- "$@" "$word"
done
exec KERNEL idle_stubs=0 fault_pages=1 "$@"
"""
"""The kernel without what makes its processes cheaper, and watching them with ptrace."""


def fingerprint(folder: Path, *prefix: str, seed: int = 1) -> str:
    """Of a run started by the command line, as a user does."""
    done = subprocess.run(
        [
            *prefix,
            sys.executable,
            "-m",
            "testbed.cli.main",
            "run",
            "fidelity",
            "--scenario",
            "series",
            "--scenario",
            "chance",
            "--chance-pkts",
            "1000",
            "--seed",
            str(seed),
            "--json",
            "--runtime",
            "guest",
            "--out",
            str(folder),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode in (0, 1), done.stderr
    return str(json.loads(done.stdout)["fingerprint"])


def test_load_does_not_matter_and_seeds_do(guest_kernel, tmp_path, request):
    alone = fingerprint(tmp_path)
    request.getfixturevalue("busy_machine")
    assert fingerprint(tmp_path) == alone, "all cores busy"
    slow = ("taskset", "-c", str(min(os.sched_getaffinity(0))), "nice", "-n", "10")
    assert fingerprint(tmp_path, *slow) == alone, "one slow processor beside a busy loop"
    cheap = guest_kernel.path
    other = tmp_path / "cache" / "kernels" / cheap.parent.name / cheap.name
    shutil.copytree(cheap.parent, other.parent)
    other.write_text(DEAR.replace("KERNEL", str(cheap)))
    dear = ("env", f"TESTBED_CACHE={tmp_path / 'cache'}")
    assert fingerprint(tmp_path, *dear) == alone, "without what makes processes cheaper"
    assert fingerprint(tmp_path, seed=2) != alone


def test_on_the_real_clock_a_busy_machine_is_no_fail(guest_kernel, tmp_path, busy_machine):
    made = run(Request("fidelity", out=tmp_path, runtime="guest", clock="real", only=("series",)))
    assert [v.status for _, v in made.judged] == [Status.INCONCLUSIVE], made.judged
    assert gate.stalls(made.run.scenario("series"))


def test_verify_tells_the_same_run_from_an_edited_one(guest_kernel, tmp_path):
    made = run(Request("fidelity", out=tmp_path / "runs", runtime="guest", only=("series",))).run
    again = verify(made, tmp_path / "again")
    assert again.same, again.differences
    edited = RunDir(shutil.copytree(made.path, tmp_path / "edited"))
    capture = edited.scenario("series") / "captures" / "r1-eth0.pcap"
    capture.write_bytes(capture.read_bytes()[:-1] + b"\xff")
    wheres = [d.where for d in verify(edited, tmp_path / "third").differences]
    assert wheres[0] == "the recorded run's own files"
    assert wheres[1].startswith("scenarios/series/captures/r1-eth0.pcap packet ")
