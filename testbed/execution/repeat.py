"""The same experiment with several seeds.

The networks of all seeds run side by side on all cores, then each is measured and judged as a run
of its own; `testbed.results.repetition` summarises how they vary.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from testbed.core import files
from testbed.core.rundir import SEED, RunDir
from testbed.execution.runner import Request, Watcher, build_and_run, plan
from testbed.lifetime import guard
from testbed.results.repetition import Repetition, summarise
from testbed.results.replay import replay


def repeat(request: Request, count: int, watcher: Watcher) -> Repetition:
    """Runs all seeds, measures and judges each, and summarises them.

    Raises:
        ConfigError, MissingPrerequisiteError: as `testbed.execution.runner.run`; nothing was
            created.
    """
    seeds = range(request.seed, request.seed + count)
    first = plan(request)  # checks everything before the others are created
    parent = first.rundir.path.with_name(f"{first.rundir.path.name}-x{count}")
    with first.rundir.in_use():  # the lock is the folder's, whatever its name
        with files.refused(parent):
            first.rundir.path.rename(parent)
        plans = {}
        for seed in seeds:
            folder = files.make_folder(parent / f"{SEED}{seed}")
            plans[f"seed {seed}"] = first.with_seed(seed, RunDir(folder))
        shown = [f"{label} {n}".strip() for label, made in plans.items() for n in made.scenarios]
        for text in first.notes:
            watcher.note(text)
        watcher.started(RunDir(parent), first.runtime, shown)
        build_and_run(plans, watcher)
        repetition = Repetition.open(parent)
        watcher.stage("measure, judge and plot each seed")
        replay_all(repetition.runs.values())
        summarise(repetition, watcher.stage)
    return repetition


def replay_all(runs: Iterable[RunDir]) -> None:
    """Measures, judges and plots runs side by side, one process each."""
    waiting = list(runs)
    workers = min(len(waiting), len(os.sched_getaffinity(0)))
    if workers < 2:
        for run in waiting:
            replay(run)
        return
    with guard.forked(workers) as pool:
        list(pool.map(_replay, [run.path for run in waiting]))


def _replay(path: Path) -> None:
    replay(RunDir(path))
