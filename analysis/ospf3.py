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
    "Rtr": "router",
    "Net": "network",
    "IAP": "summary",
    "IAR": "summary-asbr",
    "ASE": "external",
    "INP": "prefix",
}
_STATES = {"Twoway": "2-Way", "ExChange": "Exchange"}
"""ospf6d's words for states, where they are not ospfd's."""
_KEY = ["area", "ls_type", "ls_id", "adv_router"]


def database(text: str) -> pd.DataFrame:
    """Headers of one router's database, from ``show ipv6 ospf6 database json``.

    Returns:
        ``area`` (empty for external LSAs), ``ls_type``, ``ls_id``, ``adv_router``, ``sequence``;
        LSAs that never leave their link are left out.
    """
    data = json.loads(text)
    rows = [
        (
            area.get("areaId", ""),
            _TYPES.get(lsa["type"], lsa["type"]),
            lsa["lsId"],
            lsa["advRouter"],
            int(lsa["seqNum"]) & 0xFFFFFFFF,
        )
        for table in _TABLES
        for area in data.get(table, [])
        for lsa in area.get("lsa", [])
    ]
    return pd.DataFrame(rows, columns=[*_KEY, "sequence"]).drop_duplicates(ignore_index=True)


def neighbours(text: str) -> pd.DataFrame:
    """A router's neighbours, from ``show ipv6 ospf6 neighbor json``: as `ospf.neighbours`."""
    rows = [
        (n["neighborId"], _STATES.get(n["state"], n["state"]), n["interfaceName"])
        for n in json.loads(text)["neighbors"]
    ]
    return pd.DataFrame(rows, columns=["neighbour", "state", "interface"])


def bodies(lsas: pd.DataFrame) -> ospf.Contents:
    """Contents of the LSAs that passed in updates: each area has its own."""
    flooded = lsas[(lsas["carrier"] == "update") & lsas["body"].notna()]
    found = {_key(row): row["body"] for row in flooded.to_dict("records")}
    return ospf.Contents(found, _key)


def _key(row: Mapping[Any, Any]) -> tuple[str, str, str, str, int]:
    """Area (of external LSAs none), type, id, router, sequence number."""
    area = "" if row["ls_type"] == "external" else str(row["area"])
    kind, ls_id, router, sequence = (row[n] for n in (*_KEY[1:], "sequence"))
    return area, str(kind), str(ls_id), str(router), int(sequence) & 0xFFFFFFFF


def area_graph(headers: pd.DataFrame, contents: ospf.Contents) -> nx.DiGraph[str]:
    """One area's graph, as `ospf.area_graph` has it; networks are ``net <router> <interface>``."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    prefixes: dict[str, dict[str, int]] = {}
    for row in headers.to_dict("records"):
        kind, ls_id, router = str(row["ls_type"]), str(row["ls_id"]), str(row["adv_router"])
        body = contents.of(row) or {}
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


V3 = ospf.Version(database, neighbours, bodies, area_graph)
"""OSPF for IPv6 (RFC 5340)."""
