"""What OSPF's databases say, and the routes that follow from them.

Packets and LSAs come from `analysis.dissect.ospf`; databases from ospfd's own words
(``show ip ospf database json``). Routes are computed here with networkx from the LSAs seen on the
wire, and never from what the routers computed.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx
import pandas as pd

from analysis.dissect import ospf as dissect
from analysis.ospf_paths import Reach, _offer, edges, prefixes, shortest, tree

PACKET_COLUMNS = (*dissect.COLUMNS, "wire_bytes")
"""What packets must have, besides ``time_s``."""

BACKBONE = "0.0.0.0"

_TABLES = {
    "routerLinkStates": "router",
    "networkLinkStates": "network",
    "summaryLinkStates": "summary",
    "asbrSummaryLinkStates": "summary-asbr",
    "asExternalLinkStates": "external",
}

Instance = tuple[str, str, str, int, int]
"""LS type, link state id, advertising router, sequence number, checksum: one LSA's one version.

The checksum tells apart what a border router says in each of its areas."""

Bodies = Mapping[Any, dict[str, Any]]
Row = Mapping[Any, Any]


@dataclass(frozen=True)
class Contents:
    """What LSAs say: contents of those that passed, found by the header a router holds.

    Attributes:
        bodies: key → contents.
        key: of a header, a row of a database.
    """

    bodies: Bodies
    key: Callable[[Row], Any]

    def of(self, row: Row) -> dict[str, Any] | None:
        """Contents of an LSA; None: it never passed."""
        return self.bodies.get(self.key(row))


Graphs = Callable[[pd.DataFrame, Contents], "nx.DiGraph[str]"]
"""From one area's headers to its graph."""


def database(text: str) -> pd.DataFrame:
    """Headers of one router's database, from ``show ip ospf database json``.

    Returns:
        ``area`` (empty for external LSAs), ``ls_type``, ``ls_id``, ``adv_router``, ``sequence``,
        ``checksum``, ``age_s``.
    """
    data = json.loads(text)
    rows = []
    for area, tables in [*data.get("areas", {}).items(), ("", data)]:
        for name, ls_type in _TABLES.items():
            found = tables.get(name, [])
            for lsa in found if isinstance(found, list) else []:
                rows.append(_header(area.split()[0] if area else "", ls_type, lsa))
    names = ["area", "ls_type", "ls_id", "adv_router", "sequence", "checksum", "age_s"]
    return pd.DataFrame(rows, columns=names)


def _state(entry: dict[str, Any]) -> str:
    """A neighbour's state, by the name of FRR 10 or of those before it."""
    return str(entry.get("nbrState") or entry["state"])


def neighbours(text: str) -> pd.DataFrame:
    """A router's neighbours, from ``show ip ospf neighbor json``.

    Returns:
        ``neighbour`` (router id), ``state``, ``interface``.
    """
    rows = [
        (router_id, entry["nbrState"].split("/")[0], entry["ifaceName"].split(":")[0])
        for router_id, entries in json.loads(text)["neighbors"].items()
        for entry in entries
    ]
    return pd.DataFrame(rows, columns=["neighbour", "state", "interface"])


def _header(area: str, ls_type: str, lsa: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "area": area,
        "ls_type": ls_type,
        "ls_id": lsa["lsId"],
        "adv_router": lsa["advertisedRouter"],
        "age_s": int(lsa["lsaAge"]),
        "sequence": int(lsa["sequenceNumber"], 16),
        "checksum": int(lsa["checksum"], 16),
    }


def bodies(lsas: pd.DataFrame) -> Contents:
    """Contents of the LSAs that passed in updates."""
    flooded = lsas[(lsas["carrier"] == "update") & lsas["body"].notna()]
    names = ("ls_type", "ls_id", "adv_router", "sequence", "checksum", "body")
    found = {
        (kind, ls_id, router, sequence & 0xFFFFFFFF, checksum): body
        for kind, ls_id, router, sequence, checksum, body in zip(
            *(flooded[n].to_list() for n in names), strict=True
        )
    }
    return Contents(found, _instance)


def area_graph(headers: pd.DataFrame, contents: Contents) -> nx.DiGraph[str]:
    """One area's graph: routers by id, transit networks as ``net <id of the LSA>``.

    Edges carry ``cost``; nodes ``prefixes``: prefix → cost beyond the node.
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    for row in headers.to_dict("records"):
        body = contents.of(row)
        if body is None:
            continue
        if row["ls_type"] == "router":
            _add_router(graph, str(row["ls_id"]), body)
        elif row["ls_type"] == "network":
            _add_network(graph, str(row["ls_id"]), body)
    drop_one_way(graph)
    return graph


def drop_one_way(graph: nx.DiGraph[str]) -> None:
    """Links count only if both ends tell of them (RFC 2328 §16.1 (2)(b))."""
    graph.remove_edges_from([(a, b) for a, b in graph.edges if not graph.has_edge(b, a)])


def _instance(row: Mapping[Any, Any]) -> Instance:
    number, checksum = int(row["sequence"]), int(row["checksum"])
    return row["ls_type"], row["ls_id"], row["adv_router"], number, checksum


def _add_router(graph: nx.DiGraph[str], router: str, body: Mapping[str, Any]) -> None:
    prefixes: dict[str, int] = {}
    for link in body["links"]:
        if link["type"] == "point-to-point":
            cost = link["metric"]
            if graph.has_edge(router, link["id"]):
                cost = min(cost, graph.edges[router, link["id"]]["cost"])
            graph.add_edge(router, link["id"], cost=cost)
        elif link["type"] == "transit":
            graph.add_edge(router, f"net {link['id']}", cost=link["metric"])
        elif link["type"] == "stub":
            prefix = str(ipaddress.ip_network(f"{link['id']}/{link['data']}", strict=False))
            prefixes[prefix] = link["metric"]
    graph.add_node(router, prefixes=prefixes)


def _add_network(graph: nx.DiGraph[str], ls_id: str, body: Mapping[str, Any]) -> None:
    prefix = str(ipaddress.ip_network(f"{ls_id}/{body['mask']}", strict=False))
    graph.add_node(f"net {ls_id}", prefixes={prefix: 0})
    for router in body["routers"]:
        graph.add_edge(f"net {ls_id}", router, cost=0)


def expected_routes(
    headers: pd.DataFrame, contents: Contents, root: str, graph_of: Graphs = area_graph
) -> Reach:
    """The routes that one router's database entails (RFC 2328 §16): prefix → cost, first hops.

    Intra-area before inter-area before external routes; what the router has itself (no first hop)
    included.

    Args:
        headers: its `database`.
        contents: `bodies` of all LSAs.
        root: its router id.
        graph_of: makes the graphs; by default version 2's.
    """
    areas = [a for a in headers["area"].unique() if a]
    graphs = {a: graph_of(headers[headers["area"] == a], contents) for a in areas}
    reach = {a: shortest(graph, root) for a, graph in graphs.items()}
    inside: Reach = {}
    for area, graph in graphs.items():
        for prefix, (cost, first) in prefixes(graph, reach[area]).items():
            _offer(inside, prefix, cost, first)
    border = len([a for a in areas if root in graphs[a]]) > 1
    between: Reach = {}
    gateways: Reach = {}
    for area in areas:
        if not border or area == BACKBONE:  # border routers believe the backbone (§16.2)
            summaries = headers[headers["area"] == area]
            _summaries(summaries, contents, reach[area], root, between, gateways)
        for node, found in reach[area].items():
            _offer(gateways, node, *found)
    outside: Reach = {}
    _externals(headers[headers["area"] == ""], contents, gateways, root, outside)
    return outside | between | inside


def _summaries(
    headers: pd.DataFrame,
    contents: Contents,
    reach: Reach,
    root: str,
    between: Reach,
    gateways: Reach,
) -> None:
    for row in headers.to_dict("records"):
        body, router = contents.of(row), str(row["adv_router"])
        if body is None or router == root or router not in reach:
            continue
        cost, first = reach[router]
        if row["ls_type"] == "summary":
            _offer(between, _told(row, body), cost + body["metric"], first)
        elif row["ls_type"] == "summary-asbr":
            border = str(body.get("router") or row["ls_id"])
            _offer(gateways, border, cost + body["metric"], first)


def _told(row: Row, body: Mapping[str, Any]) -> str:
    """The prefix of a summary or external LSA: in version 2 its id, in version 3 in its body."""
    if prefix := body.get("prefix"):
        return str(prefix)
    return str(ipaddress.ip_network(f"{row['ls_id']}/{body['mask']}", strict=False))


def _externals(
    headers: pd.DataFrame,
    contents: Contents,
    gateways: Reach,
    root: str,
    outside: Reach,
) -> None:
    for row in headers.to_dict("records"):
        body, router = contents.of(row), str(row["adv_router"])
        if body is None or router == root or router not in gateways:
            continue
        cost, first = gateways[router]
        _offer(
            outside, _told(row, body), body["metric"] + (cost if body["type"] == 1 else 0), first
        )


def compare_routes(
    kernel: pd.DataFrame, expected: Mapping[str, Reach], names: Mapping[str, str]
) -> pd.DataFrame:
    """The kernel's OSPF routes compared with the computed ones.

    Args:
        kernel: ``node``, ``destination``, ``protocol``, ``next_hops`` (names joined by ``+``).
        expected: router → its computed routes.
        names: router id → router.

    Returns:
        ``node``, ``prefix``, ``kernel``, ``computed`` (next hops; empty: none), ``cost``.
    """
    ours = kernel[kernel["protocol"] == "ospf"]
    found = dict(
        zip(zip(ours["node"], ours["destination"], strict=True), ours["next_hops"], strict=True)
    )
    rows = []
    for node, reach in expected.items():
        wanted = {
            p: (c, "+".join(sorted(names[r] for r in first)))
            for p, (c, first) in reach.items()
            if first
        }
        mine = {prefix for router, prefix in found if router == node}
        for prefix in sorted(mine | set(wanted)):
            cost, hops = wanted.get(prefix, (None, ""))
            rows.append(
                {
                    "node": node,
                    "prefix": prefix,
                    "kernel": found.get((node, prefix), ""),
                    "computed": hops,
                    "cost": cost,
                }
            )
    return pd.DataFrame(rows, columns=["node", "prefix", "kernel", "computed", "cost"])


@dataclass(frozen=True)
class Version:
    """How one version of OSPF is read.

    Attributes:
        database, neighbours: from a router's own words to a table.
        bodies: contents of the LSAs that passed.
        graph_of: from an area's headers to its graph.
    """

    database: Callable[[str], pd.DataFrame]
    neighbours: Callable[[str], pd.DataFrame]
    bodies: Callable[[pd.DataFrame], Contents]
    graph_of: Graphs


V2 = Version(database, neighbours, bodies, area_graph)
"""OSPF for IPv4 (RFC 2328)."""


def measured(
    version: Version,
    states: Mapping[str, tuple[str, str]],
    lsas: pd.DataFrame,
    kernel: pd.DataFrame,
    names: Mapping[str, str],
) -> dict[str, pd.DataFrame]:
    """Every router's database, the routes it entails compared with the kernel's, and its
    neighbours.

    Args:
        version: `V2` or `ospf3.V3`.
        states: router → its answers about its database and its neighbours.
        lsas: all that passed.
        kernel: as of `compare_routes`.
        names: router id → router.

    Returns:
        ``databases``, ``routes``, ``neighbours``; of the backbone ``trees`` and ``edges``.
    """
    known, expected, found, trees = [], {}, [], []
    backbone: nx.DiGraph[str] = nx.DiGraph()
    contents = version.bodies(lsas)
    for router_id, router in names.items():
        headers = version.database(states[router][0])
        known.append(headers.assign(node=router))
        backbone = version.graph_of(headers[headers["area"] == BACKBONE], contents)
        trees.append(tree(backbone, router_id).assign(root=router))
        expected[router] = expected_routes(headers, contents, router_id, version.graph_of)
        found.append(version.neighbours(states[router][1]).assign(node=router))
    return {
        "databases": pd.concat(known, ignore_index=True),
        "routes": compare_routes(kernel, expected, names),
        "neighbours": pd.concat(found, ignore_index=True).replace(dict(names)),
        "trees": pd.concat(trees, ignore_index=True).replace(dict(names)),
        "edges": edges(backbone).replace(dict(names)),
    }
