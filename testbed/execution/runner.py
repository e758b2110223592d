"""One run from parameters to a run directory: scenarios side by side, then replay.

Emits events (`Progress`, stage names) that the command line turns into progress bars.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from testbed.author import experiment_folder, named_topologies
from testbed.author.experiment import (
    Experiment,
    check_claims,
    experiment_files,
    load,
    own_code,
    path_of,
)
from testbed.author.scenarios import notes
from testbed.core import files, parameters
from testbed.core.claims import Judged
from testbed.core.errors import (
    ConfigError,
    ExitCode,
    OutputError,
    RunIncompleteError,
    nearest,
    said_once,
)
from testbed.core.fingerprint import fingerprint
from testbed.core.rundir import OUTCOME, SCENARIO, RunDir, State, read_json, write_json
from testbed.core.version import __version__
from testbed.execution import required
from testbed.execution.provenance import (
    OPEN_VSWITCH,
    host,
    program_files,
    sources_hash,
    tool_versions,
)
from testbed.execution.runtime import Outcome, Progress, Runtime, choose, image_of
from testbed.lifetime.start import Interrupted
from testbed.results import gate
from testbed.results.replay import replay

DEFAULT_SEED = 1

_FROM_OUTSIDE = {"interrupted", "killed"}
"""Outcome of a scenario that was ended on request."""

_SCENARIO_NAME = re.compile(r"[\w][\w.+-]*")


@dataclass(frozen=True)
class Request:
    """What to run, and how."""

    experiment: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = DEFAULT_SEED
    runtime: str = "auto"
    clock: str = "virtual"
    out: Path = Path("runs")
    wall_limit_s: float = 600.0
    only: tuple[str, ...] = ()
    image: str = ""


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


@dataclass(frozen=True)
class Scenario:
    """One scenario, checked.

    Attributes:
        parameters: as data.
        inputs: the files it starts with, by name.
        switched: True if its topology has an Open vSwitch bridge.
    """

    parameters: dict[str, Any]
    inputs: Mapping[str, str]
    switched: bool = False


@dataclass(frozen=True)
class Plan:
    """A run that was checked and has a directory, but no network yet."""

    request: Request
    cls: type[Experiment]
    scenarios: dict[str, Scenario]
    runtime: Runtime
    rundir: RunDir
    meta: dict[str, Any]
    programs: tuple[str, ...]


def run(request: Request, watcher: Watcher | None = None) -> Result:
    """Runs an experiment and judges it.

    Raises:
        ConfigError: bad experiment, parameter or topology; nothing was created.
        MissingPrerequisiteError: a program, kernel or privilege is missing; nothing was created.
        RunIncompleteError: a scenario did not finish; the run directory says why.
    """
    watcher = watcher or Watcher()
    made = plan(request)
    with made.rundir.in_use():
        for text in notes(made.cls, request.parameters, made.scenarios):
            watcher.note(text)
        watcher.started(made.rundir, made.runtime, list(made.scenarios))
        failed = build_and_run({"": made}, watcher)
        for error in failed.values():
            raise error
        return Result(made.rundir, replay(made.rundir, watcher.stage))


def plan(request: Request, rundir: RunDir | None = None) -> Plan:
    """Checks a request and creates its run directory, still empty (`rundir`, if given).

    Raises:
        ConfigError, MissingPrerequisiteError: as `run`.
    """
    cls = load(request.experiment)
    ours = experiment_files().get(cls.name)
    if ours is not None and path_of(cls) != ours:
        raise ConfigError(
            f"{request.experiment}: has the name of {ours}, which would judge its runs; rename it"
        )
    params: Any = parameters.build(cls.Parameters, request.parameters)
    scenarios = _scenarios(cls, params, request.only)
    switched = any(scenario.switched for scenario in scenarios.values())
    programs = (*cls.programs, *(OPEN_VSWITCH if switched else ()))
    runtime = choose(request.runtime, clock=request.clock, image=request.image)
    if cls.guest_only and runtime.name != "guest":
        raise ConfigError(f"--runtime {runtime.name}: {cls.name} runs in a guest only")
    required.check(cls, programs, image_of(runtime))
    rundir = rundir or RunDir.create(request.out, cls.name)
    meta = _metadata(cls, params, request, runtime, scenarios)
    meta["tools"] = tool_versions(image_of(runtime), programs)
    return Plan(request, cls, scenarios, runtime, rundir, meta, programs)


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


def _scenarios(cls: type[Experiment], params: Any, only: tuple[str, ...]) -> dict[str, Scenario]:
    """The scenarios by name; topologies and inputs are made here, so that errors show."""
    with own_code(cls, "scenarios"):
        found = dict(cls(params).scenarios())
    for name in found:
        if not _SCENARIO_NAME.fullmatch(name):
            raise ConfigError(
                f"experiment '{cls.name}': scenario {name!r}: is not a valid folder name; "
                "use letters, digits and _ . + -"
            )
    if not found:
        raise ConfigError(f"experiment '{cls.name}': scenarios() returned none")
    check_claims(cls(params))
    for name in only:
        if name not in found:
            raise ConfigError(
                f"--scenario {name}: unknown{nearest(name, found)}; known: {', '.join(found)}"
            )
    chosen = {name: p for name, p in found.items() if not only or name in only}
    return {name: _scenario(cls, cls(p)) for name, p in chosen.items()}


def _scenario(cls: type[Experiment], experiment: Experiment) -> Scenario:
    with own_code(cls, "topology"):
        topo = experiment.topology()
    named_topologies.require_nodes(topo, str(path_of(cls)))
    with own_code(cls, "inputs"):
        inputs = experiment.inputs()
    switched = named_topologies.has_open_vswitch(topo)
    return Scenario(asdict(experiment.params), inputs, switched)


def _files(made: Plan) -> dict[str, str]:
    """Hashes of what the run executes; an image's are in its manifest."""
    return {} if image_of(made.runtime) else program_files(made.programs)


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
            "parameters": made.scenarios[name].parameters,
            "seed": made.request.seed,
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


def _outcome_data(rundir: RunDir, name: str) -> dict[str, Any]:
    path = rundir.scenario(name) / OUTCOME
    return dict(read_json(path)) if path.is_file() else {}


def _metadata(
    cls: type[Experiment],
    params: Any,
    request: Request,
    runtime: Runtime,
    scenarios: Mapping[str, Scenario],
) -> dict[str, Any]:
    image = image_of(runtime)
    return {
        "testbed": __version__,
        "experiment": cls.name,
        "file": str(path_of(cls)) if cls.name not in experiment_files() else "",
        "title": cls.title(),
        "parameters": asdict(params),
        "seed": request.seed,
        "runtime": runtime.name,
        "clock": runtime.clock,
        "runtime_why": runtime.why,
        "kernel": runtime.kernel,
        "image": image.summary() if image else None,
        "sources": sources_hash(),
        "host": host(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "state": State.UNDER_WAY,
        "status": "running",
        "reason": "",
        "scenarios": {name: {"parameters": s.parameters} for name, s in scenarios.items()},
    }
