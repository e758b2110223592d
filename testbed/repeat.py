"""`testbed run NAME --repeat N`: the same experiment with N seeds, and what chance did to it.

The networks of all seeds run side by side on all cores, then each is measured and judged as a run
of its own. Everything lies under one parent::

    congestion-20260101-120000-x10/
        seed-1/ … seed-10/     full run directories
        repetition.json        verdicts over the repetitions, mean and interval of each number
        plots/  report.html

A claim's verdict over the repetitions is PASS if it holds with every seed, FAIL if it fails with
at least half of them, and INCONCLUSIVE in between: then chance decides, and one run shows nothing.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from testbed import files, guard, parameters
from testbed.claims import Claim, Status
from testbed.cli.console import err, out
from testbed.errors import ExitCode, ParseError
from testbed.experiment import Experiment, Tables
from testbed.replay import experiment_of, replay
from testbed.rundir import REPETITION, REPORT, SEED, VERDICTS, RunDir, read_json, write_json
from testbed.runner import Request, Watcher, build_and_run, plan

_FAIL_SHARE = 0.5


@dataclass(frozen=True)
class Repetition:
    """Runs of one experiment that differ in their seed alone.

    Attributes:
        path: the parent folder.
        runs: seed → run directory, of those that came to their end.
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


def repeat(request: Request, count: int, watcher: Watcher) -> Repetition:
    """Runs all seeds, measures and judges each, and summarises them.

    Raises:
        ConfigError, MissingPrerequisiteError: as `testbed.runner.run`; nothing was made.
    """
    seeds = range(request.seed, request.seed + count)
    first = plan(request)  # checks everything before the others are made
    parent = first.rundir.path.with_name(f"{first.rundir.path.name}-x{count}")
    with files.refused(parent):
        first.rundir.path.rename(parent)
    with RunDir(parent).in_use():
        plans = {}
        for seed in seeds:
            folder = files.make_folder(parent / f"{SEED}{seed}")
            plans[f"seed {seed}"] = plan(replace(request, seed=seed), RunDir(folder))
        shown = [f"{label} {n}".strip() for label, made in plans.items() for n in made.scenarios]
        watcher.started(RunDir(parent), first.runtime, shown)
        build_and_run(plans, watcher)
        repetition = Repetition.open(parent)
        watcher.stage("measure, judge and plot each seed")
        replay_all(repetition.runs.values())
        summarise(repetition, watcher.stage)
    return repetition


def replay_all(runs: Iterable[RunDir]) -> None:
    """Measures, judges and plots runs side by side, one process each."""
    waiting = list(runs)
    workers = min(len(waiting), len(os.sched_getaffinity(0)))
    if workers < 2:
        for run in waiting:
            replay(run)
        return
    with guard.forked(workers) as pool:
        list(pool.map(_replay, [run.path for run in waiting]))


def _replay(path: Path) -> None:
    replay(RunDir(path))


# ---- over the repetitions


def summarise(repetition: Repetition, on_stage: Callable[[str], None] = lambda _: None) -> None:
    """Writes ``repetition.json``, the figures with their bands, and the report."""
    from testbed.report import write_repetition

    cls = _experiment(repetition)
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


def _experiment(repetition: Repetition) -> type[Experiment]:
    return experiment_of(next(iter((repetition.runs or {0: _any_run(repetition)}).values())))


def _any_run(repetition: Repetition) -> RunDir:
    return RunDir(next(repetition.path.glob("seed-*")))


def claims_over(repetition: Repetition, cls: type[Experiment]) -> list[dict[str, Any]]:
    """One row a claim: its verdict over the seeds, mean and interval, and what each seed gave."""
    by_claim: dict[str, dict[int, dict[str, Any]]] = {}
    for seed, run in repetition.runs.items():
        for verdict in read_json(run.path / VERDICTS):
            by_claim.setdefault(verdict["claim"], {})[seed] = verdict
    claims = {c.name: c for c in cls.claims()}
    return [_claim_over(claims[n], found) for n, found in by_claim.items() if n in claims]


def _claim_over(claim: Claim, verdicts: dict[int, dict[str, Any]]) -> dict[str, Any]:
    from analysis.statistics import mean_interval

    statuses = [Status(v["status"]) for v in verdicts.values()]
    values = {
        seed: v["value"] for seed, v in verdicts.items() if v.get("value") is not None
    }  # fmt: skip
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


# ---- the command


def repeat_command(request: Request, count: int, as_json: bool) -> int:
    """What ``--repeat`` does; returns the exit code."""
    from testbed.cli.show import RunView

    with RunView(err) as view:
        repetition = repeat(request, count, view)
    data = read_json(repetition.path / REPETITION)
    if as_json:
        click.echo(json.dumps({"path": str(repetition.path), **data}, indent=1, ensure_ascii=False))
    else:
        _print(repetition, data)
    if repetition.failed:
        return ExitCode.ENVIRONMENT
    found = {row["status"] for row in data["claims"]}
    if Status.FAIL in found:
        return ExitCode.CLAIM_FAILED
    return ExitCode.INCONCLUSIVE if Status.INCONCLUSIVE in found else ExitCode.PASS


def _print(repetition: Repetition, data: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from testbed.cli.show import COLOURS

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("verdict", "claim", "mean and 95 % interval", "expected", "held"):
        table.add_column(column, overflow="fold")
    for row in data["claims"]:
        colour = COLOURS[Status(row["status"])]
        table.add_row(
            f"[{colour}]{row['status']}[/]",
            f"{escape(row['sentence'])} [dim]{escape(row['source'])}[/]",
            mean_text(row),
            escape(row["expected"]),
            f"{row['counts'].get('PASS', 0)} of {sum(row['counts'].values())}",
        )
    out.print(table)
    for seed, reason in repetition.failed.items():
        err.print(f"[red]seed {seed}: {escape(reason)}[/]")
    out.print(f"report {repetition.path / REPORT}", soft_wrap=True, highlight=False)


def mean_text(row: dict[str, Any]) -> str:
    """``9.55 ± 0.02 Mbit/s``, or nothing for a claim without a number."""
    if row["mean"] is None:
        return ""
    half = "" if row["half_95"] is None else f" ± {row['half_95']:.2g}"
    return f"{row['mean']:.4g}{half} {row['unit']}".strip()
