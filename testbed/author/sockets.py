"""TCP sockets of nodes, used by the experiment's own code; every call is recorded.

    server = sockets.listen(net, "h2", 80)
    client = sockets.tcp(net, "h1", 40_000)
    client.connect(net.address("h2"), 80)
    accepted = server.accept()
    client.send(b"hello")
    accepted.receive()

Both ends use the kernel's TCP; only the applications are lines of `run`. No program is started, so
it is easy to make two ends act at the same time. Calls that fail do not raise an error: their
results are data for claims, in the table that `calls` returns.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from testbed.core.errors import ConfigError, ConvergenceError

if TYPE_CHECKING:
    import pandas as pd

    from testbed.author.running_network import RunningNetwork
    from testbed.results.data import ScenarioData

SEGMENT_COLUMNS = (
    "tcp_window",
    "tcp_mss",
    "tcp_wscale",
    "tcp_sack_permitted",
    "tcp_tsval",
    "tcp_tsecr",
    "tcp_sack_count",
    *(f"tcp_sack{block}_{edge}" for block in (1, 2, 3) for edge in ("left", "right")),
)
"""Packet columns that TCP's analysis needs beyond those of a packet's description."""

MOST_WAIT_S = 600.0
"""How long a call waits for the other end at most."""

_REPAIR, _REPAIR_QUEUE, _QUEUE_SEQ, _SEND_QUEUE, _REPAIR_OFF_QUIETLY = 19, 20, 21, 2, -1
"""Linux: linux/tcp.h, TCP_REPAIR and what belongs to it."""

_SYN_RECEIVED, _LISTEN = 3, 10
"""Linux: net/tcp_states.h."""

OK = "ok"
_CHUNK_BYTES = 1 << 20


class TcpSocket:
    """A TCP socket of a node.

    Attributes:
        node: where it is.
        name: in the table of calls.
        raw: the socket itself, for options.
    """

    def __init__(self, net: RunningNetwork, node: str, name: str, raw: socket.socket) -> None:
        self.node, self.name, self.raw = node, name, raw
        self._net = net
        self._begun = 0  # what the kernel answered at once to `begin_connect`
        raw.settimeout(MOST_WAIT_S)

    def connect(self, address: str, port: int) -> TcpSocket:
        """Opens a connection, and waits until it is open or has failed."""
        self.call("connect", lambda: self.raw.connect((address, port)))
        return self

    def begin_connect(self, address: str, port: int) -> TcpSocket:
        """Sends the SYN and returns; `connected` waits for the outcome."""
        self.raw.setblocking(False)
        self._begun = self.raw.connect_ex((address, port))
        self.raw.settimeout(MOST_WAIT_S)
        return self

    def connected(self, within_s: float = MOST_WAIT_S) -> bool:
        """Waits for the outcome of `begin_connect`."""
        import select

        def outcome() -> str:
            if self._begun not in {0, errno.EINPROGRESS}:
                return errno.errorcode[self._begun]
            poll = select.poll()
            poll.register(self.raw, select.POLLOUT)
            if not poll.poll(within_s * 1e3):
                return "still waiting"
            number = self.raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            return errno.errorcode[number] if number else OK

        return self.call("connect", outcome) == OK

    def accept(self, within_s: float = MOST_WAIT_S) -> TcpSocket | None:
        """The next connection; None if there is none in time."""
        self.raw.settimeout(within_s)
        got: list[TcpSocket] = []

        def one() -> str:
            raw, (address, port) = self.raw.accept()
            got.append(TcpSocket(self._net, self.node, f"{self.name} accepted", raw))
            return f"{address}:{port}"

        self.call("accept", one)
        return got[0] if got else None

    def send(self, data: bytes, flags: int = 0) -> None:
        """Hands over bytes, all of them unless the call fails."""

        def all_of_it() -> int:
            if flags:
                return self.raw.send(data, flags)
            self.raw.sendall(data)
            return len(data)

        self.call("send", all_of_it)

    def receive(self, size_bytes: int = 1 << 20, within_s: float = MOST_WAIT_S) -> bytes:
        """What has come, or will come next; empty at the end, or if the call fails."""
        got = b""

        def some() -> int:
            nonlocal got
            self.raw.settimeout(within_s)
            got = self.raw.recv(size_bytes)
            return len(got)

        self.call("receive", some)
        return got

    def receive_all(self, within_s: float = MOST_WAIT_S) -> bytes:
        """Everything up to the end of the stream."""
        parts: list[bytes] = []

        def all_of_it() -> int:
            self.raw.settimeout(within_s)
            while part := self.raw.recv(1 << 20):
                parts.append(part)
            return sum(map(len, parts))

        self.call("receive", all_of_it)
        return b"".join(parts)

    def shutdown(self) -> None:
        """Ends the outgoing stream with a FIN; data can still be received."""
        self.call("shutdown", lambda: self.raw.shutdown(socket.SHUT_WR))

    def close(self) -> None:
        """Closes."""
        self.call("close", self.raw.close)

    def abort(self) -> None:
        """Closes by a reset (SO_LINGER with 0 s)."""
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.call("abort", self.raw.close)

    def vanish(self) -> None:
        """Forgets the connection without sending anything, as after a power failure."""
        self.raw.setsockopt(socket.IPPROTO_TCP, _REPAIR, 1)
        self.call("vanish", self.raw.close)

    def begin_at(self, sequence: int) -> TcpSocket:
        """Sets the initial sequence number of a socket that is not connected yet."""
        for option, value in (
            (_REPAIR, 1),
            (_REPAIR_QUEUE, _SEND_QUEUE),
            (_QUEUE_SEQ, sequence),
            (_REPAIR, _REPAIR_OFF_QUIETLY),
        ):
            packed = struct.pack("=i" if value < 0 else "=I", value)
            self.raw.setsockopt(socket.IPPROTO_TCP, option, packed)
        return self

    def option(self, level: int, name: int, value: int) -> TcpSocket:
        """Sets an option, as setsockopt(2)."""
        self.raw.setsockopt(level, name, value)
        return self

    def call(self, name: str, function: Callable[[], Any]) -> str:
        """Makes a call and records how it ended, and how long it took."""
        began_ns = time.time_ns()
        try:
            result = function()
        except TimeoutError as error:  # ours has no number, the kernel's has one
            result = errno.errorcode[error.errno] if error.errno else "still waiting"
        except OSError as error:
            result = errno.errorcode.get(error.errno or 0, "?")
        said = OK if result is None else str(result)
        took_s = (time.time_ns() - began_ns) / 1e9
        self._net.event(
            "call", node=self.node, socket=self.name, call=name, result=said, took_s=took_s
        )
        return said


def tcp(net: RunningNetwork, node: str, port: int, *, name: str = "client") -> TcpSocket:
    """A socket bound to a node's own address and a port."""
    return _bound(net, node, port, name, reuse=True)


def listen(
    net: RunningNetwork, node: str, port: int, *, backlog: int = 128, name: str = "server"
) -> TcpSocket:
    """A socket that listens."""
    bound = _bound(net, node, port, name, reuse=True)
    bound.raw.listen(backlog)
    return bound


def connection(
    net: RunningNetwork, client: str, server: str, port: int, own_port: int
) -> tuple[TcpSocket, TcpSocket]:
    """Opens a connection, and stops listening.

    Args:
        net: the running network.
        client: the node that opens it.
        server: the node that accepts it.
        port: the server's.
        own_port: the client's.

    Raises:
        ConvergenceError: the server had nothing to accept within 10 s.
    """
    listening = listen(net, server, port)
    opened = tcp(net, client, own_port).connect(net.address(server), port)
    accepted = listening.accept(within_s=10.0)
    listening.close()
    if accepted is None:
        raise ConvergenceError(f"connection to port {port} of {server}", 10.0, "nothing to accept")
    return opened, accepted


def transfer(sender: TcpSocket, receiver: TcpSocket, size_bytes: int) -> None:
    """Sends zeros while the other end reads what comes, as two programs do at the same time."""
    import select

    left, got = size_bytes, 0
    zeros = memoryview(bytes(_CHUNK_BYTES))

    def both() -> int:
        nonlocal left, got
        while got < size_bytes:
            writers = [sender.raw] if left else []
            readable, writable, _ = select.select([receiver.raw], writers, [], MOST_WAIT_S)
            if not readable and not writable:
                break
            if writable:
                left -= sender.raw.send(zeros[: min(left, _CHUNK_BYTES)], socket.MSG_DONTWAIT)
            if readable:
                part = len(receiver.raw.recv(_CHUNK_BYTES))
                if not part:
                    break
                got += part
        return got

    receiver.call("receive", both)


def try_bind(net: RunningNetwork, node: str, port: int, *, reuse: bool, name: str) -> TcpSocket:
    """A socket after an attempt to bind it, which may have failed; see its call ``bind``."""
    made = TcpSocket(net, node, name, net.inside(node, socket.socket))
    made.option(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
    made.call("bind", lambda: made.raw.bind((net.address(node), port)))
    return made


def _bound(net: RunningNetwork, node: str, port: int, name: str, *, reuse: bool) -> TcpSocket:
    raw = net.inside(node, socket.socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
    try:
        raw.bind((net.address(node), port))
    except OSError as error:
        raise ConfigError(f"{node}: port {port} cannot be used: {error.strerror}") from None
    return TcpSocket(net, node, name, raw)


# ---- the kernel's list of sockets


def observe(net: RunningNetwork, *nodes: str, for_s: float = 0.0, every_s: float = 0.1) -> None:
    """Records nodes' TCP sockets as the kernel lists them, now and whenever that changes.

    Args:
        net: the running network.
        nodes: whose sockets.
        for_s: how long; 0: once.
        every_s: how often the list is read.
    """
    from testbed.net.sock_diag import tcp_entries

    end_s, known = net.time_s + for_s, dict[str, list[tuple[Any, ...]]]()
    while True:
        for node in nodes:
            entries = net.inside(node, tcp_entries)
            seen = sorted((e.state, e.port, e.remote_port, e.retransmissions) for e in entries)
            if known.get(node) != seen:
                known[node] = seen
                net.event("sockets", node=node, sockets=[vars(entry) for entry in entries])
        if net.time_s >= end_s:
            return
        net.sleep(min(every_s, max(0.0, end_s - net.time_s)))


def observe_queue(net: RunningNetwork, node: str, port: int) -> None:
    """Records how many connections a listener has half open, and how many wait to be accepted."""
    from testbed.net.sock_diag import tcp_entries

    entries = [e for e in net.inside(node, tcp_entries) if e.port == port]
    listening = next((e for e in entries if e.state == _LISTEN), None)
    net.event(
        "queue",
        node=node,
        port=port,
        half_open=sum(e.state == _SYN_RECEIVED for e in entries),
        complete=listening.receive_queue_bytes if listening else 0,
        backlog=listening.send_queue_bytes if listening else 0,
    )


# ---- tables


def calls(data: ScenarioData) -> pd.DataFrame:
    """All calls in order.

    Returns:
        ``time_s`` (when it returned), ``node``, ``socket``, ``call``, ``result``, ``took_s``.
    """
    return data.events("call").drop(columns=["time_ns", "event"], errors="ignore")


def queues(data: ScenarioData) -> pd.DataFrame:
    """What `observe_queue` saw.

    Returns:
        ``time_s``, ``node``, ``port``, ``half_open``, ``complete`` (connections that wait to be
        accepted) and ``backlog`` (as the kernel has it).
    """
    return data.events("queue").drop(columns=["time_ns", "event"], errors="ignore")


def observed(data: ScenarioData) -> pd.DataFrame:
    """What `observe` saw: one row per socket and list.

    Returns:
        ``time_s``, ``node``, ``state`` (as in RFC 9293) and the fields of `TcpEntry`; a list
        without sockets has a row with the state "none".
    """
    import pandas as pd

    from analysis.kernel_states import NAMES

    rows = []
    for row in data.events("sockets").to_dict("records"):
        head = {"time_s": row["time_s"], "node": row["node"]}
        entries = row["sockets"] or [{"state": 0}]
        rows += [{**head, **entry, "state": NAMES[entry["state"]]} for entry in entries]
    return pd.DataFrame(rows)
