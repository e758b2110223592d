"""A TCP as in 1981: no option in any of its segments. A few lines that speak raw segments."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from testbed import filter_packets

if TYPE_CHECKING:
    from testbed import RunningNetwork

_FIN, _SYN, _RST, _PSH, _ACK = 1, 2, 4, 8, 16
_IPV4, _WINDOW_BYTES, _ISN, _WAIT_S = 0x0800, 4096, 7_000_000, 5.0


class OldPeer:
    """One connection of a node whose kernel is kept from answering."""

    def __init__(self, net: RunningNetwork, node: str, port: int, options: bytes = b"") -> None:
        self.port, self.options = port, options
        filter_packets(node, "prerouting", f"tcp dport {port} drop")(net)
        self._heard = net.inside(node, _packets)
        self._out = net.inside(node, _segments)
        self._heard.settimeout(_WAIT_S)
        self.own = net.address(node)
        self.peer, self.peer_port = "", 0
        self.seq, self.ack = _ISN, 0

    def accept(self) -> None:
        """Answers the first SYN, and waits for the acknowledgement."""
        self._hear(_SYN)
        self._say(_SYN | _ACK, self.options)
        self.seq += 1
        self._hear(_ACK)

    def acknowledge_all(self, size_bytes: int) -> None:
        """Takes so many bytes, and acknowledges each segment."""
        end = self.ack + size_bytes
        while self.ack != end:
            self._hear(_ACK)
            self._say(_ACK)

    def close(self) -> None:
        """Answers the FIN with its own."""
        self._hear(_FIN)
        self._say(_FIN | _ACK)
        self.seq += 1
        self._hear(_ACK)
        self._heard.close()
        self._out.close()

    def _hear(self, flag: int) -> None:
        """The next segment with a flag for our port; what it occupies is acknowledged next."""
        while True:
            packet, (_, _, kind, *_) = self._heard.recvfrom(65_535)
            segment = packet[4 * (packet[0] & 15) : int.from_bytes(packet[2:4], "big")]
            if packet[9] != socket.IPPROTO_TCP or kind == socket.PACKET_OUTGOING:
                continue
            source, target, seq, _, offset, flags = struct.unpack_from("!HHIIBB", segment)
            if target == self.port and flags & flag:
                break
        self.peer, self.peer_port = socket.inet_ntoa(packet[12:16]), source
        occupied = len(segment) - 4 * (offset >> 4) + bool(flags & _SYN) + bool(flags & _FIN)
        self.ack = (seq + occupied) % (1 << 32)

    def _say(self, flags: int, options: bytes = b"") -> None:
        """One segment; the kernel puts the IP header in front."""
        offset = (5 + len(options) // 4) << 4
        head = struct.pack(
            "!HHIIBBHHH",
            self.port, self.peer_port, self.seq, self.ack, offset, flags, _WINDOW_BYTES, 0, 0,
        ) + options  # fmt: skip
        pseudo = socket.inet_aton(self.own) + socket.inet_aton(self.peer)
        total = checksum(pseudo + struct.pack("!HH", socket.IPPROTO_TCP, len(head)) + head)
        segment = head[:16] + struct.pack("!H", total) + head[18:]
        self._out.sendto(segment, (self.peer, 0))


def _packets() -> socket.socket:
    return socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_IPV4))


def _segments() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)


def checksum(octets: bytes) -> int:
    """RFC 1071; all segments here have an even length."""
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
