"""What on this machine belongs to which run, and what dead runs left behind.

A run is named after its process (PID namespace, id, and start time, so that a reused id does no
harm) and counts its networks: ``effffffc-4711-8834512.1``. Whether a run in another PID namespace
is alive cannot be determined from here, but all its processes end with that namespace. Every
process of a network carries the name in its environment, every folder in its own name. Namespaces
and interfaces need no mark: they vanish with their holder.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from testbed.lifetime import sweeper

VARIABLE = "TESTBED_NETWORK"
FOLDER_PREFIX = "testbed-"
TRACEFS = Path("/sys/kernel/tracing")
_RUN = re.compile(r"([0-9a-f]{8})-(\d+)-(\d+)\.\d+")
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Leftover:
    """A leftover of a dead run.

    Attributes:
        run: name of the network's run.
        what: in words, e.g. ``process 4720 (ping)``.
        pid: of a process, or None.
        folder: a folder, or None.
    """

    run: str
    what: str
    pid: int | None = None
    folder: Path | None = None


def new_run() -> str:
    """Name of the next network of this process."""
    return f"{_pid_namespace()}-{os.getpid()}-{_started(os.getpid())}.{next(_numbers)}"


def _pid_namespace() -> str:
    return f"{Path('/proc/self/ns/pid').stat().st_ino & 0xFFFFFFFF:08x}"


def new_folder(run: str, purpose: str) -> Path:
    """A folder of a run, to be removed with it."""
    folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{run}-{purpose}-"))
    sweeper.note(folder)
    return folder


def _started(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; None if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = stat.rsplit(")", 1)[1].split()
    return None if state in "ZX" else int(fields[18])


def _is_dead(run: str) -> bool:
    match = _RUN.fullmatch(run)
    if match is None or match[1] != _pid_namespace():
        return False
    return _started(int(match[2])) != int(match[3])


def new_tracing_instance() -> Path:
    """A kernel tracing instance of this process's own, to be removed with ``rmdir``."""
    instance = TRACEFS / "instances" / f"{FOLDER_PREFIX}{new_run()}"
    instance.mkdir()
    return instance


def leftovers() -> list[Leftover]:
    """Processes, folders and tracing instances of dead runs; nothing else is ever listed."""
    return [*_processes(), *_folders(), *_tracing_instances()]


def _processes() -> Iterator[Leftover]:
    mark = f"{VARIABLE}=".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
            name = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:  # gone in the meantime, or somebody else's
            continue
        marks = [v for v in environment.split(b"\0") if v.startswith(mark)]
        run = marks[0][len(mark) :].decode(errors="replace") if marks else ""
        if _is_dead(run):
            yield Leftover(run, f"process {entry.name} ({name})", pid=int(entry.name))


def _is_ours(folder: Path) -> bool:
    """Whether it is a folder (no link to one) of this user."""
    try:
        found = folder.lstat()
    except OSError:  # gone in the meantime
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _folders() -> Iterator[Leftover]:
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        match = _RUN.match(folder.name.removeprefix(FOLDER_PREFIX))
        if match and _is_ours(folder) and _is_dead(match[0]):
            yield Leftover(match[0], f"folder {folder}", folder=folder)


def _tracing_instances() -> Iterator[Leftover]:
    try:
        paths = sorted((TRACEFS / "instances").glob(f"{FOLDER_PREFIX}*"))
    except OSError:  # only root may look
        return
    for path in paths:
        run = path.name.removeprefix(FOLDER_PREFIX)
        if _is_dead(run):
            yield Leftover(run, f"tracing instance {path}", folder=path)


def remove(found: Iterable[Leftover]) -> None:
    """Remove what `leftovers` listed; no error for what is already gone."""
    for item in found:
        if item.pid is not None:
            try:
                os.kill(item.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if item.folder is None:
            continue
        if item.folder.is_relative_to(TRACEFS):  # its files cannot be removed one by one
            with suppress(OSError):
                item.folder.rmdir()
        else:
            shutil.rmtree(item.folder, ignore_errors=True)
