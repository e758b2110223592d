"""The one way to write files that users see: whole or not at all, and one line if it fails.

A file is written in its own folder without a name (or under a temporary one) and gets its name when
it is complete, so a full disk, a signal or a crash leaves either the old file or the new one. A
folder is filled under a temporary name.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from testbed.core.errors import ConfigError, OutputError

_WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your disk quota is used up",
    errno.EFBIG: "the file would be larger than your limit (ulimit -f)",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "too many symbolic links",
    errno.EIO: "the disk reports an error",
    errno.ESTALE: "the network file system lost it",
    errno.EMFILE: "too many open files (ulimit -n)",
    errno.ENFILE: "too many open files on this machine",
}
"""What the machine refuses, in words; whatever is not listed is a fault of ours."""

ENVIRONMENT = frozenset(_WORDS)
"""Errors that say that the machine, and not the program, is at fault."""

_NO_UNNAMED_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})
"""What file systems answer that have no files without names."""

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
"""What file systems answer that have no hard links."""

_WITHOUT_WAITING = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
"""Flags to open a file that may be a pipe with no writer."""

_PART = ".testbed-"
"""Begins the names of files that are being written."""

_number = itertools.count(1)


def reason(error: OSError, path: Path | None = None) -> str:
    """Why the system refused, in words; of `path` it says which part of it is at fault."""
    if path is not None:
        if error.errno == errno.EISDIR:
            return "is a folder; name a file"
        if not os.path.lexists(folder := path.absolute().parent):
            return f"there is no folder {folder}"
        if not folder.is_dir():
            return f"{folder} is not a folder"
    return _WORDS.get(error.errno or 0) or error.strerror or str(error)


@contextmanager
def refused(path: Path, what: str = "") -> Iterator[None]:
    """Turns what the system refuses in the block into one line that names `path`.

    Args:
        path: what is written.
        what: what names it for the user, such as ``--out``.

    Raises:
        OutputError: the block raised an `OSError` about `path`, its folder or what is in it.
        OSError: about another file, such as an input that the block reads.
    """
    try:
        yield
    except OSError as error:
        if _is_about_another(error, path):
            raise
        name = f"{what} {path}".strip()
        raise OutputError(f"{name}: cannot be written: {reason(error, path)}") from error


def _is_about_another(error: OSError, path: Path) -> bool:
    """Whether it names a file that is neither `path`, nor a part or folder of it."""
    if not isinstance(error.filename, str) or error.filename2 is not None:
        return False
    named, ours = Path(error.filename).absolute(), path.absolute()
    return not (
        named.name.startswith(_PART)
        or any(named.is_relative_to(p) or p.is_relative_to(named) for p in (ours, path.resolve()))
    )


@contextmanager
def writing(
    path: Path, *, durable: bool = False, new: bool = False, mode: int = 0o666, what: str = ""
) -> Iterator[IO[bytes]]:
    """Opens a file to write; it takes the place of `path` when the block ends without an error.

    A device or a pipe (such as ``/dev/stdout``) is written to directly. The mode of a file that is
    there is kept; a symbolic link is followed.

    Args:
        path: the file.
        durable: also survives a power failure (costs a moment): for what cannot be made again.
        new: refuse to replace a file.
        mode: permissions of a new file, before the umask.
        what: see `refused`.

    Raises:
        OutputError: it cannot be written; what was at `path` is untouched.
    """
    with refused(path, what):
        target = path.resolve() if path.is_symlink() else path
        if new and os.path.lexists(path):
            raise OutputError(f"{what} {path}: exists already; name a new file".strip())
        if _is_special(target):
            with target.open("wb") as file:
                yield file
            return
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "")
        with _part_of(target) as part, _opened(part, mode) as (file, has_name):
            yield file
            file.flush()
            if target.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
            if durable:
                os.fsync(file.fileno())
            if not has_name:
                _give_name(file, part)
            if new:
                _move_new(part, target)
            else:
                part.replace(target)
        if durable:
            _sync_folder(target.absolute().parent)


def read_input(path: Path, *, most_bytes: int = 1 << 20, what: str = "") -> bytes:
    """Contents of a file that a user gives: a regular file of limited size.

    Raises:
        ConfigError: it is missing, cannot be read, is larger, or is a device, pipe or folder.
    """
    name = f"{what} {path}".strip()
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError(f"{name}: is not a file")
        with os.fdopen(os.open(path, _WITHOUT_WAITING), "rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise ConfigError(f"{name}: {error.strerror}") from None
    if len(data) > most_bytes:
        raise ConfigError(f"{name}: has more than {most_bytes:,} bytes")
    return data


def open_regular(name: str, folder_fd: int) -> int:
    """Opens a regular file of a folder that others may change meanwhile; never waits.

    Raises:
        OSError: it is a link, a pipe, a device, or gone.
    """
    fd = os.open(name, _WITHOUT_WAITING | os.O_NOFOLLOW, dir_fd=folder_fd)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "is not a regular file", name)
    return fd


@contextmanager
def building(folder: Path, *, what: str = "") -> Iterator[Path]:
    """A new folder to fill; it has its name once the block ends without an error.

    Raises:
        OutputError: it is there already, or cannot be written; nothing is left.
    """
    make_folder(folder.absolute().parent, what=what)
    if os.path.lexists(folder):
        raise OutputError(f"{what} {folder}: exists already; name a new folder".strip())
    with refused(folder, what), _part_of(folder) as part:
        part.mkdir()
        yield part
        part.rename(folder)


def make_folder(folder: Path, *, what: str = "") -> Path:
    """Makes a folder, with those above it, where it is not there yet.

    Raises:
        OutputError: it cannot be made, or nothing can be written in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f"{_PART}{os.getpid()}-{next(_number)}.part"
        probe.touch()
        probe.unlink()
    except OSError as error:
        above = next((p for p in (folder, *folder.absolute().parents) if p.exists()), folder)
        why = f"{above} is not a folder" if not above.is_dir() else reason(error)
        raise OutputError(f"{f'{what} {folder}'.strip()}: cannot be written: {why}") from error
    return folder


def write_bytes(path: Path, data: bytes, *, durable: bool = False, what: str = "") -> None:
    """Writes a file, whole or not at all; see `writing`."""
    with writing(path, durable=durable, what=what) as file:
        file.write(data)


def write_text(path: Path, text: str, *, durable: bool = False, what: str = "") -> None:
    """Writes a text file in UTF-8, whole or not at all; see `writing`."""
    write_bytes(path, text.encode(), durable=durable, what=what)


def write_tree(folder: Path, files: Mapping[str, bytes], executable: frozenset[str]) -> None:
    """Writes a new folder of files, whole or not at all; see `building`.

    Args:
        folder: not there yet.
        files: contents by path within it.
        executable: those of them that are programs.
    """
    with building(folder) as part:
        for name, data in files.items():
            path = part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o755 if name in executable else 0o644)


def copy_tree(source: Path, target: Path) -> None:
    """Copies a folder and what is in it; `target` may be there.

    Raises:
        OutputError: something could not be copied; names the first one.
    """
    try:
        shutil.copytree(source, target, dirs_exist_ok=True)
    except shutil.Error as error:  # it lists all that failed, each in words
        _, where, words = error.args[0][0]
        number = re.match(r"\[Errno (\d+)\]", str(words))
        why = reason(OSError(int(number[1]), str(words))) if number else words
        raise OutputError(f"{where}: cannot be written: {why}") from error


@contextmanager
def _part_of(target: Path) -> Iterator[Path]:
    """A temporary name next to `target`; what is left there at the end is removed."""
    part = target.with_name(f"{_PART}{os.getpid()}-{next(_number)}.part")
    try:
        yield part
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            with suppress(OSError):
                part.unlink(missing_ok=True)


@contextmanager
def _opened(part: Path, mode: int) -> Iterator[tuple[IO[bytes], bool]]:
    """A file to write, without a name where the file system can: then SIGKILL leaves nothing."""
    try:
        descriptor, has_name = (
            os.open(part.absolute().parent, os.O_TMPFILE | os.O_WRONLY, mode),
            False,
        )
    except OSError as error:
        if error.errno not in _NO_UNNAMED_FILES:
            raise
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        descriptor, has_name = os.open(part, flags, mode), True
    with os.fdopen(descriptor, "wb") as file:
        yield file, has_name


def _give_name(file: IO[bytes], part: Path) -> None:
    folder = os.open(part.absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:  # with a folder given, Python follows the link in /proc
        link = f"/proc/self/fd/{file.fileno()}"
        os.link(link, part, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def _move_new(part: Path, target: Path) -> None:
    """Gives a file its name, unless somebody else's has that by now."""
    try:
        os.link(part, target, follow_symlinks=False)
    except FileExistsError:
        raise OutputError(f"{target}: exists already; name a new file") from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        part.rename(target)


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _sync_folder(folder: Path) -> None:
    """Makes a rename last, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
