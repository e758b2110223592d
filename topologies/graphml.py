"""Any graph from a GraphML file as the Internet Topology Zoo has them (topology-zoo.org)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from testbed import ConfigError, LinkShape, ParseError, Topo, number

LIGHT_IN_FIBRE_KM_PER_MS = 200.0
"""Two thirds of the speed of light in vacuum."""

_EARTH_KM = 6371.0
MOST_BYTES = 16 << 20
"""The largest file; the Zoo's have less than 1 MiB."""

_NS = "{http://graphml.graphdrawing.org/xmlns}"

Node = Mapping[str, str]


class GraphML(Topo):
    """A router for each node of the file and a host behind it; delays from coordinates.

    ::

        h0 ─ r0 ═══ r1 ─ h1            rI, hI: node with id I in the file
              ╲     ║
               ═══ r2 ─ h2

    | link | IPv4 | IPv6 |
    | --- | --- | --- |
    | hI rI, k-th host | 10.0.k.11/24, 10.0.k.1/24 | fd00:0:0:k::/64 |
    | k-th link between routers | k-th /30 of 172.16.0.0/12 | fd00:0:1:k::/64 |

    The delay of a link is its great circle's length at 200 km/ms; where a coordinate is missing,
    `default_delay_ms`. ``LinkSpeedRaw`` (bit/s) is the rate only if `speeds` is set: the Zoo's
    10 Gbit/s are more than a laptop can emulate.
    """

    def build(
        self,
        file: str = "",
        hosts: bool = True,
        speeds: bool = False,
        rate_mbps: float | None = None,
        default_delay_ms: float = 1.0,
    ) -> None:
        """Build it.

        Args:
            file: the GraphML file.
            hosts: a host behind each router.
            speeds: take rates from the file.
            rate_mbps: rate of links the file gives none for (or of all without `speeds`).
            default_delay_ms: of links whose ends have no coordinates.

        Raises:
            ConfigError: the file does not exist.
            ParseError: it is not GraphML, or a link names a missing node.
        """
        number("graphml default_delay_ms", default_delay_ms, 0, 10_000)
        if rate_mbps is not None:
            number("graphml rate_mbps", rate_mbps, 0.001, 100_000)
        nodes, edges = read(file)
        for node, data in nodes.items():
            place = _place(data)
            spot = {"x": place[1], "y": -place[0] * 1.3} if place else {}
            self.addRouter(f"r{node}", label=data.get("label", ""), **spot)
            if hosts:
                self.addLink(self.addHost(f"h{node}"), f"r{node}")
        for one, two, data in edges:
            delay_ms = _delay_ms(nodes[one], nodes[two], default_delay_ms)
            raw = data.get("LinkSpeedRaw") if speeds else None
            rate = float(raw) / 1e6 if raw else rate_mbps
            self.addLink(f"r{one}", f"r{two}", shape=LinkShape(delay_ms=delay_ms, rate_mbps=rate))


def read(file: str) -> tuple[dict[str, Node], list[tuple[str, str, Node]]]:
    """Nodes (id → data) and edges (source, target, data) of a GraphML file, without self-loops."""
    path = Path(file)
    if not file or not path.is_file():
        raise ConfigError(f"graphml file: no such file '{file}'; give file=PATH")
    if path.stat().st_size > MOST_BYTES:
        raise ConfigError(f"{file}: is larger than {MOST_BYTES >> 20} MiB")
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ParseError(path.name, f"line {error.position[0]}", f"is not XML: {error}") from error
    graph = root.find(f"{_NS}graph")
    if graph is None:
        raise ParseError(path.name, "root element", "has no <graph>; is it a GraphML file?")
    keys = {k.get("id"): k.get("attr.name", "") for k in root.iter(f"{_NS}key")}
    nodes: dict[str, Node] = {}
    for element in graph.iter(f"{_NS}node"):
        name = _name(element.get("id", ""), path)
        if name in nodes:
            raise ParseError(path.name, f"node id '{name}'", "two nodes have it; rename one")
        nodes[name] = _data(element, keys)
    edges = list(_edges(graph, keys, nodes, path))
    return nodes, edges


def _name(identifier: str, path: Path) -> str:
    if not (identifier.isascii() and identifier.isalnum()) or len(identifier) > 8:
        reason = "an id is up to 8 letters (a to z) and digits: it is in interfaces' names"
        raise ParseError(path.name, f"node id '{identifier}'", reason)
    return identifier


def _data(element: ElementTree.Element, keys: Mapping[str | None, str]) -> Node:
    return {keys.get(d.get("key"), ""): (d.text or "").strip() for d in element.iter(f"{_NS}data")}


def _edges(
    graph: ElementTree.Element,
    keys: Mapping[str | None, str],
    nodes: Mapping[str, Node],
    path: Path,
) -> Iterator[tuple[str, str, Node]]:
    for edge in graph.iter(f"{_NS}edge"):
        one, two = edge.get("source", ""), edge.get("target", "")
        for end in (one, two):
            if end not in nodes:
                where = f"edge from '{one}' to '{two}'"
                raise ParseError(path.name, where, f"no such node '{end}'")
        if one != two:
            yield one, two, _data(edge, keys)


def _place(data: Node) -> tuple[float, float] | None:
    """Latitude and longitude in degrees."""
    try:
        return float(data["Latitude"]), float(data["Longitude"])
    except (KeyError, ValueError):
        return None


def _delay_ms(one: Node, two: Node, default_ms: float) -> float:
    start, end = _place(one), _place(two)
    if start is None or end is None:
        return default_ms
    (lat1, lon1), (lat2, lon2) = (tuple(map(math.radians, place)) for place in (start, end))
    half = math.sin((lat2 - lat1) / 2) ** 2
    half += math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    km = 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(half)))
    return max(0.001, round(km / LIGHT_IN_FIBRE_KM_PER_MS, 3))


topos = {"graphml": GraphML}
