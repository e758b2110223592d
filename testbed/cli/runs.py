"""`testbed runs` and `testbed diff`: list and remove runs, compare two of them."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape
from rich.table import Table

from testbed.cli.console import err, out
from testbed.core.claims import Status
from testbed.core.errors import ConfigError, with_reason
from testbed.core.rundir import RunDir, State, default_runs

if TYPE_CHECKING:
    from testbed.results.diff import Diff, Row
    from testbed.results.runs import Row as RunRow

_COLOURS = {
    State.FINISHED: "green",
    State.UNDER_WAY: "cyan",
    State.FAILED: "red",
    State.INTERRUPTED: "yellow",
}
_RUNS = click.option(
    "--out", "folder", type=click.Path(path_type=Path), help="Folder of run directories."
)


@click.group("runs", invoke_without_command=True)
@_RUNS
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def runs_group(context: click.Context, folder: Path | None, as_json: bool) -> None:
    """List runs with their state, verdicts, fingerprint and size, or remove old ones."""
    from testbed.results.runs import rows

    context.obj = (folder or default_runs()).resolve()
    if context.invoked_subcommand:
        return
    found = rows(context.obj)
    if as_json:
        click.echo(json.dumps([row.as_dict() for row in found], indent=1, ensure_ascii=False))
    elif found:
        _print_runs(found)
    else:
        err.print(f"no runs in {context.obj}; make one with 'testbed run'", highlight=False)


def _print_runs(found: list[RunRow]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("run", no_wrap=True, overflow="ignore")
    for column in ("started (UTC)", "state", "verdicts", "fingerprint"):
        table.add_column(column, overflow="fold")
    table.add_column("MB", justify="right", no_wrap=True)
    for row in found:
        colour = _COLOURS.get(State(row.state), "red") if row.state in set(State) else "red"
        state = with_reason(row.state, row.reason[:60])
        verdicts = ", ".join(f"{n} {s}" for s in Status if (n := row.verdicts.get(s, 0)))
        table.add_row(
            row.path.name,
            row.started.replace("T", " ").rstrip("Z"),
            f"[{colour}]{escape(state)}[/]",
            verdicts,
            row.fingerprint[:16],
            f"{row.size_bytes / 1e6:.1f}",
        )
    out.print(table)
    total_mb = sum(row.size_bytes for row in found) / 1e6
    out.print(
        f"{_count(len(found))}, {total_mb:.0f} MB, in {found[0].path.parent}",
        highlight=False,
        soft_wrap=True,
    )


def _count(runs: int) -> str:
    return f"{runs} run" if runs == 1 else f"{runs} runs"


@runs_group.command()
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(0, 36500),
    metavar="DAYS",
    help="Only runs that started more than DAYS ago.",
)
@click.option(
    "--keep",
    type=click.IntRange(0, 10000),
    metavar="N",
    help="Keep the newest N runs of each experiment (0: none).",
)
@click.option("--unfinished", is_flag=True, help="Only failed, interrupted and damaged runs.")
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def prune(
    folder: Path, days: float | None, keep: int | None, unfinished: bool, dry_run: bool, yes: bool
) -> None:
    """Remove the run directories that meet all given conditions.

    Without conditions: failed, interrupted and damaged runs. Runs in progress are never removed.
    """
    from testbed.results.runs import remove, rows, to_prune

    unfinished = unfinished or (days is None and keep is None)
    chosen = list(to_prune(rows(folder), older_than_days=days, keep=keep, unfinished=unfinished))
    if not chosen:
        out.print(f"nothing to remove in {folder}", highlight=False, soft_wrap=True)
        return
    _print_runs(chosen)
    if dry_run:
        return
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError("runs prune: cannot ask for confirmation here; add --yes")
        if not click.confirm(f"Remove {_count(len(chosen))}?"):
            out.print("nothing was removed")
            return
    for row in chosen:
        remove(row.path)
    out.print(f"removed {_count(len(chosen))}", highlight=False)


# ---- diff


@click.command("diff")
@click.argument("one", metavar="RUN")
@click.argument("two", metavar="RUN")
@click.option("--all", "everything", is_flag=True, help="Also show what is the same.")
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    help="Write a page that shows the figures of both runs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def diff_command(one: str, two: str, everything: bool, html: Path | None, as_json: bool) -> None:
    """Compare two runs side by side: how they were made, parameters, claims, tables, figures.

    RUN is a name from 'testbed runs', a path, or 'latest'. The exit code is 0 whether they differ
    or not; to check that a run can be reproduced, use 'testbed verify'.
    """
    from testbed.results.diff import diff

    both = [RunDir.open(where, default_runs()) for where in (one, two)]
    found = diff(*both)
    if html is not None:
        _write_page(html, both, found)
    if as_json:
        sections = {title: [vars(row) for row in rows] for title, rows in found.sections.items()}
        runs = [str(run.path) for run in both]
        data = {"runs": runs, "same": found.same, **sections}
        click.echo(json.dumps(data, indent=1, ensure_ascii=False))
    else:
        _print_diff(both, found, everything=everything)
    if html is not None:
        out.print(str(html), soft_wrap=True, highlight=False)


def _print_diff(both: list[RunDir], found: Diff, *, everything: bool) -> None:
    for title, rows in found.sections.items():
        shown = [row for row in rows if everything or not row.same]
        if not shown:
            continue
        table = Table(box=None, header_style="bold", pad_edge=False, title=title)
        table.title_justify = "left"
        for column in ("", "what", both[0].path.name, both[1].path.name, "difference"):
            table.add_column(column, overflow="fold")
        for row in shown:
            mark = "=" if row.same else "[yellow]≠[/]"
            table.add_row(mark, *(escape(x) for x in (row.what, row.one, row.two, row.note)))
        out.print(table, "")
    out.print(_summary(found), highlight=False)


def _summary(found: Diff) -> str:
    if found.same:
        return "nothing differs"
    parts = []
    for title, rows in found.sections.items():
        if count := sum(not row.same for row in rows):
            parts.append(f"{title.lower()}: {count} of {len(rows)}")
    return f"differ: {'; '.join(parts)}"


def _write_page(path: Path, both: list[RunDir], found: Diff) -> None:
    from testbed.core.files import write_text
    from testbed.results.html import template

    figures = [
        {"name": row.what, "same": row.same, "sources": [_source(run, row) for run in both]}
        for row in found.figures
    ]
    page = template("diff.html.j2").render(
        runs=[{"name": run.path.name, "title": run.meta().get("title", "")} for run in both],
        sections={t: rows for t, rows in found.sections.items() if t != "Figures"},
        figures=figures,
        summary=_summary(found),
    )
    write_text(path, page, what="--html")


def _source(run: RunDir, row: Row) -> str:
    """A figure as a data URL; empty if the run has none of that name."""
    path = run.plots / row.what
    if not path.is_file():
        return ""
    kind = "svg+xml" if path.suffix == ".svg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
