"""Steps with settings against floods: resets, cookies, and clients that the server knows."""

from __future__ import annotations

import socket

from testbed import Action, sockets

from .flooding import CLIENT, SERVER, Flood
from .queue_steps import GAP_S, MANY, QueueSteps
from .stage import PATIENCE_S, SHORT

TRANSFER_BYTES, BUFFER_BYTES = 1_000_000, 200_000
"""Of the file, and of the client that gets it: several times a window without scaling."""

SMALL_MSS, COOKIE_MSS = 1400, 1300
"""What the client announces, and the next smaller one that a cookie can hold."""

KNOWN_MAX_SYN_BACKLOG, ROOMY = 128, 512
"""tcp_max_syn_backlog, whose last quarter is for known clients, and a backlog that is no limit."""

PORTS = {"aborting": 8011, "aborting-full": 8012, "cookies": 8013, "cookies-plain": 8014}
PORTS |= {"calm-plain": 8015, "cookies-mss": 8016, "cookies-acks-lost": 8017}
PORTS |= {"unknown": 8018, "known": 8019, "known-short": 8020}


class CureSteps(QueueSteps):
    """Settings against floods."""

    def cure_steps(self) -> dict[str, Action]:
        """Steps by name."""
        return {
            "aborting": lambda _: self._aborting(),
            "aborting-full": lambda _: self._aborting_full(),
            "cookies": lambda _: self._transfer("cookies"),
            "cookies-plain": lambda _: self._transfer("cookies-plain", timestamps=False),
            "calm-plain": lambda _: self._transfer("calm-plain", timestamps=False),
            "cookies-mss": lambda _: self._small_mss(),
            "cookies-acks-lost": lambda _: self._cookies_acks_lost(),
            "unknown": lambda _: self._known("unknown"),
            "known": lambda _: self._known("known", backlog=ROOMY),
            "known-short": lambda _: self._known("known-short", backlog=SHORT),
        }

    # ---- tcp_abort_on_overflow

    def _aborting(self) -> None:
        """A flood and a client, with resets switched on."""
        self.settings(tcp_abort_on_overflow=1)
        port = PORTS["aborting"]
        server = self.listen(port)
        self.flood(Flood(port, MANY, GAP_S, self.sources()))
        self.visit(port, server)
        server.close()

    def _aborting_full(self) -> None:
        """No flood: a program that accepts nothing, and clients that complete their handshakes."""
        self.settings(tcp_abort_on_overflow=int("no-resets" not in self.faults))
        port = PORTS["aborting-full"]
        server = self.listen(port, backlog=1)
        clients = [self.begin(port)]
        self.net.sleep(0.5)
        clients += [self.begin(port), self.begin(port)]  # one of them finds the queue full
        self.net.sleep(0.5)
        for client in clients:
            client.connected(0)
            client.receive(within_s=0.1)
        for client in clients:
            client.abort()
        self.net.sleep(0.1)  # the server must not reset what its program never accepted
        server.close()

    # ---- cookies

    def _transfer(self, name: str, *, timestamps: bool = True) -> None:
        """A client in or without a flood, and a large file for it."""
        self.settings(tcp_syncookies=1)
        self.net.sysctl(CLIENT, "net.ipv4.tcp_timestamps", int(timestamps))
        port = PORTS[name]
        server = self.listen(port)
        if name != "calm-plain":
            self.fill(port)
        client = self.client().option(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        client.begin_connect(self.net.address(SERVER), port).connected(PATIENCE_S)
        accepted = server.accept(0.1)
        self.queue(port)
        if accepted:
            sockets.transfer(accepted, client, TRANSFER_BYTES)
            accepted.close()
        client.close()
        server.close()
        self.net.sysctl(CLIENT, "net.ipv4.tcp_timestamps", 1)

    def _small_mss(self) -> None:
        """A client that announces a maximum segment size for which cookies have no number."""
        self.settings(tcp_syncookies=1)
        port = PORTS["cookies-mss"]
        server = self.listen(port)
        self.fill(port)
        client = self.client().option(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_MSS)
        client.begin_connect(self.net.address(SERVER), port).connected(PATIENCE_S)
        accepted = server.accept(0.1)
        if accepted:
            sockets.transfer(accepted, client, 50_000)
            accepted.close()
        client.close()
        server.close()

    def _cookies_acks_lost(self) -> None:
        """The client's acknowledgements are lost, and the server remembers nothing."""
        self.settings(tcp_syncookies=1)
        self.greet(PORTS["cookies-acks-lost"], floods=True)

    # ---- clients that the server knows

    def _known(self, name: str, backlog: int = ROOMY) -> None:
        """A client that was there before, or of which the server has forgotten all."""
        short = {"tcp_max_syn_backlog": KNOWN_MAX_SYN_BACKLOG}
        self.settings(**({} if name == "known-short" else short), tcp_no_metrics_save=0)
        port = PORTS[name]
        server = self.listen(port, backlog)
        self._be_served(port, server)
        if (name == "unknown") != ("forgetful" in self.faults):
            self.net.exec(SERVER, "ip", "tcp_metrics", "flush")
        self.net.exec(SERVER, "ip", "tcp_metrics", "show", log=f"metrics-{name}")
        self.flood(Flood(port, MANY, GAP_S, self.sources()))
        self.visit(port, server)
        server.close()

    def _be_served(self, port: int, server: sockets.TcpSocket) -> None:
        """A connection that ends in peace, so that the server keeps what it measured."""
        client = self.client().connect(self.net.address(SERVER), port)
        accepted = server.accept(1)
        if accepted:
            sockets.transfer(accepted, client, 20_000)
            client.close()
            accepted.receive(within_s=1)
            accepted.close()
        self.net.sleep(0.2)
