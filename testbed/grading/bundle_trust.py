"""Whether to run the lab code in a student's bundle: only if it is known, or if the user says so.

``testbed check`` loads the lab's Python as the user who gives the command. In the user's own bundle
that is the course's code; in somebody else's hand-in it is whatever they put there.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from testbed.core.cache import cache_base
from testbed.core.errors import ConfigError
from testbed.grading import library, loading, manifest
from testbed.grading.library import LabFolder

_MARKS = "trusted-labs"
_LARGEST_BYTES = 1 << 20


def open_bundled(folder: Path, scratch: Path, *, trust: bool) -> LabFolder:
    """The lab of a bundle.

    Its files are copied first and loaded from the copy: Python might load other files next to the
        originals instead (compiled files, modules in C).

    Args:
        folder: ``lab/<name>`` of the bundle.
        scratch: an empty folder.
        trust: the user vouches that the code is the course's.

    Raises:
        ConfigError: the code is neither that of an installed lab nor trusted.
    """
    sources = _sources(folder)
    code = {name: data for name, data in sources.items() if name.endswith(".py")}
    if not (_installed(folder.name, code) or _marked(code)):
        if not trust:
            raise ConfigError(
                f"{folder}: holds the lab's code, which would run as you. If it is your own bundle,"
                " from your course: 'testbed check --trust', once. Grade other people's work with"
                " 'testbed grade', which runs nothing of theirs outside of a guest"
            )
        _mark(code)
    copy = scratch / "bundle" / folder.name
    copy.mkdir(parents=True)
    for name, data in sources.items():
        (copy / name).write_bytes(data)
    return library.open_folder(copy)


def _sources(folder: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted([*folder.glob("*.py"), *folder.glob("zh.po"), folder / manifest.FILE]):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST_BYTES:
            raise ConfigError(f"{path}: is not a lab's file; unpack the bundle again")
        found[path.name] = path.read_bytes()
    return found


def _installed(name: str, code: dict[str, bytes]) -> bool:
    """True if the testbed's own lab of this name has the same public code."""
    folder = library.folder(name)
    return bool(code) and code == {
        p.name: p.read_bytes() for p in folder.glob("*.py") if not loading.is_hidden(p.name)
    }


def _mark_of(code: dict[str, bytes]) -> Path:
    total = hashlib.sha256()
    for name, data in sorted(code.items()):
        total.update(f"{name} {len(data)}\n".encode() + data)
    return cache_base() / _MARKS / total.hexdigest()


def _marked(code: dict[str, bytes]) -> bool:
    return _mark_of(code).is_file()


def _mark(code: dict[str, bytes]) -> None:
    mark = _mark_of(code)
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError as error:
        raise ConfigError(f"{mark}: {error.strerror}") from None
