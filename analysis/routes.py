"""Routing tables over time, from the kernel's notifications; convergence; shortest paths.

`changes` rows are what `ScenarioData.notices("routes")` gives: ``time_s``, ``node``, ``action``
(``have``, ``new``, ``replace``, ``del``), ``family``, ``destination``, ``protocol``, ``metric``,
``hops`` (list of {via, out, weight}).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, cast

import networkx as nx
import pandas as pd

INFINITY = 16
"""RIP's metric of what cannot be reached (RFC 2453 §3.6)."""

_LINK_LOCAL = ipaddress.IPv6Network("fe80::/10")

Row = dict[str, Any]


@dataclass(frozen=True)
class Network:
    """Who is on which prefix: all a distance-vector protocol knows of a graph.

    Attributes:
        members: prefix → node → (interface, address).
        routers: nodes that forward.
        link_local: link-local IPv6 address → node.
    """

    members: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    routers: tuple[str, ...] = ()
    link_local: dict[str, str] = field(default_factory=dict)

    def without(self, *interfaces: str) -> Network:
        """The network when these interfaces are down."""
        members = {
            prefix: {n: end for n, end in nodes.items() if end[0] not in interfaces}
            for prefix, nodes in self.members.items()
        }
        return replace(self, members={p: m for p, m in members.items() if m})

    def only(self, prefixes: Iterable[str]) -> Network:
        """The network of these prefixes alone."""
        kept = set(prefixes)
        return replace(self, members={p: m for p, m in self.members.items() if p in kept})

    def prefix_of(self, interface: str) -> str:
        """The prefix an interface is on."""
        return next(
            p
            for p, nodes in self.members.items()
            if any(own == interface for own, _ in nodes.values())
        )

    def addresses_on(self, prefix: str) -> set[str]:
        """All addresses of the nodes on a prefix that are valid there, link-local ones included."""
        nodes = self.members[prefix]
        local = {address for address, node in self.link_local.items() if node in nodes}
        return local | {address for _, address in nodes.values()}

    def owner_of(self, address: str) -> str:
        """The node that has an address; empty if none."""
        for nodes in self.members.values():
            for node, (_, own) in nodes.items():
                if own == address:
                    return node
        return self.link_local.get(address, "")


def network(
    addresses: Iterable[Mapping[str, Any]], topology: Mapping[str, Any], family: int = 4
) -> Network:
    """The network of a scenario.

    Args:
        addresses: rows of ``network.json``.
        topology: ``topology.json``.
        family: 4 or 6.
    """
    members: dict[str, dict[str, tuple[str, str]]] = {}
    link_local = {}
    for row in addresses:
        if family == 6 and row["mac"]:
            link_local[_link_local_of(row["mac"])] = row["node"]
        if given := row[f"ipv{family}"]:
            address = ipaddress.ip_interface(given)
            nodes = members.setdefault(str(address.network), {})
            nodes[row["node"]] = (row["interface"], str(address.ip))
    routers = tuple(n["name"] for n in topology["nodes"] if n["kind"] == "router")
    return Network(members, routers, link_local)


def _link_local_of(mac: str) -> str:
    """The address an interface gives itself from its MAC (RFC 4291 appendix A)."""
    raw = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes([raw[0] ^ 2]) + raw[1:3] + b"\xff\xfe" + raw[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + identifier))


def bellman_ford(net: Network) -> dict[tuple[str, str], int]:
    """RIP's metric of every prefix at every router: hops, own networks 1 (RFC 2453 §3.4).

    Returns:
        (router, prefix) → metric; what is farther than 15 hops is not in it.
    """
    routers = set(net.routers)
    best = {(r, p): 1 for p, nodes in net.members.items() for r in nodes if r in routers}
    links = [
        (one, two)
        for nodes in net.members.values()
        for one in nodes
        for two in nodes
        if one != two and {one, two} <= routers
    ]
    for _ in range(INFINITY):
        changed = False
        for router, neighbour in links:
            for prefix in net.members:
                metric = best.get((neighbour, prefix), INFINITY) + 1
                if metric < min(best.get((router, prefix), INFINITY), INFINITY):
                    best[router, prefix] = metric
                    changed = True
        if not changed:
            break
    return best


def fewest_hops(net: Network) -> dict[tuple[str, str], frozenset[str]]:
    """Neighbours on a shortest way where every link costs the same (Dijkstra's is then Moore's).

    Returns:
        (router, prefix) → neighbours; what a router has itself, or cannot reach, is not in it.
    """
    graph = nx.Graph(
        (one, two)
        for nodes in net.members.values()
        for one in nodes
        for two in nodes
        if one < two and {one, two} <= set(net.routers)
    )
    hops: dict[str, dict[str, int]] = dict(nx.all_pairs_shortest_path_length(graph))
    found = {}
    for prefix, nodes in net.members.items():
        ends = [node for node in nodes if node in graph]
        far = {r: min((hops[r].get(e, INFINITY**2) for e in ends), default=None) for r in graph}
        for router, own in far.items():
            if own:
                nearer = [n for n in graph[router] if far[n] == own - 1]
                if nearer:
                    found[router, prefix] = frozenset(nearer)
    return found


def compare_with_fewest_hops(table: pd.DataFrame, net: Network) -> pd.DataFrame:
    """Learned routes compared with the shortest paths on the graph.

    Args:
        table: ``node``, ``destination``, ``next_hops`` (names joined by ``+``).
        net: the network.

    Returns:
        ``node``, ``prefix``, ``kernel``, ``computed`` (next hops; empty: none).
    """
    names = zip(table["node"], table["destination"], strict=True)
    kernel = dict(zip(names, table["next_hops"], strict=True))
    computed = {key: "+".join(sorted(hops)) for key, hops in fewest_hops(net).items()}
    rows = [
        (node, prefix, kernel.get((node, prefix), ""), computed.get((node, prefix), ""))
        for node, prefix in sorted({*kernel, *computed})
    ]
    return pd.DataFrame(rows, columns=["node", "prefix", "kernel", "computed"])


def with_silent_losses(changes: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    """The changes, and those the kernel makes without a word.

    When an interface is set down, its IPv4 routes go and no notification says so: they are added
    here, as ``del``, or as ``replace`` where other next hops remain.

    Args:
        changes: of routes.
        links: of links: ``time_s``, ``node``, ``interface``, ``up``.
    """
    events = pd.concat([changes.assign(order=0), links[~links["up"].astype(bool)].assign(order=1)])
    standing: dict[tuple[str, str, int], Row] = {}
    rows: list[Row] = []
    for event in cast(list[Row], events.sort_values(["time_s", "order"]).to_dict("records")):
        if event["order"] == 1:
            lost = _lost_with(event["node"], event["interface"], standing, event["time_s"])
            rows += lost
            event_rows = lost
        else:
            event_rows = [event]
            rows.append(event)
        for row in event_rows:
            key = (row["node"], row["destination"], int(row["metric"]))
            if row["action"] == "del":
                standing.pop(key, None)
            elif row["family"] == 4:
                standing[key] = row
    return pd.DataFrame(rows, columns=list(changes.columns)).astype({"family": int, "metric": int})


def _lost_with(
    node: str, interface: str, standing: Mapping[tuple[str, str, int], Row], time_s: float
) -> list[Row]:
    """What happens to a node's routes when an interface is set down."""
    lost = []
    for key, route in standing.items():
        left = [hop for hop in route["hops"] if hop["out"] != interface]
        if key[0] == node and len(left) < len(route["hops"]):
            action = "replace" if left else "del"
            hops = left or route["hops"]
            lost.append({**route, "time_s": time_s, "action": action, "hops": hops})
    return lost


def table_at(changes: pd.DataFrame, time_s: float, family: int = 4) -> pd.DataFrame:
    """The kernel's routing tables at a moment, link-local prefixes left out.

    Returns:
        ``node``, ``destination``, ``protocol``, ``metric``, ``hops``, ``since_s``: one row a
        route, sorted.
    """
    entries: dict[tuple[str, str, int], Row] = {}
    past = changes[(changes["time_s"] <= time_s) & (changes["family"] == family)]
    for change in cast(list[Row], past.to_dict("records")):
        key = (change["node"], change["destination"], change["metric"])
        if change["action"] == "del":
            entries.pop(key, None)
        elif not _is_link_local(change["destination"]):
            entries[key] = {**change, "since_s": change["time_s"]}
    names = ["node", "destination", "protocol", "metric", "hops", "since_s"]
    rows = [entries[key] for key in sorted(entries)]
    return pd.DataFrame(rows, columns=names)


def _is_link_local(prefix: str) -> bool:
    network_ = ipaddress.ip_network(prefix)
    return isinstance(network_, ipaddress.IPv6Network) and network_.subnet_of(_LINK_LOCAL)


def changed(
    changes: pd.DataFrame,
    protocols: Collection[str],
    begin_s: float,
    end_s: float = float("inf"),
) -> pd.DataFrame:
    """Changes of routes of some protocols within [begin_s, end_s)."""
    during = (changes["time_s"] >= begin_s) & (changes["time_s"] < end_s)
    mine = changes["protocol"].isin(list(protocols)) & (changes["action"] != "have")
    return changes[during & mine]


def convergence_s(
    changes: pd.DataFrame,
    protocols: Collection[str],
    event_s: float,
    end_s: float = float("inf"),
) -> float | None:
    """From an event to the last route change behind it, in seconds; None if nothing changed."""
    last = changed(changes, protocols, event_s, end_s)["time_s"].max()
    return None if pd.isna(last) else float(last - event_s)


def next_hops(hops: Iterable[Mapping[str, Any]], net: Network) -> set[str]:
    """The routers that a route's hops name."""
    return {net.owner_of(hop["via"]) for hop in hops if hop["via"]}


def by_name(table: pd.DataFrame, net: Network) -> pd.DataFrame:
    """Routes of routers with ``next_hops`` by name (``r2+r3``) and ``out`` in place of ``hops``."""
    found = table[table["node"].isin(net.routers)].copy()
    found["next_hops"] = ["+".join(sorted(next_hops(h, net))) for h in found["hops"]]
    found["out"] = ["+".join(hop["out"] for hop in h) for h in found["hops"]]
    return found.drop(columns="hops")


def path(table: pd.DataFrame, net: Network, source: str, target: str) -> list[str]:
    """The nodes a packet passes from `source` to the address `target`, by the tables at hand.

    Follows the first of several next hops. Ends where a node has no route, or at a loop (the
    node is then the last one, for the second time).
    """
    walked = [source]
    goal = ipaddress.ip_address(target)
    while target not in [address for _, address in _ends(net, walked[-1])]:
        own = table[table["node"] == walked[-1]]
        prefixes = [ipaddress.ip_network(d) for d in own["destination"]]
        fitting = [
            (prefix.prefixlen, number) for number, prefix in enumerate(prefixes) if goal in prefix
        ]
        if not fitting:
            break
        hop = own["hops"].iloc[max(fitting)[1]][0]
        following = net.owner_of(hop["via"] or target)
        seen = following in walked
        walked.append(following)
        if seen or not following:
            break
    return [node for node in walked if node]


def _ends(net: Network, node: str) -> list[tuple[str, str]]:
    return [nodes[node] for nodes in net.members.values() if node in nodes]


def mended_s(
    changes: pd.DataFrame,
    net: Network,
    ends: tuple[str, str],
    broken: tuple[str, str],
    failed_s: float,
) -> float:
    """When routes lead both ways between two hosts again, not over a broken link.

    Args:
        changes: of routes, with ``hops``.
        net: the network.
        ends: the two hosts.
        broken: the two nodes of the broken link.
        failed_s: when it broke.

    Returns:
        The time of the change that mends them; infinite if none does.
    """
    address = {host: _ends(net, host)[0][1] for host in ends}
    later = changes[changes["time_s"] >= failed_s]["time_s"].drop_duplicates()
    for time_s in [failed_s, *later]:
        table = table_at(changes, time_s)
        walks = [path(table, net, a, address[b]) for a, b in (ends, ends[::-1])]
        whole = all(walk[-1] == end for walk, end in zip(walks, ends[::-1], strict=True))
        steps = [{*step} for walk in walks for step in pairwise(walk)]
        if whole and {*broken} not in steps:
            return float(time_s)
    return float("inf")
