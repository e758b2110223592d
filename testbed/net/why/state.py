"""What a network is like now: interfaces, addresses, and what is on one LAN."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed.net import rtnl

if TYPE_CHECKING:
    from testbed.net.network import Network

Address = ipaddress.IPv4Address


@dataclass(frozen=True)
class Face:
    """An interface as the kernel has it.

    Attributes:
        node: its node's name.
        name: its own.
        up: switched on by its owner.
        running: the cable carries something.
        mac: its MAC address.
        mtu_bytes: the largest IP packet that it sends.
        addresses: its IPv4 addresses.
    """

    node: str
    name: str
    up: bool
    running: bool
    mac: str
    mtu_bytes: int
    addresses: tuple[ipaddress.IPv4Interface, ...] = ()


Way = list[tuple[Any, Any]]
"""Interfaces of Mininet's at both ends of each cable, in the order of the way."""


class State:
    """A snapshot of all nodes, and questions to them.

    Attributes:
        net: the network.
        faces: (node, interface) → what it is like.
    """

    def __init__(self, net: Network) -> None:
        self.net = net
        self.faces: dict[tuple[str, str], Face] = {}
        for node in net.values():
            if getattr(node, "namespace", None) is not None and node.name not in self._shared():
                self.faces |= {(f.node, f.name): f for f in self._faces(node)}

    def _shared(self) -> set[str]:
        """Controllers, which have no interfaces of their own."""
        return {c.name for c in self.net.controllers}

    def _faces(self, node: Any) -> Iterator[Face]:
        engine = node.engine
        addresses = engine.ask(node.namespace, lambda s: list(rtnl.addresses(s)))
        names = set(node.nameToIntf) if node in self.net.switches else None
        for each in engine.ask(node.namespace, lambda s: list(rtnl.links(s))):
            if each.name == "lo" or (names is not None and each.name not in names):
                continue
            own = tuple(a for index, a in addresses if index == each.index and a.version == 4)
            yield Face(node.name, each.name, each.up, each.running, each.mac, each.mtu_bytes, own)

    def of(self, node: str) -> list[Face]:
        """A node's interfaces."""
        return [face for (name, _), face in self.faces.items() if name == node]

    def with_address(self, address: Address) -> list[Face]:
        """Interfaces of hosts and routers that have an address."""
        return [f for f in self.faces.values() if any(a.ip == address for a in f.addresses)]

    def run(self, node: str, *argv: str) -> str:
        """Output of a program in a node; empty if it fails."""
        process = self.net[node].popen(list(argv), stderr=subprocess.DEVNULL, text=True)
        out = str(process.communicate()[0])
        return out if process.returncode == 0 else ""

    def rows(self, node: str, *argv: str) -> list[dict[str, Any]]:
        """The same as rows, of a program that prints JSON; empty if it fails."""
        text = self.run(node, *argv).strip()
        found = json.loads(text) if text.startswith(("[", "{")) else []
        return list(found) if isinstance(found, list) else [found]

    def setting(self, node: str, path: str) -> int:
        """A sysctl's number, e.g. of ``net/ipv4/ip_forward``; 0 where the kernel has none."""
        text = self.run(node, "cat", f"/proc/sys/{path}").strip()
        return int(text) if text.lstrip("-").isdigit() else 0

    def ways(self, face: Face) -> dict[tuple[str, str], Way]:
        """Interfaces of hosts and routers on the same LAN, with the cables between."""
        near: dict[str, list[tuple[Any, Any]]] = {}
        for link in self.net.links:
            for one, two in ((link.intf1, link.intf2), (link.intf2, link.intf1)):
                near.setdefault(one.node.name, []).append((one, two))
        switches = {switch.name for switch in self.net.switches}
        start = [(one, two) for one, two in near.get(face.node, []) if one.name == face.name]
        waiting: list[Way] = [[cable] for cable in start]
        seen: set[str] = set()
        found: dict[tuple[str, str], Way] = {}
        while waiting:
            way = waiting.pop(0)
            end = way[-1][1]
            if end.node.name not in switches:
                found.setdefault((end.node.name, end.name), way)
            elif end.node.name not in seen:
                seen.add(end.node.name)
                waiting += [[*way, cable] for cable in near[end.node.name] if cable[0] is not end]
        return found
