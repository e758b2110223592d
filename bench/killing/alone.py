"""A process of its own for a round of kills, in namespaces of its own where root may have them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_NEWNS, _NEWIPC, _NEWPID, _NEWNET = 0x20000, 0x08000000, 0x20000000, 0x40000000
_MS_PRIVATE_REC = 0x44000
_libc = ctypes.CDLL(None, use_errno=True)


def start(work: Callable[[], None], *, online: bool) -> int:
    """Starts work in a process, which ends with this one; returns its number.

    As root it is the first process of a PID namespace, with its own /proc, /dev/shm, /var/tmp,
    shared memory and, unless `online`, network: all that it finds there comes from what it kills.
    As another user it takes in the orphans of what it starts, and shares the rest.

    Args:
        work: what it does; an exception ends it with code 1.
        online: it needs the machine's network.
    """
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.geteuid() == 0:
            _enter_namespaces(online)
        else:
            _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        work()
    except SystemExit as error:
        sys.stderr.write(f"{error}\n")
    except Exception:  # noqa: BLE001 (a forked process must not go on as its parent would)
        traceback.print_exc()
    else:
        os._exit(0)
    os._exit(1)


def _enter_namespaces(online: bool) -> None:
    """Goes on as a child in new namespaces; this process waits for it, and ends as it does."""
    _check(_libc.unshare(_NEWNS | _NEWIPC | _NEWPID | (0 if online else _NEWNET)), "unshare")
    pid = os.fork()
    if pid:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os._exit(code if code >= 0 else 128 - code)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _mount(b"none", b"/", None, _MS_PRIVATE_REC)  # else what is mounted here shows on the machine
    _mount(b"proc", b"/proc", b"proc")
    for path in (b"/dev/shm", b"/var/tmp"):
        _mount(b"tmpfs", path, b"tmpfs", data=b"mode=1777")
    if not online:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def _mount(
    source: bytes, path: bytes, kind: bytes | None, flags: int = 0, data: bytes | None = None
) -> None:
    code = _libc.mount(source, path, kind, ctypes.c_ulong(flags), data)
    _check(code, f"mount {path.decode()}")


def _check(code: int, what: str) -> None:
    if code != 0:
        number = ctypes.get_errno()
        raise SystemExit(f"{what}: {os.strerror(number)}")
