"""What all steps with half-open connections use: settings, listeners, clients, floods."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import TYPE_CHECKING

from testbed import Action, crafted, filter_packets, sockets, unfilter

from .flooding import ATTACKER, CLIENT, ROUTER, SERVER, Flood

if TYPE_CHECKING:
    from testbed import RunningNetwork

SETTINGS = {
    "net.ipv4.tcp_syncookies": 0,
    "net.ipv4.tcp_max_syn_backlog": 4096,
    "net.ipv4.tcp_synack_retries": 5,
    "net.ipv4.tcp_abort_on_overflow": 0,
    "net.ipv4.tcp_no_metrics_save": 1,
    "net.core.somaxconn": 4096,
}
"""Of the server, in steps that do not say otherwise: only the listener's backlog is a limit."""

SHORT = 64
"""Backlog of the listeners that the flood fills."""

PATIENCE_S = 3.0
"""How long a client waits: its SYN and two repeats."""

PURE_ACK = "tcp flags & (fin | syn | rst | psh | ack) == ack"


class Stage:
    """The running network, and what every step needs of it."""

    def __init__(self, net: RunningNetwork, faults: Collection[str]) -> None:
        self.net, self.faults = net, faults
        self._ports = itertools.count(41_001)

    def settings(self, **changes: int) -> None:
        """Sets the server's sysctls, by the last part of their names."""
        for name, value in SETTINGS.items():
            self.net.sysctl(SERVER, name, changes.get(name.rsplit(".", 1)[1], value))

    def listen(self, port: int, backlog: int = SHORT) -> sockets.TcpSocket:
        """A listener on the server."""
        return sockets.listen(self.net, SERVER, port, backlog=backlog)

    def client(self) -> sockets.TcpSocket:
        """A socket of the client's, with a port of its own."""
        return sockets.tcp(self.net, CLIENT, next(self._ports))

    def begin(self, port: int) -> sockets.TcpSocket:
        """A client that has sent its SYN."""
        return self.client().begin_connect(self.net.address(SERVER), port)

    def flood(self, flood: Flood, *others: crafted.Timed) -> None:
        """The flood, and what else happens meanwhile."""
        with crafted.sender(self.net, ATTACKER) as out:
            crafted.play_timed(self.net, *flood.timed(self.net, out), *others)

    def queue(self, port: int) -> None:
        """Records the state of a listener's queue."""
        sockets.observe_queue(self.net, SERVER, port)

    def watch(self, port: int, for_s: float, every_s: float) -> None:
        """Records it again and again."""
        for number in range(int(for_s / every_s) + 1):
            self.net.sleep(every_s if number else 0.0)
            self.queue(port)

    def visit(self, port: int, server: sockets.TcpSocket) -> None:
        """One client that wants to be served, and waits for `PATIENCE_S`."""
        client = self.begin(port)
        client.connected(PATIENCE_S)
        accepted = server.accept(0.1)
        if accepted:
            accepted.abort()
        client.abort()

    def lose_acks(self, port: int) -> Action:
        """The router loses the client's acknowledgements; returns what ends that."""
        filter_packets(ROUTER, "forward", f"tcp dport {port} {PURE_ACK} drop")(self.net)
        return unfilter(ROUTER)
