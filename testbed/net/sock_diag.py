"""TCP sockets of a network namespace, as the kernel lists them (sock_diag(7)).

`ss` shows the same. Sockets in TIME-WAIT and half-open ones in SYN-RECEIVED are small records of
the kernel's, without events of their own: only this list shows them.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from testbed.net.netlink import NetlinkSocket

_NETLINK_SOCK_DIAG, _BY_FAMILY = 4, 20  # linux/netlink.h, linux/sock_diag.h
_REQUEST = struct.Struct("=BBBxI48x")  # struct inet_diag_req_v2
_ANSWER = struct.Struct("=BBBB2s2s16s16sI8sIIIII")  # struct inet_diag_msg
_EVERY_STATE = 0xFFFFFFFF


@dataclass(frozen=True)
class TcpEntry:
    """One socket.

    Attributes:
        state: the kernel's number of its TCP state.
        local, remote: addresses.
        port, remote_port: ports.
        retransmissions: of its newest segment, without answer.
        expires_ms: until its timer fires; 0 without one.
        receive_queue_bytes: not yet read; of a listener, connections not yet accepted.
        send_queue_bytes: not yet acknowledged; of a listener, its backlog.
    """

    state: int
    local: str
    port: int
    remote: str
    remote_port: int
    retransmissions: int
    expires_ms: int
    receive_queue_bytes: int
    send_queue_bytes: int


def tcp_entries() -> list[TcpEntry]:
    """All IPv4 TCP sockets of the namespace the calling thread is in."""
    request = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, _EVERY_STATE)
    with NetlinkSocket(_NETLINK_SOCK_DIAG) as kernel:
        return [_entry(bytes(body)) for _, body in kernel.dump(_BY_FAMILY, request)]


def _entry(body: bytes) -> TcpEntry:
    (
        _,
        state,
        _,
        retransmissions,
        port,
        remote_port,
        local,
        remote,
        _,
        _,
        expires_ms,
        received,
        sent,
        _,
        _,
    ) = _ANSWER.unpack_from(body)
    return TcpEntry(
        state,
        socket.inet_ntoa(local[:4]),
        int.from_bytes(port, "big"),
        socket.inet_ntoa(remote[:4]),
        int.from_bytes(remote_port, "big"),
        retransmissions,
        expires_ms,
        received,
        sent,
    )
