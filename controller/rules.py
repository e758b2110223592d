"""A firewall's rules file: one rule a line, the first that matches decides, the rest is denied.

    # action  protocol  [from ADDRESS [port N]]  [to ADDRESS [port N]]
    allow arp
    allow tcp  from 10.0.0.0/24  to 10.0.0.2 port 80
    allow tcp  from 10.0.0.2 port 80
    deny  ip   from 10.0.0.3

Protocols: ``any``, ``arp``, ``ip``, ``icmp``, ``tcp``, ``udp``. An address is one or a prefix.
Rules know no connections: the answers need a rule of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from controller.frames import ARP, ICMP, IPV4, TCP, UDP, Frame
from controller.settings import SettingsError

PROTOCOLS = {"any": None, "arp": None, "ip": None, "icmp": ICMP, "tcp": TCP, "udp": UDP}
ACTIONS = ("allow", "deny")
HIGHEST_PRIORITY = 30_000
EVERYWHERE = IPv4Network("0.0.0.0/0")


class RuleError(SettingsError):
    """A line that is not a rule: file, line and field."""


@dataclass(frozen=True)
class Side:
    """Who sends, or receives."""

    network: IPv4Network = EVERYWHERE
    port: int | None = None


@dataclass(frozen=True)
class Rule:
    """One rule."""

    allow: bool
    protocol: str
    source: Side = Side()
    target: Side = Side()

    def match(self) -> dict[str, Any]:
        """The rule as an OpenFlow match."""
        if self.protocol == "any":
            return {}
        if self.protocol == "arp":
            return {"eth_type": ARP}
        found: dict[str, Any] = {"eth_type": IPV4}
        number = PROTOCOLS[self.protocol]
        if number is not None:
            found["ip_proto"] = number
        for field, side in (("src", self.source), ("dst", self.target)):
            if side.network != EVERYWHERE:
                found[f"ipv4_{field}"] = (
                    str(side.network.network_address),
                    str(side.network.netmask),
                )
            if side.port is not None:
                found[f"{self.protocol}_{field}"] = side.port
        return found

    def covers(self, frame: Frame) -> bool:
        """Whether the rule speaks of a frame: what `match` says, without a switch."""
        if self.protocol == "any":
            return True
        if self.protocol == "arp":
            return frame.ethertype == ARP
        packet = frame.ipv4
        if packet is None or PROTOCOLS[self.protocol] not in (None, packet.proto):
            return False
        sides = ((self.source, packet.src, packet.sport), (self.target, packet.dst, packet.dport))
        return all(
            IPv4Address(address) in side.network and side.port in (None, port)
            for side, address, port in sides
        )


def allowed(rules: Iterable[Rule], frame: Frame) -> bool:
    """What the rules say of a frame."""
    return next((rule.allow for rule in rules if rule.covers(frame)), False)


def parse(text: str, source: str) -> list[Rule]:
    """The rules of a file.

    Raises:
        RuleError: names file, line and field.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if words:
            try:
                found.append(_rule(words))
            except ValueError as error:
                raise RuleError(f"{source}: line {number}: {error}") from None
    return found


def _rule(words: list[str]) -> Rule:
    action, protocol, *rest = [*words, ""][: max(2, len(words))]
    if action not in ACTIONS:
        raise ValueError(f"action '{action}' is unknown; allowed: {', '.join(ACTIONS)}")
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol '{protocol}' is unknown; allowed: {', '.join(PROTOCOLS)}")
    sides: dict[str, Side] = {}
    while rest:
        word = rest.pop(0)
        if word not in ("from", "to") or word in sides:
            raise ValueError(f"field '{word}' is not understood; write from ADDRESS, to ADDRESS")
        if protocol in ("any", "arp"):
            raise ValueError(f"{word}: protocol '{protocol}' takes no addresses; write 'ip'")
        sides[word] = _side(word, protocol, rest)
    return Rule(action == "allow", protocol, sides.get("from", Side()), sides.get("to", Side()))


def _side(word: str, protocol: str, rest: list[str]) -> Side:
    text = rest.pop(0) if rest else ""
    try:
        network = EVERYWHERE if text == "any" else IPv4Network(text, strict=True)
    except ValueError as error:
        raise ValueError(f"{word} '{text}': {error}") from None
    if not rest or rest[0] != "port":
        return Side(network)
    if protocol not in ("tcp", "udp"):
        raise ValueError(f"{word} port: '{protocol}' has no ports; only tcp and udp have")
    rest.pop(0)
    port = rest.pop(0) if rest else ""
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{word} port '{port}' is not a number from 1 to 65535")
    return Side(network, int(port))
