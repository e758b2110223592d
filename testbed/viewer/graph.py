"""The network of a scenario, as far as finding the ways of packets needs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

FORWARDING = frozenset({"router", "switch"})
"""Kinds of nodes that pass on what is not for them."""


@dataclass(frozen=True)
class Link:
    """A cable between two nodes.

    Attributes:
        nodes: names of its ends.
        interfaces: of these.
        delays_ns: how long it holds packets sent by the first end, and by the second.
    """

    nodes: tuple[str, str]
    interfaces: tuple[str, str]
    delays_ns: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Graph:
    """Nodes and links with their addresses.

    Attributes:
        kinds: node → ``host``, ``router`` or ``switch``.
        links: between them.
        macs: MAC address → its node.
        addresses: IP address → its node.
    """

    kinds: Mapping[str, str]
    links: Sequence[Link]
    macs: Mapping[str, str]
    addresses: Mapping[str, str]

    @classmethod
    def of(cls, topology: Mapping[str, Any], network: Mapping[str, Any]) -> Graph:
        """From ``topology.json`` and ``network.json``."""
        links = [
            Link(
                (link["node1"], link["node2"]),
                (link["interface1"], link["interface2"]),
                (_delay_ns(link["shape1"]), _delay_ns(link["shape2"])),
            )
            for link in topology["links"]
        ]
        rows = network["addresses"]
        return cls(
            {node["name"]: node.get("kind", "host") for node in topology["nodes"]},
            links,
            {row["mac"]: row["node"] for row in rows if row.get("mac")},
            {ip.split("/")[0]: row["node"] for row in rows for ip in _addresses(row)},
        )

    @cached_property
    def places(self) -> dict[str, tuple[int, int]]:
        """Interface → number of its link, and which end of it (0 or 1)."""
        return {
            name: (number, end)
            for number, link in enumerate(self.links)
            for end, name in enumerate(link.interfaces)
        }

    @cached_property
    def interfaces_of(self) -> dict[str, list[str]]:
        """Node → its interfaces on links."""
        found: dict[str, list[str]] = {name: [] for name in self.kinds}
        for link in self.links:
            for node, interface in zip(link.nodes, link.interfaces, strict=True):
                found[node].append(interface)
        return found

    def nearer(self, owners: Iterable[str | None], interface: str) -> list[int]:
        """Which end of an interface's link each node is nearer to.

        Args:
            owners: names of nodes, or None.
            interface: on a link.

        Returns:
            for each owner 1: the interface's own node; -1: the node at the other end; 0: unknown.
        """
        number, end = self.places[interface]
        here, there = self._hops[number][end], self._hops[number][1 - end]
        found = []
        for owner in owners:
            own, other = here.get(owner or ""), there.get(owner or "")
            if own is None or other is None or own == other:
                found.append(0)
            else:
                found.append(1 if own < other else -1)
        return found

    @cached_property
    def _hops(self) -> list[tuple[dict[str, int], dict[str, int]]]:
        import networkx

        graph: Any = networkx.MultiGraph(link.nodes for link in self.links)
        hops = {
            node: dict(networkx.single_source_shortest_path_length(graph, node)) for node in graph
        }
        return [(hops[link.nodes[0]], hops[link.nodes[1]]) for link in self.links]


def _delay_ns(shape: Mapping[str, Any]) -> int:
    return round(float(shape.get("delay_ms", 0.0)) * 1e6)


def _addresses(row: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for family in ("ipv4", "ipv6"):
        value = row.get(family)
        found += [value] if isinstance(value, str) and value else list(value or [])
    return found
