"""Sweeps with real workers: what is there is kept, what ends is made by others."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import testbed
from testbed.author.experiment import load
from testbed.core.project import PROJECT
from testbed.execution.cluster import Cluster
from testbed.execution.engine import LocalEngine, each
from testbed.execution.plan import Request
from testbed.execution.shared import Shared
from testbed.sweep import grid, inputs, work
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


@contextlib.contextmanager
def started(command):
    """A command that ends with the block, if it has not ended before."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


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
    for child in known - {pid}:
        with contextlib.suppress(OSError):
            below[child] = Path(f"/proc/{child}/cmdline").read_bytes().decode()
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
    with started(command) as process:
        wait_for("runs under way", lambda: len(list(home.glob("runs/work-*/*/run.json"))) == 2)
        os.kill(workers_of(process.pid)[0], signal.SIGKILL)
        time.sleep(0.5)
        trap.unlink()
        _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, said
    assert "is tried again" in said
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
    with started(argv(home, *options)) as process:
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
    rtt_ms = testbed.open_sweep(home).table("pings").groupby("seed")["rtt_ms"].median()
    assert abs(rtt_ms[1] - rtt_ms[2]) > 0.01  # without chance they would be the same
    assert all(19 <= each_ms <= 21.5 for each_ms in rtt_ms)
    for options, says in (
        (["--delay-ms", "1,5000", "--seeds", "1..3"], "5000 is out of range"),
        (["--dely-ms", "1,2", "--seeds", "1..3"], "No such option"),
        (["--dely-ms=1,2", "--seeds=1..3"], "No such option"),
    ):
        done = subprocess.run(
            argv(tmp_path / "none", *options), capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert says in done.stderr
        assert "no run was made of 6 runs" in " ".join(done.stderr.split())
        assert not (tmp_path / "none").exists()


def test_one_worker_cannot_compare_and_a_later_command_does(tmp_path):
    home, options = tmp_path / "sweep", ("--seeds", "1", "--verify", "100%")
    sweep(home, *options, code=4, workers=1)
    [row] = testbed.open_sweep(home).rows()
    assert row.verified == "not compared: no worker but the one that made it is there"
    assert "1 not compared" in (home / "report.html").read_text()
    made = (home / "runs" / row.key / "run.json").stat().st_mtime_ns
    sweep(home, *options, workers=1)
    [row] = testbed.open_sweep(home).rows()
    assert row.verified.startswith("same: ")
    assert (home / "runs" / row.key / "run.json").stat().st_mtime_ns == made


def test_a_large_sweep_asks_first(tmp_path):
    command = argv(tmp_path / "sweep", "--seeds", "1..1001")
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "1001 runs" in done.stderr
    assert "add --yes" in done.stderr


# ---- a scheduler of somebody else's


def listening(pids):
    """Addresses on which processes listen."""
    inodes = set()
    for pid in pids:
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                inodes.add(str(path.readlink()).removeprefix("socket:[").removesuffix("]"))
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {row[1].rpartition(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes}


@contextlib.contextmanager
def scheduler(folder, *projects):
    """A scheduler of Dask, and a worker for each project's folder; gives address and processes."""
    folder.mkdir()
    file, log = folder / "scheduler.json", (folder / "log").open("wb")
    at = ["--host", "127.0.0.1", "--scheduler-file", str(file)]
    here = {"stdout": log, "stderr": log, "cwd": folder}
    own = {"DASK_TEMPORARY_DIRECTORY": str(folder)}
    ours = {**os.environ, "PYTHONPATH": str(PROJECT), **own}
    dask = [sys.executable, "-m"]
    server = [*at, "--port", "0", "--dashboard-address", "127.0.0.1:0"]
    worker = [*at, "--nthreads", "1", "--no-nanny", "--dashboard-address", "127.0.0.1:0"]
    processes = [
        subprocess.Popen([*dask, "distributed.cli.dask_scheduler", *server], env=ours, **here)
    ]
    try:
        wait_for("the scheduler", file.exists)
        for project in projects:
            processes.append(
                subprocess.Popen(
                    [*dask, "distributed.cli.dask_worker", *worker],
                    env=ours | {"PYTHONPATH": str(project)},
                    **here,
                )
            )
        address = wait_for("its address", lambda: address_in(file))
        with Cluster(address).start() as engine:
            wait_for("its workers", lambda: len(engine.workers()) == len(projects))
        yield address, processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
        log.close()


def address_in(file):
    with contextlib.suppress(ValueError):
        return json.loads(file.read_text())["address"]
    return ""


@pytest.mark.skipif(not HAS_DASK, reason="Dask is missing: make extra-cluster")
def test_a_sweep_goes_on_with_another_scheduler_after_its_own_was_killed(tmp_path):
    home, trap = tmp_path / "sweep", tmp_path / "trap"
    trap.write_text("waits")
    options = ("--trap", str(trap), "--seeds", "1..2")
    with scheduler(tmp_path / "first", PROJECT) as (address, processes):
        command = argv(home, *options, cluster=address)
        with started(command) as process:
            wait_for("a run under way", lambda: list(home.glob("runs/work-*/*/run.json")))
            assert listening(p.pid for p in processes) == {"0100007F"}
            assert listening([process.pid]) <= {"0100007F"}
            processes[0].kill()
            _, said = process.communicate(timeout=WAIT_S)
        assert process.returncode == 3, said
        assert "the scheduler is gone" in said
    trap.unlink()
    with scheduler(tmp_path / "second", PROJECT) as (address, _):
        data, _ = sweep(home, *options, cluster=address)
    assert data["runs"]["done"] == 2
    assert len(names(home)) == 2


@pytest.mark.skipif(not HAS_DASK, reason="Dask is missing: make extra-cluster")
def test_a_job_is_done_by_a_worker_to_avoid_if_the_others_left(tmp_path):
    with (
        scheduler(tmp_path / "dask", PROJECT, PROJECT) as (address, processes),
        Cluster(address).start() as engine,
    ):
        first, second = engine.workers()
        engine.submit(1, time.sleep, 3, avoid=[first])
        assert wait_for("its worker", lambda: engine.doing(1)) == [second]
        pid_of = engine._client.run(os.getpid)
        [other] = [process for process in processes if process.pid == pid_of[second]]
        other.kill()
        [ended] = wait_for("its end", lambda: engine.ended(1.0))
        assert (ended.worker, ended.error, ended.died) == (first, None, "")


@pytest.mark.skipif(not HAS_DASK, reason="Dask is missing: make extra-cluster")
def test_a_worker_with_another_version_of_the_code_gets_no_work(tmp_path):
    other = tmp_path / "other"
    for name in ("testbed", "analysis", "topologies", "controller", "experiments"):
        shutil.copytree(PROJECT / name, other / name, ignore=shutil.ignore_patterns("__pycache__"))
    (other / "testbed/core/version.py").open("a").write("# edited\n")
    with scheduler(tmp_path / "dask", PROJECT, other) as (address, _):
        data, said = sweep(tmp_path / "sweep", "--seeds", "1..4", cluster=address)
    assert data["runs"]["done"] == 4
    assert len({row.worker for row in testbed.open_sweep(tmp_path / "sweep").rows()}) == 1
    assert "testbed's sources is" in said
    assert "it gets no more work" in said


def test_a_run_made_where_the_sweeps_folder_is_not_seen_is_sent_back(tmp_path):
    home = tmp_path / "sweep"
    request = Request(str(ECHO), out=home)
    [task] = inputs.tasks(
        request, grid.read(load(str(ECHO)).Parameters, {}), "captures", Shared(home, "a text")
    )
    engine = LocalEngine(1)
    with engine:
        [done] = each(engine, work.make, [task])
    assert not home.exists()
    home.mkdir()
    work.unpack(done.packed, home, task.key)
    run = testbed.open(home / "runs" / task.key)
    assert set(run.claims["verdict"]) == {"PASS"}
    assert len(run.packets("main", "h1-eth0"))
    assert run.meta["fingerprint"] == done.fingerprint


def test_a_detached_sweep_goes_on_after_its_command(tmp_path):
    home = tmp_path / "sweep"
    done = subprocess.run(
        argv(home, "--seeds", "1", "--detach"), capture_output=True, text=True, check=True
    )
    pid = int(done.stdout.split("process ")[1].split(";")[0])
    wait_for("its end", lambda: not Path(f"/proc/{pid}/exe").exists())
    assert testbed.open_sweep(home).counts()[State.DONE] == 1, (home / "sweep.log").read_text()
