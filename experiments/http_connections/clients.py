"""Clients on h1 that send prepared requests, and those requests."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from testbed import sockets

from .servers import APP, NGINX, SITES

if TYPE_CHECKING:
    from testbed import RunningNetwork

ANSWER_S = 60.0
"""How long a client waits for a response."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def request(
    target: str, *headers: str, method: str = "GET", version: str = "1.1", host: str = SITES[0]
) -> bytes:
    """A request without a body."""
    lines = [f"{method} {target} HTTP/{version}", *([f"Host: {host}"] if host else []), *headers]
    return "\r\n".join([*lines, "", ""]).encode()


CLOSE, KEEP = "Connection: close", "Connection: keep-alive"


class Base:
    """What all clients need: connections, and responses read to their ends."""

    def __init__(self, net: RunningNetwork, faults: Collection[str], delay_ms: float) -> None:
        self.net, self.faults = net, faults
        self.rtt_s = 2 * delay_ms / 1000
        self.server = net.address("h2")
        self.ports = itertools.count(40_001)

    # ---- one connection

    def open(self, port: int = NGINX, node: str = "h2") -> sockets.TcpSocket:
        """A connection."""
        sock = sockets.tcp(self.net, "h1", next(self.ports))
        return sock.connect(self.net.address(node), port)

    def receive(self, sock: sockets.TcpSocket, within_s: float = ANSWER_S) -> bytes:
        """One response, or what comes of it until the end of the stream."""
        data = b""
        while not whole(data):
            more = sock.receive(within_s=within_s)
            if not more:
                break
            data += more
        return data

    def ask(self, sock: sockets.TcpSocket, *requests: bytes) -> None:
        """Requests, each after the response to the one before."""
        for one in requests:
            sock.send(one)
            self.receive(sock)


def prepare(clients: Base) -> None:
    """The two notes that clients ask for."""
    kind = "Content-Type: application/json"
    sock = clients.open(APP)
    for text in ("the note that the victim asks for", "the note that the attacker chose"):
        body = json.dumps({"text": text})
        length = f"Content-Length: {len(body)}"
        clients.ask(sock, request("/notes", kind, length, method="POST") + body.encode())
    sock.close()


def whole(data: bytes) -> bool:
    """True if the response's end has come; without Content-Length nobody can tell."""
    head, end, body = data.partition(b"\r\n\r\n")
    found = _LENGTH.search(head)
    if not end or found is None:
        return False
    return len(body) >= int(found[1])
