"""`testbed capture ladder`: who sends what to whom, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli.capture_file import FILE, WHERE, CaptureFile, refuse_itself
from testbed.cli.console import err
from testbed.core.errors import ConfigError
from testbed.core.files import write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from analysis.ladder import Message

MOST_DRAWN = 400
MOST_MESSAGES = 20_000
"""Packets that are described, before runs of similar ones are folded."""


@click.command()
@FILE
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="SVG file to write [default: standard output].",
)
@WHERE
@click.option("--hosts", help="Comma-separated addresses, from left to right.")
@click.option("--all", "unfolded", is_flag=True, help="Do not fold runs of similar messages.")
def ladder(
    file: Path, output: Path | None, where: str | None, hosts: str | None, unfolded: bool
) -> None:
    """Draw a ladder diagram (SVG).

    Each message is an arrow with its packet's number; retransmissions and other odd packets are
    coloured, with the reason in words.
    """
    from analysis import ladder as drawing

    refuse_itself(file, output)
    if output is not None and output.suffix.lower() not in {".svg", ""}:
        raise ConfigError(f"--output {output}: the picture is SVG; choose a name that ends in .svg")
    capture = CaptureFile(file)
    table, passed = capture.filtered(where)
    lines = [host.strip() for host in hosts.split(",") if host.strip()] if hosts else None
    if lines:
        passed = _between(passed, lines)
    drawn = _messages(capture, table, passed.head(MOST_MESSAGES))
    if not unfolded:
        drawn = drawing.fold(drawn)
    if len(drawn) > MOST_DRAWN or len(passed) > MOST_MESSAGES:
        drawn = drawn[:MOST_DRAWN]
        err.print(
            f"the first {len(drawn)} arrows are drawn, of {len(passed)} packets; "
            "select fewer with --where"
        )
    if lines is None:
        _not_too_many(drawn)
    text = drawing.svg(drawn, lines, title=f"Messages in {capture.name}")
    if output is None:
        click.echo(text, nl=False)
        return
    write_text(output, text, what="--output")


def _messages(capture: CaptureFile, table: pd.DataFrame, shown: pd.DataFrame) -> list[Message]:
    """The messages of some packets of a capture, with their marks."""
    from analysis import ladder as drawing
    from analysis import listing, tcp

    segments = tcp.analyse(table.drop(columns="payload", errors="ignore"))
    lines = listing.lines(shown, segments, capture.said(table, shown))
    return drawing.messages(shown, listing.named(lines), listing.problems(lines))


def _between(packets: pd.DataFrame, hosts: Sequence[str]) -> pd.DataFrame:
    """The packets among some hosts, and what these send to all."""
    from analysis import ladder as drawing
    from analysis import listing

    source, target = listing.ends(packets, "src"), listing.ends(packets, "dst")
    to_all = {address for address in target.unique() if drawing.to_all(str(address))}
    return packets[source.isin(hosts) & target.isin({*hosts, *to_all})]


def _not_too_many(drawn: Sequence[Message]) -> None:
    """Names the busiest hosts if there are too many for a picture."""
    from analysis import ladder as drawing

    busiest = drawing.hosts_by_messages(drawn)
    if len(busiest) > drawing.MOST_HOSTS:
        raise ConfigError(
            f"ladder: {len(busiest)} hosts are too many (at most {drawing.MOST_HOSTS}); choose "
            f"hosts with --hosts, such as --hosts {','.join(busiest[:4])}, or packets with --where"
        )
