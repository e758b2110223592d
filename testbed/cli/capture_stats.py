"""`testbed capture stats` and `report`: what is in a capture, as tables and as a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli import text_table
from testbed.cli.capture_file import FILE, WHERE, CaptureFile, refuse_itself, stem
from testbed.cli.console import err
from testbed.core.errors import ConfigError
from testbed.core.files import write_text
from testbed.results import capture_page
from testbed.results.capture_page import TITLES, Contents

if TYPE_CHECKING:
    import pandas as pd

_LEFT = frozenset({"protocol", "address", "from", "to", "client", "server", "close", "verdict"})
_LEFT |= {"severity", "what", "example"}


@click.command()
@FILE
@WHERE
@click.option(
    "--only",
    type=click.Choice(list(TITLES)),
    help="One of the tables [default: all].",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "csv", "json", "html"]),
    default="text",
    show_default=True,
    help="csv and json have all rows; csv needs --only.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write.")
@click.option(
    "-n",
    "--count",
    type=click.IntRange(0, 1_000_000),
    default=20,
    show_default=True,
    help="Rows of a table as text (0: all).",
)
def stats(
    file: Path, where: str | None, only: str | None, form: str, output: Path | None, count: int
) -> None:
    """Protocols, hosts, conversations, TCP connections, I/O over time, and what is odd.

    The list of what is odd names the worst first; hosts and conversations begin with the largest.
    """
    if form == "csv" and only is None:
        raise ConfigError(f"--format csv has one table: choose it with --only {'|'.join(TITLES)}")
    if form == "html" and only is not None:
        raise ConfigError("--format html has all tables: leave --only out")
    refuse_itself(file, output)
    contents = _read(file, where)
    if form == "html":
        _give(capture_page.render(contents, figures=False), output)
        return
    found = capture_page.tables(contents, count if form == "text" else 0)
    chosen = {name: table for name, table in found.items() if only in (None, name)}
    if form == "csv":
        _give(next(iter(chosen.values())).to_csv(index=False), output)
    elif form == "json":
        tables = {name: _records(table) for name, table in chosen.items()}
        _give(json.dumps(tables, indent=1, ensure_ascii=False) + "\n", output)
    elif output is not None:
        raise ConfigError("--output: text goes to standard output; choose another --format")
    else:
        _print(chosen)


@click.command()
@FILE
@WHERE
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="HTML file to write [default: the capture's name with .html, in this folder].",
)
def report(file: Path, where: str | None, output: Path | None) -> None:
    """One self-contained HTML page: what is in the capture, and what to look at first.

    Who talked, how each TCP connection did (with plots and ladders of the worst), and odd packets
    with reasons.
    """
    target = output or Path(f"{stem(file)}.html")
    refuse_itself(file, target)
    write_text(target, capture_page.render(_read(file, where)), what="--output")
    err.print(f"report {target}", highlight=False, markup=False)


def _read(file: Path, where: str | None) -> Contents:
    """The capture with all that the tables need."""
    from analysis import memory, messages, tcp

    capture = CaptureFile(file)
    table, passed = capture.filtered(where)
    dissected = capture.dissected(table, passed)
    found = messages.find(dissected)
    count, last = len(dissected), int(dissected["frame"].max()) if len(dissected) else 0
    del dissected
    memory.release()
    notes = [] if where is None else [f"Only packets that pass the filter: {where}"]
    if count < int(passed["ip_version"].notna().sum()):
        notes.append(
            f"The capture is large: application messages are those of packets 1 to {last}."
        )
        err.print(notes[-1], highlight=False)
    segments = tcp.analyse(table.drop(columns="payload", errors="ignore"))
    memory.release()
    if where is not None:
        segments = segments[segments.index.isin(passed.index)]
        found = found[found["frame"].isin(passed["frame"])]
    passed = passed.drop(columns="payload", errors="ignore")
    return Contents(capture.name, passed, segments, found, notes)


def _give(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text, what="--output")


def _records(table: pd.DataFrame) -> list[dict[str, object]]:
    """Rows with what is missing as null."""
    plain = table.astype(object).where(table.notna(), None)
    return [
        {str(name): _plain(value) for name, value in row.items()}
        for row in plain.to_dict("records")
    ]


def _plain(value: object) -> object:
    item = getattr(value, "item", None)
    return item() if callable(item) else value


def _print(tables: Mapping[str, pd.DataFrame]) -> None:
    for place, (name, table) in enumerate(tables.items()):
        if place:
            text_table.write()
        text_table.write(click.style(TITLES[name].upper(), bold=True, fg="cyan"))
        if table.empty:
            text_table.write("none")
            continue
        names, rows = capture_page.cells(table, "  ")
        headings = [capture_page.heading(column) for column in names]
        text_table.table(headings, rows, right=frozenset(headings) - _LEFT)
        if len(table) < table.attrs["total"]:
            text_table.write(f"… {table.attrs['total'] - len(table)} more; --count 0 shows all")
