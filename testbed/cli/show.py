"""What the command line shows of a run: progress while it runs, verdicts when it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TaskID, TextColumn
from rich.table import Table

from testbed.author.experiment import source_of
from testbed.author.experiment_folder import texts
from testbed.cli.bars import WithBar
from testbed.core.claims import Judged, Status
from testbed.core.language import Words
from testbed.core.rundir import REPORT, RunDir
from testbed.execution.runner import Watcher
from testbed.execution.runtime import Outcome, Progress, Runtime
from testbed.results.replay import DrawingError, experiment_of

COLOURS = {Status.PASS: "green", Status.FAIL: "bold red", Status.INCONCLUSIVE: "yellow"}


class RunView(WithBar, Watcher):
    """Progress on a terminal (a bar per scenario) or in a log (a line per finished scenario)."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TextColumn("{task.fields[state]}", style="dim"),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._reasons: dict[str, str] = {}

    def started(self, run: RunDir, runtime: Runtime, scenarios: list[str]) -> None:
        """Shows where the network runs, and why."""
        self._console.print(
            f"[bold]{escape(run.path.name)}[/]: {runtime.name} runtime, {runtime.clock} clock "
            f"({escape(runtime.why)})",
            highlight=False,
        )
        for name in scenarios:
            self._tasks[name] = self._bar.add_task(name, state="waits", total=None)

    def note(self, text: str) -> None:
        """Shows a note above the run."""
        self._console.print(f"[yellow]note[/] {escape(text)}", highlight=False)

    def progress(self, scenario: str, progress: Progress) -> None:
        """Shows the scenario's clocks."""
        self._bar.update(
            self._tasks[scenario],
            state=f"{progress.run_s:.0f} s of the run's clock in {progress.wall_s:.1f} s",
        )

    def finished(self, scenario: str, outcome: Outcome) -> None:
        """Leaves one line for a scenario that ended."""
        mark = "[green]✓[/]" if outcome.ok else "[red]✗[/]"
        state = f"{outcome.wall_s:.1f} s"
        if not outcome.ok:
            first = self._reasons.setdefault(outcome.reason, scenario)
            state = outcome.reason if first == scenario else f"same as {first}"
        self._bar.remove_task(self._tasks.pop(scenario))
        self._console.print(f"  {mark} {escape(scenario)}  [dim]{escape(state)}[/]")

    def stage(self, name: str) -> None:
        """Shows the stage of the analysis."""
        for task in self._tasks.values():
            self._bar.remove_task(task)
        self._tasks = {name: self._bar.add_task(name, state="", total=None)}


@contextmanager
def verdicts_first(console: Console) -> Iterator[None]:
    """Shows the verdicts of a run before the error of a figure that could not be drawn."""
    try:
        yield
    except DrawingError as error:
        print_result(console, error.run, error.judged)
        raise


def result_data(run: RunDir, judged: list[Judged]) -> dict[str, Any]:
    """The result as plain data."""
    meta = run.meta()
    return {
        "run": str(run.path),
        "report": str(run.path / REPORT),
        **{k: meta.get(k) for k in ("experiment", "status", "seed", "runtime", "clock")},
        "fingerprint": meta.get("fingerprint"),
        "wall_s": meta.get("wall_s"),
        "verdicts": [
            {"claim": c.name, "sentence": c.sentence, "source": c.source, **v.as_dict()}
            for c, v in judged
        ],
    }


def print_result(console: Console, run: RunDir, judged: list[Judged]) -> None:
    """Prints the claims' table and where the report is."""
    meta, t = run.meta(), texts(source_of(experiment_of(run)))
    table = Table(box=None, header_style="bold", pad_edge=False, expand=True)
    table.add_column(t("verdict"), no_wrap=True)
    for column, share in ((t("claim"), 4), (t("observed"), 3), (t("expected"), 3)):
        table.add_column(column, overflow="fold", ratio=share)
    for claim, verdict in judged:
        colour = COLOURS[verdict.status]
        expected = f"{verdict.expected} {verdict.tolerance}".strip()
        table.add_row(
            f"[{colour}]{verdict.status}[/]",
            f"{escape(t(claim.sentence))} [dim]{escape(claim.source)}[/]",
            escape(verdict.observed),
            escape(expected),
        )
    console.print(table)
    counts = {s: sum(v.status == s for _, v in judged) for s in Status}
    parts = [f"{n} {s}" for s, n in counts.items() if n]
    console.print(
        f"\n[bold]{', '.join(parts) or t('no claims')}[/]  {_times(meta, t)}", highlight=False
    )
    if meta.get("fingerprint"):
        console.print(f"{t('fingerprint')} {meta['fingerprint'][:16]}  {t('seed')} {meta['seed']}")
    console.print(f"{t('report')} {run.path / REPORT}", soft_wrap=True, highlight=False)


def _times(meta: dict[str, Any], t: Words) -> str:
    wall = meta.get("wall_s", {})
    virtual_s = sum(s.get("virtual_s") or 0 for s in meta["scenarios"].values())
    total = sum(wall.values())
    parts = ", ".join(f"{t(name)} {seconds:.1f}" for name, seconds in wall.items())
    told = t("{virtual} s of network time in {wall} s of wall time ({parts})")
    return told.format(virtual=f"{virtual_s:.0f}", wall=f"{total:.1f}", parts=parts)
