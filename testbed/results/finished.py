"""Finished runs in Python, for scripts and notebooks.

    run = testbed.open("congestion")     # its latest run
    run                                  # Jupyter shows verdicts and figures
    run.claims                           # a DataFrame, one row per claim
    run.tables["flows"]                  # what the experiment measured
    run.packets("reno", "r1-eth0")       # a capture

Everything is read from the run directory; nothing is changed in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.author import steps
from testbed.core import parameters
from testbed.core.errors import ConfigError, nearest
from testbed.core.quantities import number
from testbed.core.rundir import (
    REPETITION,
    REPORT,
    SCENARIO,
    VERDICTS,
    RunDir,
    read_json,
)
from testbed.core.tables import Tables
from testbed.results.data import ScenarioData
from testbed.results.html import cell
from testbed.results.pictures import Figures, Picture
from testbed.results.repetition import Repetition, tables_over
from testbed.results.replay import complete_scenarios, experiment_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST_DRAWN = 60
"""Maximum number of messages in a ladder diagram, to keep it readable."""

_MOST_DESCRIBED = 20_000
"""Packets that are described for a ladder, before runs of similar ones are folded."""

_CLAIMS = ("claim", "sentence", "verdict", "observed", "expected", "value", "unit", "source")
_CLAIMS_OF_SEEDS = "claim sentence verdict held seeds mean half_95 unit expected source".split()


class Run:
    """One finished run. Jupyter shows its verdicts and figures.

    Attributes:
        path: the run directory.
        experiment: the experiment's class.
    """

    def __init__(self, run: RunDir) -> None:
        run.require_finished()
        self._run = run
        self.path, self.experiment = run.path, experiment_of(run)

    @property
    def meta(self) -> dict[str, Any]:
        """Contents of ``run.json``: seed, runtime, clock, kernel, programs, fingerprint."""
        return self._run.meta()

    @property
    def parameters(self) -> Any:
        """The run's parameters, as the experiment's dataclass."""
        cls = self.experiment.Parameters
        return parameters.build(cls, self.meta["parameters"])

    @property
    def scenarios(self) -> list[str]:
        """Names of the scenarios that finished."""
        return complete_scenarios(self._run)

    @property
    def claims(self) -> pd.DataFrame:
        """The verdicts, one row per claim.

        Columns: ``claim`` (its name), ``sentence``, ``verdict`` (PASS, FAIL or INCONCLUSIVE),
        ``observed`` and ``expected`` (texts with units), ``value`` (the number observed, or NaN),
        ``unit``, ``source``. A claim that fails is a row here, never an error.
        """
        import pandas as pd

        rows = [
            row
            | {
                "verdict": row["status"],
                "expected": f"{row['expected']} {row['tolerance']}".strip(),
            }
            for row in read_json(self.path / VERDICTS)
        ]
        return pd.DataFrame(rows, columns=list(_CLAIMS)).astype({"value": float})

    @cached_property
    def tables(self) -> Tables:
        """What the experiment measured: DataFrames by name, each with a column ``scenario``.

        ``tables["flows"]`` is a table, ``tables.of("flows", scenario="reno")`` some of its rows.
        """
        import pandas as pd

        return self.experiment.tables_type(
            {p.stem: pd.read_parquet(p) for p in sorted(self._run.tables.glob("*.parquet"))}
        )

    @property
    def figures(self) -> Figures:
        """The figures by name, as in the report, e.g. ``figures["1_window"]``."""
        return Figures(self._run.plots, self.experiment)

    @property
    def report(self) -> Path:
        """The report: one HTML page."""
        return self.path / REPORT

    def summary(self) -> pd.Series[Any]:
        """What was run: title, parameters, seed, clock, scenarios, fingerprint."""
        import pandas as pd

        about = {"experiment": self.meta["experiment"], "title": self.experiment.title()}
        about |= {name: str(value) for name, value in self.meta["parameters"].items()}
        about |= {name: str(self.meta.get(name)) for name in ("seed", "runtime", "clock")}
        about["scenarios"] = ", ".join(self.scenarios)
        about["fingerprint"] = str(self.meta.get("fingerprint"))
        return pd.Series(about, name="what was run")

    def data(self, scenario: str) -> ScenarioData:
        """One scenario's raw artefacts: packets, events, kernel events, logs.

        Raises:
            ConfigError: no such scenario in this run.
        """
        if scenario not in self.scenarios:
            raise ConfigError(
                f"scenario '{scenario}': not in this run{nearest(scenario, self.scenarios)}; "
                f"there are: {', '.join(self.scenarios)}"
            )
        folder = self._run.scenario(scenario)
        given = read_json(folder / SCENARIO)["parameters"]
        return ScenarioData(scenario, folder, parameters.build(self.experiment.Parameters, given))

    def captures(self, scenario: str) -> pd.DataFrame:
        """Where packets were captured in a scenario: ``capture`` (an interface) and ``packets``."""
        import pandas as pd

        data = self.data(scenario)
        rows = [(name, len(data.packets(name, ["frame"]))) for name in data.captures()]
        return pd.DataFrame(rows, columns=["capture", "packets"])

    def packets(
        self,
        scenario: str,
        capture: str,
        columns: Iterable[str] | None = None,
        where: str = "",
    ) -> pd.DataFrame:
        """A capture's packets, one row each, with ``time_s`` since the experiment began.

        Args:
            scenario: its name.
            capture: name of the interface.
            columns: names from the documentation's table of packet columns; default all.
            where: a display filter over all columns, e.g. ``tcp.port == 80 and tcp.len > 0``;
                see `analysis.filters`.

        Raises:
            ConfigError: no such scenario or capture in this run, or the filter is wrong.
            MissingDataError: the kernel dropped packets of this capture, so it is incomplete.
        """
        data = self.data(scenario)
        if capture not in (known := data.captures()):
            raise ConfigError(
                f"capture '{capture}': not in scenario '{scenario}'{nearest(capture, known)}; "
                f"there are: {', '.join(known)}"
            )
        if not where:
            return data.packets(capture, columns)
        from analysis import filters
        from analysis.packets.columns import COLUMNS, choose

        kept = choose(None if columns is None else ["time_ns", *columns])
        every = COLUMNS if "payload" in kept or filters.wants_payload(where) else None
        found = data.packets(capture, every)
        return found.loc[filters.select(found, where), ["time_s", *kept]]

    def links(self, scenario: str) -> pd.DataFrame:
        """A scenario's links: ``node1``, ``node2`` and the ``shape`` in words."""
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

    def ladder(
        self, scenario: str, capture: str, where: str = "", most: int = MOST_DRAWN
    ) -> Picture:
        """Packets of a capture as a ladder diagram, with the nodes' names.

        Words and marks are those of `testbed capture ladder`.

        Args:
            scenario: its name.
            capture: name of the interface.
            where: as for `packets`.
            most: maximum number of messages.
        """
        from analysis import filters, ladder, listing, messages, tcp
        from analysis.packets.columns import COLUMNS

        whole = self.packets(scenario, capture, COLUMNS)
        packets = whole[filters.select(whole, where)] if where else whole
        packets = packets.head(_MOST_DESCRIBED)
        until = whole.loc[: packets.index[-1]] if len(packets) else packets
        said = messages.by_frame(messages.find(until))
        lines = listing.lines(packets, tcp.analyse(whole.drop(columns="payload")), said)
        packets = steps.name_hosts(packets, self.data(scenario).network["addresses"])
        drawn = ladder.messages(packets, listing.named(lines), listing.problems(lines))
        drawn = ladder.fold(drawn)[:most]
        return Picture(ladder.svg(drawn, title=f"Messages at {capture}").encode())

    def step(
        self, step: str, capture: str, columns: Iterable[str] | None = None, **equals: Any
    ) -> pd.DataFrame:
        """Packets of one step of a step-by-step experiment, as its claims see them.

        Args:
            step: its name.
            capture: where the packets were captured.
            columns: of the table ``packets``; default all.
            equals: column → value or set of values.
        """
        found = steps.pick(self.tables, step, capture, scenario=self.scenarios[0], **equals)
        return found if columns is None else found[list(columns)]

    def step_ladder(self, step: str, capture: str, **equals: Any) -> Picture:
        """The same packets as a ladder diagram."""
        drawn = steps.ladder(self.tables, step, capture, scenario=self.scenarios[0], **equals)
        return Picture(drawn.encode())

    def draw(self, function: Callable[..., Figure], *tables: Any, **options: Any) -> Picture:
        """Calls a function of `analysis.plots` in the project's style, and shows what it draws."""
        from analysis.plots import style

        with style.applied():
            return Picture(style.png(function(*tables, **options)))

    def __repr__(self) -> str:
        return f"<Run {self.path.name}: {_counted(self.claims)}>"

    def _repr_html_(self) -> str:
        shown = ["verdict", "sentence", "observed", "expected", "source"]
        rows = self.claims[shown].to_dict("records")
        about = f"{self.path.name}: {_counted(self.claims)}, seed {self.meta['seed']}"
        return cell(self.experiment.title(), about, rows, self.figures)


class RepeatedRun:
    """Runs that differ only in their seed (``repeat=10``). Jupyter shows verdicts and figures.

    Attributes:
        path: the folder that holds all of them.
        experiment: the experiment's class.
        runs: seed → `Run`, of those that finished.
        failed: seed → why the run did not.
    """

    def __init__(self, repetition: Repetition) -> None:
        self._repetition = repetition
        self.path, self.failed = repetition.path, repetition.failed
        self.runs = {seed: Run(run) for seed, run in repetition.runs.items()}
        if not self.runs:
            reasons = "; ".join(f"seed {seed}: {why}" for seed, why in self.failed.items())
            raise ConfigError(f"{self.path}: no run of this repetition finished ({reasons})")
        self.experiment = next(iter(self.runs.values())).experiment

    @property
    def claims(self) -> pd.DataFrame:
        """The verdicts over all seeds, one row per claim.

        Columns: ``claim``, ``sentence``, ``verdict``, ``held`` (seeds with PASS), ``seeds`` (all
        of them), ``mean`` and ``half_95`` (half of its 95 % confidence interval) of the number
        observed in ``unit``, or NaN, ``expected``, ``source``.
        """
        import pandas as pd

        rows = read_json(self.path / REPETITION)["claims"]
        for row in rows:
            counts = row["counts"]
            row |= {"verdict": row["status"], "held": counts.get("PASS", 0)}
            row["seeds"] = sum(counts.values())
        found = pd.DataFrame(rows, columns=_CLAIMS_OF_SEEDS)
        return found.astype({"mean": float, "half_95": float})

    @cached_property
    def tables(self) -> Tables:
        """The tables of all seeds, each with a column ``seed`` in front."""
        runs = self._repetition.runs.values()
        names = dict.fromkeys(p.stem for run in runs for p in sorted(run.tables.glob("*.parquet")))
        return tables_over(self._repetition, names)

    @property
    def figures(self) -> Figures:
        """The figures over all seeds, by name."""
        return Figures(self.path / "plots", self.experiment)

    @property
    def report(self) -> Path:
        """The report over all seeds: one HTML page."""
        return self.path / REPORT

    def __repr__(self) -> str:
        runs = number(len(self.runs), "runs")
        return f"<RepeatedRun {self.path.name}: {_counted(self.claims)} in {runs}>"

    def _repr_html_(self) -> str:
        shown = ["verdict", "sentence", "held", "seeds", "mean", "half_95", "unit", "expected"]
        rows = self.claims[shown].astype(object).where(self.claims[shown].notna(), "")
        about = f"{self.path.name}: {_counted(self.claims)} in {number(len(self.runs), 'runs')}"
        return cell(self.experiment.title(), about, rows.to_dict("records"), self.figures)


def _counted(claims: pd.DataFrame) -> str:
    """``5 PASS, 1 FAIL``."""
    counts = claims["verdict"].value_counts()
    order = [s for s in ("PASS", "FAIL", "INCONCLUSIVE") if s in counts]
    return ", ".join(f"{counts[s]} {s}" for s in order) or "no claims"


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
