"""Commands about this machine: `testbed doctor`, `testbed kernel`, `testbed clean`."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import click
from rich.table import Table

from testbed.cli.console import out
from testbed.cli.image import export_kernel, import_kernel
from testbed.core.errors import ExitCode, ParseError
from testbed.core.rundir import REPETITION, RUN, RunDir, default_runs
from testbed.execution import doctor as doctors
from testbed.machine import kernel as kernels

_COLOUR = {"there": "green", "missing": "red", "unknown": "yellow"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def doctor(as_json: bool) -> None:
    """Show what is there, what is missing, what each thing is for and what gets it.

    Exit code 0: experiments can run; 3: they cannot. What else is missing is only wanted for the
    purpose named beside it.
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
        out.print(table)
    runnable = all(c.state != "missing" for c in checks if c.name == "a runtime")
    sys.exit(ExitCode.PASS if runnable else ExitCode.ENVIRONMENT)


@click.group()
def kernel() -> None:
    """Build the guest kernel, show which one there is, hand it on."""


@kernel.command()
def build() -> None:
    """Build the guest kernel from Debian's kernel source (about ten minutes, once)."""
    from testbed.machine.kernel.__main__ import main

    sys.exit(main(["build"]))


@kernel.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def info(as_json: bool) -> None:
    """Show the guest kernel: version, source, file and hash."""
    found = kernels.find() or kernels.find_packaged()
    if found is None:
        click.echo(f"no guest kernel; {kernels.BUILD_COMMAND}", err=True)
        sys.exit(ExitCode.ENVIRONMENT)
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
@click.option("--runs", is_flag=True, help="Remove incomplete run directories, too.")
@click.option("--all-runs", is_flag=True, help="Remove every run directory, too.")
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
def clean(runs: bool, all_runs: bool, dry_run: bool) -> None:
    """Remove what dead runs of ours left behind, and nothing else.

    Namespaces and processes of a run vanish with it, so normally nothing is found.
    """
    from testbed.net import leftovers, remove

    found = leftovers()
    for thing in found:
        click.echo(f"left by dead run {thing.run}: {thing.what}")
    if not dry_run:
        remove(found)
    removed = 0
    for path in _runs(all_runs) if runs or all_runs else []:
        with RunDir(path).in_use() as nobodys:
            if not nobodys:
                continue
            click.echo(f"run directory: {path}")
            removed += 1
            if not dry_run:
                shutil.rmtree(path)
    click.echo(_summary(len(found), removed, dry_run))
    if not (runs or all_runs):
        click.echo(
            f"runs in {default_runs().resolve()} stay: --runs removes those that never ended"
            ", --all-runs all"
        )


def _summary(leftovers: int, runs: int, dry_run: bool) -> str:
    if not leftovers and not runs:
        return "nothing to remove: no dead run has left a namespace, an interface or a process"
    verb = "would be removed" if dry_run else "removed"
    return f"{verb}: {leftovers} things of dead runs, {runs} run directories"


def _runs(every: bool) -> list[Path]:
    """Run directories and repetitions (known by ``run.json``): all, or those that never ended."""
    runs, seeds = (default_runs().glob(pattern) for pattern in (f"*/{RUN}", f"*/seed-*/{RUN}"))
    repetitions = {path.parent.parent for path in seeds}
    return sorted(
        [path.parent for path in runs if every or not _has_ended(RunDir(path.parent))]
        + [path for path in repetitions if every or not (path / REPETITION).is_file()]
    )


def _has_ended(run: RunDir) -> bool:
    try:
        return bool(run.meta().get("status") == "complete")
    except ParseError:
        return False
