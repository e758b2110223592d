"""``python -m testbed.kernel [build|info]``: for set-up, before anything is installed.

Needs nothing but Python's standard library.
"""

from __future__ import annotations

import signal
import sys
import time

from testbed.errors import TestbedError
from testbed.kernel import BuildProgress, build, find

_USAGE = "usage: python3 -m testbed.kernel build|info\n"
_MIN_GAP_S = 0.5


class _Printer:
    """One line a stage; on a terminal it counts up in place."""

    def __init__(self) -> None:
        self._stage, self._last_s = "", 0.0

    def __call__(self, progress: BuildProgress) -> None:
        live = sys.stderr.isatty()
        same = progress.stage == self._stage and progress.fraction is not None
        if same and (not live or time.monotonic() - self._last_s < _MIN_GAP_S):
            return
        self._stage, self._last_s = progress.stage, time.monotonic()
        share = f" {progress.fraction:4.0%}" if progress.fraction is not None and live else ""
        start, end = ("\r", "\033[K") if same and live else ("\n" if live else "", "")
        tail = "" if live else "\n"
        sys.stderr.write(
            f"{start}guest kernel: {progress.stage}{share} {progress.message}{end}{tail}"
        )
        sys.stderr.flush()


def main(arguments: list[str]) -> int:
    """Runs a command; returns the exit code."""
    if arguments not in (["build"], ["info"]):
        sys.stderr.write(_USAGE)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        kernel = build(_Printer()) if arguments == ["build"] else find()
    except TestbedError as error:
        sys.stderr.write(f"\n{error}\n")
        return int(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; nothing was kept\n")
        return 130
    if kernel is None:
        sys.stderr.write("no guest kernel is built\n")
        return 3
    sys.stdout.write(f"{kernel.version} ({kernel.source}) {kernel.path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
