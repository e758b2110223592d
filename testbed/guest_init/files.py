"""The file system a run sees."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable

from testbed.guest_init import LAB, LAB_FD, OWNERS, PROJECT, PROJECT_FD, SITE, SITE_FD

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC = 1, 32, 4096, 8192, 16384

MountFolder = Callable[[int, str, bool], None]
"""Mounts the folder behind a descriptor at a path; the third argument: writable."""

_ROOT = "/tmp/root"
_HIDDEN = {
    "/home": "",
    "/root": "mode=700",
    "/run": "",
    "/media": "",
    "/mnt": "",
    "/srv": "",
    "/tmp": "mode=1777",
    "/var/tmp": "mode=1777",
    "/dev/shm": "mode=1777",
}
"""Places that belong to a user, a machine or a boot: empty inside. Path → tmpfs options."""

_DEVICES = ("full", "null", "random", "tty", "urandom", "zero", "net/tun")
"""What the host runtime has in /dev: no disk, no terminal, no memory of the host's."""

_NAMES = """\
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
ethers: files
"""
"""Where names are looked up: on every system in files, and hosts in the network's own DNS.

A system's own list may name services that are not here (systemd's): each program that gives up root
then goes through a hundred system calls and a library more.
"""

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """mount(2); raises OSError that names the target."""
    data = options.encode() or None
    if _libc.mount(source.encode(), target.encode(), kind.encode(), flags, data) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {kind}: {os.strerror(number)}", target)


def build(mount_folder: MountFolder, *, guest: bool) -> None:
    """Makes the file system and moves there.

    Args:
        mount_folder: how a host's folder is mounted in this runtime.
        guest: True in a guest kernel, which has devices of its own.
    """
    _stack_root()
    if not guest:
        _lend_devices()
    os.chdir(_ROOT)
    mount(".", "/", "none", MS_MOVE)
    os.chroot(".")
    _system_mounts(guest)
    _give_to_owners()
    os.mkdir("/run/lock", 0o755)
    with open("/etc/nsswitch.conf", "w") as file:
        file.write(_NAMES)
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


def _stack_root() -> None:
    """The system's root, read-only, under a layer in memory, at `_ROOT`."""
    mount("tmpfs", "/tmp", "tmpfs")
    layers = {name: f"/tmp/{name}" for name in ("upper", "work")}
    for path in (*layers.values(), _ROOT):
        os.mkdir(path)
    options = "lowerdir=/,upperdir={upper},workdir={work}".format(**layers)
    mount("overlay", _ROOT, "overlay", 0, options)


def _give_to_owners() -> None:
    """What daemons' own users own, in an image."""
    if os.path.exists(OWNERS):
        with open(OWNERS) as noted:
            for path, (user, group) in json.load(noted).items():
                os.chown(path, user, group, follow_symlinks=False)


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
    for path, options in _HIDDEN.items():
        if os.path.isdir(path) and not os.path.islink(path):
            mount("tmpfs", path, "tmpfs", 0, options)
