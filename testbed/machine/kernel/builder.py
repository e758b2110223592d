"""Builds the guest kernel from Debian's kernel source package, once.

All work happens in a folder of its own in the user's cache; the finished kernel is moved to its
place in one step. An interrupted build leaves nothing usable, and the next build removes its
folder. If two builds run at once, the second waits, and finds the first one's kernel.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.core.errors import CommandError, MissingPrerequisiteError, TestbedError
from testbed.lifetime import guard
from testbed.machine.kernel import source as sources
from testbed.machine.kernel.commands import output, run
from testbed.machine.kernel.recipe import CONFIG, ESSENTIAL_PATCHES, PATCHES, options, recipe_key
from testbed.machine.kernel.store import FACTS, KERNEL, GuestKernel, cache_root, find, read_kernel

_TOOLS = {
    "gcc": "gcc libc6-dev",
    "make": "make",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "patch": "patch",
    "xz": "xz-utils",
    "dpkg-deb": "dpkg",
    "strip": "binutils",
}
_NEEDED_BYTES = 4 * 10**9
_EXPECTED_FILES = 1191
"""Compiled files of a build, for the progress bar alone."""

_ESSENTIAL = (
    "UML_TIME_TRAVEL_SUPPORT",
    "HOSTFS",
    "OVERLAY_FS",
    "NET_NS",
    "VETH",
    "NET_SCH_NETEM",
)
_REPRODUCIBLE = {
    "KBUILD_BUILD_USER": "testbed",
    "KBUILD_BUILD_HOST": "testbed",
    "KBUILD_BUILD_TIMESTAMP": "2024-01-01 00:00:00 UTC",
    "KBUILD_BUILD_VERSION": "1",
}


@dataclass(frozen=True)
class BuildProgress:
    """A build's progress.

    Attributes:
        stage: ``wait``, ``look``, ``download``, ``unpack``, ``configure``, ``compile`` or
            ``install``.
        fraction: of this stage, 0 to 1; None if unknown.
        message: one line for the user.
    """

    stage: str
    fraction: float | None
    message: str


OnBuildProgress = Callable[[BuildProgress], None]


def build(on_progress: OnBuildProgress = lambda _: None, *, refresh: bool = False) -> GuestKernel:
    """Makes sure that there is a guest kernel with today's options and patches.

    Args:
        on_progress: called with the progress.
        refresh: look for a newer source package even if there is a kernel.

    Raises:
        MissingPrerequisiteError: a tool, or Debian's archive keyring.
        TestbedError: no source, no space, or the build failed; says what and where.
    """
    found = None if refresh else find()
    if found is not None:
        return found
    _check_prerequisites()
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root, on_progress):
        found = None if refresh else find()  # another build may have made it meanwhile
        if found is not None:
            return found
        for stale in root.glob("work-*"):
            shutil.rmtree(stale, ignore_errors=True)
        free_bytes = shutil.disk_usage(root).free
        if free_bytes < _NEEDED_BYTES:
            raise TestbedError(
                f"{root}: {free_bytes / 1e9:.1f} GB free, the kernel's build needs "
                f"{_NEEDED_BYTES / 1e9:.0f} GB; set TESTBED_CACHE to a folder with more"
            )
        with guard.folder(within=root) as work:
            return _first_that_builds(work, on_progress)


def _first_that_builds(work: Path, on_progress: OnBuildProgress) -> GuestKernel:
    """Tries the candidates in order of preference."""
    failures: list[str] = []

    def look(message: str) -> None:
        on_progress(BuildProgress("look", None, message))

    for number, candidate in enumerate(sources.candidates(work / "apt", look, failures.append)):
        target = cache_root() / f"{candidate.name}-{recipe_key()}-{_compiler_key()}"
        if (target / FACTS).is_file():
            return read_kernel(target)
        folder = work / str(number)
        folder.mkdir()
        try:
            return _build_one(candidate, folder, target, on_progress)
        except CommandError as error:
            failures.append(f"{candidate.name}: {error}")
            shutil.rmtree(folder, ignore_errors=True)
    reasons = "; ".join(failures) or "no suite of the system's mirror has one"
    raise TestbedError(f"the guest kernel could not be built from a source package: {reasons}")


def _build_one(
    candidate: sources.Source, work: Path, target: Path, on_progress: OnBuildProgress
) -> GuestKernel:
    name = f"{candidate.package} {candidate.version} from {candidate.suite}"

    def tell(stage: str, fraction: float | None = None) -> None:
        on_progress(BuildProgress(stage, fraction, name))

    tell("download", 0.0)
    package = sources.download(candidate, work, lambda f: tell("download", f))
    tell("unpack")
    tree = sources.unpack(package, work)
    package.unlink()
    tell("configure")
    absent = _patch(tree)
    made = work / "build"
    made.mkdir()
    shutil.copyfile(CONFIG, made / ".config")
    make = ["make", "-C", str(tree), f"O={made}", "ARCH=um", "RUSTC=false"]
    run([*make, "olddefconfig"], env=_REPRODUCIBLE)
    absent += _absent_options(made / ".config")
    log = work / "make.log"
    jobs = f"-j{len(os.sched_getaffinity(0))}"
    run(
        [*make, jobs, "linux"],
        env=_REPRODUCIBLE,
        log=log,
        on_tick=lambda: tell("compile", _compiled_fraction(log)),
    )
    tell("install")
    return _install(candidate, made, target, absent)


def _install(candidate: sources.Source, made: Path, target: Path, absent: list[str]) -> GuestKernel:
    """Moves the kernel and its description to their place, in one step."""
    ready = made / "ready"
    ready.mkdir()
    run(["strip", "-o", str(ready / KERNEL), str(made / "linux")])
    shutil.copyfile(made / ".config", ready / "config")
    facts = {
        "version": output([str(ready / KERNEL), "--version"]).strip(),
        "sha256": hashlib.sha256((ready / KERNEL).read_bytes()).hexdigest(),
        "source": f"{candidate.package} {candidate.version}",
        "compiler": _compiler(),
        "absent": absent,
    }
    (ready / FACTS).write_text(json.dumps(facts, indent=1) + "\n")
    if target.exists():
        shutil.rmtree(target)
    ready.rename(target)
    return read_kernel(target)


def _patch(tree: Path) -> list[str]:
    """Applies our patches; returns the names of those that do not apply to this kernel.

    Raises:
        CommandError: an essential one does not apply.
    """
    absent = []
    for patch in sorted(PATCHES.glob("*.patch")):
        argv = ["patch", "-p1", "--batch", "--forward", "-d", str(tree), "-i", str(patch)]
        try:
            run([*argv, "--dry-run"])
        except CommandError:
            if patch.stem in ESSENTIAL_PATCHES:
                raise
            absent.append(patch.stem)
        else:
            run(argv)
    return absent


def _absent_options(config: Path) -> list[str]:
    """Options that this kernel does not have; an essential one is an error."""
    taken = set(re.findall(r"^CONFIG_(\w+)=", config.read_text(), re.MULTILINE))
    absent = [name for name in options() if name not in taken]
    essential = [name for name in absent if name in _ESSENTIAL]
    if essential:
        raise CommandError("build", ["make", "olddefconfig"], 1, f"no {', '.join(essential)}")
    return absent


def _check_prerequisites() -> None:
    missing = {tool: package for tool, package in _TOOLS.items() if shutil.which(tool) is None}
    if missing:
        install = f"sudo apt-get install {' '.join(dict.fromkeys(missing.values()))}"
        raise MissingPrerequisiteError(", ".join(missing), install, "needed to build the kernel")


def _compiler() -> str:
    return output(["gcc", "--version"]).splitlines()[0]


def _compiler_key() -> str:
    return hashlib.sha256(_compiler().encode()).hexdigest()[:6]


def _compiled_fraction(log: Path) -> float:
    return min(0.99, log.read_bytes().count(b"\n  CC ") / _EXPECTED_FILES)


@contextmanager
def _locked(root: Path, on_progress: OnBuildProgress) -> Iterator[None]:
    """One build at a time for this cache; the lock vanishes with its holder."""
    with (root / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_progress(BuildProgress("wait", None, "another build is running"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
