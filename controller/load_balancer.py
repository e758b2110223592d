"""A virtual server: connections to one address are shared among real servers.

The first packet of a connection comes to the controller, which picks a server and installs two
flows: one that puts the server's addresses in the place of the virtual ones, and one that puts
them back in what the server answers. Everything else is forwarded by learning.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

from controller import frames, learning_switch
from controller.app import BARRED, output
from controller.frames import IPV4, TCP, UDP, Frame, Ipv4
from controller.framework import MAIN_DISPATCHER, ofp_event, on, parser
from controller.learning_switch import LearningSwitch
from controller.settings import SettingsError

POLICIES = ("round_robin", "least_connections", "source_hash")
VIRTUAL_MAC = "02:00:5e:00:00:01"
CONNECTION_IDLE_S = 10
CONNECTION = BARRED - 100
"""Priority of the two flows of a connection: above forwarding."""

FIRST_COOKIE = 1000
"""Connections count up from here; a cookie is never used again."""

Client = tuple[int, str, int | None]
"""Protocol, address and port (ICMP has none) of a connection's client."""


@dataclass(frozen=True)
class Settings(learning_switch.Settings):
    """The virtual address, the servers as ``address,address``, and who gets what."""

    virtual: str = "10.0.0.100"
    servers: str = ""
    policy: str = "round_robin"


@dataclass
class Pool:
    """Servers and their connections.

    Attributes:
        servers: their addresses.
        policy: one of `POLICIES`.
        connections: server → how many are open.
    """

    servers: tuple[str, ...]
    policy: str = "round_robin"
    connections: dict[str, int] = field(default_factory=dict)
    _turn: int = 0

    def pick(self, client: str) -> str:
        """A server for a new connection."""
        if self.policy == "source_hash":
            server = self.servers[int(IPv4Address(client)) % len(self.servers)]
        elif self.policy == "least_connections":
            server = min(self.servers, key=lambda s: self.connections.get(s, 0))
        else:
            server = self.servers[self._turn % len(self.servers)]
            self._turn += 1
        self.connections[server] = self.connections.get(server, 0) + 1
        return server

    def ended(self, server: str) -> None:
        """A connection is over."""
        self.connections[server] = max(0, self.connections.get(server, 0) - 1)


def check(settings: Settings) -> Pool:
    """The pool that settings describe.

    Raises:
        SettingsError: names the setting.
    """
    servers = tuple(s for s in settings.servers.split(",") if s)
    for name, address in (("virtual", settings.virtual), *(("servers", s) for s in servers)):
        try:
            IPv4Address(address)
        except ValueError:
            raise SettingsError(f"setting {name}: '{address}' is not an IPv4 address") from None
    if not servers:
        raise SettingsError("setting servers: empty; give addresses, separated by commas")
    if settings.policy not in POLICIES:
        allowed = ", ".join(POLICIES)
        raise SettingsError(f"setting policy: '{settings.policy}' is unknown; allowed: {allowed}")
    return Pool(servers, settings.policy)


class LoadBalancer(LearningSwitch):
    """Balances at the switch nearest to the client; it must know where the servers are."""

    Settings = Settings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pool = check(self.settings)
        self.macs: dict[str, str] = {}
        self.open: dict[int, tuple[Client, str]] = {}
        self.serving: dict[Client, str] = {}
        self._connections = FIRST_COOKIE
        self.every(1.0, self._ask_for_servers)

    def _ask_for_servers(self) -> None:
        """ARP for servers not seen yet."""
        for server in [s for s in self.pool.servers if s not in self.macs]:
            question = frames.Arp(
                frames.ARP_REQUEST, VIRTUAL_MAC, self.settings.virtual, "00:00:00:00:00:00", server
            )
            for switch in list(self.switches.values()):
                self.flood(switch, frames.arp_frame(question))

    def packet(self, switch: Any, port: int, frame: Frame, data: bytes) -> None:
        """The virtual address's business, or a learning switch's."""
        if frame.arp:
            self.macs[frame.arp.sender_ip] = frame.src
            if frame.dst == VIRTUAL_MAC:
                self.learn(switch, port, frame, time.monotonic())
                return
            if frame.arp.target_ip == self.settings.virtual:
                self.learn(switch, port, frame, time.monotonic())
                self.send(switch, [port], frames.arp_reply(frame.arp, VIRTUAL_MAC))
                return
        packet = frame.ipv4
        if packet and packet.dst == self.settings.virtual and packet.proto in (TCP, UDP):
            self.learn(switch, port, frame, time.monotonic())
            self._connect(switch, port, frame, data)
        else:
            super().packet(switch, port, frame, data)

    def _connect(self, switch: Any, port: int, frame: Frame, data: bytes) -> None:
        packet = frame.ipv4
        assert packet is not None
        client = (packet.proto, packet.src, packet.sport)
        # a packet may come before the switch acts on the flow of the one before it
        known = self.serving.get(client)
        server = known or self.pool.pick(packet.src)
        mac = self.macs.get(server)
        out = mac and self.tables[switch.id].port_of(mac, time.monotonic())
        if mac is None or out is None:
            if not known:
                self.pool.ended(server)
            return  # the client will try again; until then the server may have been found
        to_server = [*_rewrite("dst", mac, server), *output(int(out))]
        if not known:
            self._install_connection(switch, port, packet, server, to_server)
        self.apply(switch, to_server, data, port)

    def _install_connection(
        self, switch: Any, port: int, packet: Ipv4, server: str, to_server: list[Any]
    ) -> None:
        self._connections += 1
        client = (packet.proto, packet.src, packet.sport)
        self.open[self._connections] = client, server
        self.serving[client] = server
        self.note("balanced", client=packet.src, sport=packet.sport, server=server)
        word = "tcp" if packet.proto == TCP else "udp"
        both = {"eth_type": IPV4, "ip_proto": packet.proto}
        there = {
            **both,
            "ipv4_src": packet.src,
            "ipv4_dst": packet.dst,
            f"{word}_src": packet.sport,
            f"{word}_dst": packet.dport,
        }
        back = {
            **both,
            "ipv4_src": server,
            "ipv4_dst": packet.src,
            f"{word}_src": packet.dport,
            f"{word}_dst": packet.sport,
        }
        to_client = [*_rewrite("src", VIRTUAL_MAC, packet.dst), *output(port)]
        self.install(switch, CONNECTION, back, to_client, idle_s=CONNECTION_IDLE_S)
        self.install(
            switch,
            CONNECTION,
            there,
            to_server,
            idle_s=CONNECTION_IDLE_S,
            notify=True,
            cookie=self._connections,
        )

    @on(ofp_event.EventOFPFlowRemoved, MAIN_DISPATCHER)
    def _flow_removed(self, event: Any) -> None:
        found = self.open.pop(event.msg.cookie, None)
        if found:
            client, server = found
            del self.serving[client]
            self.pool.ended(server)
            self.note("ended", server=server)


def _rewrite(side: str, mac: str, address: str) -> list[Any]:
    """Actions that change the sender's (``src``) or the receiver's addresses."""
    return [
        parser.OFPActionSetField(**{f"eth_{side}": mac}),
        parser.OFPActionSetField(**{f"ipv4_{side}": address}),
    ]
