"""`testbed.open`: finds a finished run, for scripts and notebooks."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from testbed.author.experiment import experiment_files
from testbed.core.errors import ConfigError, ParseError, nearest
from testbed.core.rundir import REPETITION, RUN, RunDir, State, default_runs
from testbed.results.finished import RepeatedRun, Run
from testbed.results.repetition import Repetition


def open(where: str | Path = "latest") -> Run | RepeatedRun:
    """A finished run, or a repetition (``--repeat``) of one.

    Args:
        where: a run's folder; its name in the folder of runs (``$TESTBED_RUNS``, or ``runs``); an
            experiment's name for its latest run; or ``latest`` for the latest run of all. Where
            the latest run is asked for, ``$TESTBED_RUN`` is taken if it is set and fits: `make
            notebook` sets it.

    Raises:
        ConfigError: there is no such run, or it is not finished.
        ParseError: its files cannot be read.
    """
    place, runs = Path(where), default_runs()
    if place.name == "latest" and place.parent.is_dir() and not place.exists():
        if given := os.environ.get("TESTBED_RUN"):
            return _named(given, runs)
        return Run(RunDir.open("latest", runs if place == Path("latest") else place.parent))
    known = place.exists() or (runs / place).exists() or len(place.parts) > 1
    return _named(str(where), runs) if known else Run(_latest_of(str(where), runs))


def _named(where: str, runs: Path) -> Run | RepeatedRun:
    for folder in (Path(where), runs / where):
        if (folder / REPETITION).is_file():
            return RepeatedRun(Repetition.open(folder.resolve()))
    return Run(RunDir.open(where, runs))


def _latest_of(experiment: str, runs: Path) -> RunDir:
    given = os.environ.get("TESTBED_RUN")
    if given and (run := RunDir.open(given, runs)).meta()["experiment"] == experiment:
        return run
    found = [RunDir(p.parent) for p in runs.glob(f"{experiment}-*/{RUN}")]
    found = [run for run in found if _is_finished(run, experiment)]
    if not found:
        known = experiment_files()
        mend = f"make one: testbed run {experiment}"
        if experiment not in known:
            own = Path(f"{experiment}.py")
            mend = "give the folder of a run" + nearest(experiment, known)
            mend = f"make one: testbed run {own}" if own.is_file() else mend
        raise ConfigError(
            f"{experiment}: no finished run of this name or of an experiment of this name in "
            f"{runs}; {mend}"
        )
    return max(found, key=RunDir.when)


def _is_finished(run: RunDir, experiment: str) -> bool:
    with suppress(ParseError):
        return run.state is State.FINISHED and run.meta()["experiment"] == experiment
    return False
