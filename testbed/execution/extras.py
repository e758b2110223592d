"""Sets of packages that only some experiments need.

Python's are the extras of pyproject.toml; Debian's have lists in `testbed.machine`.

    python -m testbed.execution.extras NAME

prints those of an experiment's extras that are not installed; ``make exp-NAME`` installs them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version

from testbed.core.errors import ConfigError, MissingPrerequisiteError, TestbedError
from testbed.machine import prerequisites

DISTRIBUTION = "network-testbed"
_REQUIREMENT = re.compile(r"([\w.-]+)[^;]*(?:;.*\bextra == ['\"]([\w-]+)['\"])?")


def packages_of(extra: str = "") -> list[str]:
    """Names of an extra's Python packages; without one, of those that every user has.

    Raises:
        ConfigError: pyproject.toml has no such extra.
    """
    found = [m.groups("") for r in requires(DISTRIBUTION) or () if (m := _REQUIREMENT.match(r))]
    names = [package for package, of in found if of == extra]
    if not names:
        raise ConfigError(f"extras: '{extra}' is not in pyproject.toml's optional-dependencies")
    return names


def missing(extras: Iterable[str]) -> dict[str, list[str]]:
    """Extra → those of its packages that are not installed; without extras that are complete."""
    found = {extra: _absent(extra) for extra in extras}
    return {extra: packages for extra, packages in found.items() if packages}


def _absent(extra: str) -> list[str]:
    if extra in prerequisites.EXTRAS:
        there = prerequisites.installed_packages()
        return [p.name for p in prerequisites.extra_packages(extra) if p.name not in there]
    return [package for package in packages_of(extra) if not installed(package)]


def require(extras: Iterable[str], why: str = "") -> None:
    """Raises MissingPrerequisiteError if a package of an extra is not installed."""
    for extra, packages in missing(extras).items():
        whose = "Debian's" if extra in prerequisites.EXTRAS else "Python's"
        raise MissingPrerequisiteError(
            f"{whose} {', '.join(packages)}", install_command(extra), why
        )


def install_command(extra: str) -> str:
    """The one command that installs an extra, in the project's folder."""
    return f"make extra-{extra}"


def installed(package: str) -> str:
    """A package's version; empty if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def main(arguments: list[str]) -> int:
    """Prints what is missing for an experiment; of one that cannot be loaded `run` tells."""
    from testbed.author.experiment import load
    from testbed.execution import inside

    inside.be_lazy()  # libraries take seconds
    try:
        names = missing(load(arguments[0]).extras)
    except TestbedError:
        return 0
    sys.stdout.write("".join(f"{name}\n" for name in names))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
