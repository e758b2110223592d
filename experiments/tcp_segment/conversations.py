"""What h1 and h2 say to each other: one short connection for each part of the header."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from testbed import Action, filter_packets, in_order, packet_scripts, sockets, sysctl, unfilter

if TYPE_CHECKING:
    from testbed import RunningNetwork

CLIENT, SERVER = "h1", "h2"
PORTS = {
    "plain": 8001,
    "urgent": 8002,
    "refused": 8003,
    "ecn": 8004,
    "mss": 8005,
    "scaled": 8006,
    "unscaled": 8007,
    "sack": 8008,
    "wrap": 8009,
    "old-peer": 8010,
}
"""Step → the server's port; the client's is 32000 higher."""

OWN_PORTS = 32_000
REQUEST, ANSWER = b"Q" * 100, b"A" * 3000
URGENT = b"ab!"
"""Sent with MSG_OOB: only the last byte is urgent."""

ANNOUNCED_MSS_BYTES = 1000
MSS_BYTES = 1448
LOST_SEGMENT = 3
"""Which segment of the step `sack` the network loses."""

SACK_ISN = 1_000_000_000
WRAP_BEFORE_BYTES, WRAP_BYTES = 5_000, 20_000
"""How far before 2^32 the client's numbers begin, and how much it sends."""

OLD_PEER_BYTES = 2000
_OLD_PEER = """
    *   > S 0:0(0) <...>
    +0  < S. 0:0(0) ack 1 win 4096 OPTIONS
    *   > . 1:1(0) ack 1
    *   > P. 1:2001(2000) ack 1
    +0  < . 1:1(0) ack 2001 win 4096
    *   > F. 2001:2001(0) ack 1
    +0  < F. 1:1(0) ack 2002 win 4096
    *   > . 2002:2002(0) ack 2
"""
OLD_PEERS = {
    "old-peer": _OLD_PEER.replace("OPTIONS", ""),
    "modern-peer": _OLD_PEER.replace("OPTIONS", "<mss 1460>"),
}
"""A peer's segments, in packetdrill's notation: no option in any, or an MSS in its SYN."""


def _open(net: RunningNetwork, step: str) -> tuple[sockets.TcpSocket, sockets.TcpSocket]:
    port = PORTS[step]
    return sockets.connection(net, CLIENT, SERVER, port, port + OWN_PORTS)


def _close(client: sockets.TcpSocket, server: sockets.TcpSocket) -> None:
    """The client is done first; both read to the end."""
    client.shutdown()
    server.receive_all()
    server.close()
    client.receive_all()
    client.close()


def plain(net: RunningNetwork) -> None:
    """A request, an answer of three segments, and the end."""
    client, server = _open(net, "plain")
    client.send(REQUEST)
    server.receive()
    server.send(ANSWER)
    _close(client, server)


def urgent(net: RunningNetwork) -> None:
    """Two ordinary bytes and an urgent one."""
    client, server = _open(net, "urgent")
    client.send(URGENT, socket.MSG_OOB)
    net.sleep(1)
    server.raw.setblocking(False)  # it is there now, or never
    server.call("receive urgent", lambda: server.raw.recv(1, socket.MSG_OOB).decode())
    server.call("receive ordinary", lambda: server.raw.recv(100).decode())
    _close(client, server)


def refused(net: RunningNetwork) -> None:
    """Nobody listens at the port."""
    port = PORTS["refused"]
    sockets.tcp(net, CLIENT, port + OWN_PORTS).connect(net.address(SERVER), port).close()


def one_way(step: str, size_bytes: int) -> Action:
    """The client sends so much, and closes."""

    def act(net: RunningNetwork) -> None:
        client, server = _open(net, step)
        sockets.transfer(client, server, size_bytes)
        _close(client, server)

    return act


def ecn() -> Action:
    """A connection whose ends ask each other for explicit congestion notification."""
    ask = (sysctl(node, "net.ipv4.tcp_ecn", 1) for node in (CLIENT, SERVER))
    back = (sysctl(node, "net.ipv4.tcp_ecn", 2) for node in (CLIENT, SERVER))
    return in_order(*ask, one_way("ecn", 100), *back)


def unscaled(size_bytes: int) -> Action:
    """The server does not know window scaling."""
    name = "net.ipv4.tcp_window_scaling"
    return in_order(
        sysctl(SERVER, name, 0), one_way("unscaled", size_bytes), sysctl(SERVER, name, 1)
    )


def mss(net: RunningNetwork) -> None:
    """The server announces a small maximum segment size."""
    port = PORTS["mss"]
    listening = sockets.listen(net, SERVER, port)
    listening.option(socket.IPPROTO_TCP, socket.TCP_MAXSEG, ANNOUNCED_MSS_BYTES)
    client = sockets.tcp(net, CLIENT, port + OWN_PORTS).connect(net.address(SERVER), port)
    server = listening.accept()
    listening.close()
    if server:
        client.send(bytes(5 * ANNOUNCED_MSS_BYTES))
        _close(client, server)


def _numbered(net: RunningNetwork, step: str, isn: int, size_bytes: int, meanwhile: Action) -> None:
    """The client begins at a given sequence number."""
    port = PORTS[step]
    listening = sockets.listen(net, SERVER, port)
    client = sockets.tcp(net, CLIENT, port + OWN_PORTS).begin_at(isn)
    client.connect(net.address(SERVER), port)
    server = listening.accept()
    listening.close()
    if server:
        client.send(bytes(size_bytes))
        meanwhile(net)
        net.sleep(0.5)
        _close(client, server)


def sack(lossless: bool) -> Action:
    """The router loses one segment of ten, once."""
    number = SACK_ISN + 1 + (LOST_SEGMENT - 1) * MSS_BYTES

    def forget(net: RunningNetwork) -> None:
        net.sleep(0.005)
        if not lossless:
            unfilter("r1")(net)

    def act(net: RunningNetwork) -> None:
        if not lossless:
            filter_packets("r1", "forward", f"tcp sequence {number} drop")(net)
        _numbered(net, "sack", SACK_ISN, 10 * MSS_BYTES, forget)

    return act


def wrap(isn: int) -> Action:
    """The client's sequence numbers pass 2^32."""
    return lambda net: _numbered(net, "wrap", isn, WRAP_BYTES, lambda _: None)


def old_peer(script: str) -> Action:
    """The client talks to a TCP of 1981, whose segments are scripted."""

    def act(net: RunningNetwork) -> None:
        port = PORTS["old-peer"]
        peer = packet_scripts.start(net, script, SERVER, CLIENT, ports=(port, None))
        client = sockets.tcp(net, CLIENT, port + OWN_PORTS).connect(net.address(SERVER), port)
        client.send(bytes(OLD_PEER_BYTES))
        client.close()
        peer.wait(2 * sockets.MOST_WAIT_S)

    return act
