"""The machine's files under layers in memory: all can be written, and nothing of it stays.

What root's programs write, delete or rename beneath such a tree reaches no file of the machine.
Overlay file systems do that, one for each file system of the machine. A kernel without them has
everything read-only, but for places of its own in `_COPIED` and `_EMPTY`. Mounts are made in the
caller's mount namespace, which must be its own: they end with its last process, however that ends.

Standard library alone: this runs before anything else of a run.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import re
import shutil
import stat
from collections.abc import Sequence

from testbed.guest_init.mounts import (
    MS_BIND,
    MS_MOVE,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    mount,
)

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000

MARK = "/run/testbed"
"""A mount point in every world of ours."""

_NO_FILES = (
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "securityfs",
    "sysfs",
    "tracefs",
)
"""Kinds of file systems that the kernel itself fills."""

_KERNELS_OWN = ("/proc", "/sys", "/dev")
_SCRATCH = "/tmp"
_ROOT = f"{_SCRATCH}/root"
_COPIED = ("/etc",)
_EMPTY = ("/run", "/tmp", "/var/tmp", "/var/lib", "/var/log", "/var/cache", "/var/spool")
"""Without overlays: copied whole; and with the machine's folders, but none of its files."""

_SKELETON_DEPTH = 2
_COPY_LIMIT_BYTES = 1 << 24
_SYSTEM = (
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/var",
    "/var/lib",
    "/var/log",
    "/var/tmp",
)

_SYSTEM_TREES = (
    "/bin/",
    "/boot/",
    "/dev/",
    "/etc/",
    "/lib/",
    "/lib32/",
    "/lib64/",
    "/libx32/",
    "/proc/",
    "/run/",
    "/sbin/",
    "/sys/",
    "/usr/",
    "/var/",
)
"""All folders beneath these are the system's, but for ``/var/tmp``."""

_libc = ctypes.CDLL(None, use_errno=True)


def are_here() -> bool:
    """Whether this process is in a world of ours already: a guest, or layers of a run."""
    return os.path.ismount(MARK)


def may_be_kept(folder: str) -> bool:
    """Whether a folder is a user's; writes to the system's own are never kept."""
    path = os.path.realpath(folder)
    if path in _SYSTEM:
        return False
    return path.startswith("/var/tmp/") or not path.startswith(_SYSTEM_TREES)


class Layers:
    """A tree of the machine's files under layers, at `root`.

    Attributes:
        root: where it is, until `enter`.
    """

    root = _ROOT

    def __init__(self, keep: Sequence[str] = (), *, overlay: bool = True) -> None:
        """Make it, over whatever is at ``/tmp``.

        Args:
            keep: folders whose content is the machine's own; what is written there stays.
            overlay: use overlay file systems where the kernel has them.

        Raises:
            OSError: a mount is refused.
        """
        mounts = _mount_points()
        opened = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in mounts}
        kept = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in keep]
        mount("tmpfs", _SCRATCH, "tmpfs", 0, "mode=755")
        self._scratch = os.open(_SCRATCH, os.O_PATH | os.O_CLOEXEC)
        self._uppers: list[tuple[str, str]] = []
        self._numbers = itertools.count()
        os.mkdir(_ROOT)
        self._overlay = overlay
        for path, fd in opened.items():
            self._cover(path, fd)
            os.close(fd)
        if not self._overlay:
            _give_own_places()
        for path, fd in kept:
            os.makedirs(_ROOT + path, exist_ok=True)
            mount(f"/proc/self/fd/{fd}", _ROOT + path, "none", MS_BIND | MS_REC)
            os.close(fd)

    def _cover(self, path: str, fd: int) -> None:
        """One file system of the machine."""
        source, target = f"/proc/self/fd/{fd}", _ROOT + path.rstrip("/")
        if not stat.S_ISDIR(os.stat(source).st_mode):
            self._copy_file(source, target)
            return
        if not os.path.isdir(target):
            return  # beneath something that is not shown
        if self._overlay:
            try:
                self._lay_over(path, source, target)
                return
            except OSError:
                # of a kernel without overlays the root tells; others may be of a kind that cannot
                # be under one
                self._overlay = path != "/"
        mount(source, target, "none", MS_BIND)
        mount("none", target, "none", MS_BIND | MS_REMOUNT | MS_RDONLY)

    def _lay_over(self, path: str, source: str, target: str) -> None:
        own = f"layer{next(self._numbers)}"
        for name in ("upper", "work"):
            os.makedirs(f"{_SCRATCH}/{own}/{name}")
        _copy_owner(source, f"{_SCRATCH}/{own}/upper")
        options = f"lowerdir={source},upperdir={_SCRATCH}/{own}/upper,workdir={_SCRATCH}/{own}/work"
        mount("overlay", target, "overlay", 0, options)
        self._uppers.append((path.rstrip("/"), f"{own}/upper"))

    def _copy_file(self, source: str, target: str) -> None:
        """A file that is mounted over another, as containers have it: its content takes the place.

        What has none (a namespace, a socket) is left out.
        """
        if not self._overlay:
            return  # everything is read-only, and /etc is copied
        if stat.S_ISREG(os.stat(source).st_mode) and os.stat(source).st_size < _COPY_LIMIT_BYTES:
            try:
                shutil.copyfile(source, target)
            except OSError:
                return

    def lend_kernels_own(self) -> None:
        """Show the machine's /proc, /sys and /dev; in /dev no name can be made or removed."""
        for path, flags in (("/proc", 0), ("/sys", 0), ("/dev", MS_REC)):
            mount(path, _ROOT + path, "none", MS_BIND | flags)
        mount("none", f"{_ROOT}/dev", "none", MS_BIND | MS_REMOUNT | MS_RDONLY)
        if os.path.isdir(f"{_ROOT}/dev/shm"):
            mount("tmpfs", f"{_ROOT}/dev/shm", "tmpfs", 0, "mode=1777")

    def enter(self) -> None:
        """Make it this process's root; the working directory becomes ``/``."""
        os.chdir(_ROOT)
        mount(".", "/", "none", MS_MOVE)
        os.chroot(".")
        os.chdir("/")

    def written(self) -> list[str]:
        """Files that were written or recreated in the layers, and are lost with them."""
        found = []
        for path, upper in self._uppers:
            top = f"/proc/self/fd/{self._scratch}/{upper}"
            for folder, _, names in os.walk(top):
                for name in names:
                    if stat.S_ISREG(os.lstat(f"{folder}/{name}").st_mode):
                        found.append(path + folder[len(top) :] + f"/{name}")
        return sorted(found)


def enter(keep: Sequence[str] = ()) -> Layers:
    """Move the calling thread, and all that it starts, into mounts of its own under layers.

    The machine's name and its message queues are out of reach, too.

    Args:
        keep: see `Layers`.

    Raises:
        OSError: not root, or a mount is refused.
    """
    if _libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"namespaces: {os.strerror(number)}")
    mount("none", "/", "none", MS_REC | MS_PRIVATE)
    layers = stack(keep)
    seal_settings()
    return layers


def stack(keep: Sequence[str] = (), *, overlay: bool = True) -> Layers:
    """Layers as root, in a mount namespace that is the thread's own already."""
    layers = Layers(keep, overlay=overlay)
    layers.lend_kernels_own()
    layers.enter()
    os.makedirs(MARK, exist_ok=True)
    mount("tmpfs", MARK, "tmpfs", 0, "mode=755,size=4k")
    return layers


def seal_settings() -> None:
    """In the /proc there is, settings of the whole machine cannot be written; a network's can."""
    for path, flags in (
        ("/proc/sysrq-trigger", MS_RDONLY),
        ("/proc/sys", MS_RDONLY),
        ("/proc/sys/net", 0),
    ):
        if os.path.exists(path):
            mount(path, path, "none", MS_BIND)
            mount("none", path, "none", MS_BIND | MS_REMOUNT | flags)


def _mount_points() -> list[str]:
    """Of the machine's file systems, each behind what it is in; not of what the kernel fills."""
    found = {"/"}
    with open("/proc/self/mountinfo", "rb") as lines:
        for line in lines:
            words = line.split(b" ")
            raw, kind = words[4], words[words.index(b"-") + 1].decode()
            path = os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), raw))
            inside = any(f"{path}/".startswith(f"{own}/") for own in _KERNELS_OWN)
            if not inside and kind not in _NO_FILES and os.access(path, os.F_OK):
                found.add(path)
    return sorted(found)


def _give_own_places() -> None:
    for path in (*_COPIED, *_EMPTY):
        source, own = _ROOT + path, f"{_SCRATCH}/own{path}"
        if os.path.isdir(source) and not os.path.islink(source):
            os.makedirs(own)
            _copy_tree(source, own, *((99, True) if path in _COPIED else (_SKELETON_DEPTH, False)))
            mount(own, source, "none", MS_BIND)


def _copy_tree(source: str, target: str, depth: int, files: bool) -> None:
    """Folders and links with owner and mode, and `files`; no sockets, pipes or devices."""
    _copy_owner(source, target)
    for entry in os.scandir(source):
        own = f"{target}/{entry.name}"
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), own)
        elif entry.is_dir() and depth:
            os.mkdir(own)
            _copy_tree(entry.path, own, depth - 1, files)
        elif entry.is_file() and files:
            shutil.copyfile(entry.path, own)
            _copy_owner(entry.path, own)


def _copy_owner(source: str, target: str) -> None:
    known = os.stat(source)
    os.chown(target, known.st_uid, known.st_gid)
    shutil.copystat(source, target)
