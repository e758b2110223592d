"""SYNs with chosen sources: few, counted, and only inside a guest's network."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from testbed import crafted

if TYPE_CHECKING:
    from testbed import RunningNetwork

CLIENT, SERVER, ATTACKER, BYSTANDER, ROUTER = "h1", "h2", "h3", "h4", "r1"

SILENT = IPv4Network("198.18.0.0/15")
"""Addresses from which nobody answers: the router drops what goes there (RFC 2544, for tests)."""

OWN_PREFIX = IPv4Network("10.0.3.224/28")
"""Further addresses that the attacker may use in its own LAN."""

_FIRST_PORT, _PORTS = 1024, 60_000
_SYN, _MSS_OPTION, _MSS_BYTES = 0x02, 2, 1460
_TCP, _WINDOW_BYTES = struct.Struct("!HHIIBBHHHBBH"), 64_240


@dataclass(frozen=True)
class Flood:
    """A counted number of SYNs.

    Attributes:
        port: the server's.
        count: how many.
        gap_s: between two.
        sources: addresses taken in turn as the sender's.
        begin_s: when the first one leaves, from the step's begin.
    """

    port: int
    count: int
    gap_s: float
    sources: IPv4Network = SILENT
    begin_s: float = 0.0

    def timed(self, net: RunningNetwork, out: crafted.Sender) -> Iterator[crafted.Timed]:
        """Each SYN with its time."""
        target = IPv4Address(net.address(SERVER))
        for number in range(self.count):
            source = self.sources[number % self.sources.num_addresses]
            packet = syn(source, _FIRST_PORT + number % _PORTS, target, self.port, number)
            yield self.begin_s + number * self.gap_s, partial(out.send, packet)


@contextmanager
def own_addresses(net: RunningNetwork) -> Iterator[IPv4Network]:
    """Gives the attacker more addresses of its own LAN, for which it answers ARP."""
    net.exec(ATTACKER, "ip", "route", "add", "local", str(OWN_PREFIX), "dev", "lo")
    yield OWN_PREFIX
    net.exec(ATTACKER, "ip", "route", "del", "local", str(OWN_PREFIX), "dev", "lo")


def syn(source: IPv4Address, sport: int, target: IPv4Address, dport: int, number: int) -> bytes:
    """A SYN as an IP packet (RFC 9293 §3.1)."""
    words = (sport, dport, 1000 * number, 0, (_TCP.size // 4) << 4, _SYN, _WINDOW_BYTES)
    option = (_MSS_OPTION, 4, _MSS_BYTES)
    bare = _TCP.pack(*words, 0, 0, *option)
    total = crafted.checksum(source, target, socket.IPPROTO_TCP, bare)
    segment = _TCP.pack(*words, total, 0, *option)
    return crafted.ip_packet(source, target, socket.IPPROTO_TCP, segment, number)
