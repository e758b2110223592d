"""Turns what a student handed in into what may be used: files by name, each parsed as its kind.

A submission is a folder or an archive. Nothing is unpacked and no link is followed: entries are
looked at one by one, and only regular files with the manifest's names are read, up to their size.
"""

from __future__ import annotations

import codecs
import contextlib
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from testbed.core.rundir import write_json
from testbed.grading import near_names
from testbed.grading.answers import shown
from testbed.grading.entries import (
    _MOST_ENTRIES,
    DEEPEST,
    UNREADABLE,
    Entry,
    TooMuchError,
    entries_of,
)
from testbed.grading.manifest import HandedFile, Manifest
from testbed.grading.statements import CLEANERS
from testbed.grading.submission import FOLDER, HANDED

KEPT = "kept-by-testbed-check.txt"
"""Marks a folder that ``testbed check --keep`` made: it holds copies of what was handed in
and is not part of a submission. Students who put it elsewhere only hide their own files, as if they
had not handed them in; at the top of a submission it has no effect."""

_DEEPEST_ANSWER = 20


_MOST_PROBLEMS = 40
_MOST_TWINS = 3
_MOST_STRAYS = 200
_LONGEST_STRAY = 100
"""Names are compared with each other, which takes long for long ones."""
_PLAIN_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=,@-]{0,99}")
_MOST_PARTS = 8
"""A path in a run directory: portable names, up to a maximum number."""


@dataclass
class Handed:
    """What was read from one submission.

    Attributes:
        files: name → content; of a run directory ``name/path`` → content.
        problems: lines for the student.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def tell(self, problem: str) -> None:
        """Adds a line for the student, once: repeated problems must not fill the page."""
        if problem not in self.problems and len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)
            if len(self.problems) == _MOST_PROBLEMS:
                self.problems.append("… and more like these")


@dataclass
class Accepted:
    """The usable part of it.

    Attributes:
        files: as in `Handed`, configurations reduced to what their lists allow.
        kinds: name → kind.
        answers: contents of the answers' file.
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


def read(path: Path, manifest: Manifest) -> Handed:
    """Reads a submission; its faults are in `problems`, nothing is raised."""
    handed = Handed()
    found = _Found()
    kept = _kept(path)
    try:
        for number, entry in enumerate(entries_of(path)):
            if number >= _MOST_ENTRIES:
                raise TooMuchError(f"holds more than {_MOST_ENTRIES} entries")
            if (name := _name_of(entry.path, manifest)) is None:
                found.stray(entry, kept)
            elif inside := _kept_above(entry.path, kept):
                found.kept.setdefault(name.split("/", 1)[0], inside)
            elif why_not := _odd(name, handed):
                handed.tell(f"{shown(name)}: {why_not}")
            else:
                _take(handed, name, entry, found, manifest)
    except TooMuchError as error:
        handed.tell(f"the submission {error}; the rest was not read")
    except UNREADABLE as error:
        handed.tell(f"the submission cannot be read to the end: {shown(error)}")
    for line in found.twins(handed):
        handed.tell(line)
    _tell_missing(path, handed, found, manifest)
    return handed


def _tell_missing(path: Path, handed: Handed, found: _Found, manifest: Manifest) -> None:
    """Says what was not handed in, after looking for it under almost its name."""
    missing = _missing(handed, manifest)
    near = near_names.candidates(missing, found.strays)
    if manifest.near_names and (meant := near_names.unmistakable(near)):
        with contextlib.suppress(TooMuchError, *UNREADABLE):  # was reported in the first reading
            for entry in itertools.islice(entries_of(path), _MOST_ENTRIES):
                if (name := meant.get(entry.path)) and name not in handed.files:
                    _take(handed, name, entry, found, manifest)
    for name in missing:
        if name in handed.files:
            handed.problems.append(f"{name}: {near_names.used(name, found.taken[name])}")
        elif not any(p.startswith(f"{name}:") for p in handed.problems):
            at = found.kept.get(name)
            folder = f" (what 'check --keep' left in {shown(at)} does not count)" if at else ""
            instead = near_names.instead(name, near[name], found.strays)
            handed.problems.append(f"{name}: was not handed in{folder}{instead}")


def _missing(handed: Handed, manifest: Manifest) -> list[str]:
    """Files of the manifest of which nothing was read and nothing was said."""
    return [
        name
        for name in manifest.files
        if not any(n == name or n.startswith(f"{name}/") for n in handed.files)
        and not any(p.startswith(f"{name}:") for p in handed.problems)
    ]


@dataclass
class _Found:
    """Where files of the manifest's names are.

    Attributes:
        paths: name → all places in which it may lie.
        taken: name → the place its content is from.
        kept: the manifest's name → a kept folder in which it lies, too.
        strays: other files, which nobody asked for.
    """

    paths: dict[str, list[PurePosixPath]] = field(default_factory=dict)
    taken: dict[str, PurePosixPath] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    strays: list[PurePosixPath] = field(default_factory=list)

    def stray(self, entry: Entry, kept: set[tuple[str, ...]]) -> None:
        """Remembers a file that may be meant, though its name is not the manifest's."""
        path = entry.path
        elsewhere = path.is_absolute() or ".." in path.parts
        odd = not 0 < len(path.name) <= _LONGEST_STRAY
        if len(self.strays) < _MOST_STRAYS and not (
            elsewhere or odd or entry.why_not or _kept_above(path, kept)
        ):
            self.strays.append(path)

    def twins(self, handed: Handed) -> Iterator[str]:
        """Lines on files of the same name at the same depth, which were ignored."""
        for name in handed.files:
            taken = self.taken[name]
            depth = len(taken.parts)
            left = [p for p in self.paths[name] if len(p.parts) == depth]
            left.remove(taken)
            if left:
                words = ", ".join(shown(p) for p in left[:_MOST_TWINS])
                words += f" and {len(left) - _MOST_TWINS} more" * (len(left) > _MOST_TWINS)
                yield f"{name}: was handed in more than once; {shown(taken)} was used, not {words}"


def _kept(path: Path) -> set[tuple[str, ...]]:
    """The folders in a submission that are marked as `KEPT`; the mark may come after the files.

    Of a damaged archive, those before the damage, which is reported when it is read.
    """
    folders: set[tuple[str, ...]] = set()
    with contextlib.suppress(TooMuchError, *UNREADABLE):
        for entry in itertools.islice(entries_of(path), _MOST_ENTRIES):
            *above, name = entry.path.parts or ("",)
            if name == KEPT and not entry.why_not and 0 < len(above) <= DEEPEST:
                folders.add(tuple(above))
    return folders


def _kept_above(path: PurePosixPath, kept: set[tuple[str, ...]]) -> str:
    """The kept folder that contains a path; empty if none does."""
    parts = path.parts[:-1][:DEEPEST]
    above = (parts[: depth + 1] for depth in range(len(parts)))
    return next(("/".join(folder) for folder in above if folder in kept), "")


def _name_of(path: PurePosixPath, manifest: Manifest) -> str | None:
    """The manifest's name for an entry; None if it was not asked for or points elsewhere."""
    parts = path.parts
    if path.is_absolute() or ".." in parts:
        return None
    for depth, part in enumerate(parts[: DEEPEST + 1]):
        spec = manifest.files.get(part)
        if spec is not None and spec.kind == "run" and depth + 1 < len(parts):
            return "/".join(parts[depth:])
        if spec is not None and depth + 1 == len(parts):
            return part
    return None


def _odd(name: str, handed: Handed) -> str:
    """Why a path in a run directory is refused; empty if it is not, and for plain files."""
    parts = name.split("/")
    if len(parts) == 1:
        return ""
    if len(parts) > _MOST_PARTS or not all(_PLAIN_PART.fullmatch(part) for part in parts[1:]):
        return "is not a name that occurs in a run directory"
    above = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
    if any(path in handed.files for path in above):
        return "is inside a file"
    if any(path.startswith(f"{name}/") for path in handed.files):
        return "is both a file and a folder"
    return ""


def _take(handed: Handed, name: str, entry: Entry, found: _Found, manifest: Manifest) -> None:
    """Reads an entry that the manifest knows, unless one nearer to the top was already used."""
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


# ---- what was read, parsed as its kind


def accept(handed: Handed, manifest: Manifest) -> Accepted:
    """Reduces what was handed in to the usable part."""
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
    text = _text(data)
    accepted.problems += [f"{name}: {line}" for line in _oddities(data, text)]
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if spec.kind == "answers":
        accepted.answers = read_answers(text)
    elif spec.kind in CLEANERS:
        text, left_out = CLEANERS[spec.kind](text)
        accepted.problems += [f"{name}: {line}" for line in left_out]
    return text.encode()


def _text(data: bytes) -> str:
    """A file as text, without a byte order mark. Raises ValueError if it is not UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError("is UTF-16 text; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        *above, line = error.object[: error.start].decode().split("\n")
        place = f"line {len(above) + 1}, column {len(line) + 1}"
        byte = f"byte 0x{error.object[error.start]:02x}"
        raise ValueError(f"{place}: is not UTF-8 text ({byte}); save it as UTF-8") from None


def _oddities(data: bytes, text: str) -> Iterator[str]:
    """What an editor may have done to a file without its author's knowledge."""
    if not text.strip():
        yield "is empty"
    if data.startswith(codecs.BOM_UTF8):
        yield "begins with a byte order mark, which was left out; save it as plain UTF-8"
    if "\r" in text:
        yield "has Windows line ends, which were converted"


def read_answers(text: str) -> dict[str, Any]:
    """Answers as plain data.

    Raises:
        ValueError: not YAML, not a map, or with aliases (which can make a small file huge).
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
                raise ValueError(f"line {line}: anchors and aliases are not allowed")
            if getattr(event, "tag", None):
                raise ValueError(f"line {line}: tags are not allowed")
        data = YAML(typ="safe", pure=True).load(text)
        said = json.dumps(data, default=str, ensure_ascii=False)
        said.encode()  # half a surrogate pair is not text, and would fail when written
        plain = json.loads(said)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ValueError(
            f"line {line}: {shown(error.problem)}; write one 'name: value' per line, with quotes"
            " around a value that contains a colon"
        ) from None
    except UnicodeEncodeError:
        raise ValueError("contains invalid characters (half of a surrogate pair)") from None
    except (YAMLError, RecursionError, TypeError, LookupError) as error:
        raise ValueError(f"is not readable YAML ({type(error).__name__})") from None
    if plain is None:
        return {}
    if not isinstance(plain, Mapping):
        raise ValueError("must be a map of answers, one 'name: value' per line")
    return dict(plain)
