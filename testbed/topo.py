"""What a topology file imports: Mininet's `Topo`, with routers and link shapes.

    from testbed.topo import LinkShape, Topo

    class Line(Topo):
        def build(self) -> None:
            h1, h2, r1 = self.addHost("h1"), self.addHost("h2"), self.addRouter("r1")
            self.addLink(h1, r1)
            self.addLink(r1, h2, shape=LinkShape(rate_mbps=10, delay_ms=5))

A topology is a graph with data on it: it runs no commands. Names follow Mininet's rule: hosts
``h1``, switches ``s1``, routers ``r1``; interfaces ``h1-eth0``, numbered in the order of links.
"""

from __future__ import annotations

import logging
from typing import Any

from testbed.errors import ConfigError, MissingPrerequisiteError, nearest
from testbed.shape import LinkShape

__all__ = ["LinkShape", "Topo", "at_least"]

try:
    from mininet.topo import Topo as MininetTopo

    logging.setLoggerClass(logging.Logger)  # Mininet puts its own in the place of everybody's
except ImportError:  # a machine that only replays: topologies load, but cannot be built

    class MininetTopo:  # type: ignore[no-redef]
        """Stands in where Mininet is not installed; building a topology says how to get it."""

        def __init__(self, *args: Any, **params: Any) -> None:
            raise MissingPrerequisiteError("mininet", "sudo apt-get install mininet")


class Topo(MininetTopo):  # type: ignore[misc]
    """Mininet's graph, plus routers.

    `addLink` takes ``shape=LinkShape(...)`` for both directions, or ``shape1=`` (from the first
    node to the second) and ``shape2=`` (back). `addHost`/`addRouter`/`addLink` take ``ip=``/
    ``params1={'ip': ...}`` as Mininet's do where the address plan shall not choose.
    """

    def addNode(self, name: str, **opts: Any) -> str:
        """Add a node.

        Raises:
            ConfigError: the name is taken.
        """
        declared: set[str] = self.__dict__.setdefault("declared", set())
        if name in declared:
            raise ConfigError(f"node {name}: there are two of this name; rename one")
        declared.add(name)
        return str(super().addNode(name, **opts))

    def addLink(self, node1: str, node2: str, *args: Any, **opts: Any) -> Any:
        """Add a link between two nodes that are there already.

        Raises:
            ConfigError: a node is missing.
        """
        declared: set[str] = self.__dict__.setdefault("declared", set())
        for node in (node1, node2):
            if node not in declared:
                raise ConfigError(
                    f"link {node1} {node2}: there is no node '{node}'{nearest(node, declared)}"
                )
        return super().addLink(node1, node2, *args, **opts)

    def addRouter(self, name: str, **opts: Any) -> str:
        """A host that forwards IPv4 and IPv6; returns its name."""
        return str(self.addNode(name, isRouter=True, **opts))

    def routers(self) -> list[str]:
        """Names of the routers, sorted as Mininet sorts hosts."""
        return [n for n in self.hosts() if self.nodeInfo(n).get("isRouter")]


def at_least(what: str, value: int, low: int) -> None:
    """Check a topology's size.

    Raises:
        ConfigError: it is too small.
    """
    if value < low:
        raise ConfigError(f"{what}: {value} is out of range; at least {low}")
