"""The program that runs in a guest (or on the host): builds the network, runs, records, leaves.

``python -m testbed.inside FOLDER`` reads ``scenario.json`` in the scenario's folder and writes
everything else there. `outcome.json` appears last, and only if the program came to its end.
It imports nothing that `run` does not use: the analysis packages are loaded on first touch.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from testbed import experiment as experiments
from testbed import parameters
from testbed.errors import ConfigError, ExitCode, TestbedError
from testbed.lazy import lazy
from testbed.rundir import OUTCOME, SCENARIO, read_json, write_json

if TYPE_CHECKING:
    from testbed.net import Network

Load = Callable[[Path], type[experiments.Experiment]]

LAZY = ("analysis", "matplotlib", "networkx", "numpy", "pandas", "pyarrow", "scipy")
"""Packages whose import costs seconds in a guest and that `run` seldom needs."""


class _LazyFinder(MetaPathFinder):
    """Finds the modules of `LAZY` as usual, but has them run on the first attribute access."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.split(".", maxsplit=1)[0] not in LAZY:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None and not fullname.startswith("analysis"):
            return importlib.machinery.ModuleSpec(fullname, _AbsentLoader(), is_package=True)
        # only our own modules are lazy one by one; inside a library the order of imports matters
        one_by_one = "." not in fullname or fullname.startswith("analysis.")
        return lazy(spec) if one_by_one else spec


class _AbsentModule(ModuleType):
    """A library that is not here: importing it is no error, using it is."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        library = self.__name__.partition(".")[0]
        reason = f"{library} is not in the image; use it in 'measure', not in 'run'"
        raise ModuleNotFoundError(reason, name=library)


class _AbsentLoader(Loader):
    """Stands in for `LAZY` packages that an image does not hold."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """The stand-in."""
        return _AbsentModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


def be_lazy() -> None:
    """From now on an import of `LAZY` costs nothing until something is used."""
    sys.meta_path.insert(0, _LazyFinder())


def loaded() -> list[str]:
    """Those of `LAZY` that something has touched by now: each costs the run its import."""
    return [n for n in LAZY if type(sys.modules.get(n)) is ModuleType]


def run_scenario(folder: Path, load: Load = experiments.load_file) -> int:
    """Runs the scenario of `folder`; returns the exit code and writes ``outcome.json``.

    Args:
        folder: the scenario's.
        load: gives the class of an experiment's file.
    """
    be_lazy()
    began_s = time.monotonic()
    outcome: dict[str, Any] = {"status": "complete", "reason": "", "exit_code": 0}
    try:
        _run(folder, outcome, load)
    except TestbedError as error:
        reason = f"{error}{_called_from(folder, error)}"
        outcome |= {"status": "error", "reason": reason, "exit_code": int(error.exit_code)}
        outcome["error"] = type(error).__name__
    except Exception as error:  # noqa: BLE001 (this is the guest's top level)
        (folder / "logs").mkdir(exist_ok=True)
        (folder / "logs" / "traceback.log").write_text(traceback.format_exc())
        where, own = _where(folder, error)
        reason = f"{where}: {type(error).__name__}: {error} (see logs/traceback.log)"
        code = ExitCode.USAGE if own else ExitCode.ENVIRONMENT
        outcome |= {"status": "error", "reason": reason, "exit_code": int(code)}
    outcome["loaded"] = loaded()
    outcome["virtual_s"] = round(time.monotonic() - began_s, 9)
    write_json(folder / OUTCOME, outcome)
    return int(outcome["exit_code"])


def _run(folder: Path, outcome: dict[str, Any], load: Load) -> None:
    from testbed.lab import Lab
    from testbed.net import Network
    from testbed.topo import as_data

    scenario = read_json(folder / SCENARIO)
    cls = load(folder / scenario["file"])
    experiment = cls(parameters.build(cls.Parameters, scenario["parameters"]))
    topo = experiment.topology()
    network = Network(topo, routing=cls.routing, seed=scenario["seed"])
    write_json(folder / "topology.json", as_data(topo))
    with network as net:
        write_json(folder / "network.json", network_data(net))
        began_s = time.monotonic()
        with Lab(net, folder) as lab:
            experiment.run(lab)
        outcome["run_s"] = round(time.monotonic() - began_s, 9)
        experiment.ended(lab)
        write_json(folder / "network_after.json", network_data(net))


def network_data(net: Network) -> dict[str, Any]:
    """Addresses, qdiscs and sysctls as they really are now."""
    return {
        "addresses": net.addresses,
        "qdiscs": net.qdiscs(),
        "sysctls": net.sysctls(),
    }


def _where(folder: Path, error: BaseException) -> tuple[str, bool]:
    """The innermost line of the experiment's file, else of ours; and which of them it is.

    The file's name only: paths differ between machines.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).is_relative_to(folder)]
    place = (own or frames)[-1]
    return f"{Path(place.filename).name}:{place.lineno}", bool(own)


def _called_from(folder: Path, error: TestbedError) -> str:
    """Where the experiment gave a bad value to what it called; else an empty string."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    if not isinstance(error, ConfigError) or Path(last.filename).is_relative_to(folder):
        return ""
    where, own = _where(folder, error)
    return f" ({where})" if own else ""


if __name__ == "__main__":
    code = run_scenario(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(code)  # a guest has nothing to tidy up in its interpreter
