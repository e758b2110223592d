"""Makes packets that a switch forwards leave their sender's socket (kernel: orphan them).

On a real wire a packet has left its sender for good. In the kernel it keeps the sender's socket
through veth, bridge and Open vSwitch, and counts against the socket until it is freed. A queue
behind a switch would then push back on the sender: UDP could never fill it, and TCP (whose limit
per socket is TCP Small Queues) would never see its delay. Routers need nothing: IP drops the
socket on arrival.

So every port of a switch has a BPF program at its exit (hook clsact/egress, in front of
the port's queue). It passes packets without a socket. Of all others it sends a copy out of the same
port and drops the original. A copy made by the kernel (``skb_clone``) shares the data and has no
socket, so it passes. Works on every kernel with cls_bpf since Linux 5.1; our guest kernel has a
patch instead and needs no program.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct

from testbed.net import traffic
from testbed.net.netlink import NEW, Message, nest, number, text

_SYS_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361}
"""By machine; instructions are encoded as little-endian machines have them."""

_BPF_PROG_LOAD, _BPF_PROG_TYPE_SCHED_CLS = 5, 3
_CLSACT, _EGRESS, _HANDLE = 0xFFFFFFF1, 0xFFFFFFF3, 0xFFFF0000
_TCA_BPF_FD, _TCA_BPF_NAME, _TCA_BPF_FLAGS, _DIRECT_ACTION = 6, 7, 8, 1
_SK, _IFINDEX = 168, 40  # in struct __sk_buff
_CLONE_REDIRECT, _TC_ACT_UNSPEC, _TC_ACT_STOLEN = 13, -1, 4
_NAME = "orphan"

_LOAD_DOUBLE, _LOAD_WORD, _JUMP_NOT_EQUAL, _MOVE, _CALL, _EXIT = 0x79, 0x61, 0x55, 0xB7, 0x85, 0x95

_libc = ctypes.CDLL(None, use_errno=True)


def _instruction(
    code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0
) -> bytes:
    return struct.pack("=BBhi", code, source << 4 | target, offset, value)


_PROGRAM = b"".join(
    (
        _instruction(_LOAD_DOUBLE, 2, 1, _SK),
        _instruction(_JUMP_NOT_EQUAL, 2, 0, 2, 0),  # has a socket: continue after the next exit
        _instruction(_MOVE, 0, value=_TC_ACT_UNSPEC),
        _instruction(_EXIT),
        _instruction(_LOAD_WORD, 2, 1, _IFINDEX),
        _instruction(_MOVE, 3, value=0),
        _instruction(_CALL, value=_CLONE_REDIRECT),
        _instruction(_MOVE, 0, value=_TC_ACT_STOLEN),  # a drop that no counter counts as a loss
        _instruction(_EXIT),
    )
)


def load() -> int:
    """Load the program; returns its descriptor.

    Raises:
        OSError: this kernel has no BPF, or does not allow it.
    """
    if platform.machine() not in _SYS_BPF:
        raise OSError(f"BPF on {platform.machine()} has not been tested")
    program = ctypes.create_string_buffer(_PROGRAM, len(_PROGRAM))
    licence = ctypes.create_string_buffer(b"GPL")
    request = ctypes.create_string_buffer(
        struct.pack(
            "=IIQQIIQII16s",
            _BPF_PROG_TYPE_SCHED_CLS,
            len(_PROGRAM) // 8,
            ctypes.addressof(program),
            ctypes.addressof(licence),
            0,
            0,
            0,
            0,
            0,
            _NAME.encode(),
        )
    )
    fd = _libc.syscall(_SYS_BPF[platform.machine()], _BPF_PROG_LOAD, request, len(request) - 1)
    if fd < 0:
        number_ = ctypes.get_errno()
        raise OSError(number_, f"BPF: {os.strerror(number_)}")
    return int(fd)


def messages(index: int, program_fd: int, what: str) -> list[Message]:
    """Requests that put the program in front of an interface's queue; no error if it is there."""
    there = (errno.EEXIST,)
    hook = traffic.TCMSG.pack(socket.AF_UNSPEC, index, _HANDLE, _CLSACT, 0)
    hook += text(traffic.TCA_KIND, "clsact")
    body = traffic.TCMSG.pack(socket.AF_UNSPEC, index, 1, _EGRESS, 1 << 16 | socket.htons(3))
    options = number(_TCA_BPF_FD, program_fd) + text(_TCA_BPF_NAME, _NAME)
    options += number(_TCA_BPF_FLAGS, _DIRECT_ACTION)
    body += text(traffic.TCA_KIND, "bpf") + nest(traffic.TCA_OPTIONS, options)
    return [
        Message(traffic.RTM_NEWQDISC, NEW, hook, f"{what}: hook clsact", there),
        Message(traffic.RTM_NEWTFILTER, NEW, body, f"{what}: filter bpf", there),
    ]
