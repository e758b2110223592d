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
from collections.abc import Collection, Iterator
from pathlib import Path, PurePath
from typing import Any

from testbed.core.errors import MissingPrerequisiteError, TestbedError

LIBRARIES = ("packaging", "pyroute2")
"""What `testbed.execution.inside` imports, and what Mininet does."""

SETS = {
    "controllers": (
        "os-ken",
        "idna",
        "netaddr",
        "oslo.config",
        "oslo.i18n",
        "pbr",
        "rfc3986",
        "stevedore",
    ),
    "quic": (
        "aioquic",
        "attrs",
        "certifi",
        "cryptography",
        "pylsqpack",
        "pyopenssl",
        "service-identity",
        "typing-extensions",
    ),
}
"""Extra of pyproject.toml → what programs of some experiments import in addition, if the extra is
installed: in a folder of its own. The first one is what the extra is for."""

COMPILED_PARTS = ".abi3.so"
"""How names of compiled parts end that a guest may have: they fit every later Python, too, so one
copy is good for the machine's Python and for an image's. What cryptography needs of cffi comes from
Debian (`testbed.guest_init.visible`)."""

MININET = "mininet"
DEBIAN = "usr/lib/python3/dist-packages"
"""Where Debian has its Python packages."""

_UNREAD_TABLES = ("netaddr/eui",)
"""Folders without their text files: lists of all makers of network cards."""

_METADATA = ("METADATA", "entry_points.txt")
_NOT_READ = frozenset({"__pycache__", "tests"})

Files = dict[str, Path]
"""Path inside the folder of libraries → where the file is."""


def versions(sets: Collection[str] = tuple(SETS)) -> dict[str, str]:
    """Library → version, of those that are installed; of `SETS`, those of the given ones."""
    found = {}
    for name in (*LIBRARIES, *(name for each in sets for name in SETS[each])):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def files(mininet: Path | None = None) -> Files:
    """All files a guest's side needs.

    Args:
        mininet: the folder of Mininet's package; None: the one that this Python finds.

    Raises:
        MissingPrerequisiteError: a library is not installed.
    """
    found = {path: file for name in LIBRARIES for path, file in _of(name, "make setup")}
    for each, names in SETS.items():
        if installed(names[0]):
            for name in names:
                own = _of(name, f"make extra-{each}")
                found |= {f"{each}/{path}": file for path, file in own}
    folder = mininet or mininet_folder()
    return found | {f"{MININET}/{path.name}": path for path in sorted(folder.glob("*.py"))}


def require_sets() -> None:
    """Raises MissingPrerequisiteError if one of `SETS` is not installed."""
    for each, names in SETS.items():
        if missing := [name for name in names if not installed(name)]:
            raise MissingPrerequisiteError(f"Python's {', '.join(missing)}", f"make extra-{each}")


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


def _of(name: str, command: str) -> Iterator[tuple[str, Path]]:
    """A library's packages and modules, and the metadata that other libraries read."""
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise MissingPrerequisiteError(f"Python's {name}", command) from None
    site = Path(str(found.locate_file("")))
    for top in sorted({path.parts[0] for path in found.files or () if _is_code(path)}):
        yield from _below(name, site, top)
    metadata = f"{re.sub(r'[-.]', '_', name)}-{found.version}.dist-info"
    for file in _METADATA:
        if (site / metadata / file).is_file():
            yield f"{metadata}/{file}", site / metadata / file


def _is_code(path: PurePath) -> bool:
    """A module of its own, or a file directly in a package, as opposed to tests and programs."""
    return path.suffix == ".py" and (len(path.parts) == 1 or path.parts[1:] == ("__init__.py",))


def _below(name: str, site: Path, top: str) -> Iterator[tuple[str, Path]]:
    """The files of a package, or a module's one."""
    if (site / top).is_file():
        yield top, site / top
    for folder, below, names in os.walk(site / top):
        below[:] = sorted(set(below) - _NOT_READ)
        where = Path(folder).relative_to(site).as_posix()
        for file in sorted(names):
            if file.endswith(".so") and not file.endswith(COMPILED_PARTS):
                raise TestbedError(
                    f"{name}: has a compiled part, {file}, for one Python only, "
                    "which a guest may not have"
                )
            if where not in _UNREAD_TABLES or not file.endswith((".txt", ".idx")):
                yield f"{where}/{file}", Path(folder, file)


def key(found: Files) -> str:
    """A hash that changes with any library: over names, sizes and dates (fast to read)."""
    digest = hashlib.sha256()
    for path, file in found.items():
        status = file.stat()
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:16]


def hashes(sets: Collection[str] = tuple(SETS)) -> dict[str, str]:
    """Folder of a library → SHA-256 of its files; of `SETS`, those of the given ones."""
    digests: dict[str, Any] = {}
    for path, file in files().items():
        head, _, rest = path.partition("/")
        if head in SETS and head not in sets:
            continue
        inside = rest if head in SETS else path
        digest = digests.setdefault(inside.partition("/")[0], hashlib.sha256())
        digest.update(inside.encode() + b"\0" + file.read_bytes())
    return {top: d.hexdigest() for top, d in digests.items() if not top.endswith(".dist-info")}
