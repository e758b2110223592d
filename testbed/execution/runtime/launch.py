"""Starts a run's first process in isolation, watches it, and reports how it ended."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed import guest_init
from testbed.core import files
from testbed.core.errors import ConfigError, OutputError
from testbed.execution import isolation
from testbed.execution.runtime.ending import ending_of
from testbed.execution.runtime.limits import Limits, Usage
from testbed.execution.runtime.outcome import OnProgress, Outcome, Progress, Stop
from testbed.guest_init.stalls import STALLS
from testbed.lifetime import sweeper

_JAIL = str(Path(isolation.__file__).with_name("__main__.py"))
_POLL_S = 0.1
_REPORT_FD = 8
_FREE_FD = 64
"""Descriptors are first copied above this number, so that none overwrites another."""


@dataclass(frozen=True)
class Job:
    """What to start.

    Attributes:
        argv: the first process: a guest kernel, or Python.
        env: its environment.
        project: the folder that it sees as the project.
        site: the folder that it sees as its Python libraries.
        read_only: make the mounts read-only, where the system allows it.
        network: also isolate network, host name and message queues.
        root: of a guest's files; None: the host's own.
        lent: the user's folders that it may look into.
        terminal: its descriptors for the user's terminal, if it has one.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    project: Path
    site: Path
    read_only: bool = False
    network: bool = False
    root: Path | None = None
    lent: Sequence[Path] = ()
    terminal: Sequence[int] = (0, 1)

    @property
    def folders(self) -> dict[int, str | Path]:
        """Number in the run → a folder it is lent, besides its own."""
        lent: dict[int, str | Path] = {
            guest_init.PROJECT_FD: self.project,
            guest_init.SITE_FD: self.site,
        }
        lent |= dict(zip(guest_init.LENT_FDS, self.lent, strict=False))
        return lent | ({guest_init.ROOT_FD: self.root} if self.root else {})


def run(
    job: Job,
    folder: Path,
    *,
    wall_limit_s: float = 600.0,
    cpu: int | None = None,
    on_progress: OnProgress | None = None,
    stop: Stop | None = None,
    terminal: int | None = None,
    limits: Limits | None = None,
) -> Outcome:
    """Runs a job until it ends, however it ends; nothing of it is left but what is in `folder`.

    Further arguments: see `Watched`.

    Raises:
        OutputError: the folder cannot be written.
        ConfigError: the limit is not a positive number.
        KeyboardInterrupt: Ctrl-C in the main thread; the run is ended first.
    """
    if not (math.isfinite(wall_limit_s) and wall_limit_s > 0):
        raise ConfigError(f"wall_limit_s: {wall_limit_s} is out of range; more than 0")
    watch = _Watch(time.monotonic(), on_progress)
    with _inherited(job, folder, watch.file, terminal) as descriptors:
        (folder / guest_init.EXIT_FILE).unlink(missing_ok=True)
        unfinished = [folder / f"{name}.part" for name in (guest_init.EXIT_FILE, STALLS)]
        for path in unfinished:  # a run that is ended may be writing one
            sweeper.note(path)
        pid = _spawn(job, descriptors, cpu)
        usage = Usage(limits, pid, folder) if limits else None
        ended = ""
        try:
            ended = _wait(pid, watch, wall_limit_s, stop, usage)
        finally:
            returncode = _end(pid)
            for path in unfinished:
                path.unlink(missing_ok=True)
    watch.look()
    status, reason, exit_code, clock_s = ending_of(folder, ended, returncode, wall_limit_s)
    watch.close()
    return Outcome(
        status=status,
        reason=reason,
        exit_code=exit_code,
        run_s=clock_s or watch.run_s,
        wall_s=time.monotonic() - watch.began_s,
        cpu=cpu,
        isolation=watch.isolation,
    )


class _Watch:
    """Reads what a run reports into a file in memory, and passes it on."""

    def __init__(self, began_s: float, on_progress: OnProgress | None) -> None:
        self.began_s, self._on_progress = began_s, on_progress
        self.file = os.memfd_create("progress", os.MFD_CLOEXEC)
        self.run_s, self.message, self.isolation = 0.0, "", ""
        self._offset = 0

    def look(self) -> None:
        """Reads what is new; informs the caller in any case, because the wall clock advanced."""
        new = os.pread(self.file, 1 << 20, self._offset)
        complete = new[: new.rfind(b"\n") + 1]
        self._offset += len(complete)
        for line in complete.decode(errors="replace").splitlines():
            first, _, rest = line.partition(" ")
            if first == "isolation":
                self.isolation = rest
                continue
            with contextlib.suppress(ValueError):
                self.run_s = float(first)
                self.message = rest.strip() or self.message
        if self._on_progress:
            wall_s = time.monotonic() - self.began_s
            self._on_progress(Progress(self.run_s, wall_s, self.message))

    def close(self) -> None:
        os.close(self.file)


@contextlib.contextmanager
def _inherited(
    job: Job, folder: Path, progress: int, terminal: int | None
) -> Iterator[dict[int, int]]:
    """Number in the run → descriptor here."""
    directory = os.O_PATH | os.O_DIRECTORY
    # a regular file never blocks: a pipe would make the guest wait for its reader
    log = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    wanted: dict[int, tuple[str | Path, int]] = {
        0: (os.devnull, os.O_RDONLY),
        1: (folder / guest_init.CONSOLE, log),
        guest_init.LAB_FD: (folder, directory),
        **{number: (path, directory) for number, path in job.folders.items()},
    }
    with contextlib.ExitStack() as stack:
        found = {}
        for number, (path, flags) in wanted.items():
            try:
                low = os.open(path, flags | os.O_CLOEXEC, 0o644)
            except OSError as error:
                reason = f"cannot be written: {files.reason(error)}"
                raise OutputError(f"run directory {path}: {reason}") from None
            found[number] = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, _FREE_FD)
            os.close(low)
            stack.callback(os.close, found[number])
        copies = {_REPORT_FD: progress, guest_init.PROGRESS_FD: progress}
        if terminal is not None:
            copies |= dict.fromkeys(job.terminal, terminal)
        for number, source in copies.items():
            found[number] = fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, _FREE_FD)
            stack.callback(os.close, found[number])
        yield found | {2: found[1]}


def _spawn(job: Job, descriptors: Mapping[int, int], cpu: int | None) -> int:
    spec = {
        "argv": list(job.argv),
        "env": dict(job.env),
        "parent": os.getpid(),
        "cpu": cpu,
        "read_only": job.read_only,
        "network": job.network,
        "folder_fds": [guest_init.LAB_FD, *job.folders],
        "report_fd": _REPORT_FD,
    }
    python = getattr(sys, "_base_executable", sys.executable)
    return os.posix_spawn(
        python,
        [python, "-I", "-S", _JAIL, json.dumps(spec)],
        {"PATH": guest_init.ENVIRONMENT["PATH"]},
        file_actions=[(os.POSIX_SPAWN_DUP2, fd, n) for n, fd in descriptors.items()],
        setpgroup=0,  # Ctrl-C at the terminal reaches only us, and we end the run
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
        setsigmask=[],
    )


def _wait(
    pid: int,
    watch: _Watch,
    wall_limit_s: float,
    stop: Stop | None,
    usage: Usage | None,
) -> str:
    """Waits for the end; returns why we stopped it: ``time_limit`` or the like, or nothing."""
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    try:
        while not poll.poll(_POLL_S * 1e3):
            watch.look()
            if stop is not None and stop.is_set():
                return "interrupted"
            if time.monotonic() - watch.began_s > wall_limit_s:
                return "time_limit"
            if usage is not None and (over := usage.exceeded()):
                return over
        return ""
    finally:
        os.close(pidfd)


def _end(pid: int) -> int:
    """Ends the isolated processes, if they have not ended; returns the exit code."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)
