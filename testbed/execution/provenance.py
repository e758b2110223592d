"""What made a run: versions of packages, hashes of programs and of our own sources."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import guest_init
from testbed.core.project import PROJECT
from testbed.machine import libraries
from testbed.machine.prerequisites import all_packages, installed_packages

if TYPE_CHECKING:
    from testbed.machine.image.store import Image

ALWAYS = ("python3", "tcpdump", "mnexec")
"""Programs that every run starts."""

OPEN_VSWITCH = ("ovs-vswitchd", "ovsdb-server", "ovs-vsctl", "ovs-ofctl")

_ANALYSIS = ("pandas", "numpy", "pyarrow", "matplotlib")
"""Libraries that measure and draw: they make tables, figures and the report."""

_SOURCES = ("testbed", "topologies", "analysis", "controller")
_SOURCE_FILES = {".py", ".c", ".sh"}
_INSIDE = PROJECT / "testbed/guest_init/etc"
"""What a run sees as its /etc."""

_LOADER = "/lib64/ld-linux-x86-64.so.2"
_LOADED = re.compile(r"(?:=> )?(/\S+) \(0x")
_BLOCK_BYTES = 1 << 20
_HASH_CHARS = 16


def tool_versions(
    image: Image | None = None,
    programs: Collection[str] | None = None,
    extras: Iterable[str] = (),
) -> dict[str, str]:
    """Versions of the packages that a run uses: of programs, and Python's.

    Args:
        image: where programs and the guest side's libraries come from; None: from the host.
        programs: those that the run starts, besides `ALWAYS`; None: all that we have a package for.
        extras: of the experiment.
    """
    wanted = _packages_of(None if programs is None else {*ALWAYS, *programs})
    python = _libraries(libraries.SETS if programs is None else _sets(programs, extras))
    if image is None:
        debian = {n: number for n, number in installed_packages().items() if n in wanted}
        return {"python": platform.python_version(), **debian, **python}
    told = image.manifest.data
    debian = {n: number for n, number in told["packages"].items() if n in {*wanted, "python3"}}
    return {**debian, **python, **told["libraries"]}


def _packages_of(programs: set[str] | None) -> set[str]:
    """Our Debian packages that have these programs, and the one with Mininet."""
    names = None if programs is None else {Path(name).name for name in programs}
    used = (p.name for p in all_packages() if names is None or not names.isdisjoint(p.programs))
    return {"mininet", *used}


def _sets(programs: Collection[str], extras: Iterable[str]) -> list[str]:
    """The sets of Python libraries that a run may use."""
    wanted = {*extras, *(["controllers"] if OPEN_VSWITCH[0] in programs else [])}
    return [each for each in libraries.SETS if each in wanted]


def _libraries(sets: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = libraries.versions(sets)
    for package in _ANALYSIS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def program_files(programs: Collection[str], extras: Iterable[str] = ()) -> dict[str, str]:
    """The host's files that a run executes: programs and the libraries they load, with hashes.

    Args:
        programs: by name, or by their path inside.
        extras: of the experiment.

    Returns:
        path → the first characters of its SHA-256; Python libraries by their folder inside.
    """
    programs = {*ALWAYS, *programs}
    paths = sorted({path for name in programs if (path := which(name))})
    with ThreadPoolExecutor() as pool:
        loaded = pool.map(_loaded, paths)
    files = sorted({os.path.realpath(p) for p in (*paths, *(x for each in loaded for x in each))})
    hashes = {path: file_hash(path) for path in files}
    return hashes | _library_hashes(_sets(programs, extras))


def _library_hashes(sets: Collection[str]) -> dict[str, str]:
    found = libraries.hashes(sets)
    return {f"{guest_init.SITE}/{name}": text[:_HASH_CHARS] for name, text in found.items()}


def which(program: str) -> str | None:
    """The path of a program on a run's search path, not on the user's."""
    return shutil.which(program, path=guest_init.ENVIRONMENT["PATH"])


def _loaded(path: str) -> list[str]:
    """The libraries that a program loads; none for a script or a statically linked program."""
    done = subprocess.run(
        [_LOADER, "--inhibit-cache", "--list", path],
        capture_output=True,
        text=True,
        check=False,
        env={},
    )
    return _LOADED.findall(done.stdout) if done.returncode == 0 else []


@functools.cache
def file_hash(path: str) -> str:
    """The first characters of a file's SHA-256; ``missing`` if there is no such file."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:_HASH_CHARS]
    except OSError:
        return "missing"


def files_that_differ(recorded: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Path, old hash and new hash of recorded `program_files` that differ today."""
    ours = _library_hashes(libraries.SETS)
    for path, then in recorded.items():
        now = ours.get(path, "missing") if path.startswith(guest_init.SITE) else file_hash(path)
        if now != then:
            yield path, then, now


def sources_hash() -> str:
    """SHA-256 over the project's programs and a run's /etc, without experiments: runs have them."""
    total = hashlib.sha256()
    found = (p for folder in _SOURCES for p in (PROJECT / folder).rglob("*.*"))
    programs = {p for p in found if p.suffix in _SOURCE_FILES}
    for path in sorted(programs | {p for p in _INSIDE.rglob("*") if p.is_file()}):
        total.update(f"{path.relative_to(PROJECT)} ".encode() + path.read_bytes())
    return total.hexdigest()


def host() -> dict[str, object]:
    """The machine, as far as it matters to a run on the real clock."""
    return {"kernel": platform.release(), "cpus": os.cpu_count()}
