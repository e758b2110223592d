"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

_OF_ONE_EXPERIMENT = {"scenario", "repeat"}


def _option(*names: str, **kind: Any) -> click.Option:
    return click.Option(list(names), show_default=kind.get("default") is not None, **kind)


def run_options() -> list[click.Parameter]:
    """Options of every run, besides the experiment's parameters."""
    runtimes, clocks = click.Choice(["auto", "guest", "host"]), click.Choice(["virtual", "real"])
    return [
        _option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, help="Random seed."),
        _option(
            "--runtime",
            type=runtimes,
            default="auto",
            help="Where the network runs: in a guest or on the host's kernel.",
        ),
        _option("--clock", type=clocks, default="virtual", help="Clock of the guest."),
        _option(
            "--image",
            default=None,
            metavar="NAME|FILE|auto|none",
            help="Image to take programs from; none: the host's [default: $TESTBED_IMAGE, or auto]",
        ),
        _option("--out", type=click.Path(path_type=Path), help="Folder for run directories."),
        _option(
            "--wall-limit-s",
            type=click.FloatRange(1, 86400),
            default=600.0,
            help="Wall-clock limit per scenario, in s.",
        ),
        _option("--scenario", multiple=True, help="Run only this scenario (repeatable)."),
        _option(
            "--repeat",
            type=click.IntRange(1, 1000),
            default=1,
            help="Run N times, with the seeds SEED, SEED+1, …",
        ),
        _option("--json", "as_json", is_flag=True, help="Print JSON."),
    ]


def run_options_of_many() -> list[click.Parameter]:
    """Options of commands that run several experiments, one after the other."""
    return [option for option in run_options() if option.name not in _OF_ONE_EXPERIMENT]
