"""What a run will be, checked before anything starts: experiment, parameters, scenarios."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from testbed.author import named_topologies
from testbed.author.experiment import (
    Experiment,
    check_claims,
    experiment_files,
    load,
    own_code,
    path_of,
)
from testbed.author.scenarios import notes
from testbed.core import parameters
from testbed.core.errors import ConfigError, nearest
from testbed.core.rundir import RunDir, State
from testbed.core.version import __version__
from testbed.execution import required
from testbed.execution.provenance import OPEN_VSWITCH, host, sources_hash, tool_versions
from testbed.execution.runtime import Runtime, choose, image_of

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
    perturb_percent: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """One scenario, checked.

    Attributes:
        params: its parameters, each within its limits.
        inputs: the files it starts with, by name.
        switched: True if its topology has an Open vSwitch bridge.
    """

    params: Any
    inputs: Mapping[str, str]
    switched: bool = False


@dataclass(frozen=True)
class Plan:
    """A run that was checked and has a directory, but no network yet."""

    request: Request
    cls: type[Experiment]
    params: Any
    scenarios: dict[str, Scenario]
    runtime: Runtime
    rundir: RunDir
    meta: dict[str, Any]
    programs: tuple[str, ...]

    @property
    def notes(self) -> list[str]:
        """One line for each given option that some scenarios ignore."""
        return notes(self.cls, self.params, self.request.parameters, self.scenarios)

    def with_seed(self, seed: int, rundir: RunDir) -> Plan:
        """The same with another seed, in a directory of its own."""
        request = replace(self.request, seed=seed)
        return replace(
            self, request=request, rundir=rundir, meta=deepcopy(self.meta | {"seed": seed})
        )


def plan(request: Request) -> Plan:
    """Checks a request and creates its run directory, still empty.

    Raises:
        ConfigError: bad experiment, parameter or topology; nothing was created.
        MissingPrerequisiteError: a program, kernel or privilege is missing; nothing was created.
    """
    cls = load(request.experiment)
    ours = experiment_files().get(cls.name)
    if ours is not None and path_of(cls) != ours:
        raise ConfigError(
            f"{request.experiment}: has the name of {ours}, which would judge its runs; rename it"
        )
    params: Any = parameters.build(cls.Parameters, request.parameters)
    scenarios = scenarios_of(cls, params, request.only)
    programs = programs_of(cls, scenarios)
    runtime = choose(request.runtime, clock=request.clock, image=request.image)
    require(cls, programs, runtime)
    rundir = RunDir.create(request.out, cls.name)
    meta = _metadata(cls, params, request, runtime, scenarios)
    meta["tools"] = tool_versions(image_of(runtime), programs, cls.extras)
    return Plan(request, cls, params, scenarios, runtime, rundir, meta, programs)


def require(cls: type[Experiment], programs: tuple[str, ...], runtime: Runtime) -> None:
    """Refuses a runtime in which the experiment cannot run.

    Raises:
        ConfigError: it runs in a guest only.
        MissingPrerequisiteError: a program or package is missing.
    """
    if cls.guest_only and runtime.name != "guest":
        raise ConfigError(f"--runtime {runtime.name}: {cls.name} runs in a guest only")
    required.check(cls, programs, image_of(runtime))


def programs_of(cls: type[Experiment], scenarios: Mapping[str, Scenario]) -> tuple[str, ...]:
    """Programs that these scenarios start."""
    switched = any(scenario.switched for scenario in scenarios.values())
    return (*cls.programs, *(OPEN_VSWITCH if switched else ()))


def scenarios_of(
    cls: type[Experiment], params: Any, only: tuple[str, ...] = ()
) -> dict[str, Scenario]:
    """The scenarios by name; topologies and inputs are made here, so that errors show.

    Raises:
        ConfigError: a bad scenario, topology or input, or an unknown scenario in `only`.
    """
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
    return {name: _scenario(cls, p) for name, p in chosen.items()}


def _scenario(cls: type[Experiment], made: Any) -> Scenario:
    params: Any = parameters.build(cls.Parameters, asdict(made))
    experiment = cls(params)
    with own_code(cls, "topology"):
        topo = experiment.topo
    named_topologies.require_nodes(topo, str(path_of(cls)))
    with own_code(cls, "inputs"):
        inputs = experiment.inputs()
    switched = named_topologies.has_open_vswitch(topo)
    return Scenario(params, inputs, switched)


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
        "perturb_percent": request.perturb_percent,
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
        "scenarios": {name: {"parameters": asdict(s.params)} for name, s in scenarios.items()},
    }
