"""Folders of the user's in a guest: seen through a layer in memory, which tells what was written.

Standard library alone.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from testbed.guest_init.mounts import MS_RDONLY, mount, unmount
from testbed.guest_init.visible import EMPTY

_LAYERS = "/run/lent"
_OPAQUE = "trusted.overlay.opaque"
"""The layer's mark for a folder that hides the one below it."""
_OWN_PLACES = ("/home", "/mnt", "/opt", "/root", "/srv", "/tmp", "/var/tmp")
"""Places that are empty when a guest starts, and lost when it ends."""


@dataclass(frozen=True)
class Lent:
    """A folder that a guest sees at its own path.

    Attributes:
        path: its path, outside and inside.
        lower: where it is seen as it was.
        upper: where the layer keeps what was written.
    """

    path: str
    lower: str
    upper: str

    def written(self) -> dict[str, int]:
        """Files and folders that were written or got another mode: path below the folder → mode."""
        return {name: s.st_mode for name, s in self._changed() if _is_kept(s)}

    def odd(self) -> list[str]:
        """Links, pipes, sockets and devices that were made, by their paths below the folder."""
        return [name for name, s in self._changed() if not _is_kept(s) and not _is_whiteout(s)]

    def removed(self) -> list[str]:
        """What was removed or renamed, by its path below the folder; outside it is still there."""
        found = []
        for name, s in self._changed():
            if _is_whiteout(s):
                found.append(name)
            elif stat.S_ISDIR(s.st_mode) and _is_opaque(f"{self.upper}/{name}"):
                found += self._hidden_by(name)
        return sorted(found)

    def _hidden_by(self, name: str) -> Iterator[str]:
        """What was in a folder that was removed and made again, and is not in the new one."""
        below = f"{self.lower}/{name}"
        for entry in os.listdir(below) if _is_folder(below) else ():
            inside = f"{name}/{entry}"
            if not os.path.lexists(f"{self.upper}/{inside}"):
                yield inside
            elif _is_folder(f"{self.upper}/{inside}"):
                yield from self._hidden_by(inside)

    def _changed(self) -> list[tuple[str, os.stat_result]]:
        return sorted((os.path.relpath(path, self.upper), s) for path, s in _below(self.upper))


def _is_kept(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)


def _is_folder(path: str) -> bool:
    """A folder itself: what a link leads to is not in the folder above it."""
    return os.path.isdir(path) and not os.path.islink(path)


def _is_whiteout(found: os.stat_result) -> bool:
    """The layer's mark for what was removed."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def _is_opaque(folder: str) -> bool:
    try:
        return os.getxattr(folder, _OPAQUE) == b"y"
    except OSError:  # without the mark, or removed meanwhile
        return False


def _below(
    root: str, is_left_out: Callable[[str], bool] = lambda _: False
) -> Iterator[tuple[str, os.stat_result]]:
    """What is in a folder now, with those in it; a node may be removing files meanwhile."""
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if not is_left_out(f"{folder}/{name}")]
        for name in (*below, *names):
            with suppress(FileNotFoundError, NotADirectoryError):
                yield f"{folder}/{name}", os.lstat(f"{folder}/{name}")


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
    return Lent(path, lower, f"{memory}/upper")


def show_all_programs() -> None:
    """Shows what a run does not see of the system's programs: its owner's, and Python packages."""
    for path in EMPTY:
        if os.path.ismount(path):
            unmount(path)


def lost() -> list[str]:
    """Files that were written elsewhere, and are lost with the guest."""
    return sorted(
        path
        for place in _OWN_PLACES
        for path, found in _below(place, os.path.ismount)  # without what is lent
        if stat.S_ISREG(found.st_mode)
    )


def keep(lent: Lent, folder: str) -> tuple[dict[str, int], list[str]]:
    """Copies what was written to a lent folder into another one, which is new.

    Returns:
        Files and folders that are kept, with their modes (the copies are readable, whatever these
        say); then what could not be kept. Both by their paths below the folder.
    """
    kept: dict[str, int] = {}
    failed = lent.odd()
    for name, mode in lent.written().items():
        target = os.path.join(folder, name)
        try:
            os.makedirs(target if stat.S_ISDIR(mode) else os.path.dirname(target), exist_ok=True)
            if stat.S_ISREG(mode):
                shutil.copyfile(os.path.join(lent.upper, name), target)
        except FileNotFoundError:
            continue  # removed meanwhile
        except OSError:
            failed.append(name)
        else:
            kept[name] = mode
    return kept, failed
