"""One run from parameters to a run directory: scenarios side by side, then replay.

Emits events (`Progress`, stage names) that the command line turns into progress bars.
"""

from __future__ import annotations

import inspect
import os
import platform
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any

from testbed import __version__, parameters
from testbed.errors import (
    ConfigError,
    ExitCode,
    MissingPrerequisiteError,
    RunIncompleteError,
    nearest,
)
from testbed.experiment import Experiment, load
from testbed.prerequisites import install_command
from testbed.replay import Judged, fingerprint, replay
from testbed.rundir import OUTCOME, SCENARIO, RunDir, read_json, write_json
from testbed.runtime import Outcome, Progress, Runtime, choose

DEFAULT_SEED = 1

_VERSIONED = {
    "iperf3": ["iperf3", "--version"],
    "tcpdump": ["tcpdump", "--version"],
    "frr": ["/usr/lib/frr/zebra", "--version"],
    "ovs": ["ovs-vswitchd", "--version"],
}


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


def run(request: Request, watcher: Watcher | None = None) -> Result:
    """Runs an experiment and judges it.

    Raises:
        ConfigError: bad experiment, parameter or topology; nothing was made.
        MissingPrerequisiteError: a program, kernel or privilege is missing; nothing was made.
        RunIncompleteError: a scenario did not come to its end; the run directory says why.
    """
    watcher = watcher or Watcher()
    cls = load(request.experiment)
    params: Any = parameters.build(cls.Parameters, request.parameters)
    scenarios = _scenarios(cls, params, request.only)
    _check_programs(cls)
    runtime = choose(request.runtime, clock=request.clock)
    rundir = RunDir.create(request.out, cls.name)
    meta = _metadata(cls, params, request, runtime, scenarios)
    rundir.write_meta(meta)
    watcher.started(rundir, runtime, list(scenarios))
    began = time.perf_counter()
    with _SignalsInterrupt():
        try:
            outcomes = _run_scenarios(rundir, cls, scenarios, request, runtime, watcher)
        except BaseException as error:
            reason = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
            rundir.write_meta(meta | {"status": "incomplete", "reason": reason})
            raise
    meta["wall_s"] = {"network": round(time.perf_counter() - began, 3)}
    _conclude(rundir, meta, outcomes)
    return Result(rundir, replay(rundir, watcher.stage))


def _scenarios(
    cls: type[Experiment], params: Any, only: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Scenario → parameters as data; topologies and inputs are made once here: their errors show."""
    found = dict(cls(params).scenarios())
    for name in only:
        if name not in found:
            raise ConfigError(
                f"--scenario {name}: unknown{nearest(name, found)}; known: {', '.join(found)}"
            )
    chosen = {name: p for name, p in found.items() if not only or name in only}
    for scenario_params in chosen.values():
        cls(scenario_params).topology()
        cls(scenario_params).inputs()
    return {name: asdict(p) for name, p in chosen.items()}


def _check_programs(cls: type[Experiment]) -> None:
    for program in ("tcpdump", *cls.programs):
        if shutil.which(program) is None:
            raise MissingPrerequisiteError(program, install_command(program))


def _run_scenarios(
    rundir: RunDir,
    cls: type[Experiment],
    scenarios: dict[str, dict[str, Any]],
    request: Request,
    runtime: Runtime,
    watcher: Watcher,
) -> dict[str, Outcome]:
    """Runs the scenarios, as many at a time as there are CPUs (one on the host's kernel)."""
    workers = len(os.sched_getaffinity(0)) if runtime.name == "guest" else 1
    stop = threading.Event()

    def one(name: str) -> Outcome:
        folder = _prepare(rundir, cls, name, scenarios[name], request, runtime)
        return runtime.run(
            folder,
            seed=request.seed,
            memory_mb=cls.memory_mb,
            wall_limit_s=request.wall_limit_s,
            on_progress=lambda p: watcher.progress(name, p),
            stop=stop,
        )

    outcomes: dict[str, Outcome] = {}
    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(one, name): name for name in scenarios}
        try:
            for future in as_completed(futures):
                name = futures[future]
                outcomes[name] = future.result()
                watcher.finished(name, outcomes[name])
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return {name: outcomes[name] for name in scenarios}


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
    return {
        "testbed": __version__,
        "experiment": cls.name,
        "title": cls.title(),
        "parameters": asdict(params),
        "seed": request.seed,
        "runtime": runtime.name,
        "clock": runtime.clock,
        "runtime_why": runtime.why,
        "kernel": runtime.kernel,
        "tools": tool_versions(),
        "host": {"kernel": platform.release(), "cpus": os.cpu_count()},
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "status": "running",
        "reason": "",
        "scenarios": {name: {"parameters": p} for name, p in scenarios.items()},
    }


def tool_versions() -> dict[str, str]:
    """First version line of each program an experiment may use, and of our main libraries."""
    found = {"python": platform.python_version()}
    for name, argv in _VERSIONED.items():
        if shutil.which(argv[0]):
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
            found[name] = ((done.stdout or done.stderr).splitlines() or ["?"])[0].strip()
    for package in ("pyroute2", "pandas", "numpy", "pyarrow", "matplotlib"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


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
