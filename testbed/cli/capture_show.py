"""`testbed capture show`: one line per packet."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from testbed.cli import text_table
from testbed.cli.capture_file import FILE, WHERE, CaptureFile
from testbed.cli.console import err
from testbed.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    import pandas as pd

_COLOURS = {"error": "red", "warning": "red", "note": "yellow", "chat": None, "": None}
"""Severity of a packet's marks → colour of its line."""

_NUMBERS = frozenset({"frame", "time s", "bytes"})


@click.command()
@FILE
@click.option(
    "-n",
    "--count",
    type=click.IntRange(0, 1_000_000),
    default=50,
    show_default=True,
    help="Number of packets to show (0: all).",
)
@click.option("--columns", help="Comma-separated column names, shown instead of the description.")
@click.option(
    "--absolute", is_flag=True, help="TCP sequence numbers as on the wire [default: from 0]."
)
@WHERE
def show(file: Path, count: int, columns: str | None, absolute: bool, where: str | None) -> None:
    """One line per packet: who to whom, what it says, and what is odd about it.

    Retransmissions, duplicate ACKs, zero windows and malformed packets are marked in brackets, and
    by colour in a terminal. Times are in seconds since the capture's first packet.
    """
    names = [name for name in (columns or "").split(",") if name]
    capture = CaptureFile(file)
    if names:
        _show_columns(capture, names, count, where)
    else:
        _show_lines(capture, count, absolute, where)


def _show_lines(capture: CaptureFile, count: int, absolute: bool, where: str | None) -> None:
    from analysis import listing, tcp

    table, passed = capture.filtered(where)
    shown = passed.head(count) if count else passed
    lines = listing.lines(
        shown,
        tcp.analyse(table.drop(columns="payload", errors="ignore")),
        capture.said(table, shown),
        absolute,
    )
    first = int(table["time_ns"].iloc[0]) if len(table) else 0
    rows = [_row(line, first) for line in lines.to_dict("records")]
    headings = ["frame", "time s", "from", "to", "protocol", "bytes", "info"]
    styles = [_COLOURS[severity] for severity in lines["severity"]]
    text_table.table(headings, rows, right=_NUMBERS, styles=styles)
    _say_how_many(shown, passed)


def _row(line: Mapping[Hashable, Any], first_ns: int) -> tuple[str, ...]:
    """The cells of a line."""
    text = str(line["text"]).removeprefix(f"{line['protocol']} ")
    return (
        str(line["frame"]),
        f"{(line['time_ns'] - first_ns) / 1e9:.6f}",
        str(line["from"]),
        str(line["to"]),
        str(line["protocol"]),
        str(line["bytes"]),
        f"{text} [{line['marks']}]" if line["marks"] else text,
    )


def _show_columns(capture: CaptureFile, names: list[str], count: int, where: str | None) -> None:
    from analysis import filters

    wanted = "payload" in names or bool(where and filters.wants_payload(where))
    table = capture.table(payload=wanted)
    for name in names:
        if name not in table:
            known = [str(column) for column in table]
            raise ConfigError(f"--columns: no packet column '{name}'{nearest(name, known)}")
    passed = table[filters.select(table, where)] if where else table
    shown = passed.head(count) if count else passed
    first = int(table["time_ns"].iloc[0]) if len(table) else 0
    rows = [
        (
            str(row["frame"]),
            f"{(row['time_ns'] - first) / 1e9:.6f}",
            *(text_table.text(row[name]) for name in names),
        )
        for row in shown[list(dict.fromkeys(["frame", "time_ns", *names]))].to_dict("records")
    ]
    text_table.table(["frame", "time s", *names], rows, right=_NUMBERS)
    _say_how_many(shown, passed)


def _say_how_many(shown: pd.DataFrame, passed: pd.DataFrame) -> None:
    if len(shown) < len(passed):
        err.print(f"{len(shown)} of {len(passed)} packets shown; --count 0 shows all")
