"""One run from parameters to a run directory: scenarios side by side, then replay.

Emits events (`Progress`, stage names) that the command line turns into progress bars.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from testbed.author import experiment_folder
from testbed.author.experiment import (
    path_of,
)
from testbed.core import files
from testbed.core.claims import Judged
from testbed.core.errors import (
    CaptureError,
    ConfigError,
    ExitCode,
    OutputError,
    RunIncompleteError,
    said_once,
)
from testbed.core.fingerprint import fingerprint
from testbed.core.rundir import OUTCOME, SCENARIO, RunDir, State, read_json, write_json
from testbed.execution import opened_captures
from testbed.execution.plan import DEFAULT_SEED, Plan, Request, plan
from testbed.execution.provenance import (
    program_files,
)
from testbed.execution.runtime import Outcome, Progress, Runtime, image_of
from testbed.lifetime.start import Interrupted
from testbed.results import gate
from testbed.results.replay import Parsed, import_what_follows, replay

__all__ = ["DEFAULT_SEED", "Plan", "Request", "Result", "Watcher", "build_and_run", "plan", "run"]

_FROM_OUTSIDE = {"interrupted", "killed"}
"""Outcome of a scenario that was ended on request."""


@dataclass(frozen=True)
class Result:
    """A finished run and its verdicts."""

    run: RunDir
    judged: list[Judged]


class Watcher:
    """Receives a run's progress events; the command line overrides what it shows."""

    def started(self, run: RunDir, runtime: Runtime, scenarios: list[str]) -> None:
        """The run directory exists and the first guests are booting."""

    def note(self, text: str) -> None:
        """A note about the run before it begins."""

    def progress(self, scenario: str, progress: Progress) -> None:
        """A scenario's clock advanced."""

    def finished(self, scenario: str, outcome: Outcome) -> None:
        """A scenario ended."""

    def stage(self, name: str) -> None:
        """The run's analysis reached the stage `name`."""


def run(request: Request, watcher: Watcher | None = None, *, draw: bool = True) -> Result:
    """Runs an experiment and judges it; `draw`: makes figures and the report, too.

    Raises:
        ConfigError: bad experiment, parameter or topology; nothing was created.
        MissingPrerequisiteError: a program, kernel or privilege is missing; nothing was created.
        RunIncompleteError: a scenario did not finish; the run directory says why.
    """
    watcher = watcher or Watcher()
    made = plan(request)
    with made.rundir.in_use():
        for text in made.notes:
            watcher.note(text)
        watcher.started(made.rundir, made.runtime, list(made.scenarios))
        failed = build_and_run({"": made}, watcher)
        for error in failed.values():
            raise error
        parsed = {name: scenario.params for name, scenario in made.scenarios.items()}
        known = Parsed(made.cls, made.params, parsed)
        return Result(made.rundir, replay(made.rundir, watcher.stage, known, draw=draw))


def build_and_run(plans: Mapping[str, Plan], watcher: Watcher) -> dict[str, RunIncompleteError]:
    """Runs the networks of all plans, as many at a time as there are CPUs.

    Args:
        plans: by a label that precedes the scenario's name in progress messages.
        watcher: receives the progress.

    Returns:
        label → why that run did not finish; empty if all did.
    """
    try:
        return _build_and_run(plans, watcher)
    except BaseException as error:
        by_hand = isinstance(error, (KeyboardInterrupt, Interrupted))
        state = State.INTERRUPTED if by_hand else State.FAILED
        how = {"status": "incomplete", "state": state, "reason": str(error) or "interrupted"}
        with suppress(OutputError):  # `error` already reports a full disk
            for made in plans.values():
                if made.meta["status"] == "running":  # not concluded yet
                    made.rundir.write_meta(made.meta | how)
        raise


def _build_and_run(plans: Mapping[str, Plan], watcher: Watcher) -> dict[str, RunIncompleteError]:
    began = time.perf_counter()
    for made in plans.values():
        made.rundir.write_meta(made.meta)
    with ThreadPoolExecutor(1) as aside:
        files = {label: aside.submit(_files, made) for label, made in plans.items()}
        aside.submit(import_what_follows)
        outcomes = _run_scenarios(plans, watcher)
    failed = {}
    for label, made in plans.items():
        made.meta["files"] = files[label].result()
        made.meta["wall_s"] = {"network": round(time.perf_counter() - began, 3)}
        try:
            _conclude(made.rundir, made.meta, outcomes[label])
        except RunIncompleteError as error:
            failed[label] = error
    return failed


def _files(made: Plan) -> dict[str, str]:
    """Hashes of what the run executes; an image's are in its manifest."""
    return {} if image_of(made.runtime) else program_files(made.programs, made.cls.extras)


def _run_scenarios(plans: Mapping[str, Plan], watcher: Watcher) -> dict[str, dict[str, Outcome]]:
    """Runs every scenario of every plan (one at a time on the host's kernel)."""
    runtime = next(iter(plans.values())).runtime
    workers = len(os.sched_getaffinity(0)) if runtime.name == "guest" else 1
    stop = threading.Event()

    def one(label: str, name: str) -> Outcome:
        made = plans[label]
        return _run_one(made, name, stop, lambda p: watcher.progress(_shown(label, name), p))

    outcomes: dict[str, dict[str, Outcome]] = {label: {} for label in plans}
    with ThreadPoolExecutor(workers) as pool:
        futures = {
            pool.submit(one, label, name): (label, name)
            for label, made in plans.items()
            for name in made.scenarios
        }
        try:
            for future in as_completed(futures):
                label, name = futures[future]
                outcomes[label][name] = future.result()
                watcher.finished(_shown(label, name), outcomes[label][name])
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return {
        label: {name: outcomes[label][name] for name in made.scenarios}
        for label, made in plans.items()
    }


def _shown(label: str, scenario: str) -> str:
    return f"{label} {scenario}".strip()


def _run_one(
    made: Plan, name: str, stop: threading.Event, on_progress: Callable[[Progress], None]
) -> Outcome:
    """One scenario's network, watched by the gate where the clock is real."""
    folder = _prepare(made, name)
    with gate.watching(made.runtime.clock == "real") as watch:
        outcome = made.runtime.run(
            folder,
            seed=made.request.seed,
            memory_mb=made.cls.memory_mb,
            wall_limit_s=made.request.wall_limit_s,
            on_progress=on_progress,
            stop=stop,
        )
    if watch is not None:
        write_json(folder / gate.GATE, watch.data())
    return outcome


def _prepare(made: Plan, name: str) -> Path:
    """The scenario's folder with all a runtime needs: the experiment, its inputs, its data."""
    folder = made.rundir.scenario(name)
    files.make_folder(folder)
    copy = experiment_folder.copy(path_of(made.cls), made.cls.name, folder)
    for file, text in made.scenarios[name].inputs.items():
        files.make_folder((folder / file).parent)
        files.write_text(folder / file, text)
    write_json(
        folder / SCENARIO,
        {
            "experiment": made.cls.name,
            "file": copy,
            "scenario": name,
            "parameters": asdict(made.scenarios[name].params),
            "seed": made.request.seed,
            "perturb_percent": made.request.perturb_percent,
            "runtime": made.runtime.name,
            "clock": made.runtime.clock,
        },
    )
    return folder


def _conclude(rundir: RunDir, meta: dict[str, Any], outcomes: dict[str, Outcome]) -> None:
    """Writes how the scenarios ended; raises if one did not finish."""
    failed: dict[str, str] = {}
    exit_code = None
    for name, outcome in outcomes.items():
        inside = _outcome_data(rundir, name)
        reason = inside.get("reason") or outcome.reason
        meta["scenarios"][name] |= {
            "status": outcome.status,
            "reason": reason,
            "wall_s": round(outcome.wall_s, 3),
            "virtual_s": inside.get("virtual_s"),
            "isolation": outcome.isolation,
        }
        if not outcome.ok:
            failed[name] = reason or outcome.status
            exit_code = exit_code or inside.get("exit_code")
    meta["reason"] = said_once(failed, len(outcomes))
    if failed:
        meta["status"] = "incomplete"
        ended = {outcomes[name].status for name in failed}
        meta["state"] = State.INTERRUPTED if ended <= _FROM_OUTSIDE else State.FAILED
        rundir.write_meta(meta)
        error = RunIncompleteError(f"{meta['reason']} (run directory: {rundir.path})")
        error.exit_code = ExitCode(exit_code) if exit_code else error.exit_code
        raise error
    if meta["clock"] == "virtual":
        meta["fingerprint"] = fingerprint(rundir)
    meta["status"] = "complete"
    rundir.write_meta(meta)
    for name in outcomes:
        # copies for Wireshark: a damaged key log or capture costs them alone, not the run
        with suppress(ConfigError, CaptureError):
            opened_captures.write(rundir.scenario(name))


def _outcome_data(rundir: RunDir, name: str) -> dict[str, Any]:
    path = rundir.scenario(name) / OUTCOME
    return dict(read_json(path)) if path.is_file() else {}
