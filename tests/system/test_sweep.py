"""Sweeps with real workers: what is there is kept, what ends is made by others."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import testbed
from testbed.core.project import PROJECT
from testbed.sweep.jobs import State

pytestmark = [pytest.mark.guest, pytest.mark.usefixtures("guest_kernel")]

ECHO = PROJECT / "tests/sweeps/echo.py"
WAIT_S = 120.0
HAS_DASK = importlib.util.find_spec("distributed") is not None
ENGINES = [
    "",
    pytest.param(
        "local",
        marks=pytest.mark.skipif(not HAS_DASK, reason="Dask is missing: make extra-cluster"),
    ),
]


def argv(home, *options, cluster="", workers=2):
    words = [sys.executable, "-m", "testbed", "sweep", str(ECHO), "--out", str(home)]
    return [*words, *options, "--workers", str(workers), *(["--cluster", cluster] * bool(cluster))]


def sweep(home, *options, code=0, **engine):
    done = subprocess.run(
        argv(home, *options, "--json", **engine), capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout), done.stderr


def wait_for(what, condition):
    until_s = time.monotonic() + WAIT_S
    while not (found := condition()):
        assert time.monotonic() < until_s, what
        time.sleep(0.05)
    return found


def processes_below(pid):
    """Process → its command line, of all that a process started."""
    below, parents = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
    known = {pid}
    while new := {child for child, parent in parents.items() if parent in known} - known:
        known |= new
    for each in known - {pid}:
        with contextlib.suppress(OSError):
            below[each] = Path(f"/proc/{each}/cmdline").read_bytes().decode()
    return below


def workers_of(pid):
    marks = ("engine.serve", "spawn_main")
    return [p for p, line in processes_below(pid).items() if any(mark in line for mark in marks)]


def names(home):
    return sorted(path.name for path in (home / "runs").iterdir())


@pytest.mark.parametrize("cluster", ENGINES)
def test_what_is_there_is_not_made_again_and_a_value_more_adds_its_runs(tmp_path, cluster):
    home = tmp_path / "sweep"
    first, _ = sweep(home, "--delay-ms", "1,5", "--seeds", "1..2", cluster=cluster)
    assert first["runs"] == {"to do": 0, "done": 4, "failed": 0, "set aside": 0}
    made = {name: (home / "runs" / name / "run.json").stat().st_mtime_ns for name in names(home)}
    again, said = sweep(home, "--delay-ms", "1,5,9", "--seeds", "1..2", cluster=cluster)
    assert again["runs"]["done"] == 6
    assert "2 runs to make" in said
    for name, when in made.items():
        assert (home / "runs" / name / "run.json").stat().st_mtime_ns == when
    claims = pd.read_parquet(home / "claims")
    assert len(claims) == 12
    assert set(claims["verdict"]) == {"PASS"}
    found = testbed.open_sweep(home)
    assert found.varied == ["delay_ms"]
    assert found.table("pings").groupby("delay_ms")["rtt_ms"].median().round(0).to_dict() == {
        1.0: 2.0,
        5.0: 10.0,
        9.0: 18.0,
    }
    assert not list((home / "runs").glob("*/scenarios/*/captures"))
    assert found.report.is_file()


@pytest.mark.parametrize("cluster", ENGINES)
def test_a_run_of_a_killed_worker_is_made_by_another(tmp_path, cluster):
    home, trap = tmp_path / "sweep", tmp_path / "trap"
    trap.write_text("waits")
    command = argv(home, "--trap", str(trap), "--seeds", "1..3", cluster=cluster)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for("runs at their end", lambda: len(list(home.glob("runs/work-*/*/run.json"))) == 2)
        wait_for("both are measured", lambda: len(list(home.glob("runs/work-*/*/run.json"))) == 2)
        os.kill(workers_of(process.pid)[0], signal.SIGKILL)
        time.sleep(0.5)
        trap.unlink()
        _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, said
    assert b"is tried again" in said
    found = testbed.open_sweep(home)
    assert found.counts()[State.DONE] == 3
    assert len(names(home)) == 3  # nothing of the killed one is left
    assert sorted(row.deaths for row in found.rows()) == [0, 0, 1]


@pytest.mark.parametrize("cluster", ENGINES)
def test_a_run_that_ends_three_workers_is_set_aside_and_the_rest_goes_on(tmp_path, cluster):
    home, trap = tmp_path / "sweep", tmp_path / "trap"
    trap.write_text("dies")
    options = ("--trap", f",{trap}", "--seeds", "1..2")
    data, _ = sweep(home, *options, code=3, cluster=cluster)
    assert data["runs"] == {"to do": 0, "done": 2, "failed": 0, "set aside": 2}
    rows = testbed.open_sweep(home).rows(State.SET_ASIDE)
    assert [row.deaths for row in rows] == [3, 3]
    assert all("its worker" in row.reason for row in rows)
    trap.unlink()
    assert sweep(home, *options, code=3, cluster=cluster)[0]["runs"]["set aside"] == 2
    assert sweep(home, *options, "--again", cluster=cluster)[0]["runs"]["done"] == 4


def test_a_sweep_goes_on_where_it_was_killed(tmp_path):
    home, trap = tmp_path / "sweep", tmp_path / "trap"
    sweep(home, "--seeds", "1")
    trap.write_text("waits")
    options = ("--trap", f",{trap}", "--seeds", "1..2")
    with subprocess.Popen(argv(home, *options), stderr=subprocess.PIPE) as process:
        wait_for("runs under way", lambda: list(home.glob("runs/work-*/*/run.json")))
        below = list(processes_below(process.pid))
        process.kill()
    wait_for(
        "nothing of it runs", lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in below)
    )
    trap.unlink()
    data, _ = sweep(home, *options)
    assert data["runs"]["done"] == 4
    assert len(names(home)) == 4


def test_the_same_run_of_two_workers_is_the_same_and_bad_input_makes_nothing(tmp_path):
    home = tmp_path / "sweep"
    _, said = sweep(home, "--seeds", "1..2", "--verify", "100%", "--perturb", "5%")
    rows = testbed.open_sweep(home).rows()
    assert all(row.verified.startswith("same: ") for row in rows), said
    assert len({row.fingerprint for row in rows}) == 2
    for options, says in (
        (["--delay-ms", "1,5000", "--seeds", "1..3"], "5000 is out of range"),
        (["--dely-ms", "1,2", "--seeds", "1..3"], "No such option"),
    ):
        done = subprocess.run(
            argv(tmp_path / "none", *options), capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert says in done.stderr
        assert "no run was made of 6 runs" in " ".join(done.stderr.split())
        assert not (tmp_path / "none").exists()


def test_a_large_sweep_asks_first(tmp_path):
    command = argv(tmp_path / "sweep", "--seeds", "1..1001")
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "1001 runs" in done.stderr
    assert "add --yes" in done.stderr
