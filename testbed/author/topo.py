"""What a topology file imports: Mininet's `Topo`, with routers and link shapes.

    from testbed.author.topo import LinkShape, Topo

    class Line(Topo):
        def build(self) -> None:
            h1, h2, r1 = self.addHost("h1"), self.addHost("h2"), self.addRouter("r1")
            self.addLink(h1, r1)
            self.addLink(r1, h2, shape=LinkShape(rate_mbps=10, delay_ms=5))

A topology is a graph with data on it: it runs no commands. Names follow Mininet's rule: hosts
``h1``, switches ``s1``, routers ``r1``; interfaces ``h1-eth0``, numbered in the order of links.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from testbed.core.errors import ConfigError, nearest
from testbed.net.shape import LinkShape
from testbed.net.tclink import check_port, shape_of

__all__ = ["LinkShape", "Topo", "number", "whole_number", "with_addresses"]

T = TypeVar("T", bound="Topo")

try:
    from mininet.topo import Topo as MininetTopo

    logging.setLoggerClass(logging.Logger)  # Mininet replaces everybody's with its own
except ImportError:  # a machine that only reads runs
    from testbed.author.graph import Topo as MininetTopo


MOST_NODES, MOST_LINKS = 5_000, 25_000
"""The largest topology; a guest of 1024 MB holds fewer."""


class Bounded(MininetTopo):  # type: ignore[misc]
    """Mininet's graph, which stops growing at `MOST_NODES` and `MOST_LINKS`.

    Arguments that multiply (a tree's depth and fanout) could otherwise fill the memory before
    anybody counts.
    """

    def addNode(self, name: str, **opts: Any) -> str:
        """Add a node.

        Raises:
            ConfigError: there are `MOST_NODES` already.
        """
        self._count("nodes", MOST_NODES)
        return str(super().addNode(name, **opts))

    def addLink(self, node1: str, node2: str, *args: Any, **opts: Any) -> Any:
        """Add a link.

        Raises:
            ConfigError: there are `MOST_LINKS` already, or a port is not a number.
        """
        for port in (*args[:2], opts.get("port1"), opts.get("port2")):
            if port is not None:
                check_port(port, f"link {node1} {node2}")
        self._count("links", MOST_LINKS)
        return super().addLink(node1, node2, *args, **opts)

    def _count(self, what: str, most: int) -> None:
        counts: dict[str, int] = self.__dict__.setdefault("counts", {})
        counts[what] = counts.get(what, 0) + 1
        if counts[what] > most:
            raise ConfigError(
                f"topology {type(self).__name__}: has more than {most} {what}; make it smaller"
            )


class Topo(Bounded):
    """Mininet's graph, plus routers.

    `addLink` takes ``shape=LinkShape(...)`` for both directions, or ``shape1=`` (from the first
    node to the second) and ``shape2=`` (back). `addHost`/`addRouter`/`addLink` take ``ip=``/
    ``params1={'ip': ...}`` as Mininet's do where the address plan must not choose; ``ipv6=`` and
    ``addresses=`` (further ones) likewise, and ``loopback=`` for a router.

    Attributes:
        planned: False: interfaces have exactly the addresses that the topology gives. A node or
            link takes ``planned=False`` for itself alone.
    """

    planned = True

    def __init__(self, *args: Any, **params: Any) -> None:
        """Builds it, with the arguments of `build` (and ``hopts``, ``sopts``, ``lopts``).

        Raises:
            ConfigError: `build` does not know an argument.
        """
        if not _takes_any(type(self)):
            refuse_unknown(type(self).__name__, build_arguments(type(self)), params, _MININETS)
        super().__init__(*args, **params)

    def addNode(self, name: str, **opts: Any) -> str:
        """Add a node.

        Raises:
            ConfigError: the name is taken.
        """
        declared: set[str] = self.__dict__.setdefault("declared", set())
        if name in declared:
            raise ConfigError(f"node {name}: two nodes have this name; rename one")
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
                    f"link {node1} {node2}: no such node '{node}'{nearest(node, declared)}"
                )
        return super().addLink(node1, node2, *args, **opts)

    def addRouter(self, name: str, **opts: Any) -> str:
        """A host that forwards IPv4 and IPv6; returns its name."""
        return str(self.addNode(name, isRouter=True, **opts))

    def addOpenFlowSwitch(self, name: str, **opts: Any) -> str:
        """A switch of Open vSwitch that does what a controller tells it; returns its name.

        Takes what Mininet's `OVSSwitch` takes; ``failMode='standalone'`` makes it learn by itself
        while it has no controller.
        """
        opts = {"protocols": "OpenFlow10,OpenFlow13", **opts}  # 1.0 is for ovs-ofctl's own use
        with contextlib.suppress(ImportError):  # a machine that only reads runs
            from mininet.node import OVSSwitch

            opts["cls"] = OVSSwitch
        return str(self.addSwitch(name, openflow=True, **opts))

    def routers(self) -> list[str]:
        """Names of the routers, sorted as Mininet sorts hosts."""
        return [n for n in self.hosts() if self.nodeInfo(n).get("isRouter")]


_MININETS = ("hopts", "sopts", "lopts")
"""What Mininet's `Topo` takes away before it calls `build`."""


def build_arguments(cls: Any) -> list[inspect.Parameter]:
    """What a topology's `build` takes by name, or a function that returns a topology."""
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = list(inspect.signature(builder(cls)).parameters.values())
    found = found[1:] if isinstance(cls, type) else found
    return [p for p in found if p.kind in plain]


def builder(cls: Any) -> Any:
    """What adds the nodes: a class's `build`, or its `__init__`; a function itself."""
    if not isinstance(cls, type):
        return cls
    topology: Any = cls
    return topology.__init__ if topology.build is MininetTopo.build else topology.build


def refuse_unknown(
    topology: str,
    arguments: Iterable[inspect.Parameter],
    given: Iterable[str],
    others: Collection[str] = (),
) -> None:
    """Checks the names of arguments given to a topology.

    Args:
        topology: what the error calls it.
        arguments: what it takes.
        given: the names.
        others: names that it takes, too, and does not tell of.

    Raises:
        ConfigError: it does not take one of them.
    """
    known = [p.name for p in arguments]
    for name in given:
        if name not in known and name not in others:
            raise ConfigError(
                f"topology {topology}: has no '{name}'{nearest(name, known)}; "
                f"it takes: {', '.join(known) or 'nothing'}"
            )


def _takes_any(cls: type[MininetTopo]) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(cls.build).parameters.values())


def whole_number(what: str, value: int, low: int, high: int) -> None:
    """Check a topology's size, before anything of it is built.

    Raises:
        ConfigError: it is too small or too large, or not a whole number.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{what}: {value!r} is not a whole number; allowed: {low} to {high}")
    number(what, value, low, high)


def number(what: str, value: float, low: float, high: float) -> None:
    """Check a topology's quantity, before anything of it is built.

    Raises:
        ConfigError: it is too small or too large, or not a number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{what}: {value!r} is not a number; allowed: {low:g} to {high:g}")
    if not low <= value <= high:
        raise ConfigError(f"{what}: {value} is out of range; allowed: {low:g} to {high:g}")


def with_addresses(topo: T, addresses: Mapping[str, str]) -> T:
    """A topology whose interfaces have addresses of their own in place of the plan's.

    Args:
        topo: the topology; it is changed.
        addresses: interface → address with prefix length.

    Raises:
        ConfigError: an interface is not there.
    """
    left = dict(addresses)
    for node1, node2, info in topo.links(withInfo=True):
        for side, node in ((1, node1), (2, node2)):
            if (given := left.pop(f"{node}-eth{info[f'port{side}']}", None)) is not None:
                info[f"params{side}"] = {**(info.get(f"params{side}") or {}), "ip": given}
    if left:
        raise ConfigError(f"address of '{next(iter(left))}': not in this topology")
    return topo


def as_data(topo: Any) -> dict[str, Any]:
    """The graph as plain data: nodes with their kind, links with interfaces and shapes."""
    nodes = [
        {"name": name, "kind": _kind(topo, name), **_plain(topo.nodeInfo(name))}
        for name in topo.nodes()
    ]
    links = []
    for node1, node2, info in topo.links(withInfo=True):
        shapes = {f"shape{side}": shape_of(info, side).as_dict() for side in (1, 2)}
        names = {
            f"interface{side}": info.get(f"intfName{side}") or f"{node}-eth{info[f'port{side}']}"
            for side, node in ((1, node1), (2, node2))
        }
        links.append({"node1": node1, "node2": node2, **names, **shapes})
    return {"nodes": nodes, "links": links}


def _kind(topo: Any, name: str) -> str:
    if topo.isSwitch(name):
        return "switch"
    return "router" if topo.nodeInfo(name).get("isRouter") else "host"


def _plain(info: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in info.items() if isinstance(v, str | int | float | bool)}
