"""All that a run's result depends on, its hash, and the task for whoever makes the run.

Two runs with the same hash have the same result, whoever made them: it is the name of the run's
folder in a sweep.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from testbed.author import experiment_folder
from testbed.author.experiment import Experiment, experiment_files, load, path_of
from testbed.core import parameters
from testbed.core.errors import ConfigError, TestbedError
from testbed.core.quantities import number
from testbed.execution import plan
from testbed.execution.plan import Request
from testbed.execution.provenance import sources_hash, tool_versions
from testbed.execution.runtime import Runtime, choose, image_of
from testbed.execution.shared import Shared
from testbed.sweep.grid import Grid

FORMAT = 1
"""Version of what is hashed."""

KEPT = ("tables", "captures", "all")
"""What of a run is kept: verdicts and tables; captures and logs as well; or figures and the report,
too."""

_KEY_CHARS = 24


class OtherVersionsError(TestbedError):
    """A worker would do the work differently: names what it has and what it should have."""


@dataclass(frozen=True)
class Task:
    """One run, for whoever makes it.

    Attributes:
        key: hash of all inputs.
        request: what to run; `Request.out` is the sweep's folder.
        versions: of all that makes runs, by name.
        keep: one of `KEPT`.
        home: the sweep's folder, if the worker sees it.
        check: the run is made for its fingerprint alone.
    """

    key: str
    request: Request
    versions: Mapping[str, str]
    keep: str
    home: Shared
    check: bool = False

    def again(self) -> Task:
        """The same run, for its fingerprint."""
        return replace(self, check=True)


def versions(cls: type[Experiment], runtime: Runtime, programs: tuple[str, ...]) -> dict[str, str]:
    """Hashes and versions of all that makes runs on this machine, by name."""
    image = image_of(runtime)
    code = experiment_folder.code(path_of(cls))
    return {
        "experiment": _hash(
            {name: hashlib.sha256(data).hexdigest() for name, data in code.items()}
        ),
        "testbed's sources": sources_hash(),
        "runtime": runtime.name,
        "clock": runtime.clock,
        "guest kernel": runtime.kernel["sha256"],
        "image": image.id if image else "none",
        **{
            f"package {name}": text
            for name, text in tool_versions(image, programs, cls.extras).items()
        },
    }


def refuse_other_versions(wanted: Mapping[str, str], found: Mapping[str, str], where: str) -> None:
    """Refuses work that would be done differently here.

    Raises:
        OtherVersionsError: names the first three differences.
    """
    different = [
        f"{name} is {found.get(name, 'missing')[:12]}, not {wanted.get(name, 'missing')[:12]}"
        for name in dict.fromkeys([*wanted, *found])
        if wanted.get(name) != found.get(name)
    ]
    if different:
        more = f" and {len(different) - 3} more" * (len(different) > 3)
        raise OtherVersionsError(f"{where}: {'; '.join(different[:3])}{more}")


def tasks(request: Request, grid: Grid, keep: str, home: Shared) -> Iterator[Task]:
    """The task of each run, checked: each point's parameters, scenarios, topologies and inputs.

    Args:
        request: what all have in common.
        grid: the points and seeds.
        keep: one of `KEPT`.
        home: see `Task`.

    Raises:
        ConfigError: a point is not possible; names it, and the number of runs.
        MissingPrerequisiteError: a program, kernel or privilege is missing.
    """
    cls = load(request.experiment)
    runtime = choose(request.runtime, clock=request.clock, image=request.image)
    known: dict[tuple[str, ...], dict[str, str]] = {}
    own = cls.name in experiment_files()
    where = cls.name if own else str(path_of(cls))
    for point in grid.points:
        params: Any = parameters.build(cls.Parameters, point)
        try:
            programs = plan.programs_of(cls, plan.scenarios_of(cls, params, request.only))
        except ConfigError as error:
            values = ", ".join(f"{name}={value}" for name, value in point.items())
            raise ConfigError(
                f"{values or 'defaults'}: {error} (no run was made of {number(grid.runs, 'runs')})"
            ) from None
        if programs not in known:
            plan.require(cls, programs, runtime)
            known[programs] = versions(cls, runtime, programs)
        for seed in grid.seeds:
            one = replace(request, experiment=where, parameters=asdict(params), seed=seed)
            yield Task(key_of(one, known[programs]), one, known[programs], keep, home)


def key_of(request: Request, used: Mapping[str, str]) -> str:
    """The hash of a run's inputs; neither folders nor limits of time are part of it."""
    return _hash(
        {
            "format": FORMAT,
            "experiment": request.experiment,
            "parameters": request.parameters,
            "seed": request.seed,
            "perturb_percent": request.perturb_percent,
            "scenarios": sorted(request.only),
            "versions": used,
        }
    )[:_KEY_CHARS]


def _hash(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
