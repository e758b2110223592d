"""A program that runs in a node."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.core.errors import (
    CommandError,
    ConvergenceError,
)

if TYPE_CHECKING:
    pass


_STOP_S = 5.0
"""How long a program may take to end after SIGINT or SIGTERM."""


class Process:
    """A program running in a node, its output in ``logs/<log>.log``."""

    stop_signal = signal.SIGTERM
    """The signal that ends it when the experiment is over."""

    def __init__(self, node: str, argv: list[str], popen: subprocess.Popen[Any], log: Path) -> None:
        self.node, self.argv, self.popen, self.log = node, argv, popen, log

    @property
    def running(self) -> bool:
        """True until the program has ended."""
        return self.popen.poll() is None

    def wait(self, timeout_s: float) -> int:
        """Waits for the end; returns the exit code.

        Raises:
            ConvergenceError: it is still running after `timeout_s`.
        """
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            what = f"end of '{' '.join(self.argv)}' in {self.node}"
            raise ConvergenceError(what, timeout_s, self.output()[-200:] or "no output") from None

    def check(self, timeout_s: float) -> str:
        """Waits for the end and returns the output.

        Raises:
            CommandError: it ended with an exit code other than 0.
        """
        code = self.wait(timeout_s)
        if code != 0:
            raise CommandError(self.node, self.argv, code, self.output())
        return self.output()

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal if the program is still running."""
        if self.running:
            self.popen.send_signal(number)

    def stop(self, with_signal: signal.Signals | None = None) -> int:
        """Ends the program by its signal, then by SIGKILL."""
        if self.running:
            self.popen.send_signal(with_signal or self.stop_signal)
            try:
                return self.popen.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        return self.popen.wait()

    def output(self) -> str:
        """What the program printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")
