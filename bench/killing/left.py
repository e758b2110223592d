"""Where something could be left: processes, mounts, interfaces, shared memory, files."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from killing.place import Place

SETTLE_S = 5.0
"""How long what is killed with a command may take to vanish, on a quiet machine."""


def busy() -> float:
    """How much longer things take than on a quiet machine: the programs per processor."""
    return max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))


@dataclass(frozen=True)
class Before:
    """What there is before a command starts."""

    files: set[str]
    processes: set[int]
    mounts: set[str]
    interfaces: set[str]


def before(place: Place) -> Before:
    """What there is now."""
    return Before(place.files(), _descendants(), _mounts(), _interfaces())


def left(place: Place, before: Before, patience_s: float) -> list[str]:
    """What did not vanish in time; it is removed here, so that it is not found twice."""
    until_s = time.monotonic() + patience_s
    while (found := _left_now(place, before)) and time.monotonic() < until_s:
        time.sleep(0.05)
    for pid in _descendants() - before.processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _reap()
    for path in _shared():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return found


def _left_now(place: Place, before: Before) -> list[str]:
    _reap()
    found = [f"process {pid} {_name(pid)}" for pid in sorted(_descendants() - before.processes)]
    found += [f"mount {line}" for line in _mounts() - before.mounts]
    found += [f"interface {link}" for link in _interfaces() - before.interfaces]
    found += [f"{path}" for path in _shared()]
    found += [
        f"file {path}" for path in sorted(place.files() - before.files) if _is_half_made(path)
    ]
    return found


def _is_half_made(path: str) -> bool:
    """Whether a new file is neither a result nor kept in the cache on purpose."""
    if path in {"cache/tmp", "cache/tmp/.lock"}:
        return False
    parts = Path(path).parts
    return (
        parts[0] == "tmp"
        or parts[:2] == ("cache", "tmp")
        or any(
            part.startswith(("work-", ".tmp", "tmp")) or part.endswith((".part", ".tmp"))
            for part in parts[1:]
        )
    )


def _shared() -> list[Path]:
    """What is in folders of the whole machine, which are root's alone here."""
    if os.geteuid() != 0:
        return []
    folders = [Path("/dev/shm"), Path("/var/tmp")]
    mine = Path("/var/tmp") / f"testbed-{os.geteuid()}"
    found = [path for folder in folders for path in folder.iterdir() if path != mine]
    return found + ([p for p in mine.iterdir() if p.name != ".lock"] if mine.is_dir() else [])


def _mounts() -> set[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {" ".join(line.split()[3:5]) for line in lines} if os.geteuid() == 0 else set()


def _interfaces() -> set[str]:
    """Only those that a network of ours could have left; others come and go."""
    names = {name for _, name in socket.if_nameindex()}
    return {name for name in names if re.fullmatch(r"[hsr]\d+-eth\d+|s\d+|r\d+", name)}


def _descendants() -> set[int]:
    """Processes that come from us, whoever their parent is now."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text(errors="replace").rsplit(")", 1)[1].split()
            if fields[0] not in "ZX":
                parents[int(entry.name)] = int(fields[1])
    found: list[int] = [os.getpid()]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return set(found[1:])


def _name(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return b" ".join(words).decode(errors="replace").strip()[:200]
    except OSError:
        return ""


def _reap() -> None:
    """Orphans that became our children and ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
