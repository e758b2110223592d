"""Progress of a sweep: one bar on a terminal; in a log, a line now and then."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from testbed.cli.bars import WithBar
from testbed.core.quantities import number
from testbed.sweep.collect import plain
from testbed.sweep.drive import Watcher
from testbed.sweep.jobs import Row, State

_MOST_LINES = 100
"""Lines of a log about finished runs."""


class SweepView(WithBar, Watcher):
    """Shows a sweep's progress."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("runs"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None)
        self._total, self._made = 0, 0

    def began(self, how: str, workers: int, to_do: int, of: int) -> None:
        """Shows how much there is to do."""
        self._total = to_do
        self._bar.update(self._task, total=to_do)
        known = f", {of - to_do} of {of} are there" * (of > to_do)
        who = number(workers, "workers")
        self.note(f"{number(to_do, 'runs')} to make with {who}{known}: {how}")

    def made(self, row: Row, worker: str, wall_s: float) -> None:
        """Moves the bar; leaves a line in a log."""
        self._made += 1
        self._bar.update(self._task, completed=self._made)
        every = max(1, self._total // _MOST_LINES)
        if not self._console.is_terminal and self._made % every == 0:
            self.note(f"  ✓ {self._made} of {self._total}: {_said(row)}  {wall_s:.1f} s, {worker}")

    def went_wrong(self, row: Row, reason: str, state: State) -> None:
        """Leaves a line."""
        then = "is tried again" if state is State.TO_DO else str(state)
        self._console.print(
            f"  [red]✗[/] {escape(_said(row))}: {escape(reason)} ({then})",
            highlight=False,
            soft_wrap=True,
        )

    def note(self, text: str) -> None:
        """Leaves a line."""
        self._console.print(escape(text), highlight=False, soft_wrap=True)


def _said(row: Row) -> str:
    """A run in a few words: its seed, and the beginning of its key."""
    given = " ".join(f"{n}={plain(v)}" for n, v in list(row.parameters.items())[:3])
    return f"{row.key[:8]} seed {row.seed} {given}"
