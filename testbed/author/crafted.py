"""Packets with chosen senders: few, counted, and to addresses of the experiment alone.

For experiments that run in guests only. A `Sender` refuses targets that are not private, and more
packets than `MOST_PACKETS`.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from testbed.core.checksum import internet_checksum
from testbed.core.errors import ConfigError

if TYPE_CHECKING:
    from testbed.author.running_network import RunningNetwork

MOST_PACKETS = 10_000
"""That one sender sends."""

Timed = tuple[float, Callable[[], object]]
"""When, in seconds from the begin, and what."""

_IP = struct.Struct("!BBHHHBBH4s4s")
_TTL, _DONT_FRAGMENT = 64, 0x4000


class Sender:
    """Sends whole IP packets from a node."""

    def __init__(self, out: socket.socket) -> None:
        self._out, self._count = out, 0

    def send(self, packet: bytes) -> None:
        """Sends one packet, made by `ip_packet`.

        Raises:
            ConfigError: too many, or the target is not a private address.
        """
        self._count += 1
        target = IPv4Address(packet[16:20])
        if self._count > MOST_PACKETS or not target.is_private:
            raise ConfigError(
                f"crafted packet {self._count} to {target}: at most {MOST_PACKETS}, and only to "
                "private addresses"
            )
        self._out.sendto(packet, (str(target), 0))


@contextmanager
def sender(net: RunningNetwork, node: str) -> Iterator[Sender]:
    """A sender in a node."""
    made = net.inside(
        node, lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    )
    with made:
        yield Sender(made)


def ip_packet(
    source: IPv4Address, target: IPv4Address, protocol: int, content: bytes, number: int = 0
) -> bytes:
    """An IPv4 packet (RFC 791 §3.1); the kernel fills in the header's checksum.

    Args:
        source, target: addresses.
        protocol: of `content`.
        content: segment or datagram with its header.
        number: makes the identification.
    """
    length = _IP.size + len(content)
    head = (0x45, 0, length, number % 65_535 + 1, _DONT_FRAGMENT, _TTL, protocol, 0)
    return _IP.pack(*head, source.packed, target.packed) + content


def checksum(source: IPv4Address, target: IPv4Address, protocol: int, content: bytes) -> int:
    """Of TCP or UDP, over a segment or datagram whose field is 0 (RFC 9293 §3.1, RFC 768)."""
    pseudo = source.packed + target.packed + struct.pack("!HH", protocol, len(content))
    return internet_checksum(pseudo + content)


def udp_packet(
    source: tuple[IPv4Address, int], target: tuple[IPv4Address, int], data: bytes, number: int = 0
) -> bytes:
    """A UDP datagram as an IPv4 packet; ends are (address, port)."""
    head = struct.pack("!HHH", source[1], target[1], 8 + len(data))
    total = checksum(source[0], target[0], socket.IPPROTO_UDP, head + b"\0\0" + data)
    datagram = head + struct.pack("!H", total or 0xFFFF) + data
    return ip_packet(source[0], target[0], socket.IPPROTO_UDP, datagram, number)


def play_timed(net: RunningNetwork, *events: Timed) -> None:
    """Does everything at its time, from now on."""
    begun_s = net.time_s
    for when_s, act in sorted(events, key=lambda event: event[0]):
        net.sleep_until(begun_s + when_s)
        act()
