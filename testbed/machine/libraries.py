"""The Python libraries of the guest's side: a fixed, short list, whatever else is installed.

They are copied, file by file, from this Python's packages into a folder of their own, which
contains nothing else. Mininet comes separately, from Debian's package; it imports pexpect where
available, which inside it never is.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testbed.core.errors import MissingPrerequisiteError, TestbedError

LIBRARIES = ("packaging", "pyroute2")
"""What `testbed.execution.inside` imports, and what Mininet does. None has compiled parts."""

CONTROLLERS = (
    "os-ken",
    "idna",
    "netaddr",
    "oslo.config",
    "oslo.i18n",
    "pbr",
    "rfc3986",
    "stevedore",
)
"""What controllers import in addition, if the extra is installed: in a folder of its own."""

CONTROLLERS_FOLDER = "controllers"
MININET = "mininet"
DEBIAN = "usr/lib/python3/dist-packages"
"""Where Debian has its Python packages."""

_UNREAD_TABLES = ("netaddr/eui",)
"""Folders without their text files: lists of all makers of network cards."""

_METADATA = ("METADATA", "entry_points.txt")
_NOT_READ = frozenset({"__pycache__", "tests"})

Files = dict[str, Path]
"""Path inside the folder of libraries → where the file is."""


def versions(*, controllers: bool = True) -> dict[str, str]:
    """Library → version, of those that are installed; those of controllers only if asked for."""
    found = {}
    for name in (*LIBRARIES, *(CONTROLLERS if controllers else ())):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def files(mininet: Path | None = None, *, every: bool = False) -> Files:
    """All files a guest's side needs.

    Args:
        mininet: the folder of Mininet's package; None: the one that this Python finds.
        every: those of controllers must be installed, too.

    Raises:
        MissingPrerequisiteError: a library is not installed.
    """
    found = {path: file for name in LIBRARIES for path, file in _of(name)}
    if every or installed("os-ken"):
        for name in CONTROLLERS:
            found |= {f"{CONTROLLERS_FOLDER}/{path}": file for path, file in _of(name)}
    folder = mininet or mininet_folder()
    return found | {f"{MININET}/{path.name}": path for path in sorted(folder.glob("*.py"))}


def installed(name: str) -> bool:
    """True if this Python has a distribution of that name."""
    return bool(list(importlib.metadata.distributions(name=name)))


def mininet_folder() -> Path:
    """Where this Python finds Mininet.

    Raises:
        MissingPrerequisiteError: nowhere.
    """
    spec = importlib.util.find_spec(MININET)
    places = spec.submodule_search_locations if spec else None
    if not places:
        raise MissingPrerequisiteError("Mininet", "sudo apt-get install mininet")
    return Path(next(iter(places)))


def _of(name: str) -> Iterator[tuple[str, Path]]:
    """A library's single package, and the metadata that other libraries read."""
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        command = "make extra-controllers" if name in CONTROLLERS else "make setup"
        raise MissingPrerequisiteError(f"Python's {name}", command) from None
    package = re.sub(r"[-.]", "_", name)
    site = Path(str(found.locate_file("")))
    for folder, below, names in os.walk(site / package):
        below[:] = sorted(set(below) - _NOT_READ)
        where = Path(folder).relative_to(site).as_posix()
        for file in sorted(names):
            if file.endswith(".so"):
                raise TestbedError(f"{name}: has a compiled part, {file}, which a guest cannot use")
            if where not in _UNREAD_TABLES or not file.endswith((".txt", ".idx")):
                yield f"{where}/{file}", Path(folder, file)
    metadata = f"{package}-{found.version}.dist-info"
    for file in _METADATA:
        if (site / metadata / file).is_file():
            yield f"{metadata}/{file}", site / metadata / file


def key(found: Files) -> str:
    """A hash that changes with any library: over names, sizes and dates (fast to read)."""
    digest = hashlib.sha256()
    for path, file in found.items():
        status = file.stat()
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:16]


def hashes(*, controllers: bool = True) -> dict[str, str]:
    """Folder of a library → SHA-256 of its files; those of controllers only if asked for."""
    digests: dict[str, Any] = {}
    for path, file in files().items():
        if not controllers and path.startswith(f"{CONTROLLERS_FOLDER}/"):
            continue
        top = path.removeprefix(f"{CONTROLLERS_FOLDER}/").partition("/")[0]
        digest = digests.setdefault(top, hashlib.sha256())
        digest.update(path.encode() + b"\0" + file.read_bytes())
    return {top: d.hexdigest() for top, d in digests.items() if not top.endswith(".dist-info")}
