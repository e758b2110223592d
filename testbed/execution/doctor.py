"""Checks what is installed, what is missing, what it is for, and which command installs it."""

from __future__ import annotations

import gzip
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from analysis import compiled
from testbed.core.errors import MissingPrerequisiteError, TestbedError
from testbed.core.project import PROJECT
from testbed.execution import extras
from testbed.execution.isolation.start import isolation_here
from testbed.execution.runtime import choose
from testbed.machine import kernel
from testbed.machine.image import choice, store
from testbed.machine.image.store import Image
from testbed.machine.prerequisites import (
    BUILDS_KERNEL,
    EXTRAS,
    Package,
    extra_packages,
    find,
    installed_packages,
    packages,
)

State = Literal["there", "missing", "unknown"]

_INSTALL = "sudo apt-get install --no-install-recommends"
_EXTRAS = {
    "controllers": "experiments with OpenFlow controllers; make installs it with the first",
    "zstd": "reading captures compressed with zstd",
    "tls": "reading what is inside TLS; make installs it with the first experiment that does",
    "quic": "experiments with HTTP/3; make installs it with the first",
    "notebook": "make notebook, which installs it",
}
_HOST_FEATURES = {
    "NET_SCH_NETEM": "delay, jitter and loss on links of the host runtime",
    "NET_SCH_TBF": "rate limits on links of the host runtime",
    "NET_SCH_FQ_CODEL": "FQ-CoDel queues in the host runtime",
    "OPENVSWITCH": "Open vSwitch in the host runtime",
    "VETH": "every network of the host runtime",
}
_IMPORT = "testbed image import --use FILE"
_USE = "testbed image use NAME"
_NO_KERNEL = "the virtual clock: without it, runs take real time and differ between machines"
_GUEST_DISK_BYTES = 1 * 10**9


@dataclass(frozen=True)
class Check:
    """One thing the testbed uses.

    Attributes:
        name: of the thing.
        state: whether it is installed.
        found: its version or location; empty if missing.
        purpose: what it is for, that is, what does not work without it.
        mend: the one command that installs it; empty if it is installed or no command can.
    """

    name: str
    state: State
    found: str = ""
    purpose: str = ""
    mend: str = ""


def examine() -> list[Check]:
    """Checks everything; changes nothing."""
    image, why, lacking = _image()
    return [
        *_runtimes(),
        _image_check(image, why, lacking),
        *([_kernel_in(image)] if image else _kernels()),
        *_system(),
        *_debian_packages(image),
        *_debian_extras(),
        *_python_packages(),
        _compiled_reader(),
        *_host_kernel(),
    ]


def as_data(checks: list[Check]) -> list[dict[str, Any]]:
    """For ``--json``."""
    return [asdict(check) for check in checks]


def _runtimes() -> Iterator[Check]:
    try:
        chosen = choose()
    except TestbedError as error:
        yield Check("a runtime", "missing", "", f"nothing can run: {error}", kernel.BUILD_COMMAND)
        return
    yield Check("a runtime", "there", f"{chosen.name}, {chosen.clock} clock: {chosen.why}")


def _image() -> tuple[Image | None, str, str]:
    """The image that runs use (None: the host's programs), why, and what is wrong with it."""
    try:
        return *choice.choose(), ""
    except TestbedError as error:
        return None, "", str(error)


def _image_check(image: Image | None, why: str, lacking: str) -> Check:
    """Which image runs use, or what one would be good for."""
    if lacking:
        return Check("image", "missing", "", f"what it holds: {lacking}", _USE)
    if image is not None:
        back = "change: testbed image use NAME; this system's programs: testbed image use none"
        return Check("image", "there", f"{image.id}: {why}", back)
    known = store.ids()
    if known:
        held = f"{', '.join(known)}, not used by runs: {why}"
        return Check("image", "there", held, f"to use one: {_USE}")
    purpose = "optional: all programs of a run in one file, the same on every machine"
    absent = [p.name for p in packages() if p.name not in installed_packages()]
    if absent:
        purpose += f"; it contains the {len(absent)} Debian packages that are missing here"
    return Check("image", "missing", "", purpose, _IMPORT)


def _kernel_in(image: Image) -> Check:
    found = f"{image.kernel.version} ({image.kernel.source}), in the image"
    return Check("guest kernel", "there", found, _NO_KERNEL)


def _kernels() -> Iterator[Check]:
    purpose = _NO_KERNEL
    if platform.machine() != "x86_64":
        found = f"none for {platform.machine()}"
        yield Check("guest kernel", "missing", found, purpose)
        return
    built = kernel.find()
    if built is None:
        yield Check("guest kernel", "missing", "", purpose, kernel.BUILD_COMMAND)
    else:
        yield Check("guest kernel", "there", f"{built.version} ({built.source})", purpose)
    packaged = kernel.find_packaged()
    spare = "guests on the real clock where our kernel cannot be built"
    if packaged is not None:
        yield Check("Debian's guest kernel", "there", packaged.version, spare)
    elif built is None:
        mend = f"{_INSTALL} user-mode-linux"
        yield Check("Debian's guest kernel", "missing", "", spare, mend)


def _system() -> Iterator[Check]:
    purpose = "the host's write protection around a run's directory (the guest has its own, too)"
    isolation = isolation_here()
    sealed: State = "missing" if isolation == "process" else "there"
    yield Check("write protection", sealed, isolation, purpose)
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    cpus = len(os.sched_getaffinity(0))
    yield Check("processors", "there", f"{cpus}: the number of guests that run in parallel")
    enough: State = "there" if memory_mb >= 2048 else "missing"
    yield Check("memory", enough, f"{memory_mb} MB", "guests with 1 GB each")
    place = Path(tempfile.gettempdir())
    for name, path in (("disk space for runs", PROJECT), ("temporary disk space", place)):
        free_bytes = shutil.disk_usage(path).free
        state: State = "there" if free_bytes >= _GUEST_DISK_BYTES else "missing"
        yield Check(name, state, f"{free_bytes / 1e9:.1f} GB free in {path}", "captures")
    if os.geteuid() == 0:
        yield Check("root", "there", "", "the host runtime")
    else:
        yield Check("root", "missing", "", "the host runtime", "sudo -E ...")


def _debian_packages(image: Image | None) -> Iterator[Check]:
    """Packages in an image count as installed; with its kernel, build tools are not needed."""
    installed = installed_packages()
    held: dict[str, str] = image.manifest.data["packages"] if image else {}
    for package in packages():
        if image is not None and package.purpose == BUILDS_KERNEL:
            continue
        version = installed.get(package.name) or _other_evidence(package)
        if package.name in held:
            version = f"{held[package.name]}, in the image"
        mend = "" if version else f"{_INSTALL} {package.name}"
        state: State = "there" if version else "missing"
        yield Check(package.name, state, version, package.purpose, mend)


def _debian_extras() -> Iterator[Check]:
    """No image holds them."""
    installed = installed_packages()
    for extra in EXTRAS:
        for package in extra_packages(extra):
            version = installed.get(package.name, "")
            state: State = "there" if version else "missing"
            mend = "" if version else extras.install_command(extra)
            yield Check(package.name, state, version, package.purpose, mend)


def _other_evidence(package: Package) -> str:
    """A package's programs may be installed without dpkg knowing."""
    if package.name == "python3-venv" and sys.prefix != sys.base_prefix:
        return sys.prefix
    paths = [find(program) for program in package.programs]
    return ", ".join(p for p in paths if p) if paths and all(paths) else ""


def _python_packages() -> Iterator[Check]:
    for name in extras.packages_of():
        yield _python_package(name, "analysis or networks", "make setup")
    for extra, purpose in _EXTRAS.items():
        for name in extras.packages_of(extra):
            yield _python_package(name, purpose, extras.install_command(extra))


def _python_package(name: str, purpose: str, mend: str) -> Check:
    version = extras.installed(name)
    if version:
        return Check(f"Python {name}", "there", version, purpose)
    return Check(f"Python {name}", "missing", "", purpose, mend)


def _compiled_reader() -> Check:
    """The packet reader's C extension, which set-up builds where there is a compiler."""
    purpose = "fast reading of captures: without it, reading takes several times as long"
    try:
        compiled.load(compiled.FOLDER)
    except MissingPrerequisiteError as error:
        compiler = "" if find("cc") or find("gcc") else f"{_INSTALL} gcc libc6-dev && "
        return Check(compiled.NAME, "missing", error.why, purpose, compiler + error.install)
    return Check(compiled.NAME, "there", "built from straight.c", purpose)


def _host_kernel() -> Iterator[Check]:
    """What the running kernel supports; only the host runtime needs it."""
    options = _running_options()
    for option, purpose in _HOST_FEATURES.items():
        name = f"host kernel: {option}"
        if options is None:
            yield Check(name, "unknown", "the kernel does not reveal its options", purpose)
        else:
            value = options.get(option)
            yield Check(
                name, "there" if value else "missing", _SHAPES.get(value or "", ""), purpose
            )


_SHAPES = {"y": "built in", "m": "module"}


def _running_options() -> dict[str, str] | None:
    """Options of the running kernel, or None if it does not reveal them."""
    shown, installed = Path("/proc/config.gz"), Path(f"/boot/config-{platform.release()}")
    if shown.is_file():
        text = gzip.decompress(shown.read_bytes()).decode()
    elif installed.is_file():
        text = installed.read_text(encoding="utf-8")
    else:
        return None
    return dict(re.findall(r"^CONFIG_(\w+)=([ym])$", text, re.MULTILINE))
