"""Static routes: shortest paths over the planned graph, by delay and then by hops. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from testbed.net.given import V4, V6
from testbed.net.plan import Plan, Port
from testbed.net.rtnl import Address4or6, Network4or6

HOP_COST_MS = 1e-6
"""Cost of a hop besides its delay: decides between paths of the same delay."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route of one node.

    Attributes:
        node: whose.
        destination: prefix.
        via: next hop's address.
        out: own interface's name.
    """

    node: str
    destination: Network4or6
    via: Address4or6
    out: str


def default_routes(plan: Plan) -> list[Route]:
    """Every host's default routes, to the first router of its first segment that has one."""
    routers = set(plan.routers)
    segment_of = {(p.node, p.name): segment for segment in plan.segments for p in segment.ports}
    routes = []
    for node, ports in plan.ports.items():
        if node in routers:
            continue
        for port in ports:
            segment = segment_of.get((port.node, port.name))
            gateway = segment.ports[0] if segment and segment.ports else None
            if gateway and gateway.node in routers:
                routes += _both(node, _ANY, gateway, port)
                break
    return routes


_ANY = (V4("0.0.0.0/0").network, V6("::/0").network)


def static_routes(plan: Plan, delay_ms: Callable[[int, int], float]) -> list[Route]:
    """Routes of every router to every prefix and loopback that is not its own.

    Args:
        plan: addresses and segments.
        delay_ms: of what one side of a link sends: (link, side) → ms.
    """
    return [route for router in plan.routers for route in _routes_of(router, plan, delay_ms)]


def _routes_of(source: str, plan: Plan, delay_ms: Callable[[int, int], float]) -> list[Route]:
    hops = _first_hops(source, plan, delay_ms)
    routes: list[Route] = []
    for segment in plan.segments:
        if segment.ipv4 is None:
            continue
        near = [port.node for port in segment.ports]
        if source in near:
            continue
        reachable = [(hops[node][0], node) for node in near if node in hops]
        if reachable:
            _, nearest = min(reachable)
            own, gateway = hops[nearest][1]
            routes += _both(source, (segment.ipv4, segment.ipv6), gateway, own)
    for router, addresses in plan.loopbacks.items():
        if router != source and router in hops:
            own, gateway = hops[router][1]
            routes += _both(source, [a.network for a in addresses], gateway, own)
    return routes


def _first_hops(
    source: str, plan: Plan, delay_ms: Callable[[int, int], float]
) -> dict[str, tuple[float, tuple[Port, Port]]]:
    """Dijkstra over routers: router → (cost, (own port, next hop's port)); ties by name."""
    routers = set(plan.routers)
    segment_of = {(p.node, p.name): segment for segment in plan.segments for p in segment.ports}
    best: dict[str, tuple[float, tuple[Port, Port]]] = {}
    queue: list[tuple[float, str, int]] = [(0.0, source, -1)]
    hops: list[tuple[Port, Port]] = []
    done = set()
    while queue:
        cost, node, hop = heapq.heappop(queue)
        if node in done:
            continue
        done.add(node)
        if hop >= 0:
            best[node] = (cost, hops[hop])
        for port in plan.ports[node]:
            for other in segment_of[port.node, port.name].ports:
                if other.node not in routers or other.node in done or other.name in plan.nat:
                    continue  # seen from outside, there is nothing behind a NAT
                if node == source:
                    hops.append((port, other))
                step = delay_ms(port.link, port.side) + HOP_COST_MS
                heapq.heappush(
                    queue, (cost + step, other.node, len(hops) - 1 if node == source else hop)
                )
    return best


def _both(
    node: str, destinations: Iterable[Network4or6 | None], gateway: Port, out: Port
) -> list[Route]:
    """Routes of either version by a neighbour, as far as it has an address in the same prefix."""
    found = []
    for prefix in destinations:
        if prefix is None:
            continue
        own, hop = (out.ipv4, gateway.ipv4) if prefix.version == 4 else (out.ipv6, gateway.ipv6)
        if own is not None and hop is not None and hop.ip in own.network:
            found.append(Route(node, prefix, hop.ip, out.name))
    return found
