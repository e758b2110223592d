"""Steps about how connections end: by FIN, by RST, by silence."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from testbed import Action, sockets, sysctl

from .network import PURE_ACK, Tap, deliver, forge_reset, lose, lose_nothing
from .opening_steps import CLIENT, OWN_PORTS, SERVER

if TYPE_CHECKING:
    from testbed import RunningNetwork

PORTS = {
    "four": 8101,
    "three": 8102,
    "half-close": 8103,
    "both-close": 8104,
    "last-ack-lost": 8105,
    "old-segment": 8106,
    "assassinated": 8107,
    "reopened": 8108,
    "reuse": 8109,
    "aborted": 8110,
    "unread": 8111,
    "reader-gone": 8112,
    "half-open": 8113,
    "forged": 8114,
    "alive": 8115,
    "dead": 8116,
    "unacknowledged": 8117,
}

THINKS_S = 0.5
"""How long the server's program waits before it closes in the step `four`."""

REST_BYTES = 20_000
"""What the server sends after the client's FIN in the step `half-close`."""

KEEP_IDLE_S, KEEP_INTERVAL_S, KEEP_PROBES = 10, 5, 3
USER_TIMEOUT_S = 10.0
OUTSIDE, INSIDE = 1 << 30, 1000
"""Forged resets: how far behind the next byte expected; the window is some 64 kB."""

_PSH_ACK = 0x18
_TCP, _TIMEOUT = socket.IPPROTO_TCP, 18  # TCP_USER_TIMEOUT, linux/tcp.h

Two = tuple[sockets.TcpSocket, sockets.TcpSocket]


def _open(net: RunningNetwork, step: str) -> Two:
    return sockets.connection(net, CLIENT, SERVER, PORTS[step], PORTS[step] + OWN_PORTS)


def _exchange(client: sockets.TcpSocket, server: sockets.TcpSocket) -> None:
    """A request and an answer: from then on Linux delays its acknowledgements."""
    client.send(b"request")
    server.receive()
    server.send(b"answer")
    client.receive()


def _end(first: sockets.TcpSocket, second: sockets.TcpSocket) -> None:
    """One end closes, then the other."""
    first.shutdown()
    second.receive_all()
    second.close()
    first.receive_all()
    first.close()


def close_after(step: str, thinks_s: float) -> Action:
    """The server's program takes some time between the client's FIN and its own."""

    def act(net: RunningNetwork) -> None:
        client, server = _open(net, step)
        _exchange(client, server)
        client.shutdown()
        server.receive_all()
        net.sleep(thinks_s)
        server.close()
        client.receive_all()
        client.close()

    return act


def half_close(listens: bool = True) -> Action:
    """The client has said all; the server has not."""

    def act(net: RunningNetwork) -> None:
        client, server = _open(net, "half-close")
        client.send(b"all of my question")
        if listens:
            client.shutdown()
        else:
            client.close()
        server.receive_all()
        server.send(bytes(REST_BYTES))
        server.close()
        client.receive_all()
        client.close()

    return act


def both_close(late_s: float = 0.0) -> Action:
    """Both ends close at the same time, or one of them later."""

    def act(net: RunningNetwork) -> None:
        client, server = _open(net, "both-close")
        _exchange(client, server)
        net.sleep(1)
        client.shutdown()
        net.sleep(late_s)
        server.shutdown()
        client.receive_all()
        server.receive_all()
        client.close()
        server.close()

    return act


def last_ack_lost(net: RunningNetwork) -> None:
    """The network loses the answer to the server's FIN, once."""
    client, server = _open(net, "last-ack-lost")
    client.shutdown()
    server.receive_all()
    net.sleep(THINKS_S)
    lose(f"tcp dport {PORTS['last-ack-lost']} {PURE_ACK}")(net)
    server.close()
    client.receive_all()
    client.close()
    net.sleep(0.1)
    lose_nothing(net)
    sockets.observe(net, CLIENT, SERVER, for_s=3)


def old_segment(step: str, protected: bool) -> Action:
    """A copy of the server's answer arrives once more, after the end."""

    def act(net: RunningNetwork) -> None:
        sysctl(CLIENT, "net.ipv4.tcp_rfc1337", int(protected))(net)
        client, server = _open(net, step)
        tap = Tap(net, "r1-eth1", PORTS[step])
        _exchange(client, server)
        _end(client, server)
        net.sleep(1)
        sockets.observe(net, CLIENT)
        deliver(net, tap.copy(_PSH_ACK))
        tap.close()
        net.sleep(1)
        sockets.observe(net, CLIENT)
        sysctl(CLIENT, "net.ipv4.tcp_rfc1337", 0)(net)

    return act


def reopened(net: RunningNetwork) -> None:
    """The server ends a connection; the client opens another between the same ports."""
    port, own = PORTS["reopened"], PORTS["reopened"] + OWN_PORTS
    listening = sockets.listen(net, SERVER, port)
    for _ in range(2):
        client = sockets.tcp(net, CLIENT, own).connect(net.address(SERVER), port)
        server = listening.accept(5)
        if server is None:
            break
        _exchange(client, server)
        _end(server, client)
        net.sleep(1)
        sockets.observe(net, SERVER)
    listening.close()


def reuse(net: RunningNetwork) -> None:
    """A server that ended a connection starts again, without and with SO_REUSEADDR."""
    client, server = _open(net, "reuse")
    _end(server, client)
    net.sleep(1)
    sockets.observe(net, SERVER)
    for may in (False, True):
        made = sockets.try_bind(
            net, SERVER, PORTS["reuse"], reuse=may, name="with reuse" if may else "without reuse"
        )
        made.close()


def two_msl(net: RunningNetwork) -> None:
    """Nothing happens until every record of a connection is gone."""
    sockets.observe(net, CLIENT, SERVER, for_s=75, every_s=0.25)


# ---- resets


def aborted(net: RunningNetwork) -> None:
    """The client's program gives up the connection."""
    client, server = _open(net, "aborted")
    client.send(b"unread")
    net.sleep(0.5)
    client.abort()
    net.sleep(0.5)
    server.receive()
    server.receive()
    server.close()


def unread(net: RunningNetwork) -> None:
    """The client closes without reading what came."""
    client, server = _open(net, "unread")
    server.send(b"nobody reads this")
    net.sleep(0.5)
    client.close()
    net.sleep(0.5)
    server.receive()
    server.close()


def reader_gone(net: RunningNetwork) -> None:
    """The server goes on sending to a client that has closed."""
    client, server = _open(net, "reader-gone")
    client.close()
    net.sleep(0.5)
    server.send(b"too late")
    net.sleep(0.5)
    server.send(b"once more")
    server.close()


def half_open(net: RunningNetwork) -> None:
    """The client's host forgets everything; the server sends."""
    client, server = _open(net, "half-open")
    client.vanish()
    net.sleep(5)
    sockets.observe(net, SERVER, CLIENT)
    server.send(b"are you there?")
    net.sleep(0.5)
    server.receive()
    server.close()


def forged(offsets: tuple[int, ...] = (OUTSIDE, INSIDE, 0)) -> Action:
    """Somebody sends resets in the server's name: far off, near, and exact."""

    def act(net: RunningNetwork) -> None:
        client, server = _open(net, "forged")
        tap = Tap(net, "r1-eth1", PORTS["forged"])
        _exchange(client, server)
        net.sleep(1)
        example = tap.copy(_PSH_ACK)
        tap.close()
        for offset in offsets:
            forge_reset(net, example, offset)
            net.sleep(1)
            sockets.observe(net, CLIENT)
        client.receive(within_s=1)
        client.close()
        server.abort()

    return act


# ---- silence


def alive(asks: bool = True) -> Action:
    """A client that asks whether its idle server is still there; it is."""

    def act(net: RunningNetwork) -> None:
        client, server = _open(net, "alive")
        _keep_alive(client, asks)
        net.sleep(2.5 * KEEP_IDLE_S)
        client.abort()
        net.sleep(0.1)
        server.close()

    return act


def dead(asks: bool = True) -> Action:
    """The server can no longer be reached, and nothing is on its way."""

    def act(net: RunningNetwork) -> None:
        client, server = _open(net, "dead")
        _keep_alive(client, asks)
        net.sleep(1)
        lose(f"tcp dport {PORTS['dead']}")(net)
        client.receive(within_s=300)
        client.close()
        lose_nothing(net)
        server.abort()
        net.sleep(0.1)

    return act


def _keep_alive(end: sockets.TcpSocket, asks: bool) -> None:
    end.option(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(asks))
    end.option(_TCP, socket.TCP_KEEPIDLE, KEEP_IDLE_S)
    end.option(_TCP, socket.TCP_KEEPINTVL, KEEP_INTERVAL_S)
    end.option(_TCP, socket.TCP_KEEPCNT, KEEP_PROBES)


def unacknowledged(limit_s: float = USER_TIMEOUT_S) -> Action:
    """What the client sends is lost, and it has a limit for that."""

    def act(net: RunningNetwork) -> None:
        client, server = _open(net, "unacknowledged")
        client.option(_TCP, _TIMEOUT, int(limit_s * 1000))
        net.sleep(1)
        lose(f"tcp dport {PORTS['unacknowledged']}")(net)
        client.send(b"lost")
        client.receive(within_s=300)
        client.close()
        lose_nothing(net)
        server.abort()
        net.sleep(0.1)

    return act
