"""Pictures of routing: messages over time, tables over time, metrics that climb."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import networkx as nx
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.plots.style import COLOURS, mark
from testbed.core.ordering import natural
from testbed.core.quantities import number

INFINITY = 16


def climbs(told: Mapping[str, pd.DataFrame]) -> Figure:
    """The metric advertised for a lost network, over time, one panel per scenario.

    Args:
        told: title → ``time_s``, ``sender``, ``metric``.
    """
    figure, panels = plt.subplots(
        1, len(told), figsize=(10, 3.6), sharex=True, sharey=True, squeeze=False
    )
    for axes, (title, entries) in zip(panels[0], told.items(), strict=True):
        for i, (sender, mine) in enumerate(entries.groupby("sender")):
            axes.plot(
                mine["time_s"],
                mine["metric"],
                "os^"[i % 3],
                ms=5,
                color=COLOURS[i],
                label=f"advertised by {sender}",
            )
        axes.axhline(INFINITY, color="black", lw=0.8, ls=":")
        axes.set_title(title)
        axes.set_xlabel("time (s)")
        axes.set_ylim(0, INFINITY + 1)
        axes.set_yticks(range(0, INFINITY + 1, 4))
    panels[0][0].set_ylabel("metric of the lost network (hops)")
    handles, labels = max(
        (a.get_legend_handles_labels() for a in panels[0]), key=lambda h: len(h[1])
    )
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def tables_over_time(
    changes: pd.DataFrame, protocol: str, end_s: float, failed_s: float = 0.0
) -> Figure:
    """Each router's learned routes as bars over time, coloured and named by next hop.

    Args:
        changes: ``time_s``, ``node``, ``action``, ``destination``, ``protocol``, ``next_hops``.
        protocol: whose routes.
        end_s: end of the run.
        failed_s: when the link failed; 0: it did not.
    """
    learned = changes[changes["protocol"] == protocol]
    nets = learned[~learned["destination"].str.endswith(("/32", "/128"))]  # loopbacks: too many
    bars = [b for b in _bars(nets, end_s) if b[2] - b[1] > end_s / 1000]
    rows = sorted({b[0] for b in bars}, key=natural, reverse=True)
    hops = sorted({b[3] for b in bars}, key=natural)
    colour = {hop: COLOURS[i % len(COLOURS)] for i, hop in enumerate(hops)}
    figure, axes = plt.subplots(figsize=(9, 1.6 + 0.24 * len(rows)))
    shown = set()
    for row, begin_s, until_s, hop in bars:
        label = f"by {hop}" if hop not in shown else None
        shown.add(hop)
        axes.barh(
            rows.index(row),
            until_s - begin_s,
            left=begin_s,
            height=0.7,
            label=label,
            color=colour[hop],
        )
    axes.set_yticks(range(len(rows)), [f"{node}  {prefix}" for node, prefix in rows], fontsize=8)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, end_s)
    mark(axes, _failure(failed_s), inside=True)
    axes.set_xlabel("time (s)")
    figure.legend(loc="outside upper center", ncols=6)
    return figure


def _bars(changes: pd.DataFrame, end_s: float) -> list[tuple[tuple[str, str], float, float, str]]:
    """(router, prefix), from, to and next hop of each time a route stood."""
    standing: dict[tuple[str, str], tuple[float, str]] = {}
    bars = []
    for change in changes.sort_values("time_s").itertuples():
        key = (str(change.node), str(change.destination))
        if key in standing:
            begin_s, hop = standing.pop(key)
            bars.append((key, begin_s, float(str(change.time_s)), hop))
        if change.action != "del":
            standing[key] = (float(str(change.time_s)), str(change.next_hops))
    bars += [(key, begin_s, end_s, hop) for key, (begin_s, hop) in standing.items()]
    return bars


def summary(result: pd.DataFrame) -> Figure:
    """Outage and losses of each protocol with each failure.

    Args:
        result: ``protocol``, ``failure``, ``outage_s``, ``lost``, ``sent``.
    """
    failures, protocols = (list(dict.fromkeys(result[n])) for n in ("failure", "protocol"))
    figure, axes = plt.subplots(figsize=(8, 3.6))
    for i, protocol in enumerate(protocols):
        for j, failure in enumerate(failures):
            row = result[(result["protocol"] == protocol) & (result["failure"] == failure)]
            if row.empty:
                continue
            outage_s, at = (
                float(row["outage_s"].iloc[0]),
                j + 0.8 * (i - (len(protocols) - 1) / 2) / 2,
            )
            axes.bar(
                at,
                max(outage_s, 0.01),
                width=0.36,
                color=COLOURS[i],
                label=protocol.upper() if j == 0 else None,
            )
            text = f"{outage_s:.3g} s\n{row['lost'].iloc[0]} of {row['sent'].iloc[0]} lost"
            axes.annotate(
                text,
                (at, max(outage_s, 0.01)),
                ha="center",
                va="bottom",
                fontsize=9,
                xytext=(0, 2),
                textcoords="offset points",
            )
    axes.set_yscale("log")
    axes.set_ylim(0.01, 2000)
    axes.set_xticks(range(len(failures)), [f"link fails: {f}" for f in failures])
    axes.set_ylabel("no answer to pings for (s)")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def traffic(
    sent: pd.DataFrame, echoes: pd.DataFrame, result: pd.DataFrame, scenarios: Sequence[str]
) -> Figure:
    """Bytes of the routing protocol so far, and the pings, answered or lost.

    Args:
        sent: ``scenario``, ``time_s``, ``wire_bytes``: the protocol's packets on all links.
        echoes: ``scenario``, ``time_s``, ``lost``.
        result: ``scenario``, ``failed_s``, ``end_s``.
        scenarios: those to show.
    """
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(9, 4.8), sharex=True, height_ratios=(3, 1))
    for i, scenario in enumerate(scenarios):
        mine = sent[sent["scenario"] == scenario].sort_values("time_s")
        upper.step(
            mine["time_s"],
            mine["wire_bytes"].astype(float).cumsum() / 1e3,
            where="post",
            color=COLOURS[i],
            label=f"{scenario}: {number(len(mine), 'packets')}",
        )
        asked = echoes[echoes["scenario"] == scenario]
        for lost, tick, colour in ((False, "|", "#BBBBBB"), (True, "|", COLOURS[i])):
            times = asked[asked["lost"] == lost]["time_s"]
            lower.plot(times, [i] * len(times), tick, ms=9, color=colour)
    for axes in (upper, lower):
        row = result[result["scenario"] == scenarios[0]].iloc[0]
        mark(axes, _failure(float(row["failed_s"])), inside=True)
    upper.set_ylabel("routing traffic so far (kB)")
    upper.legend(loc="lower right")
    lower.set_yticks(range(len(scenarios)), list(scenarios))
    lower.set_ylim(-0.6, len(scenarios) - 0.4)
    lower.set_ylabel("pings")
    lower.set_title("coloured: lost; grey: answered", fontsize=9, loc="right")
    lower.set_xlabel("time (s)")
    return figure


def paths(links: pd.DataFrame, walked: pd.DataFrame, scenarios: Sequence[str]) -> Figure:
    """The path before and after the failure, on the topology.

    Args:
        links: ``scenario``, ``node1``, ``node2``.
        walked: ``scenario``, ``when`` (before, after), ``hop``, ``node``.
        scenarios: those to show.
    """
    figure, panels = plt.subplots(
        1, len(scenarios), figsize=(3 * len(scenarios), 3.2), squeeze=False
    )
    for axes, scenario in zip(panels[0], scenarios, strict=True):
        mine = links[links["scenario"] == scenario]
        graph = nx.Graph(list(zip(mine["node1"], mine["node2"], strict=True)))
        places = _places(graph)
        nx.draw_networkx_edges(graph, places, ax=axes, edge_color="#BBBBBB")
        for when, colour, width in (("before", COLOURS[0], 6.0), ("after", COLOURS[1], 2.5)):
            path = walked[(walked["scenario"] == scenario) & (walked["when"] == when)]
            nodes = list(path.sort_values("hop")["node"])
            nx.draw_networkx_edges(
                nx.Graph(list(pairwise(nodes))),
                places,
                ax=axes,
                width=width,
                edge_color=colour,
                alpha=0.8,
                label=when,
            )
        nx.draw_networkx_nodes(
            graph, places, ax=axes, node_color="white", edgecolors="black", node_size=420
        )
        nx.draw_networkx_labels(graph, places, ax=axes, font_size=9)
        axes.set_title(scenario)
        axes.set_axis_off()
    keys = [Line2D([], [], color=COLOURS[0], lw=6), Line2D([], [], color=COLOURS[1], lw=2.5)]
    figure.legend(keys, ["path before", "path after"], loc="outside upper center", ncols=2)
    return figure


def trees(tree: pd.DataFrame, edges: pd.DataFrame) -> Figure:
    """The shortest-path tree of every router on the graph of their database.

    Args:
        tree: ``root``, ``parent``, ``child``, ``cost``.
        edges: ``one``, ``two``, ``cost``: the graph.
    """
    roots = sorted(tree["root"].unique(), key=natural)
    columns = min(3, len(roots))
    rows = math.ceil(len(roots) / columns)
    figure, panels = plt.subplots(rows, columns, figsize=(3.6 * columns, 3.4 * rows), squeeze=False)
    graph = nx.Graph(list(zip(edges["one"], edges["two"], strict=True)))
    places = _places(graph)
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, root in zip(panels.flat, roots, strict=False):
        _draw_tree(axes, tree[tree["root"] == root], root, graph, places)
    figure.suptitle("Shortest-path trees with costs; dotted: links not used", fontsize=10)
    return figure


def _draw_tree(
    axes: Axes,
    mine: pd.DataFrame,
    root: str,
    graph: nx.Graph[str],
    places: dict[str, tuple[float, float]],
) -> None:
    """One router's tree, the root filled."""
    nx.draw_networkx_edges(graph, places, ax=axes, edge_color="#BBBBBB", style=":")
    ways = nx.DiGraph(list(zip(mine["parent"], mine["child"], strict=True)))
    nx.draw_networkx_edges(
        ways, places, ax=axes, width=2.2, edge_color=COLOURS[0], node_size=600, arrowsize=14
    )
    cost = {root: 0} | dict(zip(mine["child"], mine["cost"], strict=True))
    lans = [n for n in graph if n.startswith("net")]
    for shape, nodes in (("o", [n for n in graph if n not in lans]), ("s", lans)):
        fill = ["#DDE8F4" if node == root else "white" for node in nodes]
        nx.draw_networkx_nodes(
            graph,
            places,
            nodelist=nodes,
            ax=axes,
            node_shape=shape,
            node_color=fill,
            edgecolors="black",
            node_size=600,
        )
    labels = {n: f"{'LAN' if n in lans else n}\n{cost.get(n, '?')}" for n in graph}
    nx.draw_networkx_labels(graph, places, labels, ax=axes, font_size=8)
    axes.set_title(f"from {root}")
    axes.margins(0.15)


def _places(graph: nx.Graph[str]) -> dict[str, tuple[float, float]]:
    """Routers on a circle in the order of a walk, so that those of a ring stand side by side.

    Hosts are outside their routers, LANs amid theirs.
    """
    first = min((n for n in graph if n[0] not in "hn"), key=natural)
    routers = [n for n in nx.dfs_preorder_nodes(graph, first) if n[0] not in "hn"]
    places = {}
    for i, router in enumerate(routers):
        angle = math.pi - 2 * math.pi * i / len(routers)
        places[router] = (math.cos(angle), math.sin(angle))
    for host in (n for n in graph if n.startswith("h")):
        x, y = places[next(iter(graph[host]))]
        places[host] = (1.7 * x, 1.7 * y)
    for lan in (n for n in graph if n.startswith("net")):
        around = [places[n] for n in graph[lan]]
        places[lan] = (
            sum(x for x, _ in around) / len(around),
            sum(y for _, y in around) / len(around),
        )
    return places


def _failure(failed_s: float) -> dict[str, float]:
    return {"failure": failed_s} if failed_s else {}
