"""`testbed mininet` in a guest: a Mininet script, its folder, and what it writes there.

The guest sees the folders of the script, of the user and of files that the arguments name, each at
its own path, through a layer in memory. At the end the files that were written there come back.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from testbed import guest_init
from testbed.core import files
from testbed.core.errors import ConfigError
from testbed.core.rundir import read_json, write_json
from testbed.execution import terminal
from testbed.execution.inside_mininet import (
    ERRORS,
    FILES,
    INPUT,
    OUTPUT,
    REQUEST,
    RESULT,
    WRITTEN,
    Request,
    Result,
)
from testbed.execution.runtime import Outcome
from testbed.execution.runtime.guest import GuestRuntime
from testbed.guest_init import layers, visible

_WALL_LIMIT_S = 7 * 86400.0
_PERMISSIONS = 0o777


@dataclass(frozen=True)
class Script:
    """What to run.

    Attributes:
        path: a Python program's file.
        arguments: its arguments.
        keep: more of the user's folders that it sees.
        captures: interfaces to capture at, into ``INTERFACE.pcap`` in the working directory.
        seed: random seed.
        memory_mb: of the guest, in MiB.
    """

    path: str
    arguments: Sequence[str] = ()
    keep: Sequence[Path] = ()
    captures: Sequence[str] = ()
    seed: int = 0
    memory_mb: int = 1024


@dataclass(frozen=True)
class Finished:
    """How a script ended.

    Attributes:
        outcome: the guest's.
        lost: files that were written outside of the user's folders, or could not come back.
        removed: files that were removed inside and are still here.
    """

    outcome: Outcome
    lost: Sequence[str] = ()
    removed: Sequence[str] = ()


def run(script: Script, runtime: GuestRuntime, folder: Path) -> Finished:
    """Runs a script until it ends; the files that it wrote to the user's folders come back.

    Args:
        script: what to run.
        runtime: where; at a terminal its clock should be real.
        folder: a temporary folder.

    Raises:
        ConfigError: there are too many folders.
        OutputError: a file could not be written back.
    """
    here = Path.cwd()
    path = Path(os.path.abspath(script.path))  # noqa: PTH100 (a link's name is the script's)
    named = [path, *_named(script.arguments)]
    folders, single = _seen(here, named, script)
    interactive = runtime.clock == "real" and sys.stdin is not None and sys.stdin.isatty()
    request: Request = {
        "script": str(path),
        "arguments": list(script.arguments),
        "here": str(here),
        "folders": [str(p) for p in folders],
        "links": {
            str(p): str(p.resolve()) for p in _linked([*(n.parent for n in named), *script.keep])
        },
        "files": [str(p) for p in single],
        "captures": list(script.captures),
        "seed": script.seed,
        "umask": _umask(),
        "terminal": interactive,
        "term": os.environ.get("TERM", "dumb"),
    }
    write_json(folder / REQUEST, dict(request))
    for number, file in enumerate(single):
        (folder / FILES).mkdir(exist_ok=True)
        shutil.copyfile(file, folder / FILES / str(number))
    outcome = _run(script, runtime, folder, folders, interactive=interactive)
    return _returned(folder, folders, outcome)


def _umask() -> int:
    """What the user's files are not permitted; to ask the system would set it."""
    found = re.search(r"^Umask:\s*(\d+)", Path("/proc/self/status").read_text(), re.M)
    return int(found[1], 8) if found else 0o022


def _run(
    script: Script, runtime: GuestRuntime, folder: Path, lent: list[Path], *, interactive: bool
) -> Outcome:
    with ExitStack() as stack:
        theirs = None
        if interactive:
            theirs = stack.enter_context(terminal.attached())
        else:
            files.write_bytes(folder / INPUT, terminal.read_all_input())
            stack.enter_context(terminal.shown(folder / OUTPUT, 1))
            stack.enter_context(terminal.shown(folder / ERRORS, 2))
        return runtime.run(
            folder,
            seed=script.seed,
            memory_mb=script.memory_mb,
            wall_limit_s=_WALL_LIMIT_S,
            module="testbed.execution.inside_mininet",
            lent=lent,
            terminal=theirs,
        )


def _seen(here: Path, named: list[Path], script: Script) -> tuple[list[Path], list[Path]]:
    """Folders that the script sees, and single files in folders of the system."""
    wanted = [here, *(p.resolve() for p in script.keep), *(p.parent.resolve() for p in named)]
    wanted += [p.resolve().parent for p in named if p.is_symlink()]
    folders: list[Path] = []
    for folder in sorted(set(wanted)):  # a folder comes before those in it
        inside = any(folder.is_relative_to(other) for other in folders)
        if not inside and layers.may_be_kept(str(folder)):
            folders.append(folder)
    if len(folders) > len(guest_init.LENT_FDS):
        raise ConfigError(f"{named[0].name}: its arguments name files in {len(folders)} folders")
    single = [p for p in named if not layers.may_be_kept(str(p.parent)) and not _is_program(p)]
    return folders, single


def _linked(folders: list[Path]) -> Iterator[Path]:
    """Those of the folders that are named by a path through symbolic links."""
    for folder in sorted(set(folders)):
        if folder.resolve() != folder and layers.may_be_kept(str(folder.resolve())):
            yield folder


def _is_program(path: Path) -> bool:
    """Whether a guest sees the file anyhow."""
    return path.resolve().is_relative_to(visible.PROGRAMS)


def _named(arguments: Sequence[str]) -> Iterator[Path]:
    """Files that arguments name: ``FILE``, ``--option=FILE`` and ``FILE,FILE``."""
    for argument in arguments:
        for word in argument.rpartition("=")[2].split(","):
            path = Path(os.path.abspath(word))  # noqa: PTH100 (see above)
            if word and path.is_file():
                yield path


def _returned(folder: Path, folders: list[Path], outcome: Outcome) -> Finished:
    if not (folder / RESULT).is_file():
        return Finished(outcome)
    result = cast(Result, read_json(folder / RESULT))
    lost = list(result["lost"])
    for number, (target, kept) in enumerate(zip(folders, result["kept"], strict=True)):
        lost += _bring_all_back(folder / WRITTEN / str(number), target, kept)
    removed = [str(p) for n in result["removed"] if (p := Path(n)).exists()]
    return Finished(outcome, lost, removed)


def _bring_all_back(source: Path, folder: Path, kept: dict[str, int]) -> list[str]:
    """Writes what was written to a folder there; the result is what would lead out of it."""
    done = [
        name
        for name, mode in sorted(kept.items())
        if _bring_back(source / name, folder / name, folder, mode & _PERMISSIONS)
    ]
    allowed = ~_umask()
    for name in reversed(done):  # a folder's mode after its files
        with suppress(OSError):  # another user's
            mode = stat.S_IMODE((folder / name).stat().st_mode)
            # A file that was removed and made again inside has all that its maker asked for: the
            # layer forgets the umask there.
            wanted = kept[name] & (allowed | mode)
            if (mode ^ wanted) & _PERMISSIONS:
                (folder / name).chmod(mode & ~_PERMISSIONS | wanted & _PERMISSIONS)
    return [str(folder / name) for name in sorted(set(kept) - set(done))]


def _bring_back(source: Path, target: Path, folder: Path, mode: int) -> bool:
    """Writes a file or folder to the user's folder; False where that leads out of the folder."""
    if not target.parent.resolve().is_relative_to(folder) or target.is_symlink():
        return False
    if target.exists() and target.is_dir() != source.is_dir():
        return False
    if source.is_dir():
        if not target.is_dir():
            files.make_folder(target)
    elif not target.is_file() or target.read_bytes() != source.read_bytes():
        files.make_folder(target.parent)
        with files.writing(target, mode=mode) as file, source.open("rb") as s:
            shutil.copyfileobj(s, file)
    return True
