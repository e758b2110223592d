"""Shortest paths over a link-state database's graph (RFC 2328 §16.1)."""

from __future__ import annotations

import networkx as nx
import pandas as pd

Reach = dict[str, tuple[int, frozenset[str]]]
"""Node or prefix → cost and first routers on all cheapest paths (empty: the root itself)."""


def shortest(graph: nx.DiGraph[str], root: str) -> Reach:
    """Dijkstra from a router: every node's cost and first hops (RFC 2328 §16.1)."""
    if root not in graph:
        return {}
    before, cost = nx.dijkstra_predecessor_and_distance(graph, root, weight="cost")
    hops: Reach = {root: (0, frozenset())}
    # predecessors first; of equal cost a network before its routers (their edge costs nothing)
    for node in sorted(cost, key=lambda n: (cost[n], not n.startswith("net "))):
        if node == root:
            continue
        first: set[str] = set()
        for parent in before[node]:
            own = hops[parent][1]
            if not own and not node.startswith("net "):
                own = frozenset([node])  # attached to the root, perhaps by a network
            first |= own
        hops[node] = (int(cost[node]), frozenset(first))
    return hops


def prefixes(graph: nx.DiGraph[str], reach: Reach) -> Reach:
    """Every prefix of an area with cost and first hops."""
    found: Reach = {}
    for node, (cost, first) in reach.items():
        for prefix, more in graph.nodes[node].get("prefixes", {}).items():
            _offer(found, prefix, cost + more, first)
    return found


def _offer(found: Reach, prefix: str, cost: int, first: frozenset[str]) -> None:
    """Keeps the cheapest, and all first hops of equally cheap ones."""
    old = found.get(prefix)
    if old is None or cost < old[0]:
        found[prefix] = (cost, first)
    elif cost == old[0]:
        found[prefix] = (cost, old[1] | first if old[1] and first else frozenset())


def tree(graph: nx.DiGraph[str], root: str) -> pd.DataFrame:
    """The shortest-path tree of a router (all parents where several are equally good).

    Returns:
        ``parent``, ``child``, ``cost`` (of the child from the root).
    """
    if root not in graph:
        return pd.DataFrame(columns=["parent", "child", "cost"])
    before, cost = nx.dijkstra_predecessor_and_distance(graph, root, weight="cost")
    rows = [(parent, child, int(cost[child])) for child in cost for parent in before[child]]
    return pd.DataFrame(rows, columns=["parent", "child", "cost"])


def edges(graph: nx.DiGraph[str]) -> pd.DataFrame:
    """A graph's edges: ``one``, ``two``, ``cost``."""
    rows = [(one, two, data["cost"]) for one, two, data in graph.edges(data=True)]
    return pd.DataFrame(rows, columns=["one", "two", "cost"])
