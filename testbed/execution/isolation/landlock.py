"""Landlock: a process gives up, for itself and its children, the right to write outside one folder.

The kernel's own means for it that needs no privilege (Linux 5.13; kernel documentation,
userspace-api/landlock). Used where an ordinary user starts a guest: a user namespace would do
too, but in it every file of the system's users looks like nobody's, and the guest would see that.
"""

from __future__ import annotations

import ctypes
import os

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _RULE_PATH_BENEATH, _PR_SET_NO_NEW_PRIVS = 1, 1, 38

_WRITE_FILE, _REMOVE_TO_SYMLINK, _REFER, _TRUNCATE = 1 << 1, 0x1FF << 4, 1 << 13, 1 << 14

_libc = ctypes.CDLL(None, use_errno=True)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def write_only_beneath(*folders: int) -> bool:
    """Restricts this process; returns False, having done nothing, if the system has no Landlock.

    Args:
        folders: descriptors of the folders that may still be written.
    """
    version = _libc.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)
    if version < 1:
        return False
    access = _WRITE_FILE | _REMOVE_TO_SYMLINK
    access |= (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    handled = ctypes.c_uint64(access)
    rules = _libc.syscall(_CREATE_RULESET, ctypes.byref(handled), ctypes.sizeof(handled), 0)
    if rules < 0:
        return False
    for folder in folders:
        rule = _PathBeneath(access, folder)
        _libc.syscall(_ADD_RULE, rules, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    sealed = bool(_libc.syscall(_RESTRICT_SELF, rules, 0) == 0)
    os.close(rules)
    return sealed
