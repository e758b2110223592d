"""Limits of a run that do not depend on how busy the machine is: processor time and disk."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_EVERY_S = 0.5
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Limits:
    """What a run may use.

    Attributes:
        cpu_s: processor time of all its processes, in s.
        disk_mb: what is in its folder, in MiB.
    """

    cpu_s: float
    disk_mb: float


class Usage:
    """Checks what a run has used, no more often than needed."""

    def __init__(self, limits: Limits, pid: int, folder: Path) -> None:
        self._limits, self._pid, self._folder = limits, pid, folder
        self._looked_s = time.monotonic()

    def exceeded(self) -> str:
        """``cpu_limit``, ``disk_limit`` or nothing."""
        if time.monotonic() - self._looked_s < _EVERY_S:
            return ""
        self._looked_s = time.monotonic()
        if cpu_time_s(self._pid) > self._limits.cpu_s:
            return "cpu_limit"
        if folder_bytes(self._folder) > self._limits.disk_mb * (1 << 20):
            return "disk_limit"
        return ""


def cpu_time_s(root: int) -> float:
    """Processor time of a process and all its descendants, ended ones included, in s."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 (called twice a second for every guest)
        if not entry.isdigit():
            continue
        try:
            with Path("/proc", entry, "stat").open("rb") as file:
                fields = file.read().rsplit(b")", 1)[1].split()
        except (OSError, IndexError):  # ended meanwhile
            continue
        parents[int(entry)] = int(fields[1])
        ticks[int(entry)] = sum(int(f) for f in fields[11:15])
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    total, queue = 0, [root]
    while queue:
        pid = queue.pop()
        total += ticks.get(pid, 0)
        queue += children.get(pid, [])
    return total / _TICKS_PER_S


def folder_bytes(folder: Path) -> int:
    """Disk usage of the files below a folder; links are not followed."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(Path(path, name)).st_size
            except OSError:
                continue
    return total
