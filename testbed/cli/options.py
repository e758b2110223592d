"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from testbed.core import language
from testbed.core.parameters import MOST_PERTURBED_PERCENT, percent
from testbed.execution.cluster import Cluster

_OF_ONE_EXPERIMENT = {"scenario", "repeat", "perturb"}


class Share(click.ParamType):  # type: ignore[type-arg]
    """A share such as ``1%``, in percent.

    Args:
        most: the largest allowed.
    """

    name = "percent"

    def __init__(self, most: float) -> None:
        self._most = most

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number; our own error names the option."""
        return percent(str(value), param.opts[0] if param else "share", self._most)


def _option(*names: str, **kind: Any) -> click.Option:
    return click.Option(list(names), show_default=kind.get("default") is not None, **kind)


def _choose(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        language.choose(value)


def language_option() -> click.Option:
    """``--lang``: chooses before anything is shown."""
    return _option(
        "--lang",
        type=click.Choice(language.LANGUAGES),
        callback=_choose,
        expose_value=False,
        is_eager=True,
        help="Language of verdicts, reports and pages [default: $TESTBED_LANG, or the system's].",
    )


def with_language(command: click.Command) -> click.Command:
    """Gives a command the option ``--lang``."""
    command.params.append(language_option())
    return command


def run_options() -> list[click.Parameter]:
    """Options of every run, besides the experiment's parameters."""
    runtimes, clocks = click.Choice(["auto", "guest", "host"]), click.Choice(["virtual", "real"])
    return [
        language_option(),
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
        _option(
            "--perturb",
            type=Share(MOST_PERTURBED_PERCENT),
            default=0.0,
            metavar="P%",
            help="Let the seed move link delays and start times by up to P %.",
        ),
        _option("--json", "as_json", is_flag=True, help="Print JSON."),
    ]


_OF_SWEEPS = {"runtime", "clock", "image", "wall_limit_s", "scenario", "perturb"}


def run_options_of_sweeps() -> list[click.Parameter]:
    """Options that a sweep's runs have in common."""
    return [option for option in run_options() if option.name in _OF_SWEEPS]


def cluster_options() -> list[click.Parameter]:
    """Options that say who does the work; `cluster_of` reads them."""
    return [
        _option(
            "--cluster",
            default="",
            metavar="WHERE",
            help="local, tcp://HOST:PORT, tls://HOST:PORT, slurm or pbs"
            " [default: processes of this machine, without Dask]",
        ),
        _option("--workers", type=click.IntRange(1, 10000), help="Number of workers."),
        _option(
            "--interface",
            default="",
            help="Network interface, for slurm and pbs [default: loopback]",
        ),
        _option(
            "--tls",
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            help="Folder with ca.pem, cert.pem and key.pem.",
        ),
        _option(
            "--job",
            multiple=True,
            metavar="NAME=VALUE",
            help="Option of the batch system's jobs, such as walltime=01:00:00 (repeatable).",
        ),
    ]


def cluster_of(given: dict[str, Any], logs: Path) -> Cluster:
    """What the options say, checked.

    Raises:
        ConfigError: they contradict each other, or name something unknown.
        MissingPrerequisiteError: Dask is not installed.
    """
    job = dict(text.partition("=")[::2] for text in given["job"])
    found = Cluster(
        given["cluster"], given["workers"] or 0, given["interface"], given["tls"], job, logs
    )
    found.check(submit=not given.get("dry_run"))
    return found


def run_options_of_many() -> list[click.Parameter]:
    """Options of commands that run several experiments, one after the other."""
    return [option for option in run_options() if option.name not in _OF_ONE_EXPERIMENT]
