"""``python -m testbed.machine.kernel [build|info]``: for set-up, before anything is installed.

Needs nothing but Python's standard library.
"""

from __future__ import annotations

import sys
import time

from testbed.core.errors import TestbedError
from testbed.lifetime import start
from testbed.machine.kernel import BuildProgress, build, find

_USAGE = "usage: python3 -m testbed.machine.kernel build|info\n"
_MIN_GAP_S = 0.5
_ESTIMATED_FROM, _ESTIMATED_FROM_S = 0.05, 5.0
"""No estimate is made before this fraction of a stage is done and this many seconds have passed."""
_DOING = {
    "download": "downloading ",
    "unpack": "unpacking ",
    "configure": "configuring ",
    "compile": "compiling ",
    "install": "installing ",
}


class _Printer:
    """One line per stage, updated in place on a terminal; elsewhere a new line for every tenth."""

    def __init__(self) -> None:
        self._stage, self._tenths, self._last_s, self._began_s = "", 0, 0.0, 0.0

    def __call__(self, progress: BuildProgress) -> None:
        live = sys.stderr.isatty()
        share = progress.fraction
        tenths = int(share * 10) if share is not None else 0
        same = progress.stage == self._stage and share is not None
        step = time.monotonic() - self._last_s >= _MIN_GAP_S if live else tenths > self._tenths
        if same and not step:
            return
        start = "" if not live or not self._stage else "\r" if same else "\n"
        if progress.stage != self._stage:
            self._began_s = time.monotonic()
        self._stage, self._tenths, self._last_s = progress.stage, tenths, time.monotonic()
        percent = f", {share:.0%}{self._left(share)}" if share else ""
        doing = _DOING.get(progress.stage, "")
        end = "\033[K" if live else "\n"
        sys.stderr.write(f"{start}guest kernel: {doing}{progress.message}{percent}{end}")
        sys.stderr.flush()

    def _left(self, share: float) -> str:
        """Time left for this stage, at its speed so far."""
        took_s = time.monotonic() - self._began_s
        if share < _ESTIMATED_FROM or took_s < _ESTIMATED_FROM_S:
            return ""
        left_s = took_s * (1 - share) / share
        return f", about {left_s / 60:.0f} min left" if left_s >= 90 else f", {left_s:.0f} s left"

    def end(self) -> None:
        """Ends the line that is updated in place."""
        if self._stage and sys.stderr.isatty():
            sys.stderr.write("\n")
        self._stage = ""


def main(arguments: list[str]) -> int:
    """Runs a command; returns the exit code."""
    if arguments not in (["build"], ["info"]):
        sys.stderr.write(_USAGE)
        return 2
    printer = _Printer()
    try:
        kernel = build(printer) if arguments == ["build"] else find()
    except TestbedError as error:
        printer.end()
        sys.stderr.write(f"error: {error}\n")
        return int(error.exit_code)
    finally:
        printer.end()
    if kernel is None:
        sys.stderr.write("error: no guest kernel is built\n")
        return 3
    sys.stdout.write(f"{kernel.version} ({kernel.source}) {kernel.path}\n")
    return 0


if __name__ == "__main__":
    start.command("kernel", lambda: sys.exit(main(sys.argv[1:])))
