"""One guard over all that a command starts and all that it makes for a while.

However a command ends, SIGKILL included, nothing of it is left:

- **Temporary files** are in one folder of the command's, ``$TESTBED_CACHE/tmp/NAME-PID-…``, which
  is TMPDIR for itself and for all it starts. A small process (`testbed.lifetime.sweeper`) removes
  the folder when the command and its workers have ended. It is locked as long as they live: if the
  sweeper is ended, too, the next command removes what nobody holds, and so does ``testbed clean``.
- **Programs** that it starts run under a supervisor (`testbed.lifetime.supervise`), which ends all
  their processes when the command ends. Forked **workers** ask the kernel to be ended with it.

`testbed.lifetime.start` ends a command after a signal, and need not take care: what it leaves is
removed.

Needs nothing but Python's standard library: the kernel's build uses it, too.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.core.cache import cache_base
from testbed.lifetime import sweeper

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WORK = "work-"
"""Begins the name of a folder in which something is made, next to its later place."""

_SUPERVISE = str(Path(__file__).with_name("supervise.py"))
_PR_SET_PDEATHSIG, _AT_FDCWD, _RENAME_EXCHANGE = 1, -100, 2
LOCK = ".lock"
"""In the folder of temporary folders: held while one is made."""


# ---- temporary folders


@dataclass
class _State:
    """Of this process.

    Attributes:
        name: of the command.
        own: the temporary folder, once there is one.
        pid: of the process that made it: a forked worker does not remove it.
    """

    name: str = "python"
    own: Path | None = None
    pid: int = 0


_state = _State()


@contextlib.contextmanager
def command(name: str) -> Iterator[None]:
    """The whole of a command, whose temporary folder is named so."""
    _state.name = name
    if _is_recipe():  # `make` that is killed takes its command with it
        _end_with_parent(signal.SIGTERM)
    try:
        yield
    finally:
        if _state.own is not None and _state.pid == os.getpid():
            remove(_state.own)


def _is_recipe() -> bool:
    """Whether `make` started this process; a shell that `make` started hands down its variables."""
    if not os.environ.get("MAKELEVEL"):
        return False
    try:
        parent = Path(f"/proc/{os.getppid()}/comm").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return parent.strip() in {"make", "gmake"}


def use_own_folder() -> None:
    """TMPDIR becomes a folder of this command's, for itself and for all it starts."""
    with contextlib.suppress(OSError):  # no place to write: who needs one will say so
        os.environ["TMPDIR"] = str(_own_folder())
        tempfile.tempdir = None


@contextlib.contextmanager
def folder(
    purpose: str = "", within: Path | None = None, *, for_all: bool = False
) -> Iterator[Path]:
    """A temporary folder, removed at the end of the block, however that comes.

    Args:
        purpose: begins its name.
        within: there, so that what is made in it can be renamed to its place; its name begins with
            `WORK`, and its maker holds the store's lock. Default: in this command's own folder.
        for_all: other users' numbers must get into it.
    """
    if within is not None:
        with contextlib.suppress(OSError):
            _own_folder()  # and so a sweeper
        path = Path(tempfile.mkdtemp(prefix=WORK, dir=within))
        sweeper.note(path)
    else:
        path = own_folder(purpose, for_all=for_all)
    try:
        yield path
    finally:
        remove(path)


def own_folder(purpose: str, *, for_all: bool = False) -> Path:
    """A temporary folder for the rest of this command; see `folder`."""
    return Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=_place(for_all)))


def remove(path: Path) -> None:
    """Removes a folder as far as possible, with what other users' numbers own in it."""
    shutil.rmtree(path, ignore_errors=True)
    if path.exists() and os.geteuid() != 0 and shutil.which("unshare"):
        argv = ["unshare", "--map-root-user", "--map-auto", "rm", "-rf", "--", str(path)]
        subprocess.run(argv, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _place(for_all: bool) -> Path:
    """Where this command's temporary folders are made."""
    given = Path(os.environ.get("TMPDIR", ""))
    if given.parent in roots() and given.is_dir() and not for_all:
        return given  # handed down by the command that started this one
    own = _own_folder()
    if for_all and not _open_to_all(own):
        own = _locked_folder(_common_root())
        sweeper.note(own)
    return own


def _own_folder() -> Path:
    if _state.own is None or _state.pid != os.getpid() or not _state.own.is_dir():
        cache, common = roots()
        try:
            own = _locked_folder(cache)
        except OSError:
            own = _locked_folder(common)
        _state.own, _state.pid = own, os.getpid()
        sweeper.start()
        sweeper.note(own)
        for dead in dead_folders():
            remove(dead)
    return _state.own


def roots() -> list[Path]:
    """Folders of temporary folders: the first that can be written is used."""
    return [cache_base().absolute() / "tmp", _common_root()]


def _common_root() -> Path:
    return Path("/var/tmp") / f"testbed-{os.geteuid()}"


def _open_to_all(path: Path) -> bool:
    """Whether every user may pass through all folders above it."""
    return all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents))


def _locked_folder(root: Path) -> Path:
    """A new folder of this process's, locked as long as it or a forked worker lives."""
    root.mkdir(parents=True, exist_ok=True)
    if not _is_own(root):
        raise PermissionError(1, "belongs to somebody else", str(root))
    with (root / LOCK).open("a") as lock:  # nobody takes it for abandoned before it is locked
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = Path(tempfile.mkdtemp(prefix=f"{_state.name}-{os.getpid()}-", dir=root))
        fcntl.flock(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), fcntl.LOCK_EX)
    path.chmod(0o711)
    return path


def _is_own(root: Path) -> bool:
    """Whether it is a folder of this user's: another user's may become a link at any moment."""
    try:
        status = root.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def dead_folders() -> list[Path]:
    """Temporary folders of dead commands."""
    found = []
    for root in filter(_is_own, roots()):
        with lock_of(root / LOCK) as nobody_makes_one:
            paths = sorted(root.glob("*-*-*")) if nobody_makes_one else []
            found += [path for path in paths if is_free(path)]
    return found


def is_free(path: Path) -> bool:
    """Whether it is a command's temporary folder that nobody holds any more."""
    with lock_of(path) as free:
        return free and path.is_dir() and not path.is_symlink()


@contextlib.contextmanager
def lock_of(path: Path) -> Iterator[bool]:
    """Whether a file's or folder's lock could be had, which is then held for the block."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # not there, or somebody else's
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def put_in_place(made: Path, target: Path) -> None:
    """Moves a finished folder to its place, in one step; what was there is then where it was."""
    if not target.exists():
        made.rename(target)
        return
    paths = (_AT_FDCWD, bytes(made), _AT_FDCWD, bytes(target))
    if ctypes.CDLL(None).renameat2(*paths, _RENAME_EXCHANGE) != 0:  # not every file system can
        target.rename(made.with_name(f"{made.name}.before"))
        made.rename(target)


@contextlib.contextmanager
def alone_in(folder: Path, on_wait: Callable[[Path], None]) -> Iterator[int]:
    """Reserves a folder for the block, among all that ask for it; gives the lock's descriptor.

    Args:
        folder: where something is written.
        on_wait: called if another command has it, before waiting for that command to end.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait(folder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


# ---- programs and workers


@contextlib.contextmanager
def started(argv: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A program, and all that it starts in turn, until the end of the block or of this process.

    Args:
        argv: program and arguments.
        options: as for `subprocess.Popen`.
    """
    reader, lifeline = os.pipe()
    try:
        python = getattr(sys, "_base_executable", sys.executable)
        try:
            process = subprocess.Popen(
                [python, "-I", "-S", _SUPERVISE, str(reader), *argv],
                pass_fds=(reader, *options.pop("pass_fds", ())),
                start_new_session=True,
                **options,
            )
        finally:
            os.close(reader)
        try:
            yield process
        finally:
            with contextlib.suppress(BrokenPipeError):
                os.write(lifeline, b".")  # forked workers may hold it, too
            process.wait()
    finally:
        os.close(lifeline)


def run(argv: Sequence[str], **options: Any) -> int:
    """Runs a program to its end; returns its exit code.

    Args:
        argv: program and arguments.
        options: as for `subprocess.Popen`.
    """
    with started(argv, **options) as process:
        return process.wait()


def result(argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end; what it printed is text.

    Args:
        argv: program and arguments.
        options: as for `subprocess.Popen`; and ``input``, which it reads.
    """
    given = options.pop("input", None)
    options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    options["stdin"] = subprocess.DEVNULL if given is None else subprocess.PIPE
    with started(argv, text=True, errors="replace", **options) as process:
        printed, complained = process.communicate(given)
    return subprocess.CompletedProcess(list(argv), process.returncode, printed, complained)


def processors() -> int:
    """Number of processors this process may use; of all where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def forked(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Forked workers, which end with this process or with an error in the block."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    context: Any = multiprocessing.get_context("fork" if hasattr(os, "fork") else None)
    with ProcessPoolExecutor(workers, context, _as_worker, (os.getpid(),)) as pool:
        try:
            with _signals_held():
                pool.submit(int)  # forks them all
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.kill()
            raise


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Signals wait, in this process and in those that it makes meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _as_worker(parent: int) -> None:
    """A forked worker's start: signals are its parent's to hear, and it does not outlive that."""
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal's processes
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)  # its parent's
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def end_with(parent: int) -> None:
    """This process is ended when its parent ends (the thread of it that started this one)."""
    _end_with_parent(signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(128 + signal.SIGKILL)


def _end_with_parent(number: signal.Signals) -> None:
    with contextlib.suppress(AttributeError, OSError):  # not on Linux
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
