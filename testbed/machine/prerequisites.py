"""The Debian packages the testbed uses: one list for set-up, `doctor` and error messages."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from testbed import guest_init
from testbed.core.errors import ParseError, nearest

LIST = Path(__file__).with_name("packages.txt")
SYSTEM_PATH = guest_init.ENVIRONMENT["PATH"]
"""Where programs are looked for in a network."""

EXTRAS = ("browser",)
"""Sets of packages that only some experiments need, each with a list of its own."""

BUILDS_KERNEL = "building the guest kernel"
"""What does not work without a package that nothing else needs."""


@dataclass(frozen=True)
class Package:
    """A Debian package.

    Attributes:
        name: of the package.
        programs: those of its programs that we start.
        purpose: what it is for.
    """

    name: str
    programs: tuple[str, ...]
    purpose: str


@functools.cache
def packages(path: Path = LIST) -> tuple[Package, ...]:
    """The list, in its order.

    Raises:
        ParseError: a line has not three columns.
    """
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        columns = [column.strip() for column in line.split("|")]
        if len(columns) != 3 or not columns[0]:
            raise ParseError(path.name, f"line {number}", "not 'package | programs | purpose'")
        found.append(Package(columns[0], tuple(columns[1].split()), columns[2]))
    return tuple(found)


def extra_packages(extra: str) -> tuple[Package, ...]:
    """The list of one of `EXTRAS`."""
    return packages(LIST.with_name(f"packages-{extra}.txt"))


def all_packages() -> tuple[Package, ...]:
    """The packages of all lists."""
    return (*packages(), *(p for extra in EXTRAS for p in extra_packages(extra)))


def find(program: str) -> str | None:
    """Path of a program, or None: on the user's search path, else on that of networks.

    On Debian, ordinary users have no `sbin` folder on theirs, but a run needs programs in it.
    """
    path = os.pathsep.join((os.environ.get("PATH", ""), SYSTEM_PATH))
    return shutil.which(program, path=path)


def install_command(program: str) -> str:
    """The one command that installs `program` (a name or a path), or finds its package."""
    program = Path(program).name
    for extra in EXTRAS:
        if any(program in package.programs for package in extra_packages(extra)):
            return f"make extra-{extra}"
    holders = {name: p.name for p in packages() for name in p.programs}
    if program in holders:
        return f"sudo apt-get install {holders[program]}"
    return f"its package (apt-file search bin/{program}){nearest(program, holders)}"


def installed_packages() -> dict[str, str]:
    """Package → version of those of all lists that are installed; empty where there is no dpkg."""
    if shutil.which("dpkg-query") is None:
        return {}
    names = [p.name for p in all_packages()]
    form = "${Package}\t${db:Status-Status}\t${Version}\n"
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat", form, *names],
        capture_output=True,
        text=True,
        check=False,  # its exit code is 1 if any of them is unknown
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return {name: version for name, status, version in rows if status == "installed"}
