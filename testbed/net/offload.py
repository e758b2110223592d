"""Hardware offloads of an interface, changed by the ioctl of ethtool(8)."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct

_SIOCETHTOOL, _ETHTOOL_STXCSUM = 0x8946, 0x17  # linux/sockios.h, linux/ethtool.h


def checksums_off(index: int) -> None:
    """Make the kernel compute the checksums of what an interface sends (and so segment it).

    Args:
        index: of an interface in the calling thread's network namespace.
    """
    name = socket.if_indextoname(index)
    value = ctypes.create_string_buffer(struct.pack("=II", _ETHTOOL_STXCSUM, 0))
    request = struct.pack("16sP16x", name.encode(), ctypes.addressof(value))  # struct ifreq
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        fcntl.ioctl(any_socket, _SIOCETHTOOL, request)
