"""What the network between the ends does to segments: loses, holds, repeats and forges them.

All of it happens in r1. Segments that are held or repeated are those of the real ends, byte for
byte; only the forged resets are made here.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from testbed import Action, filter_packets, internet_checksum, unfilter

if TYPE_CHECKING:
    from testbed import RunningNetwork

ROUTER = "r1"
_IPV4, _TTL = 0x0800, 8
PURE_ACK = "tcp flags & (fin | syn | rst | psh | ack) == ack"


def lose(rule: str) -> Action:
    """Loses segments that match, until `lose_nothing`."""
    return filter_packets(ROUTER, "forward", f"{rule} drop")


lose_nothing: Action = unfilter(ROUTER)


class Tap:
    """Copies of the segments that one end sends, taken in the router."""

    def __init__(self, net: RunningNetwork, interface: str, port: int) -> None:
        """Begins to listen.

        Args:
            net: the running network.
            interface: of the router, towards the sender.
            port: the sender's.
        """
        self._net, self._port = net, port
        self._heard = net.inside(ROUTER, lambda: _packets(interface))

    def copy(self, flags: int, mask: int = 0xFF) -> bytes:
        """The first IP packet heard with these flags.

        Raises:
            BlockingIOError: none came.
        """
        while True:
            packet = self._heard.recv(65_535)
            segment = packet[4 * (packet[0] & 15) :]
            is_tcp = packet[9] == socket.IPPROTO_TCP
            mine = is_tcp and int.from_bytes(segment[:2], "big") == self._port
            if mine and segment[13] & mask == flags:
                return packet

    def close(self) -> None:
        """Listens no more."""
        self._heard.close()


def _packets(interface: str) -> socket.socket:
    heard = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_IPV4))
    heard.bind((interface, _IPV4))
    heard.setblocking(False)
    return heard


def deliver(net: RunningNetwork, packet: bytes) -> None:
    """Sends an IP packet on its way from the router, as one that was forwarded late."""
    late = bytearray(packet)
    late[_TTL] -= 1
    out = net.inside(
        ROUTER, lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    )
    out.sendto(late, (socket.inet_ntoa(packet[16:20]), 0))  # the kernel fills in the checksum
    out.close()


def forge_reset(net: RunningNetwork, example: bytes, offset: int) -> None:
    """A reset in the name of another segment's sender.

    Args:
        net: the running network.
        example: an IP packet of the sender whose acknowledgement number and ports are taken.
        offset: of the reset's sequence number from the byte that follows the example.
    """
    size = 4 * (example[0] & 15)
    segment = example[size : int.from_bytes(example[2:4], "big")]
    ports, seq = segment[:4], int.from_bytes(segment[4:8], "big")
    occupied = len(segment) - 4 * (segment[12] >> 4) + bool(segment[13] & 3)
    reset = ports + struct.pack(
        "!IIBBHHH", (seq + occupied + offset) % (1 << 32), 0, 5 << 4, 4, 0, 0, 0
    )
    pseudo = example[12:20] + struct.pack("!HH", socket.IPPROTO_TCP, len(reset))
    total = internet_checksum(pseudo + reset)
    reset = reset[:16] + struct.pack("!H", total) + reset[18:]
    head = bytearray(example[:20])
    head[0], head[2:4], head[10:12] = 0x45, struct.pack("!H", 20 + len(reset)), b"\0\0"
    deliver(net, bytes(head) + reset)
