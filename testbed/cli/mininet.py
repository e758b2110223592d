"""`testbed mininet`: unchanged Mininet scripts, in a guest or on the running kernel."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli.console import err
from testbed.core.errors import ConfigError, RunIncompleteError

if TYPE_CHECKING:
    from testbed.execution.mininet import Script
    from testbed.execution.runtime.guest import GuestRuntime

_FEW_FILES = 5
"""Number of files named in a message."""

_NOT_MISSED = ("/run/", "/var/run/", "/tmp/testbed-", "/root/.mininet_history")
"""Prefixes of files that programs write for themselves."""


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--runtime",
    type=click.Choice(["auto", "guest", "host"]),
    default="auto",
    show_default=True,
    help="Where the network runs: in a guest, or as root on the host's kernel.",
)
@click.option(
    "--clock",
    type=click.Choice(["real", "virtual"]),
    default="real",
    show_default=True,
    help="Of a guest. The virtual one is for scripts that nobody talks to.",
)
@click.option("--image", default="", help="Image to take programs from; none: the host's.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Random seed."
)
@click.option(
    "--capture",
    "captures",
    multiple=True,
    metavar="INTERFACE",
    help="Capture packets, into INTERFACE.pcap in the working directory (repeatable).",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Also show FOLDER and keep files written there (repeatable).",
)
def mininet(
    script: str,
    arguments: tuple[str, ...],
    runtime: str,
    clock: str,
    image: str,
    seed: int,
    captures: tuple[str, ...],
    keep: tuple[Path, ...],
) -> None:
    """Run an unmodified Mininet SCRIPT on this engine, in a guest (no root needed).

    SCRIPT is a Python file, or a program such as Mininet's own: testbed mininet mn --topo tree,2
    Options of testbed come before SCRIPT, the script's own behind it.

    The script sees its own folder, the working directory, folders of files that ARGUMENTS name,
    and --keep. Files that it writes there are kept. Anything else that it or its nodes write, for
    example to /tmp or /etc, stays in memory and is lost at the end.
    """
    from testbed.execution.runtime import choose
    from testbed.execution.runtime.guest import GuestRuntime
    from testbed.net import dropin

    path = dropin.find_script(script)
    kept = dropin.folders_to_keep(keep)
    where = choose(runtime, clock=clock, image=image)
    if isinstance(where, GuestRuntime):
        from testbed.execution.mininet import Script

        named = [folder.absolute() for folder in keep]
        _in_guest(Script(path, arguments, named, captures, seed), where)
    elif clock == "virtual":
        raise ConfigError("--clock virtual: the host's clock is real; add --runtime guest")
    else:
        _on_host(path, arguments, kept, captures, seed)


def _in_guest(script: Script, where: GuestRuntime) -> None:
    from testbed.execution import mininet as in_guest
    from testbed.lifetime import guard

    guard.use_own_folder()
    with guard.folder("mininet") as folder:
        done = in_guest.run(script, where, folder)
    _tell_lost(done.lost)
    if done.removed:
        _tell(f"removed inside, but still here: {_named(done.removed)}")
    code = done.outcome.exit_code
    if done.outcome.status == "failed" and code:
        sys.exit(code)  # the script has said why
    if not done.outcome.ok:
        raise RunIncompleteError(done.outcome.reason or done.outcome.status)


def _on_host(
    path: str, arguments: Sequence[str], keep: Sequence[Path], captures: Sequence[str], seed: int
) -> None:
    from testbed.execution.script_captures import capturing
    from testbed.lifetime import guard, start, sweeper
    from testbed.net import dropin

    with guard.folder("mininet") as folder:
        layers = dropin.enter_layers([*keep, folder] if captures else keep)
        start.leave_ctrl_c()
        sweeper.start()
        dropin.session.seed = seed
        try:
            with capturing(captures, folder):
                dropin.run(path, list(arguments))
        finally:
            _tell_lost(layers.written())


def _tell_lost(files: Sequence[str]) -> None:
    """Names the files that a user may miss."""
    own = [f for f in files if "/__pycache__/" not in f and not f.startswith(_NOT_MISSED)]
    if own:
        _tell(
            f"not kept: {_named(own)} (to keep files, write them to the working directory, or "
            "give --keep FOLDER before the script)"
        )


def _named(files: Sequence[str]) -> str:
    """The first files, and how many more."""
    more = len(files[_FEW_FILES:])
    return ", ".join(files[:_FEW_FILES]) + (f" and {more} more" if more else "")


def _tell(text: str) -> None:
    err.print(text, highlight=False, markup=False, soft_wrap=True)
