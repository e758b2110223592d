"""A sweep in Python, for scripts and notebooks.

    sweep = testbed.open_sweep("congestion")   # its latest sweep
    sweep                                      # Jupyter shows where claims hold, and the figures
    sweep.claims                               # a DataFrame, one row per run and claim
    sweep.table("flows")                       # what the experiment measured, of all runs

Everything is read from the sweep's folder; nothing is changed in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.author.experiment import Experiment, experiment_files, load
from testbed.core.errors import ConfigError, ParseError, nearest
from testbed.core.quantities import number
from testbed.core.rundir import REPORT, RunDir, default_runs, read_json
from testbed.results.finished import Run
from testbed.results.html import cell
from testbed.results.pictures import Picture
from testbed.sweep import collect, figures
from testbed.sweep.jobs import FILE, Jobs, Row, State
from testbed.sweep.work import RUNS

if TYPE_CHECKING:
    import pandas as pd

SWEEP = "sweep.json"
"""What a sweep is: the experiment, what was varied, how the runs are made."""

FORMAT = 1
SWEEPS = "sweeps"


def folder_of(name: str, out: Path | None = None) -> Path:
    """Where the sweep of an experiment is without ``--out``: in a folder next to the runs."""
    return (out or default_runs() / SWEEPS / Path(name).stem).resolve()


class Sweep:
    """One experiment over many parameters and seeds. Jupyter shows its claims and figures.

    Attributes:
        path: the sweep's folder.
        about: what the sweep is: ``experiment``, ``varied`` (parameters with more than one value),
            ``seeds``, ``command``, ``keep``, ``perturb_percent``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.about: dict[str, Any] = read_json(path / SWEEP)
        if self.about.get("format") != FORMAT:
            found = f"is {self.about.get('format')!r}, but this program reads {FORMAT}"
            raise ParseError(str(path / SWEEP), "format", found)

    @property
    def experiment(self) -> type[Experiment]:
        """The experiment's class."""
        return load(self.about["experiment"])

    @property
    def varied(self) -> list[str]:
        """Names of the parameters that have more than one value."""
        return list(self.about["varied"])

    def rows(self, state: State | None = None) -> list[Row]:
        """The jobs of the sweep, all or those of one state."""
        with closing(Jobs(self.path)) as jobs:
            return jobs.rows(state)

    def finished(self) -> list[Row]:
        """The jobs of the runs that are there.

        Raises:
            ConfigError: no run is there yet.
        """
        if not (rows := self.rows(State.DONE)):
            raise ConfigError(f"{self.path}: no run of this sweep is there: testbed sweep status")
        return rows

    def counts(self) -> dict[State, int]:
        """Number of runs by state."""
        with closing(Jobs(self.path)) as jobs:
            return jobs.counts()

    @property
    def runs(self) -> pd.DataFrame:
        """All runs, one row each.

        Columns: ``run`` (its folder in ``runs/``), ``seed``, one for each parameter, ``state``,
        ``reason``, ``worker``, ``wall_s``, ``size_bytes``, ``fingerprint``, ``verified``.
        """
        import pandas as pd

        found = []
        for row in self.rows():
            data = dict(vars(row))
            given = {n: collect.plain(v) for n, v in data.pop("parameters").items()}
            about = {"run": data.pop("key"), "seed": data.pop("seed")}
            found.append({**about, **given, **data, "state": str(row.state)})
        return pd.DataFrame(found)

    @cached_property
    def claims(self) -> pd.DataFrame:
        """The verdicts of all finished runs; columns: see `testbed.sweep.collect.claims_of`."""
        return collect.claims_of(self.path, self.finished())

    def table(self, name: str) -> pd.DataFrame:
        """A table that the experiment measures, of all finished runs.

        Columns: ``run``, ``seed`` and parameters, then the table's own.

        Raises:
            ConfigError: no run has such a table.
        """
        return collect.table_of(self.path, self.finished(), name)

    def run(self, key: str) -> Run:
        """One run, by its name in the column ``run`` or the beginning of it.

        Raises:
            ConfigError: no run, or several, have such a name.
        """
        found = sorted((self.path / RUNS).glob(f"{key}*"))
        if len(found) != 1:
            have = number(len(found), "runs")
            raise ConfigError(f"run '{key}': {have} of this sweep have a name like that")
        return Run(RunDir(found[0]))

    @cached_property
    def figures(self) -> dict[str, Picture]:
        """The figures by name, as in the report."""
        from analysis.plots import style

        found = {}
        with style.applied():
            for name, caption, drawn in figures.figures(self.experiment, self.claims, self.varied):
                found[name] = Picture(style.png(drawn), caption)
        return found

    @property
    def report(self) -> Path:
        """The report that ``testbed sweep plot`` writes: one HTML page."""
        return self.path / REPORT

    def held(self) -> pd.DataFrame:
        """Where each claim holds: one row per claim.

        Columns: ``claim``, ``sentence``, ``held`` (runs with PASS), ``failed``, ``inconclusive``,
        ``fails_at`` (the points at which it fails in some run, in words).
        """
        import pandas as pd

        sentences = {c.name: c.sentence for c in self.experiment.claims()}
        found = []
        for name, rows in self.claims.groupby("claim", sort=False):
            counts = rows["verdict"].value_counts()
            found.append(
                {
                    "claim": name,
                    "sentence": sentences.get(str(name), str(name)),
                    "held": int(counts.get("PASS", 0)),
                    "failed": int(counts.get("FAIL", 0)),
                    "inconclusive": int(counts.get("INCONCLUSIVE", 0)),
                    "fails_at": self._fails_at(rows),
                }
            )
        columns = ["claim", "sentence", "held", "failed", "inconclusive", "fails_at"]
        return pd.DataFrame(found, columns=columns)

    def _fails_at(self, rows: pd.DataFrame) -> str:
        """Parameters of runs in which a claim fails: the values, or the range of them."""
        wrong = rows[rows["verdict"] == "FAIL"]
        if wrong.empty:
            return ""
        if not self.varied:
            return "seeds " + ", ".join(map(str, sorted(wrong["seed"])))
        return "; ".join(f"{name} {_values(wrong[name])}" for name in self.varied)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {state}" for state, count in self.counts().items() if count)
        return f"<Sweep {self.path.name}: {counts}>"

    def _repr_html_(self) -> str:
        rows = [{**row, "verdict": verdict_of(row)} for row in self.held().to_dict("records")]
        pictures = {n: {"src": p.src, "caption": p.caption} for n, p in self.figures.items()}
        return cell(self.experiment.title(), repr(self).strip("<>"), rows, pictures)


def verdict_of(held: Mapping[Any, Any]) -> str:
    """The verdict on a claim over all runs, of a row of `Sweep.held`: that of the worst run."""
    if held["failed"]:
        return "FAIL"
    return "INCONCLUSIVE" if held["inconclusive"] else "PASS"


_LISTED = 6


def _values(column: pd.Series) -> str:
    """``10, 20``, or the range of many."""
    known = sorted(set(column))
    if len(known) <= _LISTED:
        return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in known)
    return f"{known[0]} to {known[-1]} ({len(known)} values)"


def open_sweep(where: str | Path) -> Sweep:
    """A sweep, finished or not.

    Args:
        where: its folder; or the experiment's name, for the sweep made without ``--out``.

    Raises:
        ConfigError: there is none.
        ParseError: its files cannot be read.
    """
    for folder in (Path(where), folder_of(str(where))):
        if (folder / SWEEP).is_file() and (folder / FILE).is_file():
            return Sweep(folder.resolve())
    known = nearest(str(where), experiment_files())
    raise ConfigError(f"{where}: no sweep{known}; make one: testbed sweep {where} --seeds 1..5")
