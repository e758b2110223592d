"""Runs of one experiment that differ only in their seed, as one result.

Everything is under one parent folder::

    congestion-20260101-120000-x10/
        seed-1/ … seed-10/     full run directories
        repetition.json        verdicts over the repetitions, mean and interval of each number
        plots/  report.html

A claim's verdict over the repetitions is PASS if it holds with every seed, FAIL if it fails with
at least half of them, and INCONCLUSIVE in between: then chance decides, and a single run shows
    nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.author.experiment import Experiment
from testbed.core import files, parameters
from testbed.core.claims import Claim, Status
from testbed.core.errors import ParseError
from testbed.core.rundir import REPETITION, VERDICTS, RunDir, read_json, write_json
from testbed.core.tables import Tables
from testbed.results.replay import experiment_of

_FAIL_SHARE = 0.5


@dataclass(frozen=True)
class Repetition:
    """Runs of one experiment that differ only in their seed.

    Attributes:
        path: the parent folder.
        runs: seed → run directory, of those that finished.
        failed: seed → why it did not.
    """

    path: Path
    runs: dict[int, RunDir]
    failed: dict[int, str]

    @classmethod
    def open(cls, path: Path) -> Repetition:
        """An existing repetition, from its folder."""
        runs, failed = {}, {}
        folders = sorted(path.glob("seed-*"), key=lambda p: int(p.name.removeprefix("seed-")))
        for folder in folders:
            meta = RunDir(folder).meta()
            if meta["status"] == "complete":
                runs[int(meta["seed"])] = RunDir(folder)
            else:
                failed[int(meta["seed"])] = meta["reason"]
        if not folders:
            raise ParseError(str(path), "seed-*", "has no runs in it")
        return cls(path, runs, failed)


def summarise(repetition: Repetition, on_stage: Callable[[str], None] = lambda _: None) -> None:
    """Writes ``repetition.json``, the figures with their bands, and the report."""
    from testbed.results.report import write_repetition

    cls = experiment_in(repetition)
    rows = claims_over(repetition, cls)
    write_json(
        repetition.path / REPETITION,
        {
            "experiment": cls.name,
            "seeds": list(repetition.runs),
            "failed": {str(k): v for k, v in repetition.failed.items()},
            "fingerprints": {
                str(seed): run.meta().get("fingerprint") for seed, run in repetition.runs.items()
            },
            "claims": rows,
        },
    )
    on_stage("plot")
    _plot(repetition, cls, rows)
    on_stage("report")
    write_repetition(repetition.path, cls, rows)


def experiment_in(repetition: Repetition) -> type[Experiment]:
    """The experiment that was repeated."""
    return experiment_of(next(iter((repetition.runs or {0: _any_run(repetition)}).values())))


def _any_run(repetition: Repetition) -> RunDir:
    return RunDir(next(repetition.path.glob("seed-*")))


def claims_over(repetition: Repetition, cls: type[Experiment]) -> list[dict[str, Any]]:
    """One row per claim: its verdict over the seeds, mean and interval, and what each seed gave."""
    by_claim: dict[str, dict[int, dict[str, Any]]] = {}
    for seed, run in repetition.runs.items():
        for verdict in read_json(run.path / VERDICTS):
            by_claim.setdefault(verdict["claim"], {})[seed] = verdict
    claims = {c.name: c for c in cls.claims()}
    return [_claim_over(claims[n], found) for n, found in by_claim.items() if n in claims]


def _claim_over(claim: Claim, verdicts: dict[int, dict[str, Any]]) -> dict[str, Any]:
    from analysis.statistics import mean_interval

    statuses = [Status(v["status"]) for v in verdicts.values()]
    values = {seed: v["value"] for seed, v in verdicts.items() if v.get("value") is not None}
    interval = mean_interval(list(values.values()))
    first = next(iter(verdicts.values()))
    return {
        "claim": claim.name,
        "sentence": claim.sentence,
        "source": claim.source,
        "status": str(status_over(statuses)),
        "counts": {str(s): statuses.count(s) for s in Status if s in statuses},
        "expected": f"{first['expected']} {first['tolerance']}".strip(),
        "unit": first["unit"],
        "mean": None if math.isnan(interval.mean) else interval.mean,
        "half_95": None if math.isnan(interval.half) else interval.half,
        "values": {str(seed): value for seed, value in values.items()},
        "statuses": {str(seed): v["status"] for seed, v in verdicts.items()},
    }


def status_over(statuses: list[Status]) -> Status:
    """The verdict over repetitions (see the module's description)."""
    if statuses and statuses.count(Status.FAIL) >= _FAIL_SHARE * len(statuses):
        return Status.FAIL
    if statuses and statuses.count(Status.PASS) == len(statuses):
        return Status.PASS
    return Status.INCONCLUSIVE


def tables_over(repetition: Repetition, names: Iterable[str]) -> Tables:
    """The named tables of all seeds in one, with a column ``seed`` in front."""
    import pandas as pd

    tables = Tables()
    for name in names:
        pieces = []
        for seed, run in repetition.runs.items():
            path = run.tables / f"{name}.parquet"
            if path.is_file():
                piece = pd.read_parquet(path)
                piece.insert(0, "seed", seed)
                pieces.append(piece)
        if pieces:
            tables[name] = pd.concat(pieces, ignore_index=True)
    return tables


def _plot(repetition: Repetition, cls: type[Experiment], rows: list[dict[str, Any]]) -> None:
    from analysis.plots import repetition as plots
    from analysis.plots import style

    folder = repetition.path / "plots"
    files.make_folder(folder)
    for old in folder.glob("*.png"):
        old.unlink()
    if not repetition.runs:
        return
    run = next(iter(repetition.runs.values()))
    experiment = cls(parameters.build(cls.Parameters, run.meta()["parameters"]))
    with style.applied():
        figures = dict(experiment.plot_repeated(tables_over(repetition, cls.repeated_tables)))
        numbers = [row for row in rows if row["mean"] is not None]
        if numbers:
            figures["claims_by_seed"] = plots.claims_by_seed(numbers)
        for name, figure in figures.items():
            style.save(figure, folder / f"{name}.png")
