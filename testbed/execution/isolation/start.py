"""Isolates this process and becomes the program."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
from typing import Any, NoReturn

from testbed.execution.isolation import CANNOT_START, landlock

_NEWNS, _NEWUTS, _NEWIPC, _NEWPID, _NEWNET = (
    0x20000,
    0x4000000,
    0x8000000,
    0x20000000,
    0x40000000,
)
_PR_SET_PDEATHSIG = 1
_ADDR_NO_RANDOMIZE = 0x0040000
_SYS_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _ATTR_RDONLY = 442, -100, 0x8000, 1
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


def main(text: str) -> None:
    """Sets up what the specification asks for, and becomes the program.

    Args:
        text: JSON; `launch.Job` and what goes with it.
    """
    spec: dict[str, Any] = json.loads(text)
    _die_with_parent()
    if os.getppid() != spec["parent"]:  # it ended before we asked
        sys.exit(CANNOT_START)
    if spec["cpu"] is not None:
        os.sched_setaffinity(0, {spec["cpu"]})
    if os.geteuid() != 0:
        lab = spec["folder_fds"][0]
        sealed = landlock.write_only_beneath(lab, os.open("/dev", os.O_PATH))
        isolation = "landlock" if sealed else "process"
    else:
        isolation = _enter_namespaces(spec)
    os.write(spec["report_fd"], f"isolation {isolation}\n".encode())
    # a guest would do this itself, by executing itself once more
    _libc.personality(_ADDR_NO_RANDOMIZE)
    try:
        os.execve(spec["argv"][0], spec["argv"], spec["env"])
    except OSError as error:
        _fail(f"cannot execute {spec['argv'][0]}: {error.strerror}")


def isolation_here() -> str:
    """What `Outcome.isolation` will be on this system for this user; tried in another process."""
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            sealed = _unshare(network=False) and _own_mounts() and _seal("/tmp")
        else:
            sealed = landlock.write_only_beneath()
        os._exit(0 if sealed else 1)
    if os.waitpid(child, 0)[1] != 0:
        return "process"
    return "namespaces" if os.geteuid() == 0 else "landlock"


def _enter_namespaces(spec: dict[str, Any]) -> str:
    """For root; returns the isolation achieved."""
    paths = {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in spec["folder_fds"]}
    if not _unshare(network=spec["network"]):
        if spec["network"]:
            _fail("cannot create namespaces: not permitted here")
        return "process"
    _fork_and_mirror()  # only a child is in the new PID namespace, as its process 1,
    _fork_and_mirror()  # which no signal of its own can end: a panicking guest would spin
    own = _own_mounts()
    if spec["network"] and not own:
        _fail("cannot create private mounts: the root directory is not a mount point (a chroot?)")
    sealed = own and (not spec["read_only"] or _seal(paths[spec["folder_fds"][0]]))
    for fd, path in paths.items():  # in the new namespace's mounts
        os.dup2(os.open(path, os.O_PATH | os.O_DIRECTORY), fd)
    return "namespaces" if sealed else "process"


def _die_with_parent() -> None:
    """Asks for SIGKILL when the parent ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _unshare(*, network: bool) -> bool:
    """Creates the namespaces; False if the system forbids it (to root in a container, say)."""
    flags = _NEWPID | _NEWNS
    if network:
        flags |= _NEWNET | _NEWUTS | _NEWIPC
    return bool(_libc.unshare(flags) == 0)


def _own_mounts() -> bool:
    """Separates our mounts from the host's; False if that is impossible."""
    return bool(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) == 0)


def _seal(lab: str) -> bool:
    """Everything but `lab` becomes read-only; False where the kernel cannot (before 5.12)."""
    path = lab.encode()
    if _libc.mount(path, path, None, _MS_BIND, None) != 0:
        return False
    if not (_set_attributes(b"/", _AT_RECURSIVE, set_=_ATTR_RDONLY)):
        return False
    if not _set_attributes(path, 0, clear=_ATTR_RDONLY):
        return False
    # where Debian's guest kernel keeps its memory: its own, so that it vanishes and has room
    return bool(_libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"size=100%") == 0)


def _set_attributes(path: bytes, flags: int, *, set_: int = 0, clear: int = 0) -> bool:
    """mount_setattr(2)."""
    attributes = (ctypes.c_uint64 * 4)(set_, clear, 0, 0)
    size = ctypes.sizeof(attributes)
    arguments = (_AT_FDCWD, path, flags, attributes, size)
    return bool(_libc.syscall(_SYS_MOUNT_SETATTR, *arguments) == 0)


def _fork_and_mirror() -> None:
    """Continues in a child; the parent reaps all orphans and ends as the child did."""
    watched, alive = os.pipe()  # of which the parent alone keeps the end `alive`
    child = os.fork()
    if child == 0:
        os.close(alive)
        _die_with_parent()
        if select.select([watched], [], [], 0)[0]:  # it ended before we asked
            os._exit(CANNOT_START)
        os.close(watched)
        return
    os.close(watched)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _fail(reason: str) -> NoReturn:
    sys.stderr.write(f"testbed: {reason}\n")
    sys.exit(CANNOT_START)
