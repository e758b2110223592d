"""Describes a folder for an image's manifest and listing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testbed.core.errors import TestbedError
from testbed.machine.image.container import MTIME_S
from testbed.machine.image.manifest import Entry
from testbed.machine.kernel.recipe import PATCHES, recipe_key
from testbed.machine.kernel.store import FACTS


def kernel_facts(folder: Path) -> dict[str, Any]:
    """What a manifest says about the guest kernel in a folder of the cache."""
    facts: dict[str, Any] = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    patches = sorted(path.stem for path in PATCHES.glob("*.patch"))
    return facts | {
        "folder": folder.name,
        "patches": [name for name in patches if name not in facts["absent"]],
        "recipe": recipe_key(),
    }


def scan(folder: Path) -> Iterator[Entry]:
    """Everything below a folder; sets dates and permissions as in every image.

    Raises:
        TestbedError: something is neither file, folder nor link.
    """
    for path in sorted(folder.iterdir()):
        yield from _scan(path, path.name)


def _scan(path: Path, name: str) -> Iterator[Entry]:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        yield Entry(name, "l", target=str(path.readlink()))
    elif stat.S_ISDIR(status.st_mode):
        path.chmod(0o755)
        yield Entry(name, "d", 0o755)
        for child in sorted(path.iterdir()):
            yield from _scan(child, f"{name}/{child.name}")
    elif stat.S_ISREG(status.st_mode):
        mode = 0o755 if status.st_mode & 0o111 else 0o644
        path.chmod(mode)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        yield Entry(name, "f", mode, status.st_size, digest)
    else:
        raise TestbedError(
            f"{path}: neither a file, a folder nor a link; an image cannot contain it"
        )
    os.utime(path, (MTIME_S, MTIME_S), follow_symlinks=False)


def take_kernel(source: Path, target: Path) -> None:
    """Copies the part of a kernel's folder in the cache that an image contains."""
    target.mkdir()
    for name in ("linux", "config", FACTS):
        shutil.copy(source / name, target / name)
