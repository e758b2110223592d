"""Runs an image's own programs on the host, without a guest, on any Linux with the same processor.

The program's loader and libraries come from the image, too. Used for what has to be done before a
guest boots: compiling Python files, and FRR's check of a configuration.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

_LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = f"{_LIBRARIES}/ld-linux-x86-64.so.2"
_MAX_LINKS = 40


def argv(root: Path, program: str, *arguments: str) -> list[str]:
    """The command line for a program of the image.

    Args:
        root: of the image.
        program: its path inside.
        arguments: of the program.
    """
    libraries = [str(root / _LIBRARIES)]
    libraries += sorted(str(path) for path in (root / _LIBRARIES).iterdir() if path.is_dir())
    loader = str(inside(root, LOADER))
    options = ["--inhibit-cache", "--library-path", ":".join(libraries)]
    return [loader, *options, str(inside(root, program)), *arguments]


def inside(root: Path, path: str) -> Path:
    """The host path of a path in the image: absolute links start at the image's root."""
    place, left = Path("/"), list(reversed(Path("/", path).parts[1:]))
    for _ in range(_MAX_LINKS):
        while left:
            place = place.parent if left[-1] == ".." else place / left[-1]
            left.pop()
            if (root / place.relative_to("/")).is_symlink():
                break
        else:
            return root / place.relative_to("/")
        target = (root / place.relative_to("/")).readlink()
        place = Path("/") if target.is_absolute() else place.parent
        left += reversed([part for part in target.parts if part != "/"])
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def environment(root: Path) -> dict[str, str]:
    """The environment for it: Python finds its library, and nothing of the user's is visible."""
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONHOME": str(root / "usr"),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
    }
