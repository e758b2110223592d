"""The project as a run sees it: a copy of its packages that nobody edits, compiled in advance.

A file that is compiled inside costs time on every run, and shifts what follows by microseconds.
Whether the project's own folder holds compiled files depends on who may write there, and what
they are on when and where they were made. So a run never sees that folder, but a copy in the cache:
the same bytes, dates and names everywhere. There is one for each state of the sources, and a
new one takes over what did not change, so that an edit costs milliseconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import py_compile
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from testbed import guest_init
from testbed.core.cache import cache_base
from testbed.core.errors import ConfigError, OutputError
from testbed.core.files import reason
from testbed.core.project import PROJECT
from testbed.lifetime import guard
from testbed.machine import libraries
from testbed.machine.image import native
from testbed.machine.image.container import MTIME_S
from testbed.machine.image.store import Image

PACKAGES = ("analysis", "controller", "experiments", "testbed", "topologies")
RYU = "build/ryu"
"""Where `scripts/install-ryu.sh` puts Ryu, which is compiled as it comes."""

_PYTHON = Path("/usr/bin/python3")
_COPY, _LOCK = "project", "lock"
_KEPT = 8
_NOT_READ = ("~", ".pyc", ".swp")

_Files = dict[str, tuple[bytes, int]]
"""Path below the folder → content and permissions."""


@dataclass(frozen=True)
class _Wanted:
    """A folder that a run sees.

    Attributes:
        name: of its copy: what kind it is, which Python compiles it, a hash of what is in it.
        read: returns its files.
        place: its path inside.
        image_root: see `copied`.
        ryu: the project's folder, to take Ryu along; None: without.
    """

    name: str
    read: Callable[[], _Files]
    place: str
    image_root: Path | None = None
    ryu: Path | None = None


@contextlib.contextmanager
def copied(root: Path, module: str, image_root: Path | None = None) -> Iterator[Path]:
    """The folder that a run sees as the project; it does not change until the end of the block.

    Args:
        root: the project's.
        module: what the run starts; its package is copied, too.
        image_root: that of an image whose Python will run inside; None: the system's does.

    Raises:
        ConfigError: a file cannot be read.
        OutputError: the copy cannot be written.
    """
    files = _read(root, sorted({*PACKAGES, module.partition(".")[0]}))
    name = f"{_kind(_python(image_root))}-{_key(files, root / RYU)}"
    with _kept(_Wanted(name, lambda: files, guest_init.PROJECT, image_root, root)) as copy:
        yield copy


@contextlib.contextmanager
def copied_libraries() -> Iterator[Path]:
    """The folder that a run sees as its libraries, from this Python's; see `copied`."""
    found = libraries.files()
    name = f"libraries-{_kind(_python(None))}-{libraries.key(found)}"
    with _kept(_Wanted(name, lambda: _library_files(found), guest_init.SITE)) as copy:
        yield copy


def _library_files(found: libraries.Files) -> _Files:
    """The libraries, and a folder for each set of them even if there are none."""
    files = {path: _content(file) for path, file in found.items()}
    readme = (b"Libraries that some experiments' programs need\n", 0o644)
    return {**{f"{each}/README": readme for each in libraries.SETS}, **files}


@contextlib.contextmanager
def _kept(wanted: _Wanted) -> Iterator[Path]:
    try:
        store, found = _store(wanted.name), None
        folder = store / wanted.name
        while found is None:  # another process may remove it between our two looks
            if not (folder / _COPY).exists():
                _make(store, folder, wanted)
            found = _hold(folder)
    except OSError as error:
        where = f"{error.filename}: {reason(error)}"
        raise OutputError(
            f"the project could not be copied for the run: {where}; "
            "set TESTBED_CACHE to a folder of yours"
        ) from None
    with found:
        yield folder / _COPY


def prepare(image: Image, module: str = "testbed.execution.inside") -> None:
    """Creates the copy that the first run of a module from an image would create."""
    if image.which("python3") is not None:
        with copied(PROJECT, module, image.root):
            pass


def _read(root: Path, folders: Sequence[str]) -> _Files:
    """All files of the packages, except what editors and Python leave among them."""
    found: _Files = {}
    for folder in folders:
        for path, below, names in os.walk(root / folder):
            below[:] = sorted(n for n in below if n != "__pycache__" and n[0] != ".")
            for name in sorted(names):
                if name[0] != "." and not name.endswith(_NOT_READ):
                    file = Path(path, name)
                    found[file.relative_to(root).as_posix()] = _content(file)
    return found


def _content(file: Path) -> tuple[bytes, int]:
    """What a file holds, and its permissions: archives forget them, a script's first line stays."""
    try:
        data = file.read_bytes()
        return data, 0o755 if data.startswith(b"#!") else 0o644
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None


def _key(files: _Files, ryu: Path) -> str:
    digest = hashlib.sha256()
    for name, (data, mode) in files.items():
        digest.update(f"{name}\0{mode}\0{len(data)}\0".encode() + data)
    for path in sorted(ryu.rglob("*.py")):  # many, and nobody edits them
        status = path.stat()
        digest.update(f"{path.relative_to(ryu)}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


# ---- where copies are kept


def _store(name: str) -> Path:
    """The folder of copies: in the cache, or this process's own if nothing can be written there."""
    store = cache_base() / "sources"
    with contextlib.suppress(OSError):
        store.mkdir(parents=True, exist_ok=True)
    serves = os.access(store, os.W_OK) or (store / name / _COPY).exists()
    return store if serves else _own_store()


@functools.cache
def _own_store() -> Path:
    return guard.own_folder("sources")


def _hold(folder: Path) -> IO[bytes] | None:
    """Locks a copy, so that nobody removes it; None: somebody just did."""
    try:
        held = (folder / _LOCK).open("rb")
    except FileNotFoundError:
        return None
    fcntl.flock(held, fcntl.LOCK_SH)
    if not (folder / _COPY).exists():
        held.close()
        return None
    with contextlib.suppress(PermissionError):
        os.utime(folder / _LOCK)
    return held


def _make(store: Path, folder: Path, wanted: _Wanted) -> None:
    """Makes a copy, which appears in one step; removes those not used for a long time."""
    with (store / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for stale in store.glob(f"{guard.WORK}*"):
            shutil.rmtree(stale, ignore_errors=True)
        if (folder / _COPY).exists():  # another process was faster
            return
        known = _by_last_use(store)
        with guard.folder(within=store) as work:
            work.chmod(0o755)
            kind = folder.name.rpartition("-")[0]
            like = [path for path in known if path.name.startswith(f"{kind}-")]
            _fill(work / _COPY, wanted, like[0] / _COPY if like else None)
            (work / _LOCK).touch()
            work.rename(folder)
        for old in known[_KEPT - 1 :]:
            _remove(store, old)


def _by_last_use(store: Path) -> list[Path]:
    found = [(-lock.stat().st_mtime_ns, lock.parent) for lock in store.glob(f"*-*/{_LOCK}")]
    return [folder for _, folder in sorted(found) if not folder.name.startswith(guard.WORK)]


def _remove(store: Path, folder: Path) -> None:
    """Removes a copy, unless a run uses it."""
    with (folder / _LOCK).open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        with guard.folder(within=store) as gone:
            folder.rename(gone / folder.name)  # from here on nobody can find it


# ---- what is in them


def _fill(copy: Path, wanted: _Wanted, before: Path | None) -> None:
    changed = []
    for name, (data, mode) in wanted.read().items():
        path = copy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if before is None or not _take_over(before / name, path, data, mode):
            path.write_bytes(data)
            path.chmod(mode)
            changed.append(name)
    _compile(copy, [name for name in changed if name.endswith(".py")], wanted)
    if wanted.ryu and (wanted.ryu / RYU).is_dir():
        past = None if before is None else before / RYU
        ryu = wanted.ryu / RYU
        link = functools.partial(_link_or_copy, ryu, past)
        shutil.copytree(ryu, copy / RYU, copy_function=link)
    for folder, _, names in os.walk(copy):
        if RYU in folder:  # its compiled files go by their sources' dates
            continue
        for file in (Path(folder, name) for name in names):
            if file.suffix == ".pyc":
                file.chmod(0o644)
            os.utime(file, (MTIME_S, MTIME_S))
        Path(folder).chmod(0o755)
        os.utime(folder, (MTIME_S, MTIME_S))


def _take_over(old: Path, path: Path, data: bytes, mode: int) -> bool:
    """Takes a file and its compiled form from an older copy, if it is the same there."""
    compiled = list((old.parent / "__pycache__").glob(f"{old.stem}.*.pyc"))
    try:
        if old.stat().st_mode & 0o777 != mode or old.read_bytes() != data:
            return False
        if path.suffix == ".py" and not compiled:
            return False
        os.link(old, path)
        for file in compiled if path.suffix == ".py" else ():
            (path.parent / "__pycache__").mkdir(exist_ok=True)
            os.link(file, path.parent / "__pycache__" / file.name)
    except OSError:  # not there, or a file system without hard links
        path.unlink(missing_ok=True)
        return False
    return True


def _link_or_copy(root: Path, past: Path | None, source: str, target: str) -> None:
    if past is not None:
        old, new = past / Path(source).relative_to(root), Path(source).stat()
        with contextlib.suppress(OSError):
            was = old.stat()
            if (was.st_size, was.st_mtime_ns) == (new.st_size, new.st_mtime_ns):
                os.link(old, target)
                return
    shutil.copy2(source, target)


# ---- compiling


def _python(image_root: Path | None) -> Path:
    """The Python that will run inside, as a file of this system."""
    return _PYTHON.resolve() if image_root is None else native.inside(image_root, str(_PYTHON))


def _kind(python: Path) -> str:
    """What distinguishes one build of Python from another: each compiles its own files."""
    return f"{python.name}-{python.stat().st_size if python.exists() else 0}"


def _compile(copy: Path, names: Sequence[str], wanted: _Wanted) -> None:
    """Compiles files in the copy, as if they lay at their paths inside.

    Files with syntax errors are left out: importing them reports the error. The compiled files are
        used without checking their source's date.
    """
    image_root, place = wanted.image_root, wanted.place
    python = _python(image_root)
    if _kind(python) == _kind(Path(getattr(sys, "_base_executable", sys.executable)).resolve()):
        for name in names:
            with contextlib.suppress(py_compile.PyCompileError):
                py_compile.compile(
                    str(copy / name),
                    dfile=f"{place}/{name}",
                    doraise=True,
                    optimize=0,
                    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
                    quiet=2,
                )
    elif names:  # for none it would compile everything there is
        options = ["-q", "-f", "--invalidation-mode", "unchecked-hash", "-i", "-"]
        arguments = ["-sSP", "-m", "compileall", *options, "-s", str(copy), "-p", place]
        _run_python(image_root, arguments, "".join(f"{copy / name}\n" for name in names))


def _run_python(image_root: Path | None, arguments: Sequence[str], text: str) -> None:
    """Runs the run's Python on the host; it ends with 1 for a file with a syntax error.

    Raises:
        ConfigError: it ended otherwise.
    """
    argv, environment = [str(_PYTHON), *arguments], None
    if image_root is not None:
        argv = native.argv(image_root, str(_PYTHON), *arguments)
        environment = native.environment(image_root)
    done = guard.result(argv, env=environment, input=text)
    if done.returncode not in (0, 1):
        last = (done.stderr + done.stdout).strip().splitlines()[-1:] or [str(done.returncode)]
        raise ConfigError(f"the run's Python cannot compile the project: {last[0]}")
