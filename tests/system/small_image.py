"""A small image made in a moment from the host's own files: enough for the programs of these tests.

It differs from a real one in where its files come from, and in nothing that runs it.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from testbed.machine import kernel
from testbed.machine.image import container, manifest, native, store
from testbed.machine.image.builder import take_libraries
from testbed.machine.image.scan import kernel_facts, scan, take_kernel

PROGRAMS = tuple(
    f"/usr/bin/{name}"
    for name in (
        "iperf3",
        "tcpdump",
        "mnexec",
        "env",
        "grep",
        "sh",
        "mount",
        "cat",
        "stty",
        "ip",
        "bash",
    )
)
_EMPTY = ("proc", "sys", "dev", "run", "tmp", "root", "home", "mnt", "media", "srv", "var/tmp")
_TOP_LINKS = ("bin", "sbin", "lib", "lib64")


def make(built: kernel.GuestKernel) -> str:
    """Makes the image in the cache; returns its name."""
    with store.making(0) as work:
        root = work / "root"
        for name in (*_EMPTY, *(f"usr/{name}" for name in _TOP_LINKS), "etc"):
            (root / name).mkdir(parents=True)
        for name in _TOP_LINKS:
            (root / name).symlink_to(f"usr/{name}")
        python = Path(f"/usr/bin/python3.{sys.version_info.minor}")
        _copy_python(root, python)
        modules = Path(f"/usr/lib/{python.name}/lib-dynload").glob("*.so")
        for path in _with_libraries([python, *map(Path, PROGRAMS), *modules]):
            _copy(path, root)
        _copy(Path("/", native.LOADER), root)
        (root / "usr/bin/python3").symlink_to(python.name)
        libraries = take_libraries(work / "site", root)
        take_kernel(built.path.parent, work / "kernel")
        facts = {
            "kernel": kernel_facts(built.path.parent),
            "libraries": libraries,
            "packages": {},
            "suite": "the host's files",
        }
        made, listing = manifest.make(manifest.LAB, facts, scan(work))
        (work / container.LISTING).write_bytes(listing)
        (work / container.MANIFEST).write_bytes(made.raw)
        store.keep(work, made)
        return made.id


def _copy_python(root: Path, python: Path) -> None:
    unread = shutil.ignore_patterns("test", "idlelib", "ensurepip", "__pycache__", "config-*")
    shutil.copytree(f"/usr/lib/{python.name}", root / "usr/lib" / python.name, ignore=unread)
    mininet = "usr/lib/python3/dist-packages/mininet"
    shutil.copytree(f"/{mininet}", root / mininet, ignore=unread)


def _with_libraries(programs: list[Path]) -> set[Path]:
    argv = ["ldd", *map(str, programs)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    words = {word for word in done.stdout.split() if word.startswith("/") and word[-1] != ":"}
    # glibc loads this one itself when a thread is cancelled, as those of iperf3 3.18 are
    unwinder = {Path(word).with_name("libgcc_s.so.1") for word in words if "/libc.so" in word}
    return {*programs, *map(Path, words), *unwinder}


def _copy(path: Path, root: Path) -> None:
    """Where a path leads is copied to where it stands, below the merged /usr."""
    name = str(path)
    place = root / (name if name.startswith("/usr/") else f"/usr{name}").lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        shutil.copy(path.resolve(), place)
