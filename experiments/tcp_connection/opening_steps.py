"""Steps about how connections begin: handshakes, attempts in vain, full queues."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from testbed import Action, filter_packets, in_order, sockets, step, sysctl, unfilter

from .network import PURE_ACK, Tap, deliver, lose, lose_nothing

if TYPE_CHECKING:
    from testbed import RunningNetwork

CLIENT, SERVER = "h1", "h2"
OWN_PORTS = 32_000
"""Each step has a port of the server's; the client's is that much higher."""

PORTS = {
    "handshake": 8001,
    "again": 8002,
    "both-open": 8003,
    "late-syn": 8004,
    "old-syn-first": 8005,
    "refused": 8006,
    "rejected": 8007,
    "filtered": 8008,
    "doubling": 8009,
    "third-ack-lost": 8010,
    "data-completes": 8011,
    "queue-full": 8013,
    "overflow-reset": 8014,
}

SYN_RETRIES = 3
"""In the step `doubling`."""

_SYN = 0x02


def both(step: str) -> tuple[int, int]:
    """The server's and the client's port of a step."""
    return PORTS[step], PORTS[step] + OWN_PORTS


def ordinary(step: str, isn: int | None = None) -> Action:
    """Opens, exchanges a few bytes, and is aborted, so that nothing remains."""

    def act(net: RunningNetwork) -> None:
        port, own = both(step)
        listening = sockets.listen(net, SERVER, port)
        client = sockets.tcp(net, CLIENT, own)
        if isn is not None:
            client.begin_at(isn)
        client.connect(net.address(SERVER), port)
        server = listening.accept(5)
        listening.close()
        if server is None:
            return
        client.send(b"hello")
        server.receive()
        client.abort()
        net.sleep(0.1)
        server.receive()
        server.close()

    return act


def both_open(late_s: float = 0.0) -> Action:
    """Two ends connect to each other at the same time, or one of them later."""

    def act(net: RunningNetwork) -> None:
        one, two = both("both-open")
        left = sockets.tcp(net, CLIENT, two, name="left")
        right = sockets.tcp(net, SERVER, one, name="right")
        left.begin_connect(net.address(SERVER), one)
        net.sleep(late_s)
        right.begin_connect(net.address(CLIENT), two)
        left.connected(10)
        right.connected(10)
        left.send(b"hello")
        right.receive(within_s=5)
        left.abort()
        net.sleep(0.1)
        right.close()

    return act


def late_syn(net: RunningNetwork) -> None:
    """The network holds a copy of the SYN until the connection is over and forgotten."""
    port, own = both("late-syn")
    server = sockets.listen(net, SERVER, port)
    tap = Tap(net, "r1-eth0", own)
    client = sockets.tcp(net, CLIENT, own).connect(net.address(SERVER), port)
    first = server.accept(5)
    client.abort()
    net.sleep(0.1)
    if first:
        first.receive()
        first.close()
    deliver(net, tap.copy(_SYN))
    tap.close()
    second = server.accept(5)
    if second:
        second.close()
    server.close()


def old_syn_first(net: RunningNetwork) -> None:
    """RFC 9293's figure 8: an old SYN arrives before that of the new attempt.

    The network loses the first SYN of the new attempt; Linux repeats it at once when it has reset
    the old one.
    """
    port, own = both("old-syn-first")
    server = sockets.listen(net, SERVER, port)
    tap = Tap(net, "r1-eth0", own)
    lose(f"tcp dport {port}")(net)
    given_up = sockets.tcp(net, CLIENT, own)
    given_up.begin_connect(net.address(SERVER), port)
    net.sleep(0.1)
    given_up.close()
    old = tap.copy(_SYN)
    client = sockets.tcp(net, CLIENT, own)
    client.begin_connect(net.address(SERVER), port)
    net.sleep(0.1)
    lose_nothing(net)
    deliver(net, old)
    tap.close()
    accepted = server.accept(5)
    client.connected(5)
    server.close()
    client.abort()
    net.sleep(0.1)
    if accepted:
        accepted.receive()
        accepted.close()


def attempt(step: str, retries: int = 0, within_s: float = 300.0) -> Action:
    """Connects to where nobody answers as a server should."""

    def act(net: RunningNetwork) -> None:
        port, own = both(step)
        client = sockets.tcp(net, CLIENT, own)
        if retries:
            client.option(socket.IPPROTO_TCP, socket.TCP_SYNCNT, retries)
        client.raw.settimeout(within_s)
        client.connect(net.address(SERVER), port)
        client.close()

    return act


def rejected(how: str = "reject with icmp type admin-prohibited") -> Action:
    """A firewall says that it forbids the connection."""
    rule = f"tcp dport {PORTS['rejected']} {how}"
    return in_order(filter_packets("r1", "forward", rule), attempt("rejected"), lose_nothing)


def filtered(step: str, retries: int = 0) -> Action:
    """A firewall says nothing."""
    rule = f"tcp dport {PORTS[step]} drop"
    return in_order(filter_packets(SERVER, "input", rule), attempt(step, retries), unfilter(SERVER))


def doubling(linear: int = 0) -> Action:
    """The same with the retries of the textbook: the first ones are not linear."""
    name = "net.ipv4.tcp_syn_linear_timeouts"
    return in_order(
        sysctl(CLIENT, name, linear), filtered("doubling", SYN_RETRIES), sysctl(CLIENT, name, 4)
    )


def _without_third_ack(
    net: RunningNetwork, name: str, lost: str = PURE_ACK
) -> tuple[sockets.TcpSocket, sockets.TcpSocket]:
    """A listener and a client that believes in its connection."""
    port, own = both(name)
    server = sockets.listen(net, SERVER, port)
    lose(f"tcp dport {port} {lost}")(net)
    client = sockets.tcp(net, CLIENT, own).connect(net.address(SERVER), port)
    return server, client


def data_completes(lost: str = PURE_ACK) -> Action:
    """The client sends data while the server still waits for the third segment."""

    def act(net: RunningNetwork) -> None:
        server, client = _without_third_ack(net, "data-completes", lost)
        sockets.observe(net, SERVER, for_s=1.5)
        accepted = server.accept(0.5)
        client.send(b"hello")
        accepted = accepted or server.accept(5)
        if accepted:
            accepted.receive(within_s=5)
        lose_nothing(net)
        server.close()
        client.abort()
        net.sleep(0.1)
        if accepted:
            accepted.close()

    return act


def third_ack_lost(heals: bool = True) -> Action:
    """Until the server gives up; then the client sends data."""

    def act(net: RunningNetwork) -> None:
        server, client = _without_third_ack(net, "third-ack-lost")
        sockets.observe(net, SERVER, CLIENT, for_s=75.0, every_s=0.25)
        server.accept(0.5)
        lose_nothing(net)
        step(net, "too-late")
        if not heals:
            lose(f"tcp dport {PORTS['third-ack-lost']}")(net)
        client.send(b"hello")
        net.sleep(1)
        client.receive(within_s=5)
        server.accept(0.5)
        client.close()
        server.close()
        if not heals:
            lose_nothing(net)

    return act


def queue_full(step: str, reset: int, backlog: int = 1) -> Action:
    """A queue with one place left, two connections at once, and another one while it is full.

    A queue of `backlog` + 1 connections is full, and no more may be half-open at a time: beyond
    that Linux answers with SYN cookies, which know nothing of the setting.
    """

    def act(net: RunningNetwork) -> None:
        port, _ = both(step)
        sysctl(SERVER, "net.ipv4.tcp_abort_on_overflow", reset)(net)
        server = sockets.listen(net, SERVER, port, backlog=backlog)
        clients = [_towards(net, step, number) for number in (1, 2, 3, 4)]
        for at_once in (clients[:1], clients[1:3], clients[3:]):
            for client in at_once:
                client.begin_connect(net.address(SERVER), port)
            net.sleep(2)
        sockets.observe(net, SERVER, CLIENT)
        for _ in clients:
            accepted = server.accept(10)
            if accepted:
                accepted.close()
        for client in clients:
            client.connected(0)
            client.receive(within_s=1)
            client.abort()
        server.close()
        sysctl(SERVER, "net.ipv4.tcp_abort_on_overflow", 0)(net)

    return act


def queue_port(step: str, number: int) -> int:
    """The port of a client in `queue_full`."""
    return both(step)[1] + 1000 * number


def _towards(net: RunningNetwork, step: str, number: int) -> sockets.TcpSocket:
    return sockets.tcp(net, CLIENT, queue_port(step, number), name=f"client {number}")
