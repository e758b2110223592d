"""`testbed run NAME --repeat N`: the same experiment with N seeds, and how the results vary."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from testbed.author.experiment import source_of
from testbed.author.experiment_folder import texts
from testbed.cli.console import err, out
from testbed.cli.show import COLOURS, RunView
from testbed.core.claims import Status
from testbed.core.errors import ExitCode, said_once
from testbed.core.rundir import REPETITION, REPORT, read_json
from testbed.execution.repeat import repeat
from testbed.execution.runner import Request
from testbed.results.repetition import Repetition, experiment_in
from testbed.results.report import SAME_WITH_EVERY_SEED, mean_text


def repeat_command(request: Request, count: int, as_json: bool) -> int:
    """What ``--repeat`` does; returns the exit code."""
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
    t = texts(source_of(experiment_in(repetition)))
    table = Table(box=None, header_style="bold", pad_edge=False, expand=True)
    table.add_column(t("verdict"), no_wrap=True)
    heads = ((t("claim"), 4), (t("mean and 95 % interval"), 3), (t("expected"), 3))
    for column, share in heads:
        table.add_column(column, overflow="fold", ratio=share)
    table.add_column(t("held"), no_wrap=True)
    for row in data["claims"]:
        colour = COLOURS[Status(row["status"])]
        table.add_row(
            f"[{colour}]{row['status']}[/]",
            f"{escape(t(row['sentence']))} [dim]{escape(row['source'])}[/]",
            mean_text(row),
            escape(row["expected"]),
            f"{row['counts'].get('PASS', 0)} of {sum(row['counts'].values())}",
        )
    out.print(table)
    if repetition.failed:
        failed = {f"seed {seed}": reason for seed, reason in repetition.failed.items()}
        count = len(repetition.runs) + len(failed)
        err.print(f"[red]{escape(said_once(failed, count))}[/]", soft_wrap=True)
    if any(SAME_WITH_EVERY_SEED in mean_text(row) for row in data["claims"]):
        err.print(
            "[yellow]note[/] where every seed gives the same, there is no chance in the network;"
            " --perturb 1% adds some",
            highlight=False,
            soft_wrap=True,
        )
    out.print(f"{t('report')} {repetition.path / REPORT}", soft_wrap=True, highlight=False)
