"""Images in the user's cache: import, inspect, lock while in use, remove.

Each is a folder named by its manifest's hash. It appears in one step, once every byte has been
checked; users hold a lock on it, and only unlocked images are removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from testbed.core import files
from testbed.core.cache import cache_base
from testbed.core.errors import ConfigError, OutputError, ParseError, TestbedError, nearest
from testbed.lifetime import guard
from testbed.machine.image import container, manifest
from testbed.machine.image.container import LISTING, MANIFEST, MTIME_S, OnFraction
from testbed.machine.image.manifest import Manifest
from testbed.machine.kernel.store import GuestKernel

LOCK = "lock"
CHOSEN = "chosen"
_SPARE_BYTES = 200 * 10**6
_SEARCHED = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin")
_BLOCK_BYTES = 4096
_TYPES = {"d": stat.S_IFDIR, "f": stat.S_IFREG, "l": stat.S_IFLNK}


@dataclass(frozen=True)
class Image:
    """An image in the cache, locked: nobody can remove it as long as this object exists.

    Attributes:
        folder: where it is unpacked.
        manifest: its manifest.
        held: the lock's file.
    """

    folder: Path
    manifest: Manifest
    held: IO[bytes]

    @property
    def id(self) -> str:
        """Its name."""
        return self.manifest.id

    @property
    def root(self) -> Path:
        """The root of a guest's file system."""
        return self.folder / "root"

    @property
    def site(self) -> Path:
        """The guest side's Python libraries."""
        return self.folder / "site"

    @property
    def kernel(self) -> GuestKernel:
        """The guest kernel in it."""
        facts = self.manifest.data["kernel"]
        path = self.folder / "kernel/linux"
        return GuestKernel(path, facts["version"], facts["sha256"], facts["source"])

    def which(self, program: str) -> Path | None:
        """A program in the image, by name or by its path inside; None if it is not there."""
        places = [program.lstrip("/")] if "/" in program else [f"{d}/{program}" for d in _SEARCHED]
        found = (self.root / place for place in places)
        return next((path for path in found if path.is_symlink() or path.is_file()), None)

    def summary(self) -> dict[str, Any]:
        """What a run's record contains about it."""
        return {"id": self.id, "suite": self.manifest.data["suite"]}


def images_root() -> Path:
    """The folder of images in the user's cache folder; ``TESTBED_CACHE`` overrides."""
    return cache_base() / "images"


def ids() -> list[str]:
    """Names of the images in the cache, newest first."""
    try:
        found = list(images_root().glob(f"*/{MANIFEST}"))
        found.sort(key=lambda path: (-path.stat().st_mtime_ns, path))
    except PermissionError:
        reason = "cannot be read; set TESTBED_CACHE to a folder of yours"
        raise ConfigError(f"{images_root()}: {reason}") from None
    return [path.parent.name for path in found if not path.parent.name.startswith("work-")]


def chosen() -> str:
    """The name of the image that runs use; empty: none was chosen."""
    with contextlib.suppress(FileNotFoundError):
        return (images_root() / CHOSEN).read_text(encoding="utf-8").strip()
    return ""


def choose(name: str) -> None:
    """Records which image runs use from now on; empty: none.

    Raises:
        OutputError: the choice cannot be kept; it stays as it was.
    """
    path = images_root() / CHOSEN
    if name:
        files.write_text(path, f"{name}\n")
        return
    with files.refused(path):
        path.unlink(missing_ok=True)


def find(word: str) -> str:
    """The full name of the one image whose name begins with `word`.

    Raises:
        ConfigError: there is none, or there are several.
    """
    known = ids()
    found = [name for name in known if word and name.startswith(word)]
    if len(found) == 1:
        return found[0]
    there = f"there are: {', '.join(known)}" if known else "there are none"
    what = "several images match" if found else f"no such image or file{nearest(word, known)}"
    raise ConfigError(f"image '{word}': {what}; {there} (testbed image import FILE)")


def get(name: str) -> Image:
    """Locks an image, and checks that it is still as imported.

    Hashes the kernel, and checks every other file's date, size and permissions, which reveal any
    ordinary change. `check` reads everything.

    Raises:
        ConfigError: it does not exist.
        ParseError: it was changed; names what changed.
    """
    folder = images_root() / name
    try:
        held = (folder / LOCK).open("rb")
        fcntl.flock(held, fcntl.LOCK_SH)
        raw, listing = (folder / MANIFEST).read_bytes(), (folder / LISTING).read_bytes()
    except OSError:
        raise ConfigError(
            f"image {name}: does not exist (any more); see testbed image list"
        ) from None
    made = manifest.parse(raw, f"image {name}")
    if made.id != name or made.kind != manifest.LAB:
        raise ParseError(f"image {name}", "manifest", f"is a different one; {_mend(name)}")
    image = Image(folder, made, held)
    for kind, path, *rest in manifest.known_rows(made, listing, f"image {name}"):
        if not _as_brought_in(f"{folder}/{path}", kind, rest):
            raise ParseError(f"image {name}", path, f"was changed; {_mend(name)}")
    if file_sha256(image.kernel.path) != image.kernel.sha256:
        raise ParseError(f"image {name}", "kernel/linux", f"was changed; {_mend(name)}")
    return image


def check(image: Image) -> None:
    """Reads every file and compares its hash.

    Raises:
        ParseError: a file is not as imported.
    """
    listing = (image.folder / LISTING).read_bytes()
    for entry in manifest.parse_listing(image.manifest, listing, f"image {image.id}"):
        path = image.folder / entry.path
        if entry.kind == "f" and file_sha256(path) != entry.sha256:
            reason = f"was changed; {_mend(image.id)}"
            raise ParseError(f"image {image.id}", entry.path, reason)


def bring_in(path: Path, on_fraction: OnFraction = lambda _: None, expected: str = "") -> Image:
    """Makes sure that the image in a file is in the cache, and locks it.

    Args:
        path: the file.
        on_fraction: called with the fraction unpacked so far.
        expected: the hash it must have; empty: any.

    Raises:
        ConfigError: not an image, or not the expected one.
        OutputError: the cache cannot be written.
        ParseError: it is damaged or truncated; nothing of it is kept.
    """
    with container.opened(path) as source:
        source.expect(expected)
        made = source.manifest
        if made.kind != manifest.LAB:
            raise ConfigError(f"{path}: contains only a kernel; use testbed kernel import {path}")
        if not (images_root() / made.id).exists():
            with making(made.content_bytes) as work:
                if not (images_root() / made.id).exists():
                    container.unpack(source, work, on_fraction)
                    (work / MANIFEST).write_bytes(made.raw)
                    keep(work, made)
    image = get(made.id)
    if image.manifest.sha256 != made.sha256:
        raise ConfigError(f"{path}: a different image of that name exists; {_mend(made.id)}")
    return image


@contextlib.contextmanager
def making(size_bytes: int) -> Iterator[Path]:
    """A folder to make an image in, removed at the end unless `keep` moved it; one at a time."""
    root = images_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / LOCK).open("w")
    except OSError as error:
        reason = f"{files.reason(error)}; set TESTBED_CACHE to a folder of yours"
        raise OutputError(f"{root}: cannot be written: {reason}") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for stale in root.glob("work-*"):
            shutil.rmtree(stale, ignore_errors=True)
        free_bytes = shutil.disk_usage(root).free
        if free_bytes < size_bytes + _SPARE_BYTES:
            needed_mb = (size_bytes + _SPARE_BYTES) / 1e6
            raise TestbedError(
                f"{root}: {free_bytes / 1e6:.0f} MB free, the image needs {needed_mb:.0f} MB; "
                "set TESTBED_CACHE to a folder with more"
            )
        with guard.folder(within=root) as work:
            yield work


def keep(work: Path, made: Manifest) -> None:
    """Moves a finished folder of `making` to its place, in one step."""
    (work / LOCK).touch()
    work.chmod(0o755)
    work.rename(images_root() / made.id)


def remove(name: str) -> None:
    """Removes an image that nobody uses.

    Raises:
        TestbedError: it is in use.
        ConfigError: it does not exist.
        OutputError: we may not remove it.
    """
    folder = images_root() / name
    try:
        with (folder / LOCK).open("r+b") as lock, contextlib.ExitStack() as stack:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            gone = stack.enter_context(guard.folder(within=images_root()))
            folder.rename(gone / name)  # from here on nobody can find it
    except BlockingIOError:
        raise TestbedError(
            f"image {name}: is in use by a run; remove it when the run has ended"
        ) from None
    except FileNotFoundError:
        raise ConfigError(
            f"image {name}: does not exist (any more); see testbed image list"
        ) from None
    except OSError as error:
        raise OutputError(f"image {name}: cannot be removed: {files.reason(error)}") from None
    if chosen() == name:
        choose("")


def size_bytes(folder: Path) -> int:
    """Approximate disk usage of a folder, in whole blocks."""
    sizes = (path.lstat().st_size for path in folder.rglob("*"))
    return sum(-(-size // _BLOCK_BYTES) * _BLOCK_BYTES for size in sizes)


def _as_brought_in(path: str, kind: str, rest: list[Any]) -> bool:
    """Whether a path is what its line in the listing says; fast, as a run checks thousands."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    if found.st_mtime_ns // 10**9 != MTIME_S or stat.S_IFMT(found.st_mode) != _TYPES[kind]:
        return False
    if kind == "l":
        return [os.readlink(path)] == rest  # noqa: PTH115 (a Path would cost more than the call)
    mode = stat.S_IMODE(found.st_mode) == rest[0]
    return bool(mode and (kind == "d" or found.st_size == rest[1]))


def file_sha256(path: Path) -> str:
    """A file's hash."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _mend(name: str) -> str:
    return f"remove it (testbed image remove {name}) and import it again"
