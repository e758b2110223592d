"""A router between the subnets of one switch: ``interfaces=1:10.0.1.1/24,2:10.0.2.1/24``.

Each interface is a port with the router's address there. Packets to a host that is known are
forwarded by a flow: TTL less one, MAC addresses of the next link. What needs thought comes to the
controller: ARP, echo requests to the router itself, a TTL that ends (RFC 1812 §5.2, §5.3.1).
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from controller import frames
from controller.app import FORWARDING, App, output
from controller.frames import IPV4, Arp, Frame, Ipv4
from controller.framework import ofproto, parser
from controller.settings import SettingsError

HOST_IDLE_S = 60
PENDING_MOST = 5
"""Packets kept for a host while ARP asks for it (RFC 1122 §2.3.2.2: at least one)."""

PENDING_S = 3.0


@dataclass(frozen=True)
class Settings:
    """The interfaces, as ``port:address/length``."""

    interfaces: str = ""


@dataclass
class Interfaces:
    """The router's addresses, by port."""

    by_port: dict[int, IPv4Interface]

    def out_to(self, address: str) -> int | None:
        """The port whose subnet has the address: the longest prefix that fits."""
        target = IPv4Address(address)
        fits = [(i.network.prefixlen, p) for p, i in self.by_port.items() if target in i.network]
        return max(fits)[1] if fits else None

    def is_own(self, address: str) -> bool:
        """Whether it is an address of the router's."""
        return any(str(i.ip) == address for i in self.by_port.values())

    def mac(self, port: int) -> str:
        """The router's MAC address at a port."""
        return f"02:00:5e:00:01:{port:02x}"


def parse_interfaces(text: str) -> Interfaces:
    """Interfaces from their setting.

    Raises:
        SettingsError: names the entry.
    """
    found: dict[int, IPv4Interface] = {}
    for entry in filter(None, text.split(",")):
        port, _, address = entry.partition(":")
        try:
            found[int(port)] = IPv4Interface(address)
        except ValueError:
            raise SettingsError(
                f"setting interfaces: '{entry}' is not PORT:ADDRESS/LENGTH"
            ) from None
    if not found:
        raise SettingsError("setting interfaces: empty; write PORT:ADDRESS/LENGTH,...")
    return Interfaces(found)


def check(settings: Settings) -> None:
    """Raises SettingsError if the settings make no router."""
    parse_interfaces(settings.interfaces)


def answer(interfaces: Interfaces, port: int, packet: Ipv4) -> bytes | None:
    """The ICMP packet the router itself sends back for a packet, as an IPv4 packet; or None."""
    own = str(interfaces.by_port[port].ip)
    if interfaces.is_own(packet.dst):
        if packet.icmp_type != frames.ECHO_REQUEST:
            return None
        reply = frames.icmp_body(frames.ECHO_REPLY, 0, packet.payload[4:])
        return frames.ipv4_body(packet.dst, packet.src, frames.ICMP, reply)
    kind = None
    if packet.ttl <= 1:
        kind = frames.TIME_EXCEEDED
    elif interfaces.out_to(packet.dst) is None:
        kind = frames.UNREACHABLE
    if kind is None:
        return None
    cause = frames.ipv4_body(packet.src, packet.dst, packet.proto, packet.payload[:8], packet.ttl)
    return frames.ipv4_body(
        own, packet.src, frames.ICMP, frames.icmp_body(kind, 0, bytes(4) + cause)
    )


@dataclass
class Waiting:
    """Packets of hosts whose MAC address is being asked for."""

    _kept: dict[str, list[tuple[float, bytes]]] = field(default_factory=lambda: defaultdict(list))

    def keep(self, address: str, data: bytes, now_s: float) -> None:
        """Keeps a packet; of too many the oldest goes."""
        fresh = [k for k in self._kept[address] if now_s - k[0] <= PENDING_S]
        self._kept[address] = [*fresh, (now_s, data)][-PENDING_MOST:]

    def take(self, address: str, now_s: float) -> list[bytes]:
        """The packets for a host, which is known now."""
        return [d for t, d in self._kept.pop(address, []) if now_s - t <= PENDING_S]


class Router(App):
    """Routes between the ports of each switch."""

    Settings = Settings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.interfaces = parse_interfaces(self.settings.interfaces)
        self.waiting = Waiting()

    def joined(self, switch: Any) -> None:
        """Asks for packets whose TTL ended in a flow, besides those of misses and actions."""
        super().joined(switch)
        packets = sum(
            1 << reason
            for reason in (ofproto.OFPR_NO_MATCH, ofproto.OFPR_ACTION, ofproto.OFPR_INVALID_TTL)
        )
        switch.send_msg(parser.OFPSetAsync(switch, [packets, 0], [7, 7], [15, 0]))

    def packet(self, switch: Any, port: int, frame: Frame, data: bytes) -> None:
        """ARP, and packets no flow is there for."""
        if port not in self.interfaces.by_port:
            return
        if frame.arp:
            self._arp(switch, port, frame.arp)
        elif frame.ipv4 and frame.dst == self.interfaces.mac(port):
            self._route(switch, port, frame, data)

    def _arp(self, switch: Any, port: int, arp: Arp) -> None:
        own = str(self.interfaces.by_port[port].ip)
        if arp.op == frames.ARP_REQUEST and arp.target_ip == own:
            self.send(switch, [port], frames.arp_reply(arp, self.interfaces.mac(port)))
        if arp.target_ip == own and self.interfaces.out_to(arp.sender_ip) == port:
            self._host(switch, port, arp.sender_ip, arp.sender_mac)

    def _host(self, switch: Any, port: int, address: str, mac: str) -> None:
        """A host is known: flows to it, and the packets that waited for it."""
        self.note("host", dpid=switch.id, port=port, address=address, mac=mac)
        actions = [
            parser.OFPActionDecNwTtl(),
            parser.OFPActionSetField(eth_src=self.interfaces.mac(port)),
            parser.OFPActionSetField(eth_dst=mac),
            *output(port),
        ]
        for other in self.interfaces.by_port:
            if other != port:  # OpenFlow sends nothing back where it came from
                match = {"in_port": other, "eth_type": IPV4, "ipv4_dst": address}
                match["eth_dst"] = self.interfaces.mac(other)
                self.install(switch, FORWARDING, match, actions, idle_s=HOST_IDLE_S)
        for data in self.waiting.take(address, time.monotonic()):
            self.apply(switch, actions, data)

    def _route(self, switch: Any, port: int, frame: Frame, data: bytes) -> None:
        packet = frame.ipv4
        assert packet is not None
        back = answer(self.interfaces, port, packet)
        if back is not None:
            reply = frames.ethernet(frame.src, self.interfaces.mac(port), IPV4, back)
            self.send(switch, [port], reply)
            return
        out = self.interfaces.out_to(packet.dst)
        if out is None or self.interfaces.is_own(packet.dst):
            return
        self.waiting.keep(packet.dst, data, time.monotonic())
        self.note("arp-asked", dpid=switch.id, port=out, address=packet.dst)
        own, mac = str(self.interfaces.by_port[out].ip), self.interfaces.mac(out)
        question = Arp(frames.ARP_REQUEST, mac, own, "00:00:00:00:00:00", packet.dst)
        self.send(switch, [out], frames.arp_frame(question))
