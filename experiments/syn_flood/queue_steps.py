"""Steps on the queue of half-open connections: how long it is, and how long places are held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from testbed import Action, crafted, sockets

from .flooding import BYSTANDER, SILENT, Flood
from .stage import SHORT, Stage

EVERY_S, GIVES_UP_S = 0.5, 0.45
"""A visitor comes this often, and waits this long: one SYN, without repeats."""

BEFORE_S, AFTER_S = 5.0, 75.0
"""Of the service, without a flood; the last half-open connections are gone after that."""

HELD_SYNS, HELD_BACKLOG = 40, 128
"""Less than half of the queue, so that nothing shortens how long places are held."""

WATCHED_S, WATCH_S = 75.0, 0.5
"""How long a queue is watched, and how often."""

MANY, GAP_S = 150, 0.005
"""SYNs that are more than `SHORT`, and the time between them."""

FEW_RETRIES = 1
ACKS_LOST_S = 4.0
"""How long the client's acknowledgements are lost: the repeats after 1 and 3 s are in vain."""

LENGTH_SYNS, LENGTH_GAP_S = 300, 0.001


@dataclass(frozen=True)
class Case:
    """Settings that limit the queue.

    Attributes:
        backlog: the second argument of listen(2).
        somaxconn, max_syn_backlog, syncookies: the sysctls.
    """

    backlog: int
    somaxconn: int
    max_syn_backlog: int
    syncookies: int = 0

    @property
    def places(self) -> int:
        """Half-open connections that find a place, as Linux 7 computes it.

        A SYN is dropped, or answered by a cookie, once there are more than min(backlog, somaxconn):
        `inet_csk_reqsk_queue_is_full`. Without cookies it is also dropped if fewer than a quarter
        of max_syn_backlog are left and its sender is unknown: `tcp_conn_request`.
        """
        listener = min(self.backlog, self.somaxconn) + 1
        if self.syncookies:
            return listener
        return min(listener, self.max_syn_backlog - self.max_syn_backlog // 4 + 1)


LENGTHS = {
    8101: Case(64, 4096, 4096),
    8102: Case(256, 100, 4096),
    8103: Case(256, 4096, 128),
    8104: Case(64, 4096, 128),
    8105: Case(64, 4096, 16, syncookies=1),
}
"""Port → settings of its listener."""

PORTS = {"service": 8001, "held": 8002, "pruned": 8003, "few-retries": 8004}
PORTS |= {"acks-lost": 8005, "acks-lost-few": 8006}


class QueueSteps(Stage):
    """The queue of half-open connections."""

    def queue_steps(self, pps: float, flood_s: float) -> dict[str, Action]:
        """Steps by name."""
        roomy = 4096 if "roomy" in self.faults else SHORT
        few = 5 if "many-retries" in self.faults else FEW_RETRIES
        retries = FEW_RETRIES if "few-retries" in self.faults else 5
        return {
            "service": lambda _: self._service(pps, flood_s),
            "held": lambda _: self._hold("held", HELD_SYNS, HELD_BACKLOG, retries),
            "pruned": lambda _: self._hold("pruned", MANY, roomy),
            "lengths": lambda _: self._lengths(),
            "few-retries": lambda _: self._hold("few-retries", HELD_SYNS, HELD_BACKLOG, few),
            "acks-lost": lambda _: self._lost_acks("acks-lost", retries),
            "acks-lost-few": lambda _: self._lost_acks("acks-lost-few", few),
        }

    def sources(self) -> IPv4Network:
        """Where the flood seems to come from."""
        if "answering" in self.faults:
            return IPv4Network(self.net.address(BYSTANDER))
        return SILENT

    def fill(self, port: int) -> None:
        """A flood that fills a short queue."""
        if "no-flood" not in self.faults:
            self.flood(Flood(port, MANY, GAP_S, self.sources()))

    def _service(self, pps: float, flood_s: float) -> None:
        """A visitor every half second: before, during and after the flood."""
        self.settings()
        port = PORTS["service"]
        server = self.listen(port)
        end_s = BEFORE_S + flood_s + AFTER_S
        flood = Flood(port, int(pps * flood_s), 1 / pps, self.sources(), BEFORE_S)
        visits = [v for n in range(int(end_s / EVERY_S)) for v in self._visit(n * EVERY_S, server)]
        looks = [(n * EVERY_S + 0.2, lambda: self.queue(port)) for n in range(int(end_s / EVERY_S))]
        self.flood(flood, *visits, *looks)
        server.close()

    def _visit(self, when_s: float, server: sockets.TcpSocket) -> Iterator[crafted.Timed]:
        """A visitor who does not wait long, and the server that takes who came."""
        port = PORTS["service"]
        client = self.client()

        def leave() -> None:
            client.connected(0)
            client.abort()
            accepted = server.accept(0)
            if accepted:
                accepted.abort()

        yield when_s, lambda: client.begin_connect(self.net.address("h2"), port)
        yield when_s + GIVES_UP_S, leave

    def _hold(self, name: str, count: int, backlog: int, retries: int = 5) -> None:
        """A short flood, and the queue until it is empty."""
        self.settings(tcp_synack_retries=retries)
        server = self.listen(PORTS[name], backlog)
        self.flood(Flood(PORTS[name], count, GAP_S, self.sources()))
        self.watch(PORTS[name], WATCHED_S, WATCH_S)
        server.close()

    def _lengths(self) -> None:
        """More SYNs than there are places, for listeners with different settings."""
        for port, case in LENGTHS.items():
            self.settings(
                somaxconn=case.somaxconn,
                tcp_max_syn_backlog=case.max_syn_backlog,
                tcp_syncookies=case.syncookies,
            )
            server = self.listen(port, case.backlog)
            self.flood(Flood(port, LENGTH_SYNS, LENGTH_GAP_S, self.sources()))
            self.net.sleep(0.1)
            self.queue(port)
            server.close()

    def _lost_acks(self, name: str, retries: int) -> None:
        """An honest client whose acknowledgements are lost for some seconds; the server greets."""
        self.settings(tcp_synack_retries=retries)
        self.greet(PORTS[name])

    def greet(self, port: int, *, floods: bool = False) -> None:
        """A client whose acknowledgements are lost for some seconds; the server greets it."""
        server = self.listen(port)
        if floods:
            self.fill(port)
        heal = self.lose_acks(port)
        client = self.begin(port)
        client.connected(5)
        self.net.sleep(ACKS_LOST_S)
        heal(self.net)
        accepted = server.accept(10)
        if accepted:
            accepted.send(b"hello")
        client.receive(within_s=2)
        client.abort()
        if accepted:
            accepted.abort()
        server.close()
