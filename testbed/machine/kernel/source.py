"""Debian's kernel source package, read with a private apt configuration.

The newest kernels are in suites that a stable system does not have in its sources. They are read
from the system's own mirror with its own settings (proxies, retries), but with lists and caches
of our own: the system's apt state is neither changed nor locked, and no privilege is needed. apt
checks the signatures against Debian's archive keyring, as always.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from testbed.core.errors import CommandError, MissingPrerequisiteError, TestbedError
from testbed.lifetime import guard
from testbed.machine.kernel.commands import output, run

SERIES = "7.2"
"""The kernel series our patches were written for; if it is unavailable, the newest one is used."""

_SUITES = ("trixie-backports", "testing")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_MAIN_RELEASES = ("stable", "oldstable", "testing", "unstable", "sid")
_UNNEEDED = (
    "*/drivers/gpu/drm/*.[ch]",
    "*/Documentation/devicetree",
    "*/tools/testing",
    "*/arch/[!ux]*/*.[chS]",
    "*.dts",
    "*.dtsi",
)
"""What a User-Mode Linux build does not read: half of the tree's size."""

_CONFIGURATION = """\
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{folder}/state";
Dir::State::status "/dev/null";
Dir::Cache "{folder}/cache";
Dir::Log "{folder}";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
APT::Sandbox::User "";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


@dataclass(frozen=True)
class Source:
    """A kernel source package in a suite.

    Attributes:
        suite: where it is, e.g. ``trixie-backports``.
        package: e.g. ``linux-source-7.2``.
        version: Debian's, e.g. ``7.2.12-1~bpo13+1``.
        size_bytes: of the package's file.
        configuration: of apt, for this suite.
    """

    suite: str
    package: str
    version: str
    size_bytes: int
    configuration: Path

    @property
    def name(self) -> str:
        """Package and version, fit for a file name."""
        return f"{self.package}_{self.version}"


def candidates(
    folder: Path, say: Callable[[str], None], refused: Callable[[str], None]
) -> Iterator[Source]:
    """Kernel sources, the preferred one first; the next is looked up when asked for.

    Args:
        folder: for apt's lists and caches.
        say: called with the suite that is being read.
        refused: called with the reason if a suite could not be read.

    Raises:
        MissingPrerequisiteError: this is not a Debian system, or its keyring is missing.
    """
    if shutil.which("apt-get") is None or not KEYRING.is_file():
        raise MissingPrerequisiteError(
            "Debian's archive keyring", "sudo apt-get install debian-archive-keyring"
        )
    address, own_suite = mirror()
    for suite in (*_SUITES, own_suite):
        say(f"reading the package list of {suite}")
        source = _newest(folder / suite, address, suite, refused)
        if source is not None:
            yield source


def download(source: Source, folder: Path, on_fraction: Callable[[float], None]) -> Path:
    """Fetches the package's file; apt checks its hash against the signed list."""

    def watch() -> None:
        have = sum(p.stat().st_size for p in folder.rglob("*.deb*"))
        on_fraction(min(1.0, have / source.size_bytes))

    argv = ["apt-get", "-q", "-c", str(source.configuration), "download", source.package]
    run(argv, cwd=folder, on_tick=watch)
    return next(folder.glob("*.deb"))


def unpack(package: Path, folder: Path) -> Path:
    """Unpacks what a build needs; returns the root of the source tree."""
    tarball = f"./usr/src/{package.name.split('_')[0]}.tar.xz"
    excludes = [f"--exclude={pattern}" for pattern in _UNNEEDED]
    stages = [
        ["dpkg-deb", "--fsys-tarfile", str(package)],
        ["tar", "-xO", tarball],
        ["tar", "-xJ", "-C", str(folder), "--wildcards", *excludes],
    ]
    first = subprocess.Popen(stages[0], stdout=subprocess.PIPE)
    second = subprocess.Popen(stages[1], stdin=first.stdout, stdout=subprocess.PIPE)
    run(stages[2], stdin=second.stdout)
    for argv, process in zip(stages, (first, second), strict=False):
        if process.stdout is not None:
            process.stdout.close()
        if process.wait() != 0:
            raise CommandError("the kernel's source", argv, process.returncode)
    return next(path for path in folder.iterdir() if path.is_dir())


def mirror() -> tuple[str, str]:
    """Address of the mirror this system uses, and its suite."""
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    targets = output(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    codename = re.search(r"^VERSION_CODENAME=(\S+)", Path("/etc/os-release").read_text(), re.M)
    releases = ((codename[1],) if codename else ()) + _MAIN_RELEASES
    found = [line.split()[:2] for line in targets.splitlines() if line.split()[2:] == ["main"]]
    for wanted in releases:
        for address, release in found:
            if release == wanted:
                return address, release
    raise TestbedError(
        "no Debian mirror in the system's apt sources: the guest kernel is built from Debian's "
        "kernel source package (see /etc/apt/sources.list.d)"
    )


def _newest(
    folder: Path, address: str, suite: str, refused: Callable[[str], None]
) -> Source | None:
    """The preferred kernel source of a suite; None if it has none, or cannot be read."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    sources = f"deb [signed-by={KEYRING}] {address} {suite} main\n"
    (folder / "sources.list").write_text(sources)
    configuration = folder / "apt.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder))
    apt = ["-q", "-c", str(configuration)]
    updated = guard.result(["apt-get", *apt, "update"])
    if updated.returncode != 0:
        lines = [line for line in updated.stderr.splitlines() if line.startswith("E:")]
        refused(f"{suite}: {lines[0] if lines else 'apt-get update failed'}")
        return None
    names = output(["apt-cache", *apt, "search", "--names-only", "^linux-source-[0-9.]+$"])
    packages = [line.split()[0] for line in names.splitlines()]
    if not packages:
        return None
    package = max(packages, key=_preference)
    record = output(["apt-cache", *apt, "show", "--no-all-versions", package])
    fields = dict(line.split(": ", 1) for line in record.splitlines() if ": " in line)
    return Source(suite, package, fields["Version"], int(fields["Size"]), configuration)


def _preference(package: str) -> tuple[bool, list[int]]:
    series = package.removeprefix("linux-source-")
    return series == SERIES, [int(n) for n in series.split(".")]
