"""The program that runs in a guest (or on the host): builds the network, runs the experiment,
records, exits.

``python -m testbed.execution.inside FOLDER`` reads ``scenario.json`` in the scenario's folder
and writes everything else there. `outcome.json` appears last, and only if the program finished.
It imports nothing that `run` does not use: the analysis packages are loaded on first touch.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from testbed.author import experiment as experiments
from testbed.core import parameters
from testbed.core.errors import ConfigError, ExitCode, OutputError, TestbedError
from testbed.core.files import ENVIRONMENT, reason
from testbed.core.lazy import LazyFinder
from testbed.core.rundir import ADDRESSES, OUTCOME, SCENARIO, read_json, write_json

if TYPE_CHECKING:
    from testbed.net import Network

Load = Callable[[Path], type[experiments.Experiment]]

LAZY = ("analysis", "matplotlib", "networkx", "numpy", "pandas", "pyarrow", "scipy")
"""Packages whose import costs seconds in a guest and that `run` seldom needs."""


def be_lazy() -> None:
    """From now on an import of `LAZY` costs nothing until something is used."""
    sys.meta_path.insert(0, LazyFinder("analysis", libraries=LAZY[1:]))


def loaded() -> list[str]:
    """The packages of `LAZY` that were used: each costs the run its import."""
    return [n for n in LAZY if type(sys.modules.get(n)) is ModuleType]


def run_scenario(folder: Path, load: Load = experiments.load_file) -> int:
    """Runs the scenario of `folder`; returns the exit code and writes ``outcome.json``.

    Args:
        folder: the scenario's folder.
        load: returns the class in an experiment's file.
    """
    be_lazy()
    began_s = time.monotonic()
    outcome: dict[str, Any] = {"status": "complete", "reason": "", "exit_code": 0}
    try:
        _run(folder, outcome, load)
    except TestbedError as error:
        text = f"{error}{_called_from(folder, error)}"
        outcome |= {"status": "error", "reason": text, "exit_code": int(error.exit_code)}
        outcome["error"] = type(error).__name__
    except Exception as error:  # noqa: BLE001 (this is the guest's top level)
        outcome |= {"status": "error", **_broken(folder, error)}
    outcome["loaded"] = loaded()
    outcome["virtual_s"] = round(time.monotonic() - began_s, 9)
    try:
        write_json(folder / OUTCOME, outcome)
    except OutputError as error:
        sys.stdout.write(f"{error}\n")
        return int(error.exit_code)
    return int(outcome["exit_code"])


def _run(folder: Path, outcome: dict[str, Any], load: Load) -> None:
    from testbed.author.running_network import RunningNetwork
    from testbed.author.topo import as_data
    from testbed.net import Network

    scenario = read_json(folder / SCENARIO)
    cls = load(folder / scenario["file"])
    experiment = cls(parameters.build(cls.Parameters, scenario["parameters"]))
    topo = _topology(folder, experiment)
    running: Callable[..., RunningNetwork] = RunningNetwork
    if percent := scenario.get("perturb_percent", 0.0):
        from testbed.author.perturbation import PerturbedNetwork, move_delays

        move_delays(topo, percent, scenario["seed"])
        running = partial(PerturbedNetwork, percent=percent, seed=scenario["seed"])
    network = Network(topo, routing=cls.routing, seed=scenario["seed"])
    write_json(folder / "topology.json", as_data(topo))
    with network:
        write_json(folder / "network.json", network_data(network))
        began_s = time.monotonic()
        with running(network, folder, scenario["scenario"]) as net:
            experiment.run(net)
        outcome["run_s"] = round(time.monotonic() - began_s, 9)
        experiment.ended(net)
        write_json(folder / "network_after.json", network_data(network))


def _topology(folder: Path, experiment: experiments.Experiment) -> Any:
    """The experiment's topology; the addresses that its configurations give win."""
    if not (folder / ADDRESSES).is_file():
        return experiment.topo
    from testbed.author import routing

    return routing.topology_of(folder, lambda: experiment.topo)


def network_data(network: Network) -> dict[str, Any]:
    """Addresses, qdiscs and sysctls as they really are now, and what this kernel cannot do."""
    return {
        "addresses": network.addresses,
        "qdiscs": network.qdiscs(),
        "sysctls": network.sysctls(),
        **({"notes": network.engine.notes} if network.engine.notes else {}),
    }


def _broken(folder: Path, error: Exception) -> dict[str, Any]:
    """Reason and exit code of an unexpected error: a full disk, or a bug."""
    if isinstance(error, OSError) and error.errno in ENVIRONMENT:
        text = f"the run directory could not be written: {reason(error)}"
        return {"reason": text, "exit_code": int(ExitCode.ENVIRONMENT)}
    with suppress(OSError):
        (folder / "logs").mkdir(exist_ok=True)
        (folder / "logs" / "traceback.log").write_text(traceback.format_exc())
    where, own = _where(folder, error)
    code = ExitCode.USAGE if own else ExitCode.ENVIRONMENT
    text = f"{where}: {type(error).__name__}: {error} (see logs/traceback.log)"
    return {"reason": text, "exit_code": int(code)}


def _where(folder: Path, error: BaseException) -> tuple[str, bool]:
    """The innermost line in the experiment's file, else in ours, and whose file it is.

    Only the file's name: paths differ between machines.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).is_relative_to(folder)]
    place = (own or frames)[-1]
    return f"{Path(place.filename).name}:{place.lineno}", bool(own)


def _called_from(folder: Path, error: TestbedError) -> str:
    """Where the experiment passed a bad value to one of our functions; else an empty string."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    if not isinstance(error, ConfigError) or Path(last.filename).is_relative_to(folder):
        return ""
    where, own = _where(folder, error)
    return f" ({where})" if own else ""


if __name__ == "__main__":
    code = run_scenario(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(code)  # a guest's interpreter has nothing to clean up
