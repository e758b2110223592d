"""`testbed packetdrill`: plays packet scripts against the guest's kernel."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli.console import out
from testbed.core.errors import ConfigError

if TYPE_CHECKING:
    from testbed.execution.packetdrill import Played

_COLOURS = {"pass": "green", "differs": "bold red", "unreadable": "red"}


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--exact", is_flag=True, help="Compare times to 10 µs, without packetdrill's tolerance."
)
@click.option(
    "-D",
    "--define",
    "defines",
    multiple=True,
    metavar="NAME=VALUE",
    help="Replace a word in the scripts (repeatable).",
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, help="Random seed.")
@click.option(
    "--out",
    "out_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep what was sent and received in this folder.",
)
@click.option("--image", default="", metavar="NAME|FILE|auto|none", help="See 'testbed run'.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def packetdrill(
    files: tuple[Path, ...],
    exact: bool,
    defines: tuple[str, ...],
    seed: int,
    out_folder: Path | None,
    image: str,
    as_json: bool,
) -> None:
    """Play packetdrill scripts against the guest's kernel, on its virtual clock.

    FILES are scripts, or folders with files that end in .pkt. Each script has a network namespace
    of its own. Exit code 0: all pass; 1: one differs; 2: one cannot be read; 4: one uses what
    cannot be played here.
    """
    from testbed.execution import packetdrill as scripts

    words = dict(_define(text) for text in defines)
    settings = scripts.Settings(exact=exact, defines=words, seed=seed, image=image)
    played = scripts.play(files, settings, out_folder)
    if as_json:
        click.echo(scripts.as_json(played))
    else:
        _show(played)
    sys.exit(scripts.exit_code(played))


def _define(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ConfigError(f"--define {text}: write NAME=VALUE")
    return name, value


def _show(played: list[Played]) -> None:
    from analysis.printable import printable

    for one in played:
        colour = _COLOURS.get(one.verdict, "yellow")
        off = f"  within {one.largest_us} µs" if one.largest_us is not None else ""
        out.print(f"[{colour}]{one.verdict:11}[/] ", end="")
        out.print(f"{printable(one.script)}{off}", highlight=False, markup=False, soft_wrap=True)
        where = f"line {one.line}: " if one.line else ""
        for what, text in (("", one.reason), ("expected ", one.expected), ("came     ", one.came)):
            if text:
                line = f"            {where}{what}{printable(text)}"
                out.print(line, highlight=False, markup=False, soft_wrap=True)
                where = " " * len(where)
    counts = Counter(one.verdict for one in played)
    out.print(", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
