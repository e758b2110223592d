"""SYNs with chosen sources: few, counted, and only inside a guest's network."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from testbed import ConfigError, internet_checksum

if TYPE_CHECKING:
    from testbed import RunningNetwork

Timed = tuple[float, Callable[[], object]]
"""When, in seconds from the step's begin, and what."""

CLIENT, SERVER, ATTACKER, BYSTANDER, ROUTER = "h1", "h2", "h3", "h4", "r1"

SILENT = IPv4Network("198.18.0.0/15")
"""Addresses from which nobody answers: the router drops what goes there (RFC 2544, for tests)."""

OWN_PREFIX = IPv4Network("10.0.3.224/28")
"""Further addresses that the attacker may use in its own LAN."""

MOST_SYNS = 10_000
"""Of one flood."""

_FIRST_PORT, _PORTS = 1024, 60_000
_SYN, _MSS_OPTION, _MSS_BYTES = 0x02, 2, 1460
_IP, _TCP = struct.Struct("!BBHHHBBH4s4s"), struct.Struct("!HHIIBBHHHBBH")
_TTL, _DONT_FRAGMENT, _WINDOW_BYTES = 64, 0x4000, 64_240


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

    def timed(self, net: RunningNetwork, out: socket.socket) -> Iterator[Timed]:
        """Each SYN with its time.

        Raises:
            ConfigError: more than `MOST_SYNS`, or a target that is not private.
        """
        target = IPv4Address(net.address(SERVER))
        if self.count > MOST_SYNS or not target.is_private:
            raise ConfigError(
                f"flood of {self.count} SYNs to {target}: at most {MOST_SYNS}, to a private address"
            )
        for number in range(self.count):
            source = self.sources[number % self.sources.num_addresses]
            packet = syn(source, _FIRST_PORT + number % _PORTS, target, self.port, number)
            yield (
                self.begin_s + number * self.gap_s,
                lambda p=packet: out.sendto(p, (str(target), 0)),  # type: ignore[misc]
            )


@contextmanager
def raw_socket(net: RunningNetwork, node: str) -> Iterator[socket.socket]:
    """A socket of a node that sends whole IP packets."""
    made = net.inside(
        node, lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    )
    with made:
        yield made


@contextmanager
def own_addresses(net: RunningNetwork) -> Iterator[IPv4Network]:
    """Gives the attacker more addresses of its own LAN, for which it answers ARP."""
    net.exec(ATTACKER, "ip", "route", "add", "local", str(OWN_PREFIX), "dev", "lo")
    yield OWN_PREFIX
    net.exec(ATTACKER, "ip", "route", "del", "local", str(OWN_PREFIX), "dev", "lo")


def play_timed(net: RunningNetwork, *events: Timed) -> None:
    """Does everything at its time, from now on."""
    begun_s = net.time_s
    for when_s, act in sorted(events, key=lambda event: event[0]):
        net.sleep_until(begun_s + when_s)
        act()


def syn(source: IPv4Address, sport: int, target: IPv4Address, dport: int, number: int) -> bytes:
    """A SYN as an IP packet; the kernel fills in IP's checksum (RFC 9293 §3.1, RFC 791 §3.1)."""
    words = (sport, dport, 1000 * number, 0, (_TCP.size // 4) << 4, _SYN, _WINDOW_BYTES)
    option = (_MSS_OPTION, 4, _MSS_BYTES)
    pseudo = source.packed + target.packed + struct.pack("!HH", socket.IPPROTO_TCP, _TCP.size)
    checksum = internet_checksum(pseudo + _TCP.pack(*words, 0, 0, *option))
    ends = (source.packed, target.packed)
    length = _IP.size + _TCP.size
    head = (0x45, 0, length, number % 65_535 + 1, _DONT_FRAGMENT, _TTL, socket.IPPROTO_TCP, 0)
    return _IP.pack(*head, *ends) + _TCP.pack(*words, checksum, 0, *option)
