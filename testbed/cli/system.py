"""Commands about this machine: `testbed doctor`, `testbed kernel`, `testbed clean`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys

import click
from rich.table import Table

from testbed.cli.console import out
from testbed.cli.image import export_kernel, import_kernel
from testbed.core.errors import ExitCode, MissingPrerequisiteError
from testbed.execution import doctor as doctors
from testbed.lifetime import abandoned, guard
from testbed.machine import kernel as kernels

_COLOUR = {"there": "green", "missing": "red", "unknown": "yellow"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Check the installation: what is installed, what is missing, and how to get it.

    Exit code 0: experiments can run; 3: they cannot. Anything else that is missing is needed only
    for the purpose shown next to it.
    """
    checks = doctors.examine()
    if as_json:
        click.echo(json.dumps(doctors.as_data(checks), indent=1, ensure_ascii=False))
    else:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("what", "state", "found", "what it is for", "get it with"):
            table.add_column(column, overflow="fold", no_wrap=column in {"what", "state"})
        for check in sorted(checks, key=lambda c: c.state == "there"):
            colour = _COLOUR[check.state]
            state = f"[{colour}]{check.state}[/]"
            table.add_row(check.name, state, check.found, check.purpose, check.mend)
        out.print(table, "", _summary(checks), sep="\n", highlight=False)
    runnable = all(c.state != "missing" for c in checks if c.name == "a runtime")
    sys.exit(ExitCode.PASS if runnable else ExitCode.ENVIRONMENT)


def _summary(checks: list[doctors.Check]) -> str:
    """One line: whether runs work here, and how much is missing."""
    missing = [check for check in checks if check.state == "missing"]
    if not missing:
        return "experiments can run; nothing is missing"
    if any(check.name == "a runtime" for check in missing):
        return f"[red]experiments cannot run[/]: {len(missing)} things are missing (listed first)"
    things = "1 thing is" if len(missing) == 1 else f"{len(missing)} things are"
    return (
        f"experiments can run; {things} missing, needed only for the purpose shown (listed first)"
    )


@click.group()
def kernel() -> None:
    """Build, show, export or import the guest kernel."""


@kernel.command()
def build() -> None:
    """Build the guest kernel from Debian's kernel source (about ten minutes, once)."""
    from testbed.machine.kernel.__main__ import main

    sys.exit(main(["build"]))


@kernel.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(as_json: bool) -> None:
    """Show the guest kernel: version, source, file and hash."""
    found = kernels.find() or kernels.find_packaged()
    if found is None:
        raise MissingPrerequisiteError("the guest kernel", kernels.BUILD_COMMAND)
    facts = {
        "version": found.version,
        "source": found.source,
        "path": str(found.path),
        "sha256": found.sha256,
    }
    if as_json:
        click.echo(json.dumps(facts, indent=1))
    else:
        for name, value in facts.items():
            click.echo(f"{name:8} {value}")


kernel.add_command(export_kernel)
kernel.add_command(import_kernel)


@click.command()
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
def clean(dry_run: bool) -> None:
    """Remove leftovers of dead runs, and nothing else.

    Processes, namespaces and temporary files vanish with the command that created them, so normally
    there is nothing to remove. Run directories are results; 'testbed runs prune' removes those.
    """
    count = _clean_leftovers(dry_run)
    verb = "would be removed" if dry_run else "removed"
    click.echo(
        f"{verb}: {count} leftovers of dead commands"
        if count
        else "nothing to remove: no dead command left a process or a temporary file"
    )


def _clean_leftovers(dry_run: bool) -> int:
    """Removes the leftovers of dead commands and networks; returns their number."""
    from testbed.net import leftovers, remove

    networks = leftovers()
    for thing in networks:
        click.echo(f"left by dead run {thing.run}: {thing.what}")
    processes = abandoned.processes()
    for number, name in processes.items():
        click.echo(f"left by a dead command: process {number} ({name})")
    if not dry_run:
        remove(networks)
        for number in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
    folders = [*guard.dead_folders(), *abandoned.half_made(), *abandoned.of_earlier_versions()]
    for path in folders:
        click.echo(f"left by a dead command: folder {path}")
        if not dry_run:
            guard.remove(path)
    return len(networks) + len(processes) + len(folders)
