"""A topology's graph where Mininet is not installed: the descriptive part of its `Topo`.

Machines that read runs (graders, notebooks, other systems) load experiments and their topologies,
but never build a network. Names, ports and orders are Mininet's, so plans come out the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from testbed.core.ordering import natural


class Topo:
    """Nodes and links with data on them."""

    def __init__(self, *args: Any, **params: Any) -> None:
        self.hopts, self.sopts, self.lopts = (
            params.pop(name, {}) for name in ("hopts", "sopts", "lopts")
        )
        self.ports: dict[str, dict[int, tuple[str, int]]] = {}
        self._nodes: dict[str, dict[str, Any]] = {}
        self._links: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self.build(*args, **params)

    def build(self, *args: Any, **params: Any) -> None:
        """Adds nodes and links; a topology overrides it."""

    def addNode(self, name: str, **opts: Any) -> str:
        """Adds a node; returns its name."""
        self._nodes[name] = opts
        return name

    def addHost(self, name: str, **opts: Any) -> str:
        """Adds a host; returns its name."""
        return self.addNode(name, **(opts or self.hopts))

    def addSwitch(self, name: str, **opts: Any) -> str:
        """Adds a switch; returns its name."""
        return self.addNode(name, isSwitch=True, **(opts or self.sopts))

    def addLink(
        self,
        node1: str,
        node2: str,
        port1: int | None = None,
        port2: int | None = None,
        key: Any = None,
        **opts: Any,
    ) -> int:
        """Adds a link; returns its number among those of the two nodes, from 1."""
        port1, port2 = self._port(node1, port1), self._port(node2, port2)
        self.ports[node1][port1], self.ports[node2][port2] = (node2, port2), (node1, port1)
        ends = {"node1": node1, "node2": node2, "port1": port1, "port2": port2}
        one, two = self._links.setdefault(node1, {}), self._links.setdefault(node2, {})
        between = two[node1] = one.setdefault(node2, [])
        between.append({**(opts or self.lopts), **ends})
        return len(between)

    def _port(self, node: str, port: int | None) -> int:
        taken = self.ports.setdefault(node, {})
        return len(taken) + int(self.isSwitch(node)) if port is None else port

    def nodes(self, sort: bool = True) -> list[str]:
        """Names of all nodes."""
        return self.sorted(self._nodes) if sort else list(self._nodes)

    def hosts(self, sort: bool = True) -> list[str]:
        """Names of hosts and routers."""
        return [name for name in self.nodes(sort) if not self.isSwitch(name)]

    def switches(self, sort: bool = True) -> list[str]:
        """Names of switches."""
        return [name for name in self.nodes(sort) if self.isSwitch(name)]

    def isSwitch(self, n: str) -> bool:
        """True for a switch."""
        return bool(self._nodes[n].get("isSwitch", False))

    def nodeInfo(self, name: str) -> dict[str, Any]:
        """Data of a node."""
        return self._nodes[name]

    def linkInfo(self, src: str, dst: str, key: int | None = None) -> dict[str, Any]:
        """Data of a link (the first one between the two, if not told which)."""
        return self._links[src][dst][(key or 1) - 1]

    def setlinkInfo(self, src: str, dst: str, info: dict[str, Any], key: int | None = None) -> None:
        """Replaces a link's data."""
        self._links[src][dst][(key or 1) - 1] = info

    def iterLinks(
        self, withKeys: bool = False, withInfo: bool = False
    ) -> Iterator[tuple[Any, ...]]:
        """Links as (node, node[, number][, data])."""
        for src, entries in self._links.items():
            for dst, between in entries.items():
                if src > dst:
                    continue
                for number, info in enumerate(between, 1):
                    row = (info["node1"], info["node2"])
                    yield (*row, *([number] * withKeys), *([info] * withInfo))

    def links(
        self, sort: bool = False, withKeys: bool = False, withInfo: bool = False
    ) -> list[tuple[Any, ...]]:
        """The same as a list."""
        found = list(self.iterLinks(withKeys, withInfo))
        if sort:
            size = 3 if withKeys else 2
            found.sort(key=lambda row: [natural(x) for x in row[:size]])
        return found

    @staticmethod
    def sorted(items: Iterable[str]) -> list[str]:
        """In natural order."""
        return sorted(items, key=natural)
