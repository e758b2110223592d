"""Plays packetdrill scripts against the guest's kernel, all in one guest."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from testbed.core.errors import ConfigError, ExitCode, RunIncompleteError
from testbed.core.files import make_folder, read_input, write_bytes
from testbed.core.json_lines import json_lines
from testbed.core.rundir import write_json
from testbed.execution.inside_packetdrill import PLANS
from testbed.execution.runtime import choose
from testbed.guest_init import LAB
from testbed.peers import notation

SUFFIX = ".pkt"
_FILES = "files"
_MOST_SCRIPTS = 1000
_LARGEST_BYTES = 1_000_000
_LIMIT_S = 60.0
_WALL_LIMIT_S = 600.0
_MEMORY_MB = 1024
_TOLERANCE_US, _TOLERANCE_PERCENT = 4000, 12.5
"""Packetdrill's own, for scripts that were written for it."""

_WORD = re.compile(r"[^\s;|&<>()`'\"]+")
"""A word of a shell command, which may be a file next to the script."""


@dataclass(frozen=True)
class Played:
    """How a script ended.

    Attributes:
        script: the file, as the user named it or its folder.
        verdict: ``pass``; ``differs``; ``unsupported``: it uses what cannot be played here;
            ``unreadable``: an error in its text; ``unfinished``.
        line: of the script, where it did not pass.
        expected, came: what the script says, and what was, where it differs.
        reason: why it is unsupported or unreadable.
        largest_us: the largest deviation from an expected time, in µs, where it passed.
    """

    script: str
    verdict: str
    line: int = 0
    expected: str = ""
    came: str = ""
    reason: str = ""
    largest_us: int | None = None

    def data(self) -> dict[str, Any]:
        """As data, without what is empty."""
        return {k: v for k, v in asdict(self).items() if v or k == "largest_us"}


@dataclass(frozen=True)
class Settings:
    """How scripts are played.

    Attributes:
        exact: times are compared to 10 µs; otherwise with packetdrill's tolerance.
        defines: words that are replaced in the scripts.
        seed: of the guest.
        image: see `choice.choose`.
    """

    exact: bool = False
    defines: Mapping[str, str] | None = None
    seed: int = 1
    image: str = ""


def find(paths: Sequence[Path]) -> list[Path]:
    """The scripts that are meant: files, and all ``*.pkt`` below folders.

    Raises:
        ConfigError: a path does not exist, a folder has no scripts, or there are too many.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted(path.rglob(f"*{SUFFIX}"))
            if not below:
                raise ConfigError(f"{path}: has no files that end in {SUFFIX}")
            found += below
        elif path.is_file():
            found.append(path)
        else:
            raise ConfigError(f"{path}: does not exist")
    if len(found) > _MOST_SCRIPTS:
        raise ConfigError(f"{len(found)} scripts are too many; at most {_MOST_SCRIPTS} at a time")
    return list(dict.fromkeys(found))


def play(paths: Sequence[Path], settings: Settings, out: Path | None = None) -> list[Played]:
    """Plays scripts.

    Args:
        paths: see `find`.
        settings: how.
        out: a folder for what was sent and received; None: it is not kept.

    Raises:
        ConfigError: see `find`.
        MissingPrerequisiteError: there is no guest kernel.
        RunIncompleteError: the guest did not finish.
    """
    found = find(paths)
    runtime = choose("guest", image=settings.image)
    with tempfile.TemporaryDirectory(prefix="packetdrill-") as temporary:
        folder = (out or Path(temporary)).resolve()
        make_folder(folder / PLANS, what="--out")
        played = {
            path: _prepare(path, _tree(path, paths), n, folder, settings)
            for n, path in enumerate(found)
        }
        if any(one.verdict == "unfinished" for one in played.values()):
            outcome = runtime.run(
                folder,
                seed=settings.seed,
                memory_mb=_MEMORY_MB,
                wall_limit_s=_WALL_LIMIT_S,
                module="testbed.execution.inside_packetdrill",
            )
            if not outcome.ok:
                raise RunIncompleteError(outcome.reason or outcome.status)
        return [
            _result(one, folder / "logs" / f"{n:04}.log") for n, one in enumerate(played.values())
        ]


def exit_code(played: Sequence[Played]) -> ExitCode:
    """1 if a script differs, 2 if one is unreadable, 4 if one could not be played, otherwise 0."""
    verdicts = {one.verdict for one in played}
    if "differs" in verdicts:
        return ExitCode.CLAIM_FAILED
    if "unreadable" in verdicts:
        return ExitCode.USAGE
    return ExitCode.PASS if verdicts == {"pass"} else ExitCode.INCONCLUSIVE


def _tree(path: Path, given: Sequence[Path]) -> Path:
    """The folder from which a script may use files: the one that was given, or its own."""
    folders = (folder for folder in given if folder.is_dir() and path.is_relative_to(folder))
    return next(folders, path.parent)


def _prepare(path: Path, tree: Path, number: int, folder: Path, settings: Settings) -> Played:
    """Reads a script and writes its plan; one that cannot be read gets its verdict here."""
    unfinished = Played(str(path), "unfinished")
    try:
        script = notation.parse(_text(path, settings.defines or {}), path.name)
        commands = [*script.before, *script.after]
        commands += [step["text"] for step in script.steps if step["do"] == "shell"]
        files = _files(path.resolve().parent, tree.resolve(), commands)
    except ConfigError as error:
        return replace(unfinished, verdict="unreadable", reason=str(error))
    where = _lend(files, folder / _FILES / f"{number:04}")
    tolerance = (0, 0) if settings.exact else (_TOLERANCE_US, _TOLERANCE_PERCENT)
    inside = str(Path(LAB, where.relative_to(folder))) if where else ""
    plan = {
        **notation.plan(script),
        "wire": None,
        "tolerance_us": tolerance[0],
        "tolerance_percent": tolerance[1],
        "limit_s": _LIMIT_S,
        "folder": inside,
    }
    write_json(folder / PLANS / f"{number:04}.json", plan)
    return unfinished


def _text(path: Path, defines: Mapping[str, str]) -> str:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise ConfigError(f"{path.name}: is larger than {_LARGEST_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name}: byte {error.start}: is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path.name}: {error.strerror}") from None
    for name, value in defines.items():
        text = re.sub(rf"\b{re.escape(name)}\b", value.replace("\\", r"\\"), text)
    return text


def _files(home: Path, tree: Path, commands: Sequence[str]) -> dict[str, bytes]:
    """The files that commands name, relative to the script's folder.

    Raises:
        ConfigError: one is outside the folder from which scripts may use files, or too large.
    """
    found: dict[str, bytes] = {}
    for word in sorted({word for text in commands for word in _WORD.findall(text)}):
        if word.startswith("/") or not _is_file(home / word):
            continue
        if not (home / word).resolve().is_relative_to(tree):
            raise ConfigError(f"{word}: is outside {tree}; name a folder that contains both")
        found[word] = read_input(home / word, most_bytes=_LARGEST_BYTES)
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a word that no file can have as its name
        return False


def _lend(files: Mapping[str, bytes], place: Path) -> Path | None:
    """Writes the files that a script uses; returns the script's folder there."""
    if not files:
        return None
    depth = max(word.count("../") for word in files)
    here = place.joinpath(*(f"d{n}" for n in range(depth)))
    make_folder(here)
    for word, data in files.items():
        target = _normal(here / word)
        if not target.is_relative_to(place):
            continue
        make_folder(target.parent)
        write_bytes(target, data)
        target.chmod(0o755)
    return here


def _normal(path: Path) -> Path:
    """Without ``..``, by the words alone."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return Path(*parts)


def _result(played: Played, log: Path) -> Played:
    """The verdict from what the player printed."""
    if played.verdict != "unfinished":
        return played
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    try:
        lines = list(json_lines(text))
    except ValueError:  # the script's own code may print
        lines = []
    if not lines or lines[-1].get("event") != "end":
        last = text.strip().splitlines()[-1:] or ["it printed nothing"]
        return replace(played, reason=f"the player ended early: {last[0][:200]}")
    end = lines[-1]
    return replace(
        played,
        verdict=end["verdict"],
        line=end.get("line", 0),
        expected=end.get("expected", ""),
        came=end.get("came", ""),
        reason=end.get("what", ""),
        largest_us=end.get("largest_us"),
    )


def as_json(played: Sequence[Played]) -> str:
    """All results as a JSON list."""
    return json.dumps([one.data() for one in played], indent=1, ensure_ascii=False)
