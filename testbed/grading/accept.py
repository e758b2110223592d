"""From what a student handed in to what may be used: files by name, each read as what it shall be.

A submission is a folder or an archive. Nothing is unpacked and no link is followed: entries are
looked at one by one, and only regular files with the manifest's names are read, up to their size.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import json
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from testbed.grading.answers import shown
from testbed.grading.manifest import HandedFile, Manifest
from testbed.grading.statements import CLEANERS
from testbed.grading.submission import FOLDER, HANDED
from testbed.rundir import write_json

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")

KEPT = "kept-by-testbed-check.txt"
"""Marks a folder that ``testbed check --keep`` made: it holds copies of what was handed in, and
what lies in it is no part of a submission. Whoever puts it elsewhere hides files of their own,
which is the same as not handing them in; at the top of a submission it marks nothing."""

_MB = 1 << 20
_LARGEST_ARCHIVE_BYTES = 64 * _MB
_LARGEST_CONTENT_BYTES = 256 * _MB
_MOST_ENTRIES = 10_000
_DEEPEST_ANSWER = 20
_DEEPEST = 3
"""Folders above a file: archives often hold one folder, and that another."""

_LARGEST_DIRECTORY_BYTES = 4 * _MB
"""Of a zip: its list of entries is read at once when it is opened."""

_LARGEST_HEADER_BYTES = 64 * 1024
"""Of a tar: what stands before an entry (a long name, say) is read at once."""

_MOST_PROBLEMS = 40
_MOST_TWINS = 3
_PLAIN_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=,@-]{0,99}")
_MOST_PARTS = 8
"""A path in a run directory: names that are the same everywhere, so many at most."""


@dataclass
class Handed:
    """What was read of one submission.

    Attributes:
        files: name → content; of a run directory ``name/path`` → content.
        problems: lines for the student.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def tell(self, problem: str) -> None:
        """Adds a line for the student, once; what a line says a thousand times fills no page."""
        if problem not in self.problems and len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)
            if len(self.problems) == _MOST_PROBLEMS:
                self.problems.append("… and more of that kind")


@dataclass
class Accepted:
    """What may be used of it.

    Attributes:
        files: as in `Handed`, configurations reduced to what their lists allow.
        kinds: name → kind.
        answers: what the answers' file says.
        problems: lines for the student.
    """

    files: dict[str, bytes]
    kinds: dict[str, str]
    answers: dict[str, Any]
    problems: list[str]

    def write(self, folder: Path, **more: Any) -> None:
        """Writes ``submission/`` and ``handed.json`` into a new folder, the same every time."""
        (folder / FOLDER).mkdir(parents=True)
        for name, data in self.files.items():
            path = folder / FOLDER / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o644)
            os.utime(path, (0, 0))
        write_json(folder / HANDED, {"kinds": self.kinds, "answers": self.answers, **more})


@dataclass(frozen=True)
class _Entry:
    """A thing in a folder or archive: its path, and its content if it is a regular file."""

    path: PurePosixPath
    why_not: str = ""
    opened: Any = None

    def read(self, most_bytes: int) -> bytes:
        with self.opened() as file:
            data: bytes = file.read(most_bytes + 1)
            return data


class _TooMuchError(Exception):
    """An archive that holds more than anybody hands in."""


_UNREADABLE = (
    OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zlib.error,
    tarfile.TarError, zipfile.BadZipFile,
)  # fmt: skip


def is_archive(path: Path) -> bool:
    """True if the name is that of an archive."""
    return path.name.lower().endswith(ARCHIVES)


def read(path: Path, manifest: Manifest) -> Handed:
    """Reads a submission; what is wrong with it is in `problems`, nothing is raised."""
    handed = Handed()
    found = _Found()
    kept = _kept(path)
    try:
        for number, entry in enumerate(_entries(path)):
            if number >= _MOST_ENTRIES:
                raise _TooMuchError(f"holds more than {_MOST_ENTRIES} entries")
            if (name := _name_of(entry.path, manifest)) is not None:
                if inside := _kept_above(entry.path, kept):
                    found.kept.setdefault(name.split("/", 1)[0], inside)
                elif why_not := _odd(name, handed):
                    handed.tell(f"{shown(name)}: {why_not}")
                else:
                    _take(handed, name, entry, found, manifest)
    except _TooMuchError as error:
        handed.tell(f"the submission {error}; the rest was not read")
    except _UNREADABLE as error:
        handed.tell(f"the submission cannot be read to its end: {shown(error)}")
    for line in found.twins(handed):
        handed.tell(line)
    for name in manifest.files:
        there = [n for n in handed.files if n == name or n.startswith(f"{name}/")]
        if not there and not any(p.startswith(f"{name}:") for p in handed.problems):
            at = found.kept.get(name)
            folder = f" (what 'check --keep' left in {shown(at)} does not count)" if at else ""
            handed.problems.append(f"{name}: was not handed in{folder}")
    return handed


@dataclass
class _Found:
    """Where files of the manifest's names are.

    Attributes:
        paths: name → all places in which it may lie.
        taken: name → the place its content is from.
        kept: the manifest's name → a kept folder in which it lies, too.
    """

    paths: dict[str, list[PurePosixPath]] = field(default_factory=dict)
    taken: dict[str, PurePosixPath] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)

    def twins(self, handed: Handed) -> Iterator[str]:
        """Lines on files that lie as near to the top in other places, which were left."""
        for name in handed.files:
            taken = self.taken[name]
            depth = len(taken.parts)
            left = [p for p in self.paths[name] if len(p.parts) == depth]
            left.remove(taken)
            if left:
                words = ", ".join(shown(p) for p in left[:_MOST_TWINS])
                words += f" and {len(left) - _MOST_TWINS} more" * (len(left) > _MOST_TWINS)
                yield f"{name}: is there more than once; {shown(taken)} was taken, not {words}"


def _kept(path: Path) -> set[tuple[str, ...]]:
    """The folders in a submission that are marked as `KEPT`; the mark may come after the files.

    Of a damaged archive those before the damage, which is told when it is read.
    """
    folders: set[tuple[str, ...]] = set()
    with contextlib.suppress(_TooMuchError, *_UNREADABLE):
        for entry in itertools.islice(_entries(path), _MOST_ENTRIES):
            *above, name = entry.path.parts or ("",)
            if name == KEPT and not entry.why_not and 0 < len(above) <= _DEEPEST:
                folders.add(tuple(above))
    return folders


def _kept_above(path: PurePosixPath, kept: set[tuple[str, ...]]) -> str:
    """The kept folder that a path lies in; empty if in none."""
    parts = path.parts[:-1][:_DEEPEST]
    above = (parts[: depth + 1] for depth in range(len(parts)))
    return next(("/".join(folder) for folder in above if folder in kept), "")


def _name_of(path: PurePosixPath, manifest: Manifest) -> str | None:
    """What the manifest calls an entry; None for what nobody asked for or that points elsewhere."""
    parts = path.parts
    if path.is_absolute() or ".." in parts:
        return None
    for depth, part in enumerate(parts[: _DEEPEST + 1]):
        spec = manifest.files.get(part)
        if spec is not None and spec.kind == "run" and depth + 1 < len(parts):
            return "/".join(parts[depth:])
        if spec is not None and depth + 1 == len(parts):
            return part
    return None


def _odd(name: str, handed: Handed) -> str:
    """Why a path in a run directory is not taken; empty for those that are, and for plain files."""
    parts = name.split("/")
    if len(parts) == 1:
        return ""
    if len(parts) > _MOST_PARTS or not all(_PLAIN_PART.fullmatch(part) for part in parts[1:]):
        return "is no name that a run directory has"
    above = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
    if any(path in handed.files for path in above):
        return "lies in a file"
    if any(path.startswith(f"{name}/") for path in handed.files):
        return "is a file, and a folder too"
    return ""


def _take(handed: Handed, name: str, entry: _Entry, found: _Found, manifest: Manifest) -> None:
    """Reads an entry the manifest knows, unless one nearer to the top was taken already."""
    top = name.split("/", 1)[0]
    if entry.why_not:
        handed.tell(f"{name}: {entry.why_not}")
        return
    before = found.paths.setdefault(name, [])
    depths = [len(path.parts) for path in before]
    before.append(entry.path)
    if depths and len(entry.path.parts) >= min(depths):
        return
    most_bytes = manifest.files[top].max_kb * 1024
    taken = sum(len(data) for n, data in handed.files.items() if n.startswith(f"{top}/"))
    data = entry.read(most_bytes - taken)
    if len(data) > most_bytes - taken:
        handed.tell(f"{name}: is larger than {manifest.files[top].max_kb} KiB")
        return
    handed.files[name], found.taken[name] = data, entry.path


def _entries(path: Path) -> Iterator[_Entry]:
    if path.is_symlink():
        raise ValueError("it is a symbolic link")
    if path.is_dir():
        return _in_folder(path)
    if path.stat().st_size > _LARGEST_ARCHIVE_BYTES:
        raise _TooMuchError(f"is larger than {_LARGEST_ARCHIVE_BYTES // _MB} MiB")
    return _in_zip(path) if path.suffix.lower() == ".zip" else _in_tar(path)


def _in_folder(root: Path) -> Iterator[_Entry]:
    for at, folders, names, fd in os.fwalk(root, follow_symlinks=False):
        folders.sort()
        base = PurePosixPath(Path(at).relative_to(root).as_posix())
        if len(base.parts) >= 12:
            folders.clear()
        for name in sorted([*names, *folders]):
            mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                yield _Entry(base / name, "is a symbolic link; hand in the file itself")
            elif stat.S_ISREG(mode):
                yield _Entry(base / name, opened=lambda name=name, fd=fd: _open_at(name, fd))
            elif not stat.S_ISDIR(mode):
                yield _Entry(base / name, "is no regular file")


def _open_at(name: str, folder_fd: int) -> IO[bytes]:
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder_fd)
    return os.fdopen(fd, "rb")


def _in_zip(path: Path) -> Iterator[_Entry]:
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
                yield _Entry(name, "is a symbolic link; hand in the file itself")
            elif info.flag_bits & 1:
                yield _Entry(name, "is encrypted")
            elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                yield _Entry(name, "is packed in a way that few programs read; pack it as usual")
            else:
                yield _Entry(name, opened=lambda info=info: archive.open(info))


class _Opening(io.BufferedReader):
    """A zip whose list of entries must not be larger than anybody's."""

    opened = False

    def read(self, size: int | None = -1) -> bytes:
        if not self.opened and (size or 0) > _LARGEST_DIRECTORY_BYTES:
            raise _TooMuchError(
                f"has a list of entries of more than {_LARGEST_DIRECTORY_BYTES // _MB} MiB"
            )
        return super().read(size)


def _in_tar(path: Path) -> Iterator[_Entry]:
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
                    yield _Entry(name, "is a link or device; hand in the file itself")
                else:
                    yield _Entry(name, opened=lambda m=member: archive.extractfile(m))


class _Member(tarfile.TarInfo):
    """An entry whose header must not be larger than anybody's."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Reads an entry's first block; what follows is not read if it is too much."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in _HEADERS and found.size > _LARGEST_HEADER_BYTES:
            raise _TooMuchError(f"has a header of {found.size} bytes")
        return found


_HEADERS = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)  # fmt: skip
"""Entries that say something of the next one."""


class _Counted:
    """A stream that ends with an error when more comes out of it than anybody hands in."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._left = stream, _LARGEST_CONTENT_BYTES

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(min(size, _MB) if size >= 0 else _MB)
        self._left -= len(data)
        if self._left < 0:
            raise _TooMuchError(f"unpacks to more than {_LARGEST_CONTENT_BYTES // _MB} MiB")
        return data


# ---- what was read, as what it shall be


def accept(handed: Handed, manifest: Manifest) -> Accepted:
    """Reduces what was handed in to what may be used."""
    accepted = Accepted({}, {}, {}, list(handed.problems))
    for name, data in sorted(handed.files.items()):
        top = name.split("/", 1)[0]
        try:
            accepted.files[name] = _content(accepted, name, data, manifest.files[top])
            accepted.kinds[top] = manifest.files[top].kind
        except ValueError as error:
            accepted.problems.append(f"{name}: {error}; it counts as not handed in")
    accepted.problems.sort()
    return accepted


def _content(accepted: Accepted, name: str, data: bytes, spec: HandedFile) -> bytes:
    """The usable content of a file. Raises ValueError if there is none."""
    if spec.kind == "run":
        return data
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"is no UTF-8 text (byte {error.start})") from None
    if spec.kind == "answers":
        accepted.answers = read_answers(text)
    elif spec.kind in CLEANERS:
        text, left_out = CLEANERS[spec.kind](text)
        accepted.problems += [f"{name}: {line}" for line in left_out]
    return text.encode()


def read_answers(text: str) -> dict[str, Any]:
    """Answers as plain data.

    Raises:
        ValueError: no YAML, no map, or with aliases (which can make a small file huge).
    """
    try:
        depth = 0
        for event in YAML(typ="safe", pure=True).parse(text):
            depth += isinstance(event, CollectionStartEvent)
            depth -= isinstance(event, CollectionEndEvent)
            if depth > _DEEPEST_ANSWER:
                raise ValueError("is nested too deeply")
            line = event.start_mark.line + 1
            if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
                raise ValueError(f"line {line}: anchors and aliases are not taken")
            if getattr(event, "tag", None):
                raise ValueError(f"line {line}: tags are not taken")
        data = YAML(typ="safe", pure=True).load(text)
        said = json.dumps(data, default=str, ensure_ascii=False)
        said.encode()  # half a surrogate pair is no text, and would fail where it is written
        plain = json.loads(said)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ValueError(f"line {line}: {shown(error.problem)}") from None
    except UnicodeEncodeError:
        raise ValueError("holds characters that are none (half of a surrogate pair)") from None
    except (YAMLError, RecursionError, TypeError, LookupError) as error:
        raise ValueError(f"is no YAML that can be read ({type(error).__name__})") from None
    if plain is None:
        return {}
    if not isinstance(plain, Mapping):
        raise ValueError("must be a map of answers, 'name: value' a line")
    return dict(plain)
