"""The entries of a folder or an archive, one by one.

Nothing is unpacked and no link is followed.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Any, Self

from testbed.core.files import open_regular

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")

MB = 1 << 20
_LARGEST_ARCHIVE_BYTES = 64 * MB
_LARGEST_CONTENT_BYTES = 256 * MB
_MOST_ENTRIES = 10_000
DEEPEST = 3
"""Nesting of folders: archives often hold one folder, and that another."""
_LARGEST_DIRECTORY_BYTES = 4 * MB
"""Of a zip: its list of entries is read in one piece when it is opened."""
_LARGEST_HEADER_BYTES = 64 * 1024
"""Of a tar: what precedes an entry (a long name, say) is read in one piece."""


@dataclass(frozen=True)
class Entry:
    """An entry of a folder or archive: its path, and its content if it is a regular file."""

    path: PurePosixPath
    why_not: str = ""
    opened: Any = None

    def read(self, most_bytes: int) -> bytes:
        """Up to one byte more than `most_bytes`, so that an excess is noticed."""
        with self.opened() as file:
            data: bytes = file.read(most_bytes + 1)
            return data


class TooMuchError(Exception):
    """An archive larger than any plausible submission."""


UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    zlib.error,
    tarfile.TarError,
    zipfile.BadZipFile,
)


def is_archive(path: PurePath) -> bool:
    """True if it is the name of an archive."""
    return path.name.lower().endswith(ARCHIVES)


def entries_of(path: Path) -> Iterator[Entry]:
    """The entries of a folder or an archive.

    Raises:
        TooMuchError: it is too large, has too many entries, or they are too deep.
        ValueError: it is a link, or neither.
    """
    if path.is_symlink():
        raise ValueError("it is a symbolic link")
    if path.is_dir():
        return _in_folder(path)
    if path.stat().st_size > _LARGEST_ARCHIVE_BYTES:
        raise TooMuchError(f"is larger than {_LARGEST_ARCHIVE_BYTES // MB} MiB")
    return _in_zip(path) if path.suffix.lower() == ".zip" else _in_tar(path)


def _in_folder(root: Path) -> Iterator[Entry]:
    for at, folders, names, fd in os.fwalk(root, follow_symlinks=False):
        folders.sort()
        base = PurePosixPath(Path(at).relative_to(root).as_posix())
        if len(base.parts) >= 12:
            folders.clear()
        for name in sorted([*names, *folders]):
            mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                yield Entry(base / name, "is a symbolic link; hand in the file itself")
            elif stat.S_ISREG(mode):
                yield Entry(base / name, opened=lambda name=name, fd=fd: _open_at(name, fd))
            elif not stat.S_ISDIR(mode):
                yield Entry(base / name, "is not a regular file")


def _open_at(name: str, folder_fd: int) -> IO[bytes]:
    return os.fdopen(open_regular(name, folder_fd), "rb")


def _in_zip(path: Path) -> Iterator[Entry]:
    with (
        path.open("rb", buffering=0) as raw,
        _Opening(raw) as file,
        zipfile.ZipFile(file) as archive,
    ):
        file.opened = True
        for info in archive.infolist():
            if info.is_dir():
                continue
            name = PurePosixPath(info.filename.replace("\\", "/"))
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                yield Entry(name, "is a symbolic link; hand in the file itself")
            elif info.flag_bits & 1:
                yield Entry(name, "is encrypted")
            elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                yield Entry(
                    name, "is packed in an uncommon format; pack it as an ordinary zip or tar"
                )
            else:
                yield Entry(name, opened=lambda info=info: archive.open(info))


class _Opening(io.BufferedReader):
    """A zip with a limited size of its list of entries."""

    opened = False

    def read(self, size: int | None = -1) -> bytes:
        if not self.opened and (size or 0) > _LARGEST_DIRECTORY_BYTES:
            raise TooMuchError(
                f"has a list of entries of more than {_LARGEST_DIRECTORY_BYTES // MB} MiB"
            )
        return super().read(size)


def _in_tar(path: Path) -> Iterator[Entry]:
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        content: IO[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
        stream: Any = _Counted(content)
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if member.isdir():
                    continue
                if not member.isreg():
                    yield Entry(name, "is a link or device; hand in the file itself")
                else:
                    yield Entry(name, opened=lambda m=member: archive.extractfile(m))


class _Member(tarfile.TarInfo):
    """An entry with a limited size of its header."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Reads an entry's first block; what follows is not read if it is too much."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in _HEADERS and found.size > _LARGEST_HEADER_BYTES:
            raise TooMuchError(f"has a header of {found.size} bytes")
        return found


_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
"""Types of entries that describe the next one."""


_MOST_EMPTY_READS = 100
"""At the end of a tar: whoever skips an entry that promises a petabyte reads on for ever."""


class _Counted:
    """A stream that raises an error when it yields more than any plausible submission."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._left, self._empty = stream, _LARGEST_CONTENT_BYTES, 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(min(size, MB) if size >= 0 else MB)
        self._left -= len(data)
        self._empty += not data
        if self._empty > _MOST_EMPTY_READS:
            raise EOFError("an entry is longer than the archive")
        if self._left < 0:
            raise TooMuchError(f"unpacks to more than {_LARGEST_CONTENT_BYTES // MB} MiB")
        return data
