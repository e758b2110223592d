"""The file system a run sees."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES

from testbed.guest_init import LAB, LAB_FD, PROJECT, PROJECT_FD, SITE, SITE_FD, visible
from testbed.guest_init.mounts import MS_BIND, MS_MOVE, MS_RDONLY, MS_REMOUNT, mount

MountFolder = Callable[[int, str, bool], None]
"""Mounts the folder behind a descriptor at a path; the third argument: writable."""

_ROOT = "/tmp"
"""Where the new root is put together: there on every system, and are not visible inside."""

_ETC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "etc")

_DEVICES = ("full", "null", "random", "tty", "urandom", "zero", "net/tun")
"""What the host runtime has in /dev: no disk, no terminal, no memory of the host's."""


def build(mount_folder: MountFolder, *, guest: bool) -> None:
    """Makes the file system and moves there.

    Args:
        mount_folder: how a host's folder is mounted in this runtime.
        guest: True in a guest kernel, which has devices of its own.
    """
    mount("tmpfs", _ROOT, "tmpfs", 0, "mode=755")
    fill(_ROOT)
    _show_programs()
    if not guest:
        _lend_devices()
    os.chdir(_ROOT)
    mount(".", "/", "none", MS_MOVE)
    os.chroot(".")
    _system_mounts(guest)
    for fd, path, writable in (
        (LAB_FD, LAB, True),
        (PROJECT_FD, PROJECT, False),
        (SITE_FD, SITE, False),
    ):
        os.mkdir(path)
        mount_folder(fd, path, writable)


def mount_hostfs(fd: int, path: str, writable: bool) -> None:
    """A guest's way to a folder of the host: by descriptor, so that no path shows inside."""
    mount("none", path, "hostfs", 0 if writable else MS_RDONLY, f"/proc/self/fd/{fd}")


def mount_bound(fd: int, path: str, writable: bool) -> None:
    """The host runtime's way: a bind mount."""
    mount(f"/proc/self/fd/{fd}", path, "none", MS_BIND)
    if not writable:
        mount("none", path, "none", MS_BIND | MS_REMOUNT | MS_RDONLY)


def fill(root: str) -> None:
    """Makes what is ours in a root: folders, ``/etc``, links."""
    users = _users()
    for path, owner in visible.FOLDERS.items():
        os.mkdir(root + path)
        if owner:
            os.chown(root + path, users[owner], users[owner])
    for path in visible.FOR_ALL:
        os.chmod(root + path, 0o1777)
    _copy(_ETC, f"{root}/etc")
    for name, target in visible.ALTERNATIVES.items():
        os.symlink(target, f"{root}/etc/alternatives/{name}")
    for path, target in visible.SYMLINKS.items():
        os.symlink(target, root + path)


def _users() -> dict[str, int]:
    """User → number; their own groups have the same numbers."""
    with open(f"{_ETC}/passwd") as lines:
        rows = [line.split(":") for line in lines]
    return {row[0]: int(row[2]) for row in rows}


def _copy(source: str, target: str) -> None:
    """Copies a folder's files into another, which may have some of its folders already."""
    for name in sorted(os.listdir(source)):
        one, other = f"{source}/{name}", f"{target}/{name}"
        if os.path.isdir(one):
            if not os.path.isdir(other):
                os.mkdir(other)
            _copy(one, other)
        else:
            with open(one, "rb") as text, open(other, "wb") as copy:
                copy.write(text.read())


def _show_programs() -> None:
    """The machine's programs and libraries, read-only."""
    mount(visible.PROGRAMS, _ROOT + visible.PROGRAMS, "none", MS_BIND)
    mount("none", _ROOT + visible.PROGRAMS, "none", MS_BIND | MS_REMOUNT | MS_RDONLY)
    for path in visible.EMPTY:
        if os.path.isdir(path):
            mount("tmpfs", _ROOT + path, "tmpfs", 0, "mode=755")
            for name in visible.PYTHON_PACKAGES:
                if os.path.isdir(f"{path}/{name}"):
                    os.mkdir(f"{_ROOT}{path}/{name}")
                elif os.path.isfile(f"{path}/{name}"):
                    os.close(os.open(f"{_ROOT}{path}/{name}", os.O_CREAT))
                else:
                    continue
                mount(f"{path}/{name}", f"{_ROOT}{path}/{name}", "none", MS_BIND)
            for name in visible.PYTHON_LIBRARIES:
                file = f"{path}/{name}{EXTENSION_SUFFIXES[0]}"
                if os.path.exists(file):
                    os.close(os.open(_ROOT + file, os.O_CREAT))
                    mount(file, _ROOT + file, "none", MS_BIND)
            mount("none", _ROOT + path, "none", MS_REMOUNT | MS_RDONLY)
    for name in visible.LINKS:
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{_ROOT}/{name}")
        elif os.path.isdir(f"/{name}"):
            os.mkdir(f"{_ROOT}/{name}")
            mount(f"/{name}", f"{_ROOT}/{name}", "none", MS_BIND)
            mount("none", f"{_ROOT}/{name}", "none", MS_BIND | MS_REMOUNT | MS_RDONLY)


def _lend_devices() -> None:
    mount("tmpfs", f"{_ROOT}/dev", "tmpfs", 0, "mode=755")
    os.mkdir(f"{_ROOT}/dev/net")
    for name in _DEVICES:
        if os.path.exists(f"/dev/{name}"):
            os.close(os.open(f"{_ROOT}/dev/{name}", os.O_CREAT))
            mount(f"/dev/{name}", f"{_ROOT}/dev/{name}", "none", MS_BIND)
    for name, target in {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}.items():
        os.symlink(f"/proc/self/fd{target}", f"{_ROOT}/dev/{name}")
    os.symlink("pts/ptmx", f"{_ROOT}/dev/ptmx")


def _system_mounts(guest: bool) -> None:
    mount("proc", "/proc", "proc")
    mount("sysfs", "/sys", "sysfs")
    if guest:
        mount("devtmpfs", "/dev", "devtmpfs")
        os.symlink("/proc/self/fd", "/dev/fd")
        for kind, path in (("cgroup2", "/sys/fs/cgroup"), ("tracefs", "/sys/kernel/tracing")):
            if os.path.isdir(path):  # Debian's guest kernel cannot trace
                mount(kind, path, kind)
    os.makedirs("/dev/pts", exist_ok=True)
    os.makedirs("/dev/shm", exist_ok=True)
    mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=620")
    mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777")
