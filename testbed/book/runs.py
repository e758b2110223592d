"""The runs that the book shows: of each experiment the latest with default parameters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from testbed.author import experiment
from testbed.author.experiment_folder import code, copies
from testbed.core.errors import ParseError
from testbed.core.parameters import parameters_of
from testbed.core.rundir import RUN, VERDICTS, RunDir, State, default_runs


def latest(name: str, runs: Path | None = None) -> RunDir | None:
    """The newest run that shows what the experiment does by default, if there is one.

    Args:
        name: the experiment.
        runs: folder with run directories; default: where runs go.
    """
    found = [run for run in _of(name, runs or default_runs()) if _shows(name, run)]
    return max(found, key=lambda run: run.path.name, default=None)


def current(name: str, run: RunDir) -> bool:
    """Whether the run was made by the experiment's code as it is today."""
    today = code(experiment.experiment_files()[name])
    found = copies(run)
    return bool(found) and all(code(copy) == today for copy in found)


def outdated(runs: Path | None = None) -> list[str]:
    """Experiments without a run of today's file: those that `make book` runs."""
    names = []
    for name in experiment.experiment_files():
        run = latest(name, runs)
        if run is None or not current(name, run):
            names.append(name)
    return names


def _of(name: str, runs: Path) -> Iterator[RunDir]:
    for path in sorted(runs.glob(f"{name}-*/{RUN}")):
        yield RunDir(path.parent)


def _shows(name: str, run: RunDir) -> bool:
    """Complete, judged, with default parameters and all scenarios."""
    try:
        meta = run.meta()
        state = run.state
    except ParseError:
        return False
    cls = experiment.load(name)
    # JSON has no tuples
    default = {
        p.name: list(p.default) if isinstance(p.default, tuple) else p.default
        for p in parameters_of(cls.Parameters)
    }
    return (
        meta["experiment"] == name
        and state is State.FINISHED
        and all(default.get(key) == value for key, value in meta["parameters"].items())
        and set(cls(cls.Parameters()).scenarios()) == set(meta["scenarios"])
        and (run.path / VERDICTS).is_file()
    )
