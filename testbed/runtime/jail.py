"""Starts a run's first process so that nothing of it survives its starter, whatever kills that.

A program of its own (standard library alone), started as ``python -I -S jail.py SPEC``. It puts
the run into new namespaces where the system lets it: all processes of a PID namespace die with
its first one, and in a mount namespace everything but the run directory is read-only. Where it
may not, the kernel's parent-death signal alone holds the chain: this process, the guest, and each
of the guest's helpers ask for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
from typing import Any, NoReturn

CANNOT_START = 125
"""Exit code: the namespaces asked for cannot be had, or the program cannot be executed."""

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_PR_SET_PDEATHSIG = 1
_ADDR_NO_RANDOMIZE = 0x0040000
_SYS_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _ATTR_RDONLY = 442, -100, 0x8000, 1
_MS_REC_PRIVATE = 0x4000 | 0x40000

_LEVELS = ("process", "processes", "namespaces")

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Reads the specification, makes the namespaces, becomes the program."""
    spec: dict[str, Any] = json.loads(sys.argv[1])
    _die_with(spec["parent"])
    if spec["cpu"] is not None:
        os.sched_setaffinity(0, {spec["cpu"]})
    separate = _unshare(network=spec["network"])
    if separate:
        _fork_and_mirror()  # only a child is in the new PID namespace, as its process 1,
        _fork_and_mirror()  # which no signal of its own can end: a panicking guest would spin
    elif spec["network"]:
        _fail("cannot make namespaces: not permitted here")
    sealed = separate and (not spec["read_only"] or _everything_read_only())
    os.write(spec["report_fd"], f"isolation {_LEVELS[separate + sealed]}\n".encode())
    # a guest would do this itself, by executing itself once more
    _libc.personality(_ADDR_NO_RANDOMIZE)
    try:
        os.execve(spec["argv"][0], spec["argv"], spec["env"])
    except OSError as error:
        _fail(f"cannot execute {spec['argv'][0]}: {error.strerror}")


def can_separate() -> bool:
    """True if this user may make namespaces here; tried out in a process of its own."""
    child = os.fork()
    if child == 0:
        os._exit(0 if _unshare(network=False) and _everything_read_only() else 1)
    return os.waitpid(child, 0)[1] == 0


def _die_with(parent: int | None) -> None:
    """Asks for SIGKILL when the parent ends; ends now if that happened already."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        sys.exit(CANNOT_START)


def _unshare(*, network: bool) -> bool:
    """Makes the namespaces; False if the system does not let this user."""
    flags = _NEWPID | _NEWNS
    if network:
        flags |= _NEWNET | _NEWUTS | _NEWIPC
    uid, gid, parent = os.geteuid(), os.getegid(), os.getppid()
    if _libc.unshare(flags if uid == 0 else flags | _NEWUSER) != 0:
        return False
    _die_with(parent)  # a change of credentials forgets the signal
    if uid != 0:
        maps = {"setgroups": "deny", "uid_map": f"{uid} {uid} 1", "gid_map": f"{gid} {gid} 1"}
        for name, text in maps.items():
            # without a map the process has no rights in its namespace, and still those outside
            with contextlib.suppress(OSError), open(f"/proc/self/{name}", "w") as out:
                out.write(text)
    return True


def _everything_read_only() -> bool:
    """Seals every mount; False if the system does not let us, or is older than 5.12.

    The run directory stays writable: its descriptor was opened in the old namespace.
    """
    attributes = (ctypes.c_uint64 * 4)(_ATTR_RDONLY, 0, 0, 0)
    private = _libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None) == 0
    if not private:
        return False
    size = ctypes.sizeof(attributes)
    if _libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, b"/", _AT_RECURSIVE, attributes, size) != 0:
        return False
    # where the guest keeps its memory: its own, so that it vanishes and has room
    return bool(_libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"size=100%") == 0)


def _fork_and_mirror() -> None:
    """Goes on in a child; the parent reaps whatever comes its way and ends as the child did."""
    child = os.fork()
    if child == 0:
        _die_with(None)
        return
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _fail(reason: str) -> NoReturn:
    sys.stderr.write(f"testbed: {reason}\n")
    sys.exit(CANNOT_START)


if __name__ == "__main__":
    main()
