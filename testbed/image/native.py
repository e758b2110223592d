"""Running an image's own programs on the host, without a guest: any Linux of its processor can.

The program's loader and libraries come from the image, too. For what has to be done before a guest
boots: Python's compiled files, and FRR's look at a configuration.
"""

from __future__ import annotations

from pathlib import Path

_LOADER = "lib64/ld-linux-x86-64.so.2"
_LIBRARIES = "usr/lib/x86_64-linux-gnu"


def argv(root: Path, program: str, *arguments: str) -> list[str]:
    """The command line for a program of the image.

    Args:
        root: of the image.
        program: its path inside.
        arguments: of the program.
    """
    libraries = [str(root / _LIBRARIES)]
    libraries += sorted(str(path) for path in (root / _LIBRARIES).iterdir() if path.is_dir())
    loader = [str(root / _LOADER), "--inhibit-cache", "--library-path", ":".join(libraries)]
    return [*loader, str((root / program.lstrip("/")).resolve()), *arguments]


def environment(root: Path) -> dict[str, str]:
    """The environment for it: Python finds its library, and nothing of the user's shows."""
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONHOME": str(root / "usr"),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
    }
