"""Who sends what: honest uploads, and floods of counted datagrams."""

from __future__ import annotations

import itertools
import random
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from testbed import crafted

if TYPE_CHECKING:
    from testbed import RunningNetwork

SERVICE = IPv4Address("198.51.100.80")
"""The address that clients know: of v1, and of its copies (RFC 5737, for examples)."""

ANYBODY = IPv4Network("198.18.0.0/15")
"""Forged senders (RFC 2544, for tests)."""

ATTACKERS = ("a1", "a2", "a3", "a4")
CLIENTS = ("c1", "c2")
VICTIM, NEIGHBOUR = "v1", "v2"

FLOOD_BYTES, FLOOD_PORT = 1400, 9
"""Of a datagram's data; port of the discard service."""

IP_UDP_BYTES = 28

_LOOK_S = 0.01
"""How often the ends of an upload are looked after."""

_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Flood:
    """Datagrams of several sources to the service, at random times (a Poisson process).

    Even ones would stay in step with the queue that they fill.

    Attributes:
        mbps: rate of each source, with headers of IP and UDP.
        begin_s, end_s: when.
        forged: each datagram has another sender.
    """

    mbps: float
    begin_s: float
    end_s: float
    forged: bool = False

    @property
    def gap_s(self) -> float:
        """Mean time between two datagrams of one source."""
        return 8e-6 * (FLOOD_BYTES + IP_UDP_BYTES) / self.mbps

    @property
    def count(self) -> int:
        """Datagrams of one source."""
        return int((self.end_s - self.begin_s) / self.gap_s)

    def timed(self, net: RunningNetwork, node: str, out: crafted.Sender) -> Iterator[crafted.Timed]:
        """One source's datagrams."""
        own, place = IPv4Address(net.address(node)), ATTACKERS.index(node)
        chance, when_s = random.Random(place), self.begin_s
        for number in range(self.count):
            when_s += chance.expovariate(1 / self.gap_s)
            source = ANYBODY[number * len(ATTACKERS) + place] if self.forged else own
            packet = crafted.udp_packet(
                (source, 4000 + place), (SERVICE, FLOOD_PORT), bytes(FLOOD_BYTES), number
            )
            yield when_s, partial(out.send, packet)


class Upload:
    """A client that sends to a server as much as TCP lets it.

    Both ends are looked after every few milliseconds; their kernels do the rest.
    """

    _ports = itertools.count(5201)

    def __init__(self, net: RunningNetwork, client: str, server: str, address: str) -> None:
        self._net = net
        port = next(self._ports)
        self._server = net.inside(server, socket.socket)
        self._server.bind(("", port))
        self._server.listen(1)
        self._server.setblocking(False)
        self._client = net.inside(client, socket.socket)
        self._client.setblocking(False)
        self._target = (address, port)
        self._taken: socket.socket | None = None

    def timed(self, until_s: float) -> Iterator[crafted.Timed]:
        """Opens the connection, and looks after its ends."""
        yield 0.0, lambda: self._client.connect_ex(self._target)
        for number in range(1, int(until_s / _LOOK_S)):
            yield number * _LOOK_S, self._look

    def _look(self) -> None:
        with suppress(OSError):  # not yet, or never
            self._client.send(bytes(_CHUNK_BYTES))
        with suppress(OSError):  # not yet, or never
            if self._taken is None:
                self._taken = self._server.accept()[0]
                self._taken.setblocking(False)
            self._taken.recv(_CHUNK_BYTES)

    def end(self) -> None:
        """Forgets the connection at both ends, so that nothing is repeated."""
        for one in (self._client, self._taken):
            if one is not None:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.close()
        self._server.close()
