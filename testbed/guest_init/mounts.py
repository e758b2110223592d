"""mount(2)."""

from __future__ import annotations

import ctypes
import os

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1, 32, 4096, 8192, 16384, 0x40000
_MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """mount(2); raises OSError that names the target."""
    data = options.encode() or None
    if _libc.mount(source.encode(), target.encode(), kind.encode(), flags, data) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {kind}: {os.strerror(number)}", target)


def unmount(target: str) -> None:
    """umount2(2), lazily and with what is mounted beneath; raises OSError that names the target."""
    if _libc.umount2(target.encode(), _MNT_DETACH) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"unmount: {os.strerror(number)}", target)
