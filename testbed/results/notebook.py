"""What the experiments' notebooks call: one run, its tables, packets and pictures.

    from testbed.results import notebook
    run = notebook.open_run("icmp")

The run is the one that ``TESTBED_RUN`` names (`make notebook` sets it), if the experiment made it,
else the experiment's latest.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.author import steps
from testbed.author.experiment import Experiment, experiment_files
from testbed.author.experiment_folder import NOTEBOOK
from testbed.core import parameters
from testbed.core.errors import ConfigError, TestbedError, nearest
from testbed.core.project import PROJECT
from testbed.core.rundir import RUN, SCENARIO, VERDICTS, RunDir, default_runs, read_json
from testbed.core.tables import Tables
from testbed.results.data import ScenarioData
from testbed.results.replay import complete_scenarios, experiment_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd
    from matplotlib.figure import Figure

MOST_DRAWN = 60
"""Most messages of a ladder diagram, so that it stays a picture."""


@dataclass(frozen=True)
class Picture:
    """A drawing that a notebook shows."""

    svg: str = ""
    png: bytes = b""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {"image/svg+xml": self.svg} if self.svg else {"image/png": self.png}


def open_run(experiment: str) -> NotebookRun:
    """The run a notebook is about.

    Raises:
        ConfigError: there is none.
    """
    given = os.environ.get("TESTBED_RUN")
    if given:
        run = RunDir.open(given, default_runs())
        if run.meta()["experiment"] == experiment:
            return NotebookRun(run)
    folders = [default_runs(), PROJECT / "runs"]
    found = [p.parent for runs in folders for p in runs.glob(f"{experiment}-*/{RUN}")]
    found = [p for p in found if RunDir(p).meta()["experiment"] == experiment]
    if not found:
        raise ConfigError(
            f"no run of '{experiment}' in {folders[-1]} yet; make one: make exp-{experiment}"
        )
    return NotebookRun(RunDir(max(found, key=lambda p: (p / RUN).stat().st_mtime_ns)))


class NotebookRun:
    """One finished run.

    Attributes:
        run: its directory.
        cls: the experiment's class.
    """

    def __init__(self, run: RunDir) -> None:
        self.run, self.cls = run, experiment_of(run)

    @cached_property
    def meta(self) -> dict[str, Any]:
        """Contents of ``run.json``."""
        return self.run.meta()

    @property
    def scenarios(self) -> list[str]:
        """Names of the scenarios that came to their end."""
        return complete_scenarios(self.run)

    def summary(self) -> pd.Series[Any]:
        """What was run: parameters, seed, clock, kernel, fingerprint."""
        import pandas as pd

        about = {"experiment": self.meta["experiment"], "title": self.cls.title()}
        about |= {name: str(value) for name, value in self.meta["parameters"].items()}
        about |= {name: str(self.meta.get(name)) for name in ("seed", "runtime", "clock")}
        about["scenarios"] = ", ".join(self.scenarios)
        about["fingerprint"] = str(self.meta.get("fingerprint"))
        return pd.Series(about, name="what was run")

    def verdicts(self) -> pd.DataFrame:
        """The claims: ``status``, ``sentence``, ``observed``, ``expected``, ``source``."""
        import pandas as pd

        rows = read_json(self.run.path / VERDICTS)
        columns = ["claim", "status", "sentence", "observed", "expected", "source"]
        return pd.DataFrame(rows, columns=columns).set_index("claim")

    @cached_property
    def tables(self) -> Tables:
        """What the experiment measured, by name."""
        import pandas as pd

        return self.cls.tables_type(
            {p.stem: pd.read_parquet(p) for p in sorted(self.run.tables.glob("*.parquet"))}
        )

    def table(self, name: str, **equals: Any) -> pd.DataFrame:
        """The rows of a measured table where each named column has the given value."""
        return self.tables.of(name, **equals)

    def data(self, scenario: str | None = None) -> ScenarioData:
        """One scenario's raw artefacts; the first scenario's by default."""
        name = scenario or self.scenarios[0]
        if name not in self.scenarios:
            raise ConfigError(
                f"scenario '{name}': not in this run{nearest(name, self.scenarios)}; "
                f"there are: {', '.join(self.scenarios)}"
            )
        folder = self.run.scenario(name)
        given = read_json(folder / SCENARIO)["parameters"]
        return ScenarioData(name, folder, parameters.build(self.cls.Parameters, given))

    def packets(
        self,
        capture: str,
        scenario: str | None = None,
        where: str = "",
        columns: Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """Packets seen at an interface, with ``time_s``.

        Args:
            capture: the interface's name.
            scenario: whose; the first one's by default.
            where: a pandas query.
            columns: packet columns; default all.
        """
        found = self.data(scenario).packets(capture, columns)
        return found.query(where, engine="python") if where else found

    def captures(self, scenario: str | None = None) -> pd.DataFrame:
        """Where packets were caught, and how many."""
        import pandas as pd

        data = self.data(scenario)
        rows = [
            (name, len(self.packets(name, data.name, columns=["frame"])))
            for name in data.captures()
        ]
        return pd.DataFrame(rows, columns=["capture", "packets"])

    def ladder(
        self, capture: str, scenario: str | None = None, where: str = "", most: int = MOST_DRAWN
    ) -> Picture:
        """Packets of a capture as a ladder diagram, with the nodes' names."""
        from analysis import describe, ladder

        packets = self.packets(capture, scenario, where)
        told = describe.packets(packets)
        packets = steps.name_hosts(packets, self.data(scenario).network["addresses"])
        drawn = ladder.fold(ladder.messages(packets, told))[:most]
        return Picture(svg=ladder.svg(drawn, title=f"Messages at {capture}"))

    def step(
        self, step: str, capture: str, columns: Iterable[str] | None = None, **equals: Any
    ) -> pd.DataFrame:
        """Packets of one step of an experiment that goes in steps, as its claims see them.

        Args:
            step: its name.
            capture: where the packets were seen.
            columns: of the table ``packets``; default all.
            equals: column → value or set of values.
        """
        found = steps.pick(self.tables, step, capture, scenario=self.scenarios[0], **equals)
        return found if columns is None else found[list(columns)]

    def step_ladder(self, step: str, capture: str, **equals: Any) -> Picture:
        """The same packets as a ladder diagram."""
        drawn = steps.ladder(self.tables, step, capture, scenario=self.scenarios[0], **equals)
        return Picture(svg=drawn)

    def links(self, scenario: str | None = None) -> pd.DataFrame:
        """The network's links: ``node1``, ``node2`` and the shape of each direction in words."""
        import pandas as pd

        rows = [
            {
                "node1": link["node1"],
                "node2": link["node2"],
                "shape": ", ".join(_words(link.get("shape1") or {})),
            }
            for link in self.data(scenario).topology["links"]
        ]
        return pd.DataFrame(rows)

    def draw(self, function: Callable[..., Figure], *tables: Any, **options: Any) -> Picture:
        """Calls a function of `analysis.plots` in the project's style, and shows what it draws."""
        from analysis.plots import style

        with style.applied():
            return _png(function(*tables, **options))

    @cached_property
    def _experiment(self) -> Experiment:
        return self.cls(parameters.build(self.cls.Parameters, self.meta["parameters"]))

    @property
    def figures(self) -> list[str]:
        """Names of the experiment's own figures of this run."""
        return sorted(self._figures)

    @cached_property
    def _figures(self) -> dict[str, Figure | str]:
        from analysis.plots import style

        with style.applied():
            return dict(self._experiment.plot(self.tables))

    def figure(self, name: str) -> Picture:
        """One of the experiment's own figures, drawn anew from the tables."""
        from analysis.plots import style

        if name not in self._figures:
            raise ConfigError(
                f"figure '{name}': not in this run{nearest(name, self.figures)}; "
                f"there are: {', '.join(self.figures)}"
            )
        figure = self._figures[name]
        if isinstance(figure, str):
            return Picture(svg=figure)
        with style.applied():
            return _png(figure)


_UNITS = {
    "mbps": "Mbit/s",
    "ms": "ms",
    "percent": "%",
    "pkts": "packets",
    "bytes": "bytes",
    "bdp": "BDP",
}


def _words(shape: dict[str, Any]) -> list[str]:
    """A link's shape in words, rate and delay by their unit alone."""
    found = []
    for name, value in shape.items():
        what, _, unit = name.rpartition("_")
        number = f"{value:g}" if isinstance(value, float) else str(value)
        plain = what in {"rate", "delay"}
        found.append(
            f"{what} " * (not plain) + f"{number} {_UNITS[unit]}"
            if unit in _UNITS
            else f"{name} {number}"
        )
    return found


def _png(figure: Figure) -> Picture:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Picture(png=buffer.getvalue())


def path_of(experiment: str) -> Path:
    """The experiment's notebook: where it is, or would be."""
    root = experiment_files().get(experiment)
    return (root or PROJECT / "experiments" / experiment) / NOTEBOOK


def main() -> None:
    """For `make notebook`: the latest run, or (``--file``) its experiment's notebook."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--file", action="store_true", help="print the notebook's path")
    file_only: bool = parser.parse_args().file
    try:
        run = RunDir.open(os.environ.get("TESTBED_RUN", "latest"), default_runs())
        path = path_of(run.meta()["experiment"])
        if not path.is_file():
            raise ConfigError(f"{path}: is missing; this experiment has no notebook yet")
    except TestbedError as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(f"{path if file_only else run.path}\n")


if __name__ == "__main__":
    main()
