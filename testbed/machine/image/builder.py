"""Builds an image from Debian's packages, our Python libraries and the guest kernel.

mmdebstrap (no root where the system has user namespaces) unpacks and configures the packages; what
a guest never reads is left out; all files get the same date, and Python files are compiled. The
same versions of packages, libraries and kernel give the same image to the byte.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from testbed.core.errors import CommandError, MissingPrerequisiteError, TestbedError
from testbed.lifetime import guard
from testbed.machine import kernel
from testbed.machine import libraries as guest_libraries
from testbed.machine.image import container, manifest, native, recipe, store
from testbed.machine.image.container import MTIME_S
from testbed.machine.image.scan import kernel_facts, scan, take_kernel
from testbed.machine.image.store import Image
from testbed.machine.kernel.source import KEYRING, mirror

_EXPECTED_BYTES = 300 * 10**6
_OWN_MOUNTS = ["unshare", "--mount", "--propagation", "private"]
"""Before root's mmdebstrap: what it mounts in its tree (/proc, parts of /dev) is never seen by
us, who remove that tree."""

_PYTHON_FOLDERS = ("root/usr/lib", "root/usr/share", "site")

OnStage = Callable[[str], None]


def build(on_stage: OnStage = lambda _: None) -> Image:
    """Makes an image in the cache (or finds the same one there) and locks it.

    Args:
        on_stage: called with the name of each stage.

    Raises:
        MissingPrerequisiteError: mmdebstrap, the guest kernel, or a Python library.
        TestbedError: a package is not available, or the disk is full.
    """
    built = kernel.find()
    if built is None:
        raise MissingPrerequisiteError("the guest kernel", kernel.BUILD_COMMAND)
    if shutil.which("mmdebstrap") is None:
        raise MissingPrerequisiteError("mmdebstrap", "sudo apt-get install mmdebstrap")
    guest_libraries.require_sets()
    with (
        store.making(2 * _EXPECTED_BYTES) as work,
        guard.folder("packages", for_all=True) as scratch,
    ):
        on_stage(f"packages of Debian's {recipe.SUITE}")
        tarball = _bootstrap(scratch)
        on_stage("selecting what a guest reads")
        packages = _take_root(tarball, work / "root")
        libraries = take_libraries(work / "site", work / "root")
        take_kernel(built.path.parent, work / "kernel")
        on_stage("Python's compiled files")
        _compile(work)
        on_stage("hashes")
        facts = {
            "kernel": kernel_facts(built.path.parent),
            "libraries": libraries,
            "packages": packages,
            "suite": recipe.SUITE,
        }
        return _keep(work, facts)


def _keep(work: Path, facts: dict[str, Any]) -> Image:
    made, listing = manifest.make(manifest.LAB, facts, scan(work))
    (work / container.LISTING).write_bytes(listing)
    (work / container.MANIFEST).write_bytes(made.raw)
    manifest.parse_listing(made, listing, "the new image")
    if not (store.images_root() / made.id).exists():
        store.keep(work, made)
    return store.get(made.id)


def _bootstrap(scratch: Path) -> Path:
    """Has mmdebstrap make a root tree; returns it as a tar file."""
    scratch.chmod(0o755)  # without root, other users' numbers work in it
    address, _ = mirror()
    (scratch / "sources.list").write_text(
        f"deb [signed-by={KEYRING}] {address} {recipe.SUITE} main\n"
    )
    excluded = [
        f"--dpkgopt=path-exclude=/usr/share/{x}/*" for x in ("doc", "man", "locale", "info")
    ]
    argv = [
        "mmdebstrap",
        "--variant=essential",
        "--architectures=amd64",
        f"--include={','.join(recipe.package_names())}",
        '--aptopt=APT::Install-Recommends "false"',
        *excluded,
        "--format=tar",
        recipe.SUITE,
        str(scratch / "root.tar"),
        str(scratch / "sources.list"),
    ]
    log = scratch / "log"
    kept = {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy") or k == "HOME"}
    environment = kept | {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "TMPDIR": str(scratch),
        "SOURCE_DATE_EPOCH": str(MTIME_S),
    }
    with log.open("wb") as out:
        line = _OWN_MOUNTS * (os.geteuid() == 0) + argv
        code = guard.run(line, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    if code != 0:
        lines = [x for x in log.read_text(errors="replace").splitlines() if x.startswith("E: ")]
        raise CommandError("image", argv[:1], code, stderr="\n".join(lines[:1]))
    return scratch / "root.tar"


def _take_root(tarball: Path, root: Path) -> dict[str, str]:
    """Unpacks what is kept; returns the packages' versions.

    The tar file is ours. Devices are left out, hard links copied.
    """
    root.mkdir()
    packages: dict[str, str] = {}
    with tarfile.open(tarball) as members:
        for member in members:
            path = os.path.normpath(member.name)
            if path == "var/lib/dpkg/status":
                packages = _versions(_content(members, member))
            if path == "." or not recipe.is_kept(path):
                continue
            _put(members, member, root / path)
    return packages


def _put(members: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    """Makes one member, unless an image does not hold its kind."""
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
    elif member.issym():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(member.linkname)
    elif member.isreg() or member.islnk():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_content(members, member).read())
        path.chmod(member.mode & 0o777 | 0o600)


def _content(members: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = members.extractfile(member)
    if content is None:
        raise TestbedError(f"{member.name}: has no content")
    return content


def _versions(status: IO[bytes]) -> dict[str, str]:
    """Package → version, from dpkg's own list."""
    text = status.read().decode()
    found = re.findall(r"^Package: (\S+)\n(?:.+\n)*?Version: (\S+)\n", text, re.MULTILINE)
    return dict(found)


def take_libraries(site: Path, root: Path) -> dict[str, str]:
    """Copies Python libraries from the builder's own, and the image's Mininet; returns versions."""
    mininet = root / guest_libraries.DEBIAN / guest_libraries.MININET
    for path, file in guest_libraries.files(mininet).items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, site / path)
    return guest_libraries.versions()


def _compile(work: Path) -> None:
    """Compiles all Python files by the image's own Python, so that no guest has to.

    The compiled files are taken without a look at the source's date, which all share.
    """
    root = work / "root"
    for folder in _PYTHON_FOLDERS:
        inside = f"/{folder}".replace("/root", "").replace("/site", "/run/site")
        arguments = ["-m", "compileall", "-f", "-q", "--invalidation-mode", "unchecked-hash"]
        paths = ["-s", str(work / folder), "-p", inside, str(work / folder)]
        argv = native.argv(root, "usr/bin/python3", "-sSP", *arguments, *paths)
        done = guard.result(argv, env=native.environment(root))
        if done.returncode not in (0, 1):  # 1: a file for another version of Python, say
            raise CommandError(
                "image", ["python3", "-m", "compileall"], done.returncode, done.stderr
            )
