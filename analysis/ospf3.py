"""Databases of OSPF version 3, and the paths that follow from them (RFC 5340).

Routers and networks are the same graph as version 2's (`analysis.ospf`); prefixes come in LSAs of
their own, which name the router or network they are at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import networkx as nx
import pandas as pd

from analysis import ospf

_TABLES = ("areaScopedLinkStateDb", "asScopedLinkStateDb")
_TYPES = {
    "Rtr": "router", "Net": "network", "IAP": "summary", "IAR": "summary-asbr", "ASE": "external",
    "INP": "prefix",
}  # fmt: skip
_KEY = ["area", "ls_type", "ls_id", "adv_router"]


def database(text: str) -> pd.DataFrame:
    """Headers of one router's database, from ``show ipv6 ospf6 database json``.

    Returns:
        ``area`` (empty for external LSAs), ``ls_type``, ``ls_id``, ``adv_router``, ``sequence``;
        LSAs that never leave their link are left out.
    """
    data = json.loads(text)
    rows = [
        (area.get("areaId", ""), _TYPES.get(lsa["type"], lsa["type"]), lsa["lsId"],
         lsa["advRouter"], int(lsa["seqNum"]) & 0xFFFFFFFF)
        for table in _TABLES
        for area in data.get(table, [])
        for lsa in area.get("lsa", [])
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=[*_KEY, "sequence"]).drop_duplicates(ignore_index=True)


def neighbours(text: str) -> pd.DataFrame:
    """A router's neighbours, from ``show ipv6 ospf6 neighbor json``: as `ospf.neighbours`."""
    rows = [
        (n["neighborId"], n["state"], n["interfaceName"]) for n in json.loads(text)["neighbors"]
    ]
    return pd.DataFrame(rows, columns=["neighbour", "state", "interface"])


def bodies(lsas: pd.DataFrame) -> dict[tuple[str, str, str, int], dict[str, Any]]:
    """Contents of the LSAs that passed in updates: (type, id, router, sequence number) → body."""
    flooded = lsas[(lsas["carrier"] == "update") & lsas["body"].notna()]
    names = ("ls_type", "ls_id", "adv_router", "sequence", "body")
    return {
        (kind, ls_id, router, sequence & 0xFFFFFFFF): body
        for kind, ls_id, router, sequence, body in zip(
            *(flooded[n].to_list() for n in names), strict=True
        )
    }


def area_graph(
    headers: pd.DataFrame, contents: Mapping[tuple[str, str, str, int], dict[str, Any]]
) -> nx.DiGraph[str]:
    """One area's graph, as `ospf.area_graph` has it; networks are ``net <router> <interface>``."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    prefixes: dict[str, dict[str, int]] = {}
    for kind, ls_id, router, sequence in headers[[*_KEY[1:], "sequence"]].itertuples(index=False):
        body = contents.get((kind, ls_id, router, sequence), {})
        if kind == "router":
            graph.add_node(router)
            for link in body.get("links", []):
                to_router = link["type"] == "point-to-point"
                end = link["id"] if to_router else f"net {link['id']} {link['interface']}"
                graph.add_edge(router, end, cost=link["metric"])
        elif kind == "network":
            for attached in body.get("routers", []):
                graph.add_edge(f"net {router} {ls_id}", attached, cost=0)
        elif kind == "prefix" and body:
            of, number, owner = body["of"]
            node = owner if of == "router" else f"net {owner} {number}"
            prefixes.setdefault(node, {}).update(body["prefixes"])
    ospf.drop_one_way(graph)
    nx.set_node_attributes(graph, {n: p for n, p in prefixes.items() if n in graph}, "prefixes")
    return graph


def measured(
    states: Mapping[str, tuple[str, str]],
    lsas: pd.DataFrame,
    kernel: pd.DataFrame,
    names: Mapping[str, str],
) -> dict[str, pd.DataFrame]:
    """As `ospf.measured`, of one area."""
    known, expected, found, trees = [], {}, [], []
    graph: nx.DiGraph[str] = nx.DiGraph()
    contents = bodies(lsas)
    for router_id, router in names.items():
        headers = database(states[router][0])
        known.append(headers.assign(node=router))
        graph = area_graph(headers, contents)
        trees.append(ospf.tree(graph, router_id).assign(root=router))
        expected[router] = ospf.prefixes(graph, ospf.shortest(graph, router_id))
        found.append(neighbours(states[router][1]).assign(node=router))
    return {
        "databases": pd.concat(known, ignore_index=True),
        "routes": ospf.compare_routes(kernel, expected, names),
        "neighbours": pd.concat(found, ignore_index=True).replace(dict(names)),
        "trees": pd.concat(trees, ignore_index=True).replace(dict(names)),
        "edges": ospf.edges(graph).replace(dict(names)),
    }
