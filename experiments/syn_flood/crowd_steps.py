"""Steps with connections that are complete: idle ones, and requests that take their time."""

from __future__ import annotations

import socket
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from testbed import Action, crafted

from .flooding import ATTACKER, BYSTANDER, CLIENT, SERVER, own_addresses
from .servers import APACHE, CURED, EVENT_CONNECTIONS, LIMITED, NGINX, PER_SOURCE

if TYPE_CHECKING:
    from testbed import RunningNetwork

IDLE = 20
"""Complete connections of the attacker: more than Apache's processes."""

SLOW, SLOW_MANY, SLOW_TOO_MANY = 10, 100, EVENT_CONNECTIONS + 12
"""Slow requests: more than Apache's processes; fewer, and more, than nginx holds."""

SOURCES = 4
"""Addresses from which as many connections come as from one before."""

PATIENCE_S, LONG_PATIENCE_S = 5, 30
BYTE_EVERY_S, NEXT_S = 5.0, 0.02
HONEST_BYTE_EVERY_S = 1.0
"""A client on a very slow line; the rest of its header takes longer than Apache waits."""

_BEGIN = b"GET / HTTP/1.1\r\nHost: h2\r\n"
_HONEST_REST = b"Accept: text/html\r\n\r\n"


class CrowdSteps:
    """Complete connections."""

    def __init__(self, net: RunningNetwork, faults: Collection[str]) -> None:
        self.net, self.faults = net, faults
        self.server = net.address(SERVER)

    def steps(self) -> dict[str, Action]:
        """Steps by name."""
        few = "few-connections" in self.faults
        slow, many, too_many = (2, 2, 2) if few else (SLOW, SLOW_MANY, SLOW_TOO_MANY)
        return {
            "idle": lambda _: self._idle(APACHE, 2 if few else IDLE),
            "limited": lambda _: self._idle(LIMITED, IDLE),
            "shared": lambda _: self._shared(),
            "many-sources": lambda _: self._many_sources(),
            "slow-apache": lambda _: self._slow(APACHE, slow, LONG_PATIENCE_S),
            "slow-nginx": lambda _: self._slow(NGINX, many, PATIENCE_S),
            "slow-full": lambda _: self._slow(NGINX, too_many, PATIENCE_S),
            "slow-cured": lambda _: self._slow(CURED, slow, LONG_PATIENCE_S),
            "slow-honest": lambda _: self._slow_honest(),
        }

    # ---- clients

    def _open(
        self, node: str, port: int, count: int, source: str = "", begin: bytes = b""
    ) -> list[socket.socket]:
        """Connections, one after another, so that the server has accepted each before the next."""
        made = []
        for _ in range(count):
            one = self.net.inside(node, socket.socket)
            if source:
                one.bind((source, 0))
            one.settimeout(1.0)
            one.connect((self.server, port))
            one.setblocking(False)
            made.append(one)
            _send(one, begin)
            self.net.sleep(NEXT_S)
        return made

    def _ask(self, port: int, patience_s: int) -> None:
        """An honest client; returns at once."""
        url = f"http://{self.server}:{port}/"
        limit = ("--max-time", str(patience_s))
        self._client = self.net.start(CLIENT, "curl", "--silent", *limit, url, log=f"curl-{port}")

    def _idle(self, port: int, count: int) -> None:
        """Connections without a request, and a client; then the client alone."""
        self._crowded(port, self._open(ATTACKER, port, count))

    def _crowded(self, port: int, crowd: Sequence[socket.socket]) -> None:
        self._ask(port, PATIENCE_S)
        self._client.wait(PATIENCE_S + 5)
        self._alone(port, crowd)

    def _alone(self, port: int, crowd: Sequence[socket.socket]) -> None:
        """The crowd leaves; a client shows whether the server still serves."""
        _leave(crowd)
        self.net.sleep(1.0)
        self._ask(port, PATIENCE_S)
        self._client.wait(PATIENCE_S + 5)

    def _shared(self) -> None:
        """Users behind one address, which is h4's: each opens one connection and asks later."""
        crowd = []
        for _ in range(PER_SOURCE + 1):
            crowd += self._open(BYSTANDER, LIMITED, 1)
        for user in crowd:
            _send(user, _BEGIN + _HONEST_REST)
            self.net.sleep(0.2)
        _leave(crowd)

    def _many_sources(self) -> None:
        """As many connections as before, but from several addresses."""
        with own_addresses(self.net) as addresses:
            count = 1 if "few-connections" in self.faults else SOURCES
            crowd = []
            for number in range(count):
                crowd += self._open(ATTACKER, LIMITED, PER_SOURCE, str(addresses[1 + number]))
            self._crowded(LIMITED, crowd)

    # ---- slow requests

    def _slow(self, port: int, count: int, patience_s: int) -> None:
        """Requests whose header never ends, a byte at a time, and a client; then it alone."""
        crowd = self._open(ATTACKER, port, count, begin=_BEGIN)
        self._ask(port, patience_s)
        times = range(1, int(patience_s / BYTE_EVERY_S) + 1)
        drops: list[crafted.Timed] = [
            (n * BYTE_EVERY_S, partial(_send, one, b"X")) for n in times for one in crowd
        ]
        crafted.play_timed(self.net, *drops)
        self._client.wait(patience_s + 5)
        self._alone(port, crowd)

    def _slow_honest(self) -> None:
        """A client that means well, on a very slow line."""
        (user,) = self._open(CLIENT, CURED, 1, begin=_BEGIN)
        every_s = 0.05 if "few-connections" in self.faults else HONEST_BYTE_EVERY_S
        drops: list[crafted.Timed] = [
            (n * every_s, partial(_send, user, _HONEST_REST[n : n + 1]))
            for n in range(len(_HONEST_REST))
        ]
        crafted.play_timed(self.net, *drops)
        self.net.sleep(1.0)
        _leave([user])


def _send(one: socket.socket, data: bytes) -> None:
    """Sends if the connection is still there."""
    with suppress(OSError):  # the server has closed it: that is what the step is about
        one.send(data)


def _leave(crowd: Sequence[socket.socket]) -> None:
    for one in crowd:
        one.close()
