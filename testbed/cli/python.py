"""`testbed.run`: what ``testbed run`` does, for scripts and notebooks."""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from types import TracebackType
from typing import Any

from testbed.author.experiment import load
from testbed.cli.console import err
from testbed.cli.show import RunView
from testbed.core.errors import ConfigError, nearest
from testbed.core.parameters import MOST_PERTURBED_PERCENT, RESERVED, parameters_of, percent
from testbed.core.rundir import RunDir, default_runs
from testbed.execution.repeat import repeat as run_repeated
from testbed.execution.runner import DEFAULT_SEED, Request, Watcher
from testbed.execution.runner import run as run_once
from testbed.execution.runtime import Outcome, Progress, Runtime
from testbed.lifetime import guard
from testbed.results.finished import RepeatedRun, Run

_REDRAW_S = 0.25
"""Shortest time between two redraws of a cell's progress."""


def run(
    experiment: str | Path,
    *,
    scenarios: Iterable[str] = (),
    seed: int = DEFAULT_SEED,
    runtime: str = "auto",
    clock: str = "virtual",
    image: str | Path = "",
    out: str | Path | None = None,
    wall_limit_s: float = 600.0,
    repeat: int = 1,
    perturb: str | float = 0.0,
    progress: bool = True,
    **parameters: Any,
) -> Run | RepeatedRun:
    """Runs an experiment, as ``testbed run`` does, and opens the finished run.

    A claim that fails is a row of the run's `claims`, never an error.

    Args:
        experiment: its name, or the path of its file or folder.
        scenarios: run only these; default all.
        seed: random seed.
        runtime: ``guest``, ``host`` (as root), or ``auto``.
        clock: of a guest, ``virtual`` or ``real``.
        image: the image whose programs are used; ``none`` for the host's; default as
            ``testbed image use`` says.
        out: folder for run directories; default ``$TESTBED_RUNS``, or ``runs``.
        wall_limit_s: wall-clock limit of each scenario, in s.
        repeat: number of runs, with the seeds `seed`, `seed` + 1, …
        perturb: share such as ``"1%"``: the seed moves link delays and start times by up to that.
        progress: show progress in the cell, on the terminal, or in the log (standard error).
        parameters: the experiment's own, e.g. ``rate_mbps=50, cc=["reno", "bbr"]``; ``testbed
            describe`` lists them.

    Returns:
        The run; a `RepeatedRun` if `repeat` is more than one.

    Raises:
        ConfigError: unknown experiment, scenario or parameter, or a bad value.
        MissingPrerequisiteError: a program, kernel or privilege is missing.
        RunIncompleteError: a scenario did not finish; the run directory says why.
    """
    if wrong := [name for name in parameters if name in RESERVED]:
        options = [*RESERVED, "scenarios"]
        raise ConfigError(f"run({wrong[0]}=…): unknown{nearest(wrong[0] + 's', options)}")
    if isinstance(scenarios, str):
        raise ConfigError(f"run(scenarios={scenarios!r}): give a list, such as [{scenarios!r}]")
    if not 1 <= repeat <= 1000:
        raise ConfigError(f"run(repeat={repeat}): allowed: 1 to 1000")
    request = Request(
        experiment=str(experiment),
        parameters=parameters,
        seed=seed,
        runtime=runtime,
        clock=clock,
        out=Path(out or default_runs()).resolve(),
        wall_limit_s=wall_limit_s,
        only=tuple(scenarios),
        image=str(image),
        perturb_percent=percent(str(perturb), "run(perturb=…)", MOST_PERTURBED_PERCENT),
    )
    with _python_words(request.experiment, parameters), _temporary_files(), _view(progress) as view:
        if repeat > 1:
            return RepeatedRun(run_repeated(request, repeat, view))
        return Run(run_once(request, view).run)


_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")
_ARGUMENTS = ("clock", "image", "out", "repeat", "runtime", "seed", "wall_limit_s")


@contextmanager
def _python_words(experiment: str, given: Iterable[str]) -> Iterator[None]:
    """Messages name arguments of `run`, not options of ``testbed run``."""
    try:
        yield
    except ConfigError as error:
        names = {name: name for name in (*given, *_ARGUMENTS)} | {"scenario": "scenarios"}
        with suppress(ConfigError):
            names |= {p.name: p.name for p in parameters_of(load(experiment).Parameters)}
        text = _OPTION.sub(lambda m: names.get(m[1].replace("-", "_"), m[0]), str(error))
        raise ConfigError(text) from error.__cause__


@contextmanager
def _temporary_files() -> Iterator[None]:
    """Temporary files of a run are removed however this process ends."""
    before = os.environ.get("TMPDIR")
    guard.use_own_folder()
    try:
        yield
    finally:
        os.environ.pop("TMPDIR", None)
        if before is not None:
            os.environ["TMPDIR"] = before
        tempfile.tempdir = None  # Python caches the folder it found


def _view(wanted: bool) -> RunView | CellView | Silence:
    if not wanted:
        return Silence()
    return CellView() if err.is_jupyter else RunView(err)


class Silence(Watcher):
    """Shows nothing."""

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class CellView(Watcher):
    """Progress in a notebook's cell: one line for the run, one for each scenario under way."""

    def __init__(self) -> None:
        from IPython.display import HTML, DisplayHandle, display

        self._html = HTML
        self._handle: DisplayHandle = display(HTML(""), display_id=True)
        self._lock = threading.Lock()
        self._drawn_s = 0.0
        self._lines: list[str] = []
        self._states: dict[str, str] = {}

    def __enter__(self) -> CellView:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._states = {}
        self._draw()

    def started(self, run: RunDir, runtime: Runtime, scenarios: list[str]) -> None:
        """Shows where the network runs."""
        self._lines.append(f"<b>{escape(run.path.name)}</b>: {runtime.name}, {runtime.clock} clock")
        self._states = dict.fromkeys(scenarios, "waits")
        self._draw()

    def note(self, text: str) -> None:
        """Shows a note above the run."""
        self._lines.append(escape(text))
        self._draw()

    def progress(self, scenario: str, progress: Progress) -> None:
        """Shows the scenario's clocks."""
        self._states[scenario] = f"{progress.run_s:.0f} s of its clock in {progress.wall_s:.1f} s"
        if time.monotonic() - self._drawn_s > _REDRAW_S:
            self._draw()

    def finished(self, scenario: str, outcome: Outcome) -> None:
        """Removes a scenario that ended well from the list; one that failed stays."""
        self._states.pop(scenario, None)
        if not outcome.ok:
            self._lines.append(f"✗ {escape(scenario)}: {escape(outcome.reason)}")
        self._draw()

    def stage(self, name: str) -> None:
        """Shows the stage of the analysis."""
        self._states = {name: "…"}
        self._draw()

    def _draw(self) -> None:
        with self._lock:
            self._drawn_s = time.monotonic()
            states = [f"{escape(name)} {state}" for name, state in list(self._states.items())]
            self._handle.update(self._html("<br>".join([*self._lines, *states])))
