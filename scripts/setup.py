"""The guest kernel, Debian packages and Python packages: all at once, with one line of progress.

Started by `scripts/setup.sh`, when there is a compiler and nothing else. Standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from testbed.core.errors import TestbedError  # noqa: E402
from testbed.machine.kernel import BuildProgress, build, find  # noqa: E402

LOGS = ROOT / "build" / "setup"
PACKAGES = "scripts/install-packages.sh"

_KERNEL_CPU_S = 400.0
"""What compiling the kernel takes on one processor of a present machine: the first estimate."""
_FETCH_S = 30.0
"""To fetch and unpack the kernel's source; the same."""
_OTHERS_S = {"Debian packages": 60.0, "Python packages": 60.0}
_TICK_S = 1.0
_LINES = 6
_STOP_S = 30.0
_INTERRUPTED, _ENVIRONMENT = 130, 3
_UNDER_NOHUP = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


class Job:
    """A command that runs in parallel with the kernel's build, with its output in a file."""

    def __init__(self, name: str, *argv: str) -> None:
        self.name, self.log = name, LOGS / f"{name.split(maxsplit=1)[0].lower()}.log"
        self.began_s = time.monotonic()
        # sudo may ask at the terminal, which it can only in the terminal's own group of processes;
        # Ctrl-C reaches that by itself
        self.apart = os.geteuid() == 0 or argv[0] != PACKAGES
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                argv,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                process_group=0 if self.apart else None,
            )

    @property
    def code(self) -> int | None:
        """Its exit code; None as long as it runs."""
        return self.process.poll()

    def left_s(self) -> float:
        """About how long it will take yet."""
        if self.code is not None:
            return 0.0
        gone_s = time.monotonic() - self.began_s
        share = apt_fraction(self.log.read_text(errors="replace"))
        if share > 0.1:
            return gone_s * (1 - share) / share
        return max(5.0, _OTHERS_S[self.name] - gone_s)

    def state(self) -> str:
        """For the line of progress."""
        return self.name + {None: "", 0: " done"}.get(self.code, " failed")

    def reason(self) -> str:
        """Why it failed: the last of what it said."""
        lines = self.log.read_text(errors="replace").splitlines()[-_LINES:]
        return "\n".join([*lines, f"{self.name} are not installed; all of it: {self._shown()}"])

    def _shown(self) -> str:
        return str(self.log.relative_to(ROOT))

    def stop(self) -> None:
        """Ends it, and waits until it has ended."""
        if self.apart and self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(_STOP_S)
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def apt_fraction(said: str) -> float:
    """How far apt is, by what it said: it fetches, unpacks and sets up each package. Else 0."""
    found = re.search(r", (\d+) newly installed", said)
    if not found or not int(found[1]):
        return 0.0
    steps = re.findall(r"^(?:Get:|Unpacking |Setting up )", said, re.M)
    return min(1.0, len(steps) / (3 * int(found[1])))


@dataclass
class Kernel:
    """How far the kernel's build is; its thread writes, the line of progress reads."""

    stage: str = ""
    fraction: float = 0.0
    compiling_s: float | None = None
    done: bool = False
    failure: str = ""

    def __call__(self, progress: BuildProgress) -> None:
        """Hears from the build."""
        if progress.stage == "compile" and self.compiling_s is None:
            self.compiling_s = time.monotonic()
        self.stage, self.fraction = progress.stage, progress.fraction or 0.0

    def left_s(self) -> float:
        """About how long it will take yet."""
        whole_s = _KERNEL_CPU_S / len(os.sched_getaffinity(0))
        if self.done or self.stage == "install":
            return 0.0
        if self.compiling_s is None:
            return whole_s + (_FETCH_S if self.stage != "configure" else 0.0)
        # what was measured counts the more, the more there is of it
        guess_s = whole_s * (1 - self.fraction)
        if not self.fraction:
            return guess_s
        measured_s = (time.monotonic() - self.compiling_s) * (1 - self.fraction) / self.fraction
        share = min(1.0, 3 * self.fraction)
        return share * measured_s + (1 - share) * guess_s

    def state(self) -> str:
        """For the line of progress."""
        if self.done:
            return "guest kernel failed" if self.failure else "guest kernel done"
        doing = {"compile": f"compiling {self.fraction:.0%}", "wait": "another build is running"}
        return f"guest kernel {doing.get(self.stage, self.stage)}".rstrip()


@dataclass
class Line:
    """One line that changes in place on a terminal; elsewhere a new one every tenth."""

    kernel: Kernel
    jobs: list[Job]
    began_s: float = field(default_factory=time.monotonic)
    first_left_s: float = 0.0
    told: set[str] = field(default_factory=set)
    _tenth: int = -1

    def show(self) -> None:
        """Shows it, if there is something new to say; and each failure, once."""
        for job in self.jobs:
            if job.code and job.name not in self.told:
                self.told.add(job.name)
                self._write(f"{job.reason()}\n")
        things: list[Kernel | Job] = [self.kernel, *self.jobs]
        left_s = max(thing.left_s() for thing in things)
        self.first_left_s = self.first_left_s or left_s
        gone_s = time.monotonic() - self.began_s
        share = gone_s / (gone_s + left_s) if left_s else 1.0
        states = "; ".join(thing.state() for thing in things)
        text = f"set-up: {share:.0%}, about {minutes(left_s)} left ({states})"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{text[: os.get_terminal_size(2).columns - 1]}\033[K")
        elif int(share * 10) > self._tenth:
            self._tenth = int(share * 10)
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def end(self, word: str) -> None:
        """The last line."""
        took_s = time.monotonic() - self.began_s
        said = f" (estimated at first: {minutes(self.first_left_s)})" if took_s > 60 else ""
        self._write(f"set-up: {word} after {minutes(took_s)}{said}\n")

    def _write(self, text: str) -> None:
        start = "\r\033[K" if sys.stderr.isatty() else ""
        sys.stderr.write(start + text)
        sys.stderr.flush()


def minutes(time_s: float) -> str:
    """A time in words."""
    return f"{time_s:.0f} s" if time_s < 90 else f"{time_s / 60:.0f} min"


def main() -> int:
    """Runs all; returns the exit code."""
    early: list[int] = []  # a signal while a job starts must not lose sight of it
    _on_signals(lambda number, _: early.append(number))
    LOGS.mkdir(parents=True, exist_ok=True)
    kernel = Kernel(done=find() is not None)
    jobs: list[Job] = []
    line = Line(kernel, jobs)
    ended = threading.Event()
    watching = threading.Thread(target=_watch, args=(line, ended), daemon=True)
    try:
        jobs.append(Job("Debian packages", PACKAGES))
        jobs.append(Job("Python packages", "scripts/install-python.sh"))
        _on_signals(signal.default_int_handler)
        if early:
            raise KeyboardInterrupt
        watching.start()
        _build(kernel)
        for job in jobs:
            job.process.wait()
        _stop_line(ended, watching)
        line.show()
        failed = [job for job in jobs if job.code]
        if kernel.failure and not failed:
            _take_debians(kernel.failure)
    except KeyboardInterrupt:
        _on_signals(signal.SIG_IGN)
        _stop_line(ended, watching)
        line.end("interrupted")
        for job in jobs:
            if job.code is None and not job.apart:
                sys.stderr.write("waiting for apt to end\n")
            job.stop()
        return _INTERRUPTED
    line.end("not complete: call the same command again" if failed else "done")
    return _ENVIRONMENT if failed else 0


def _on_signals(handler: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, *[signal.SIGHUP] * (not _UNDER_NOHUP)):
        signal.signal(number, handler)


def _watch(line: Line, ended: threading.Event) -> None:
    while not ended.wait(_TICK_S):
        line.show()


def _stop_line(ended: threading.Event, watching: threading.Thread) -> None:
    ended.set()
    if watching.is_alive():
        watching.join()


def _build(kernel: Kernel) -> None:
    try:
        build(kernel)
    except TestbedError as error:
        kernel.failure = str(error)
    kernel.done = True


def _take_debians(failure: str) -> None:
    """Without a kernel of ours: says what that costs, and installs Debian's."""
    sys.stderr.write(f"{failure}\n")
    sys.stderr.write(
        "the guest kernel could not be built (see above): no virtual clock, and results are not\n"
        "the same on every machine; 'testbed kernel build' tries again\n"
    )
    if platform.machine() == "x86_64":
        done = subprocess.run([PACKAGES, "user-mode-linux"], cwd=ROOT, check=False)
        if done.returncode == 0:
            sys.stderr.write("Debian's user-mode-linux serves\n")


if __name__ == "__main__":
    sys.exit(main())
