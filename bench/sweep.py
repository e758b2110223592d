"""What an engine costs a sweep: per job, per run, until the first run, and in memory.

    .venv/bin/python bench/sweep.py [--runs 200] [--tasks 100000]

Jobs of no work show what an engine itself takes for each; runs show what is left of that when there
is work (a ping over one link). Engines: our own processes, and a scheduler of Dask with workers on
this machine. The memory is what a scheduler of Dask takes for `--tasks` tasks that wait; a sweep
gives it one per worker, so what counts for large sweeps is the table of jobs and the command.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from testbed.execution.cluster import Cluster
from testbed.execution.engine import each
from testbed.lifetime import guard
from testbed.sweep.jobs import Jobs

ECHO = Path(__file__).resolve().parents[1] / "tests/sweeps/echo.py"
ENGINES = {"plain": "", "Dask": "local"}
WORKERS = (1, 2)
_JOBS = 1000


def nothing(job: int) -> int:
    return job


def per_job_ms(where: str, workers: int) -> float:
    """Milliseconds per job of no work, once the workers are there."""
    with Cluster(where, workers).start() as engine:
        list(each(engine, nothing, range(20 * workers)))
        began_s = time.perf_counter()
        done = sorted(each(engine, nothing, range(_JOBS)))
        took_s = time.perf_counter() - began_s
    assert done == list(range(_JOBS))
    return 1000 * took_s / _JOBS


def sweep(home: Path, where: str, workers: int, runs: int) -> float:
    """Seconds that a sweep takes, as a command."""
    argv = [sys.executable, "-m", "testbed", "sweep", str(ECHO), "--out", str(home)]
    argv += ["--seeds", f"1..{runs}", "--workers", str(workers), "--json", "--yes"]
    argv += ["--cluster", where] if where else []
    began_s = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["runs"]["done"] == runs
    return time.perf_counter() - began_s


def resident_mb() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def table_mb(home: Path, tasks: int) -> tuple[float, float, float]:
    """Memory and disk of the table of jobs of `tasks` jobs, and seconds to make it."""
    before, began_s = resident_mb(), time.perf_counter()
    jobs = Jobs(home)
    given = [(f"{n:024x}", {"delay_ms": 10.0, "count": n}, n) for n in range(tasks)]
    jobs.want(given)
    rows = jobs.rows()
    took_s = time.perf_counter() - began_s
    jobs.close()
    assert len(rows) == tasks
    return resident_mb() - before, (home / "jobs.sqlite").stat().st_size / 1e6, took_s


def scheduler_mb(tasks: int) -> float:
    """Memory of a scheduler without workers while `tasks` tasks wait."""
    argv = [sys.executable, __file__, "--scheduler", "--tasks", str(tasks)]
    return float(subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout)


def be_scheduler(tasks: int) -> None:
    """Is one, in this process, and prints its memory in MB; then ends at once."""
    from distributed import Client, LocalCluster

    options = {"n_workers": 0, "processes": False, "silence_logs": "ERROR"}
    at = {"host": "127.0.0.1", "protocol": "tcp://", "dashboard_address": "127.0.0.1:0"}
    made = LocalCluster(**options, **at)
    client = Client(made)
    before = resident_mb()
    waiting = client.map(nothing, range(tasks), pure=False)
    while len(made.scheduler.tasks) < tasks:
        time.sleep(0.2)
    print(resident_mb() - before, flush=True)
    os._exit(len(waiting) != tasks)  # to close all of them takes minutes


def rows(runs: int, tasks: int, folder: Path) -> Iterator[str]:
    """One line for each measurement."""
    for name, where in ENGINES.items():
        for workers in WORKERS:
            took_ms = per_job_ms(where, workers)
            yield f"{name}, {workers} workers: {took_ms:.2f} ms per job of no work"
    for name, where in ENGINES.items():
        first_s = sweep(folder / f"first-{name}", where, 1, 1)
        yield f"{name}: {first_s:.1f} s for a sweep of one run, from the command's start to its end"
    for workers in WORKERS:
        took_s = {n: sweep(folder / f"{n}-{workers}", w, workers, runs) for n, w in ENGINES.items()}
        per_run = ", ".join(f"{name} {1000 * s / runs:.0f}" for name, s in took_s.items())
        more_ms = 1000 * (took_s["Dask"] - took_s["plain"]) / runs
        yield f"{runs} runs, {workers} workers: ms per run: {per_run} (Dask: {more_ms:+.0f})"
    memory_mb, disk_mb, took_s = table_mb(folder, tasks)
    yield (
        f"table of {tasks:,} jobs: {memory_mb:.0f} MB of memory, {disk_mb:.0f} MB of disk, "
        f"{took_s:.1f} s"
    )
    yield f"scheduler of Dask with {tasks:,} tasks that wait: {scheduler_mb(tasks):.0f} MB more"
    yield f"load of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, help="of each sweep")
    parser.add_argument("--tasks", type=int, default=100_000, help="in a scheduler, and in a table")
    parser.add_argument("--scheduler", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.scheduler:
        be_scheduler(given.tasks)
    guard.use_own_folder()
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        for line in rows(given.runs, given.tasks, Path(folder)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
