"""What dead commands left behind, whatever ended them, other than their temporary folders.

Those (`testbed.lifetime.guard.dead_folders`) are locked as long as their owner lives, and what is
half made in a store as long as somebody holds the store's lock. Nothing else is ever listed.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path

from testbed.core.cache import cache_base
from testbed.core.project import PROJECT
from testbed.lifetime import guard

_STORE_LOCK = "lock"
_BUILD = PROJECT / "build"
_OLDER = ("testbed-image-*", "testbed-kernel-*", "testbed-sources-*")
"""Temporary folders of earlier versions, which had no owner in their name."""

_OLDER_UNUSED_S = 3600.0


def half_made() -> list[Path]:
    """What was to become an image, a kernel, a copy of the sources, or the documentation."""
    found = []
    for store in (*sorted(cache_base().glob("*/")), _BUILD):
        lock = store / _STORE_LOCK
        with guard.lock_of(lock if lock.is_file() else store) as nobody_makes_one:
            found += sorted(store.glob(f"{guard.WORK}*")) if nobody_makes_one else []
    return found


def of_earlier_versions() -> list[Path]:
    """Temporary folders of ours that no process uses and that did not change for an hour."""
    places = {Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")}
    paths = [path for place in places for pattern in _OLDER for path in place.glob(pattern)]
    return sorted(path for path in paths if _is_stale(path) and not _is_used(path))


def processes() -> dict[int, str]:
    """Number → name of processes that a dead command started: its folder is their TMPDIR."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            name = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:  # gone meanwhile, or somebody else's
            continue
        given = [v[7:].decode(errors="replace") for v in environment if v.startswith(b"TMPDIR=")]
        owner = _owner(Path(given[0])) if given else None
        # one that is not here may be in mounts that we do not see, and live
        if owner is not None and guard.is_free(owner):
            found[int(entry.name)] = name
    return found


def _owner(path: Path) -> Path | None:
    """The command's folder that a temporary folder is, or is in."""
    roots = guard.roots()
    return next((p for p in (path, *path.parents) if p.parent in roots), None)


def _is_stale(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    ours = status.st_uid == os.geteuid() and path.is_dir() and not path.is_symlink()
    return ours and time.time() - status.st_mtime > _OLDER_UNUSED_S


def _is_used(path: Path) -> bool:
    """Whether a process works there, has something open there, or names it in its variables."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if bytes(path) in (entry / "environ").read_bytes():
                return True
            for link in (entry / "cwd", entry / "root", *(entry / "fd").iterdir()):
                with contextlib.suppress(OSError):
                    if link.readlink().is_relative_to(path):
                        return True
    return False
