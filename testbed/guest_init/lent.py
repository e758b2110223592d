"""Folders of the user's in a guest: seen through a layer in memory, which tells what was written.

Standard library alone.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass

from testbed.guest_init.mounts import MS_RDONLY, mount, unmount
from testbed.guest_init.visible import EMPTY

_LAYERS = "/run/lent"
_OWN_PLACES = ("/home", "/mnt", "/opt", "/root", "/srv", "/tmp", "/var/tmp")
"""Places that are empty when a guest starts, and lost when it ends."""


@dataclass(frozen=True)
class Lent:
    """A folder that a guest sees at its own path.

    Attributes:
        path: its path, outside and inside.
        upper: where the layer keeps what was written.
    """

    path: str
    upper: str

    def written(self) -> list[str]:
        """Files that were written, by their paths below the folder."""
        return self._changed(stat.S_ISREG)

    def removed(self) -> list[str]:
        """What was removed or renamed, by its path below the folder; outside it is still there."""
        return self._changed(stat.S_ISCHR)

    def _changed(self, is_kind: Callable[[int], bool]) -> list[str]:
        found = [
            os.path.join(folder, name)
            for folder, below, names in os.walk(self.upper)
            for name in (*below, *names)
        ]
        return sorted(
            os.path.relpath(path, self.upper) for path in found if is_kind(os.lstat(path).st_mode)
        )


def lend(fd: int, path: str) -> Lent:
    """Shows the folder behind a descriptor at a path; what is written there stays in memory.

    Raises:
        OSError: a mount is refused.
    """
    base = f"{_LAYERS}/{fd}"
    lower, memory = f"{base}/lower", f"{base}/memory"
    for folder in (lower, memory, path):
        os.makedirs(folder, exist_ok=True)
    mount("none", lower, "hostfs", MS_RDONLY, f"/proc/self/fd/{fd}")
    mount("tmpfs", memory, "tmpfs", 0, "mode=755")
    for name in ("upper", "work"):
        os.mkdir(f"{memory}/{name}")
    options = f"lowerdir={lower},upperdir={memory}/upper,workdir={memory}/work"
    mount("overlay", path, "overlay", 0, options)
    return Lent(path, f"{memory}/upper")


def show_all_programs() -> None:
    """Shows what a run does not see of the system's programs: its owner's, and Python packages."""
    for path in EMPTY:
        if os.path.ismount(path):
            unmount(path)


def lost() -> list[str]:
    """Files that were written elsewhere, and are lost with the guest."""
    found = []
    for place in _OWN_PLACES:
        for folder, below, names in os.walk(place):
            below[:] = [name for name in below if not os.path.ismount(f"{folder}/{name}")]  # lent
            found += [f"{folder}/{name}" for name in names]
    return sorted(path for path in found if stat.S_ISREG(os.lstat(path).st_mode))


def keep(lent: Lent, folder: str) -> None:
    """Copies what was written to a lent folder into another one, which is new.

    Raises:
        OSError: it does not fit.
    """
    for name in lent.written():
        target = os.path.join(folder, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(os.path.join(lent.upper, name), target)
        shutil.copymode(os.path.join(lent.upper, name), target)
