"""One run from parameters to a run directory: scenarios side by side, then replay.

Emits events (`Progress`, stage names) that the command line turns into progress bars.
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from testbed import __version__, extras, gate, parameters, topologies
from testbed.errors import (
    ConfigError,
    ExitCode,
    MissingPrerequisiteError,
    RunIncompleteError,
    nearest,
)
from testbed.experiment import Experiment, check_claims, experiment_files, load, own_code
from testbed.image.store import Image
from testbed.prerequisites import find, install_command
from testbed.provenance import host, sources_hash, tool_versions
from testbed.replay import Judged, fingerprint, replay
from testbed.rundir import OUTCOME, SCENARIO, RunDir, read_json, write_json
from testbed.runtime import Outcome, Progress, Runtime, choose, image_of

DEFAULT_SEED = 1

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
    """Hears of a run's progress; the command line overrides what it shows."""

    def started(self, run: RunDir, runtime: Runtime, scenarios: list[str]) -> None:
        """The run directory is there and the first guests boot."""

    def progress(self, scenario: str, progress: Progress) -> None:
        """A scenario's clock moved."""

    def finished(self, scenario: str, outcome: Outcome) -> None:
        """A scenario came to its end."""

    def stage(self, name: str) -> None:
        """The run's analysis goes on to `name`."""


@dataclass(frozen=True)
class Plan:
    """A run that is checked and has its directory, but no network yet."""

    request: Request
    cls: type[Experiment]
    scenarios: dict[str, dict[str, Any]]
    runtime: Runtime
    rundir: RunDir
    meta: dict[str, Any]


def run(request: Request, watcher: Watcher | None = None) -> Result:
    """Runs an experiment and judges it.

    Raises:
        ConfigError: bad experiment, parameter or topology; nothing was made.
        MissingPrerequisiteError: a program, kernel or privilege is missing; nothing was made.
        RunIncompleteError: a scenario did not come to its end; the run directory says why.
    """
    watcher = watcher or Watcher()
    made = plan(request)
    with made.rundir.in_use():
        watcher.started(made.rundir, made.runtime, list(made.scenarios))
        failed = build_and_run({"": made}, watcher)
        for error in failed.values():
            raise error
        return Result(made.rundir, replay(made.rundir, watcher.stage))


def plan(request: Request, rundir: RunDir | None = None) -> Plan:
    """Checks a request and makes its run directory (`rundir`, if given and empty).

    Raises:
        ConfigError: bad experiment, parameter or topology; nothing was made.
        MissingPrerequisiteError: a program, kernel or privilege is missing; nothing was made.
    """
    cls = load(request.experiment)
    ours = experiment_files().get(cls.name)
    if request.experiment.endswith(".py") and ours not in (
        None,
        Path(request.experiment).resolve(),
    ):
        raise ConfigError(
            f"{request.experiment}: has the name of {ours}, which would judge its runs; rename it"
        )
    params: Any = parameters.build(cls.Parameters, request.parameters)
    scenarios = _scenarios(cls, params, request.only)
    runtime = choose(request.runtime, clock=request.clock, image=request.image)
    if cls.guest_only and runtime.name != "guest":
        raise ConfigError(f"--runtime {runtime.name}: {cls.name} runs in a guest only")
    _check_programs(cls, image_of(runtime))
    rundir = rundir or RunDir.create(request.out, cls.name)
    meta = _metadata(cls, params, request, runtime, scenarios)
    rundir.write_meta(meta)
    return Plan(request, cls, scenarios, runtime, rundir, meta)


def build_and_run(plans: Mapping[str, Plan], watcher: Watcher) -> dict[str, RunIncompleteError]:
    """Runs the networks of all plans, as many at a time as there are CPUs.

    Args:
        plans: by a label that stands before the scenario's name where progress is shown.
        watcher: hears of it.

    Returns:
        label → why that run did not come to its end; empty if all did.
    """
    began = time.perf_counter()
    with _SignalsInterrupt():
        try:
            outcomes = _run_scenarios(plans, watcher)
        except BaseException as error:
            reason = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
            for made in plans.values():
                made.rundir.write_meta(made.meta | {"status": "incomplete", "reason": reason})
            raise
    failed = {}
    for label, made in plans.items():
        made.meta["wall_s"] = {"network": round(time.perf_counter() - began, 3)}
        try:
            _conclude(made.rundir, made.meta, outcomes[label])
        except RunIncompleteError as error:
            failed[label] = error
    return failed


def _scenarios(
    cls: type[Experiment], params: Any, only: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Scenario → parameters as data; topologies and inputs are made here, so that errors show."""
    with own_code(cls, "scenarios"):
        found = dict(cls(params).scenarios())
    for name in found:
        if not _SCENARIO_NAME.fullmatch(name):
            raise ConfigError(
                f"experiment '{cls.name}': scenario {name!r}: names a folder; "
                "use letters, digits and _ . + -"
            )
    if not found:
        raise ConfigError(f"experiment '{cls.name}': scenarios() gives none")
    check_claims(cls(params))
    for name in only:
        if name not in found:
            raise ConfigError(
                f"--scenario {name}: unknown{nearest(name, found)}; known: {', '.join(found)}"
            )
    chosen = {name: p for name, p in found.items() if not only or name in only}
    for scenario_params in chosen.values():
        with own_code(cls, "topology"):
            topo = cls(scenario_params).topology()
        topologies.require_nodes(topo, inspect.getfile(cls))
        with own_code(cls, "inputs"):
            cls(scenario_params).inputs()
    return {name: asdict(p) for name, p in chosen.items()}


def _check_programs(cls: type[Experiment], image: Image | None) -> None:
    for program in ("tcpdump", *cls.programs):
        if image is not None:
            if image.which(program) is None:
                raise MissingPrerequisiteError(
                    program, f"testbed run {cls.name} --image none", f"not in image {image.id}"
                )
        elif find(program) is None:
            raise MissingPrerequisiteError(program, install_command(program))
    if image is None:  # an image has them all
        extras.require(cls.extras, f"the experiment {cls.name} needs it")


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
    folder = _prepare(made.rundir, made.cls, name, made.scenarios[name], made.request, made.runtime)
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


def _prepare(
    rundir: RunDir,
    cls: type[Experiment],
    name: str,
    params: dict[str, Any],
    request: Request,
    runtime: Runtime,
) -> Path:
    folder = rundir.scenario(name)
    folder.mkdir(parents=True)
    source = Path(inspect.getfile(cls))
    shutil.copyfile(source, folder / f"{cls.name}.py")
    for file, text in cls(parameters.build(cls.Parameters, params)).inputs().items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    write_json(
        folder / SCENARIO,
        {
            "experiment": cls.name,
            "file": f"{cls.name}.py",
            "scenario": name,
            "parameters": params,
            "seed": request.seed,
            "runtime": runtime.name,
            "clock": runtime.clock,
        },
    )
    return folder


def _conclude(rundir: RunDir, meta: dict[str, Any], outcomes: dict[str, Outcome]) -> None:
    """Writes how the scenarios ended; raises if one did not come to its end."""
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
    meta["status"] = "incomplete" if failed else "complete"
    meta["reason"] = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
    rundir.write_meta(meta)
    if failed:
        error = RunIncompleteError(f"{meta['reason']} (run directory: {rundir.path})")
        error.exit_code = ExitCode(exit_code) if exit_code else error.exit_code
        raise error
    if meta["clock"] == "virtual":
        rundir.write_meta(meta | {"fingerprint": fingerprint(rundir)})


def _outcome_data(rundir: RunDir, name: str) -> dict[str, Any]:
    path = rundir.scenario(name) / OUTCOME
    return dict(read_json(path)) if path.is_file() else {}


def _metadata(
    cls: type[Experiment],
    params: Any,
    request: Request,
    runtime: Runtime,
    scenarios: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    image = image_of(runtime)
    return {
        "testbed": __version__,
        "experiment": cls.name,
        "file": inspect.getfile(cls) if cls.name not in experiment_files() else "",
        "title": cls.title(),
        "parameters": asdict(params),
        "seed": request.seed,
        "runtime": runtime.name,
        "clock": runtime.clock,
        "runtime_why": runtime.why,
        "kernel": runtime.kernel,
        "image": image.summary() if image else None,
        "tools": tool_versions(image),
        "sources": sources_hash(),
        "host": host(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "status": "running",
        "reason": "",
        "scenarios": {name: {"parameters": p} for name, p in scenarios.items()},
    }


class _SignalsInterrupt:
    """SIGTERM and SIGHUP end a run as Ctrl-C does: everything is taken down first."""

    def __enter__(self) -> None:
        self._old = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                self._old[number] = signal.signal(number, self._raise)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    @staticmethod
    def _raise(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt
