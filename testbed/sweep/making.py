"""A sweep from its request to its joint tables: plan, make what is missing, collect."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.author.experiment import load
from testbed.core import files
from testbed.core.errors import ConfigError, RunIncompleteError, said_once
from testbed.core.quantities import number
from testbed.core.rundir import write_json
from testbed.execution.engine import Engine
from testbed.execution.plan import Request
from testbed.execution.shared import Shared
from testbed.lifetime import guard
from testbed.sweep import collect, inputs, page, work
from testbed.sweep.drive import Drive, Watcher, to_verify
from testbed.sweep.grid import Grid
from testbed.sweep.inputs import Task
from testbed.sweep.jobs import FILE, Jobs, State
from testbed.sweep.opened import FORMAT, SWEEP, Sweep

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wish:
    """What to sweep, and how.

    Attributes:
        request: what all runs have in common; `Request.out` is the sweep's folder.
        grid: points and seeds.
        keep: one of `inputs.KEPT`.
        again: also try again what was set aside.
        verify_percent: share of the runs that are made twice, by different workers.
        command: as the user would repeat it.
    """

    request: Request
    grid: Grid
    keep: str = "tables"
    again: bool = False
    verify_percent: float = 0.0
    command: str = ""


@dataclass(frozen=True)
class Prepared:
    """A sweep whose runs are known and checked.

    Attributes:
        wish: what was asked for.
        jobs: the table of jobs.
        tasks: by key, of all runs.
        to_do: keys of those that are not there.
        changed: what is not as it was when the sweep was made last: earlier runs do not count.
    """

    wish: Wish
    jobs: Jobs
    tasks: dict[str, Task]
    to_do: list[str]
    changed: list[str]


Ask = Callable[[int, "tuple[float, float] | None"], None]
"""Called with the number of runs to make, and what a run took so far (seconds, bytes), if any was
made; raises to make none."""


@contextmanager
def prepared(wish: Wish, ask: Ask = lambda *_: None) -> Iterator[Prepared]:
    """Checks all runs of a sweep and reserves its folder for the block.

    Raises:
        ConfigError: a run is not possible; nothing was made.
        MissingPrerequisiteError: a program, kernel or privilege is missing; nothing was made.
    """
    home = wish.request.out
    shared = Shared.new(home)
    collect.refuse_reserved(load(wish.request.experiment))
    tasks = {t.key: t for t in inputs.tasks(wish.request, wish.grid, wish.keep, shared)}
    _refuse_others(home)
    ask(sum(not work.has(home, key) for key in tasks), _cost_so_far(home))
    files.make_folder(home, what="--out")
    with guard.alone_in(home, _say_waiting):
        work.remove_leftovers(home)
        changed = _what_changed(home, next(iter(tasks.values())))
        _write_about(wish, tasks)
        shared.mark()
        with closing(Jobs(home)) as jobs:
            wanted = [(k, t.request.parameters, t.request.seed) for k, t in tasks.items()]
            jobs.want(wanted, again=wish.again)
            to_do = [row.key for row in jobs.rows(State.TO_DO)]
            yield Prepared(wish, jobs, tasks, to_do, changed)


def _refuse_others(home: Path) -> None:
    """Refuses a folder that holds something else."""
    if home.is_dir() and any(home.iterdir()) and not (home / SWEEP).is_file():
        raise ConfigError(f"--out {home}: holds something that is not a sweep; name a new folder")


def _cost_so_far(home: Path) -> tuple[float, float] | None:
    if not (home / FILE).is_file():
        return None
    with closing(Jobs(home)) as jobs:
        return jobs.mean_cost()


def _what_changed(home: Path, task: Task) -> list[str]:
    if not (home / SWEEP).is_file():
        return []
    before = Sweep(home).about["versions"]
    return [
        n for n in dict.fromkeys([*before, *task.versions]) if before.get(n) != task.versions.get(n)
    ]


def _say_waiting(folder: Path) -> None:
    _log.warning("%s: another command is making this sweep; waiting until it ends", folder)


def _write_about(wish: Wish, tasks: dict[str, Task]) -> None:
    grid, first = wish.grid, next(iter(tasks.values()))
    values: dict[str, list[Any]] = {
        name: list({str(point[name]): point[name] for point in grid.points}.values())
        for name in grid.varied
    }
    about = {
        "format": FORMAT,
        "experiment": first.request.experiment,
        "varied": list(grid.varied),
        "values": values,
        "seeds": grid.seeds,
        "scenarios": list(wish.request.only),
        "perturb_percent": wish.request.perturb_percent,
        "keep": wish.keep,
        "command": wish.command,
        "versions": dict(first.versions),
    }
    write_json(wish.request.out / SWEEP, about)


def make(sweep: Prepared, engine: Callable[[], Engine], watcher: Watcher | None = None) -> Sweep:
    """Makes the runs that are not there, then the joint tables and the report.

    Args:
        sweep: from `prepared`.
        engine: starts who makes the runs; it is not called if all are there.
        watcher: receives the progress.

    Raises:
        RunIncompleteError: no run finished; says why.
    """
    watcher = watcher or Watcher()
    if sweep.changed:
        names = ", ".join(sweep.changed[:3]) + ", …" * (len(sweep.changed) > 3)
        watcher.note(f"earlier runs do not count: not as before: {names}")
    percent = sweep.wish.verify_percent
    if sweep.to_do or to_verify(sweep.jobs.rows(State.DONE), percent):
        with engine() as workers:
            watcher.began(_how(sweep), len(workers.workers()), len(sweep.to_do), len(sweep.tasks))
            Drive(workers, sweep.jobs, sweep.tasks, watcher, percent).run()
    if percent and not any(row.verified for row in sweep.jobs.rows()):
        watcher.note(f"--verify: none of {number(len(sweep.tasks), 'runs')} is in the sample")
    made = Sweep(sweep.wish.request.out)
    if not made.rows(State.DONE):
        reasons = {row.key[:8]: row.reason for row in made.rows()}
        raise RunIncompleteError(f"no run finished: {said_once(reasons, len(reasons))}")
    gather(made, _measured(made, load(made.about["experiment"]).repeated_tables))
    page.write(made)
    return made


def _how(sweep: Prepared) -> str:
    """Where the runs' networks run."""
    versions = next(iter(sweep.tasks.values())).versions
    return f"{versions['runtime']} runtime, {versions['clock']} clock"


def _measured(sweep: Sweep, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the tables that some run has."""
    tables = [sweep.path / work.RUNS / row.key / "tables" for row in sweep.finished()]
    return tuple(n for n in names if any((t / f"{n}.parquet").is_file() for t in tables))


def gather(sweep: Sweep, tables: tuple[str, ...] = ()) -> list[Path]:
    """Writes the joint tables; returns their folders.

    Args:
        sweep: the sweep.
        tables: names of tables that the experiment measures.

    Raises:
        ConfigError: no run is there yet, or none has such a table.
    """
    return collect.write(sweep.path, sweep.claims, {name: sweep.table(name) for name in tables})


def free_bytes(home: Path) -> int:
    """Free disk space where a sweep goes."""
    there = next(path for path in (home, *home.parents) if path.exists())
    return shutil.disk_usage(there).free
