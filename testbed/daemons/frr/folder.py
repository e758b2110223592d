"""FRR configurations in folders, as any FRR lab has them, checked before anything starts.

A router's folder holds one ``frr.conf``, or a file for each daemon (``zebra.conf``, ``ripd.conf``,
...), or both: FRR applies ``frr.conf`` last. ``daemons``, ``vtysh.conf`` and files of other kinds
may be there, too; the configuration says which daemons run. Files are checked by FRR's own checker
here, and against the network by `testbed.daemons.frr.lint`. What is not run is told, not refused.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from testbed.core.errors import ConfigError, MissingPrerequisiteError, nearest
from testbed.core.files import read_input
from testbed.daemons.frr import not_run
from testbed.daemons.frr.config import PROTOCOLS, blocks

FILES = ("frr.conf", "zebra.conf", "staticd.conf", *(f"{d}.conf" for d in PROTOCOLS.values()))
FILES = (*FILES, "bfdd.conf", "mgmtd.conf")
"""Files that a router's folder may contain."""


@dataclass(frozen=True)
class Written:
    """A router's handwritten configuration.

    Attributes:
        files: file → its content, in reading order.
        left_out: what of it has no effect here, each with its place.
    """

    files: Mapping[Path, str]
    left_out: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The whole configuration; each file begins in a context of its own."""
        return f"{_BETWEEN}\n".join(self.files.values())

    def place(self, line: int) -> str:
        """``file:line`` of a line of `text`; the first file for line 0."""
        lines = [
            f"{file}:{number}"
            for file, text in self.files.items()
            for number, _ in enumerate((text + _BETWEEN).splitlines(), 1)
        ]
        return lines[line - 1] if line else str(next(iter(self.files)))


_BETWEEN = "\nend"
"""Between two files: what follows no longer belongs to the block above."""


def routers_in(folder: Path) -> dict[str, list[Path]]:
    """Router → its configuration files, of a folder with a folder for each router.

    Raises:
        ConfigError: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise ConfigError(f"--configs {folder}: no such folder")
    below = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "_")))
    found = {path.name: files for path in below if (files := _files_of(path))}
    if not found:
        raise ConfigError(f"{folder}: has no router's folder; write {folder.name}/r1/frr.conf")
    return found


def load_folder(folder: Path, routers: Collection[str]) -> dict[str, Written]:
    """Handwritten configurations: ``<folder>/<router>/frr.conf`` or a file for each daemon.

    Args:
        folder: contains a folder for each router.
        routers: those of the topology.

    Raises:
        ConfigError: no such folder, a folder without a router, a misspelt file, or a router
            without a configuration; or what FRR's checker reports, with file and line.
    """
    found = routers_in(folder)
    for name in found:
        if name not in routers:
            raise ConfigError(
                f"{folder / name}: no router '{name}' in this topology"
                f"{nearest(name, routers)}; its routers are {', '.join(routers)}"
            )
    missing = [router for router in routers if router not in found]
    if missing:
        raise ConfigError(
            f"{folder}: no configuration for {', '.join(missing)}; "
            f"write {folder.name}/{missing[0]}/frr.conf"
        )
    return read(found)


def read(found: Mapping[str, list[Path]]) -> dict[str, Written]:
    """The configurations in these files, checked by FRR's checker.

    Raises:
        ConfigError: see `load_folder`.
    """
    texts = {file: _text_of(file) for files in found.values() for file in files}
    for files in found.values():
        if not any(next(blocks(texts[file]), None) for file in files):
            raise ConfigError(f"{files[0]}: configures nothing; write 'router ospf' or remove it")
    check_syntax(texts)
    return {
        router: Written(
            {file: texts[file] for file in files},
            (
                *not_run.by_daemons_file(files[0].parent, [texts[file] for file in files]),
                *(f"{f}:{line}: {what}" for f in files for line, what in not_run.lines(texts[f])),
            ),
        )
        for router, files in found.items()
    }


def _files_of(path: Path) -> list[Path]:
    """A router's configuration files, ``frr.conf`` last; empty if it has none."""
    files = []
    for file in sorted(path.iterdir(), key=lambda file: (file.name == "frr.conf", file.name)):
        if file.suffix != ".conf" or file.name == "vtysh.conf" or file.name.startswith("."):
            continue  # a system-wide FRR's, or something else
        if file.name in FILES or file.stem in not_run.DAEMONS:
            files.append(file)
        elif meant := nearest(file.name, FILES):
            raise ConfigError(
                f"{file}: is not a configuration file of FRR{meant}; allowed: {', '.join(FILES)}"
            )
    return files


def _checker() -> tuple[list[str], dict[str, str] | None]:
    """FRR's shell, the host's or else an image's, and its environment (None: ours)."""
    if shutil.which("vtysh") is not None:
        return ["vtysh"], None
    from testbed.machine.image import choice, native

    image, _ = choice.choose()
    if image is None:
        raise MissingPrerequisiteError("vtysh", "sudo apt-get install frr")
    return native.argv(image.root, "usr/bin/vtysh"), native.environment(image.root)


def _text_of(file: Path) -> str:
    """The text of a configuration file, checked for broken content."""
    try:
        text = read_input(file).decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{file}:{line}: is not UTF-8 text; save it as UTF-8") from None
    return text


_NEW_CONTEXT = ("line vty", "exit")
"""Leave whatever block a file ends in: the next file's first lines are no longer part of it."""


def check_syntax(texts: Mapping[Path, str]) -> None:
    """Makes FRR's own checker read all files at once; it needs no privilege and starts nothing.

    Its exit code reflects only the last line, so its output is parsed.

    Args:
        texts: file → its content.

    Raises:
        MissingPrerequisiteError: FRR is not installed.
        ConfigError: the first line it does not understand: file, line, text and reason.
    """
    checker, environment = _checker()
    places: list[tuple[Path, int]] = []
    with tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8") as whole:
        for file, text in texts.items():
            lines = [*text.splitlines(), *_NEW_CONTEXT]
            places += [(file, number) for number in range(1, len(lines) + 1)]
            whole.writelines(line + "\n" for line in lines)
        whole.flush()
        argv = [*checker, "-C", "-f", whole.name]
        done = subprocess.run(
            argv, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
    said = done.stdout + done.stderr
    match = re.search(r"^line (\d+): % (.*?)\s*(\[\d+\])?: *(.*)$", said, re.M)
    if match is None:
        if done.returncode == 0:
            return
        raise ConfigError(f"{next(iter(texts))}: FRR says: {said.strip()}")
    file, number = places[int(match[1]) - 1]
    raise ConfigError(f"{file}:{number}: FRR says: {match[2]}: {match[4].strip()}")
