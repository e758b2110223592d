"""`testbed verify RUN`: re-run from the recorded inputs and compare byte by byte."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from testbed.cli.console import err, out
from testbed.cli.show import RunView
from testbed.core.errors import ExitCode
from testbed.core.rundir import RunDir, default_runs
from testbed.execution.verify import OWN_FILES, Comparison, verify
from testbed.lifetime import guard
from testbed.results.compare import Difference


@click.command("verify")
@click.argument("run", default="latest")
@click.option(
    "--out", "target", type=click.Path(path_type=Path), help="Keep the new run in this folder."
)
@click.option(
    "--wall-limit-s",
    type=click.FloatRange(1, 86400),
    default=600.0,
    show_default=True,
    help="Wall-clock limit per scenario, in s.",
)
@click.option(
    "--image",
    default="",
    metavar="NAME|FILE|none",
    help="Use this image instead of RUN's; none: the host's programs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(run: str, target: Path | None, wall_limit_s: float, image: str, as_json: bool) -> None:
    """Re-run RUN ('latest' by default) from its recorded inputs and compare byte by byte.

    On the real clock, compares verdicts, and numbers within 10 %. If the runs differ, names the
    first cause (an image, guest kernel, package, file or source that is not the one of RUN) and the
    first packet that differs. Exit code 0: the same; 1: not the same.
    """
    recorded = RunDir.open(run, default_runs())
    recorded.require_finished()
    with guard.folder("verify") as scratch, RunView(err) as view:
        found = verify(recorded, (target or scratch).resolve(), view, wall_limit_s, image)
        meta = found.again.meta()
    if as_json:
        click.echo(json.dumps(comparison_data(recorded, found, meta), indent=1))
    else:
        _print(recorded, found, meta)
    sys.exit(ExitCode.PASS if found.same else ExitCode.CLAIM_FAILED)


def comparison_data(recorded: RunDir, found: Comparison, meta: dict[str, Any]) -> dict[str, Any]:
    """The comparison as plain data; `meta` is the new run's."""
    return {
        "run": str(recorded.path),
        "same": found.same,
        "clock": meta["clock"],
        "fingerprints": [recorded.meta().get("fingerprint"), meta.get("fingerprint")],
        "versions": [_data(d) for d in found.versions],
        "differences": [_data(d) for d in found.differences],
    }


def _data(found: Difference) -> dict[str, str]:
    return {"where": found.where, "recorded": found.recorded, "again": found.again}


def _print(recorded: RunDir, found: Comparison, meta: dict[str, Any]) -> None:
    """One short block: whether the runs are the same, the first cause, the first effect."""
    how = "byte by byte" if meta["clock"] == "virtual" else "verdicts, and numbers within 10 %"
    mark = "[green]the same[/]" if found.same else "[red]not the same[/]"
    out.print(f"{recorded.path.name}: {mark} ({how})", highlight=False)
    cause = "made by another" if found.same else "first cause"
    for title, rows in ((cause, found.versions), ("first difference", found.differences)):
        if rows:
            more = f" (and {len(rows) - 1} more; --json lists them)" if rows[1:] else ""
            out.print(Text(f"{title}: {rows[0].where}{more}"))
            out.print(Text(f"  recorded  {rows[0].recorded}\n  now       {rows[0].again}"))
    edited = any(d.where == OWN_FILES for d in found.differences)
    if edited:
        out.print("first cause: files of the recorded run changed after it was made")
    elif found.differences and not found.versions:
        out.print("first cause: none of the recorded programs, files and sources")
    if meta.get("fingerprint"):
        noted = (recorded.meta().get("fingerprint") or "none")[:16]
        out.print(
            f"fingerprint {noted} recorded, {meta['fingerprint'][:16]} of the new run",
            highlight=False,
        )
