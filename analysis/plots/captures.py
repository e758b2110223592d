"""Pictures of any capture: throughput, round-trip times, sequence numbers, states, distributions.

They draw what `analysis.flows` and `analysis.tcp` compute. Lines differ in dash and marker as well
as in colour, so that they can be distinguished in grey.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import networkx as nx
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from analysis.plots.style import COLOURS, LINES, mark
from analysis.tcp.states import TRANSITIONS
from testbed.core.ordering import natural


def throughput(rates: pd.DataFrame, by: str = "flow", value: str = "throughput_mbps") -> Figure:
    """Rates over time, one line a flow.

    Args:
        rates: ``start_s``, the column `value`, and what tells the lines apart.
        by: the column with the lines' names.
        value: the rate's column, Mbit/s.
    """
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    for (name, one), line in zip(rates.groupby(by, sort=False), cycle(LINES), strict=False):
        axes.step(one["start_s"], one[value], line, where="post", label=f"{by} {name}")
    words = value.removesuffix("_mbps").replace("_", " ")
    axes.set(xlabel="time (s)", ylabel=f"{words} (Mbit/s)", ylim=(0, None))
    _legend(axes)
    return figure


def timeline(
    events: pd.DataFrame,
    by: str,
    kind: str,
    kinds: Sequence[str] = (),
    marks: Mapping[str, float] | None = None,
) -> Figure:
    """Each event as a tick over time, one row per value of a column, types by colour.

    Args:
        events: ``time_s`` and both columns.
        by: the column that makes the rows, such as ``sender``.
        kind: the column of the type.
        kinds: the types in the order of colours; default: as they appear.
        marks: name → time of moments, in s.
    """
    names = sorted(events[by].dropna().unique(), key=natural, reverse=True)
    kinds = kinds or [str(value) for value in events[kind].dropna().unique()]
    figure = Figure(figsize=(9, 1.4 + 0.5 * len(names) + 0.2 * len(kinds)), layout="constrained")
    axes = figure.subplots()
    for i, (name, colour) in enumerate(zip(kinds, cycle(COLOURS), strict=False)):
        mine = events[events[kind] == name]
        spread = 0.6 * (i / max(1, len(kinds) - 1) - 0.5) if len(kinds) > 1 else 0.0
        places = [names.index(value) + spread for value in mine[by]]
        axes.plot(mine["time_s"], places, "|", ms=11, mew=1.6, label=str(name), color=colour)
    for row in range(0, len(names), 2):  # so that it is clear which row a tick belongs to
        axes.axhspan(row - 0.5, row + 0.5, color="#F2F2F2", lw=0, zorder=0)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="time (s)", ylabel=by.replace("_", " "), ylim=(-0.5, len(names) - 0.5))
    axes.grid(axis="y", visible=False)
    mark(axes, marks or {})
    figure.legend(loc="outside lower center", ncols=min(6, len(kinds)))
    return figure


def over_time(bins: pd.DataFrame) -> Figure:
    """Bytes on the wire over time, all packets together.

    Args:
        bins: of `analysis.overview.over_time`.
    """
    figure = Figure(figsize=(9.0, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.step(bins["start_s"], bins["throughput_mbps"], where="post", color=COLOURS[0])
    axes.set(xlabel="time (s)", ylabel="Mbit/s", ylim=(0, None))
    return figure


def round_trips(segments: pd.DataFrame) -> Figure:
    """Round-trip times of a capture by ACK and by timestamp; ambiguous ones are marked.

    Args:
        segments: of `analysis.tcp.analyse`, of one connection.
    """
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    start_ns = segments["time_ns"].min()
    sure = segments["ack_rtt_ns"].notna() & ~segments["ack_rtt_ambiguous"]
    unsure = segments["ack_rtt_ns"].notna() & segments["ack_rtt_ambiguous"]
    stamped = segments["timestamp_rtt_ns"].notna()
    for rows, column, marker, label in (
        (stamped, "timestamp_rtt_ns", ".", "by timestamp (its clock ticks in ms)"),
        (sure, "ack_rtt_ns", "+", "by ACK"),
        (unsure, "ack_rtt_ns", "x", "by ACK, of data sent twice (not to be used)"),
    ):
        if rows.any():
            time_s = (segments.loc[rows, "time_ns"] - start_ns) / 1e9
            rtt_ms = segments.loc[rows, column].astype(float) / 1e6
            axes.plot(time_s, rtt_ms, marker, ms=4, label=label)
    axes.set(xlabel="time (s)", ylabel="round-trip time (ms)", ylim=(0, None))
    _legend_above(axes)
    return figure


def time_sequence(segments: pd.DataFrame, side: int = 0) -> Figure:
    """Segments of one side, those sent again, and the ACKs back, as sequence number over time.

    Args:
        segments: of `analysis.tcp.analyse`, of one connection.
        side: whose data.
    """
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    time_s = (segments["time_ns"] - segments["time_ns"].min()) / 1e9
    sent = (segments["side"] == side) & (segments["payload_bytes"] > 0)
    again = sent & segments["retransmission"]
    back = (segments["side"] != side) & segments["ack"].notna()
    if back.any():
        axes.step(
            time_s[back],
            segments.loc[back, "ack"].astype(float) / 1e3,
            where="post",
            color=COLOURS[2],
            lw=1,
            label="acknowledged up to",
        )
    for rows, marker, colour, label in (
        (sent & ~again, ".", COLOURS[0], "segment"),
        (again, "x", COLOURS[1], "sent again"),
    ):
        if rows.any():
            axes.plot(
                time_s[rows],
                segments.loc[rows, "seq"] / 1e3,
                marker,
                color=colour,
                ms=4,
                label=label,
            )
    axes.set(xlabel="time (s)", ylabel="sequence number (kB)")
    _legend_above(axes)
    return figure


def _legend_above(axes: Axes) -> None:
    """A legend that covers no points."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)


def _legend(axes: Axes) -> None:
    """A legend, where anything has a name."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend()


def distribution(values: Mapping[str, ArrayLike], xlabel: str) -> Figure:
    """Cumulative distribution of some measurements, one line each.

    Args:
        values: name → numbers; NaN are left out.
        xlabel: what they are, with the unit.
    """
    figure = Figure(figsize=(6.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for (name, numbers), line in zip(values.items(), cycle(LINES), strict=False):
        ordered = np.sort(np.asarray(numbers, float))
        ordered = ordered[~np.isnan(ordered)]
        share = np.arange(1, len(ordered) + 1) / max(1, len(ordered)) * 100
        axes.step(ordered, share, line, where="post", label=f"{name} ({len(ordered)})")
    axes.set(xlabel=xlabel, ylabel="at most so much (%)", ylim=(0, 101))
    axes.ticklabel_format(axis="x", useOffset=False)
    _legend(axes)
    return figure


def grouped(table: pd.DataFrame, by: str, value: str) -> dict[str, pd.Series]:
    """A column's known numbers, one entry a group: what `distribution` draws."""
    known = table[table[value].notna()]
    return {str(name): one[value] for name, one in known.groupby(by, observed=True, sort=False)}


_PLACES = {
    "CLOSED": (1, 5),
    "LISTEN": (2, 5),
    "SYN-SENT": (0, 4),
    "SYN-RECEIVED": (2, 4),
    "ESTABLISHED": (1, 3),
    "FIN-WAIT-1": (0, 2),
    "CLOSE-WAIT": (2, 2),
    "FIN-WAIT-2": (0, 1),
    "CLOSING": (1, 1),
    "LAST-ACK": (2, 1),
    "TIME-WAIT": (0, 0),
    "CLOSED ": (2, 0),
}
"""Where each state stands, as in RFC 9293, figure 5; it ends in a CLOSED of its own."""


def states(path: pd.DataFrame, names: tuple[str, str] = ("opener", "other side")) -> Figure:
    """TCP's state diagram with the path that both ends of a connection took.

    Args:
        path: of `analysis.tcp.states`, of one connection.
        names: of the two sides.
    """
    figure = Figure(figsize=(8.5, 7.0), layout="constrained")
    axes = figure.subplots()
    path = path.assign(state=path["state"].replace("CLOSED", "CLOSED "))
    boxes = _state_boxes(axes, {*path["before"], *path["state"]})
    for (before, _), after in TRANSITIONS.items():
        _arrow(axes, boxes, before, "CLOSED " if after == "CLOSED" else after, "0.75", 1.0, "")
    for side, colour, line in ((0, COLOURS[0], "-"), (1, COLOURS[1], "--")):
        taken = path[path["side"] == side]
        for number, row in enumerate(taken.to_dict("records"), 1):
            if row["before"] in _PLACES and row["state"] in _PLACES:
                text = f"{number}. {row['event']}"
                _arrow(axes, boxes, row["before"], row["state"], colour, 2.2, text, line, side)
    axes.set(xlim=(-0.6, 2.6), ylim=(-0.5, 5.4))
    axes.axis("off")
    handles = [
        axes.plot([], [], line, color=colour, lw=2.2, label=name)[0]
        for name, colour, line in zip(names, COLOURS, ("-", "--"), strict=False)
    ]
    axes.legend(handles=handles, loc="upper left")
    return figure


def _state_boxes(axes: Axes, visited: set[str]) -> dict[str, Patch]:
    """Draws the states, those that were visited in bold; returns their frames."""
    found: dict[str, Patch] = {}
    for state, (x, y) in _PLACES.items():
        was = state in visited
        frame = {"boxstyle": "round,pad=0.4", "fc": "white", "ec": "black" if was else "0.7"}
        text = axes.text(
            x,
            y,
            state.strip(),
            ha="center",
            va="center",
            fontsize=9,
            weight="bold" if was else "normal",
            bbox=frame,
        )
        box = text.get_bbox_patch()
        if box is not None:
            found[state] = box
    return found


def _arrow(
    axes: Axes,
    boxes: Mapping[str, Patch],
    before: str,
    after: str,
    colour: str,
    width: float,
    text: str,
    line: str = "-",
    side: int = 0,
) -> None:
    (x1, y1), (x2, y2) = _PLACES[before], _PLACES[after]
    bend = 0.12 * (1 if side == 0 else -1) if text else 0.0
    if ((x1 + x2) / 2, (y1 + y2) / 2) in _PLACES.values():
        bend = 0.18  # around the state between
    axes.annotate(
        "",
        (x2, y2),
        (x1, y1),
        zorder=4,  # behind none of the boxes: it ends at their frames, which are drawn before
        arrowprops={
            "arrowstyle": "-|>",
            "color": colour,
            "lw": width,
            "linestyle": line,
            "mutation_scale": 14,
            "patchA": boxes[before],
            "patchB": boxes[after],
            "shrinkA": 1,
            "shrinkB": 2,
            "connectionstyle": f"arc3,rad={bend}",
        },
    )
    if text:
        at = 0.42 if side == 0 else 0.6
        axes.text(
            x1 + at * (x2 - x1),
            y1 + at * (y2 - y1),
            text,
            fontsize=7.5,
            color=colour,
            ha="center",
            va="center",
            bbox={"fc": "white", "ec": "none", "pad": 0.8},
            zorder=5,
        )


def topology(links: pd.DataFrame, values: str = "shape") -> Figure:
    """A network with a value on each link.

    Args:
        links: ``node1``, ``node2`` and the column `values` (text or numbers).
        values: what stands on the links.
    """
    graph: nx.Graph[str] = nx.Graph()
    for row in links.to_dict("records"):
        text = row[values]
        text = f"{text:g}" if isinstance(text, float) else str(text or "")
        graph.add_edge(row["node1"], row["node2"], text=text.replace(", ", "\n"))
    place = nx.spring_layout(graph, seed=1, iterations=500, method="force")
    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    axes = figure.subplots()
    nx.draw_networkx_edges(graph, place, ax=axes, edge_color="0.5", width=1.4)
    nx.draw_networkx_nodes(
        graph,
        place,
        ax=axes,
        node_color="white",
        edgecolors=COLOURS[0],
        node_size=900,
        linewidths=1.5,
    )
    nx.draw_networkx_labels(graph, place, ax=axes, font_size=9)
    texts = nx.get_edge_attributes(graph, "text")
    nx.draw_networkx_edge_labels(graph, place, texts, ax=axes, font_size=7.5, rotate=False)
    axes.margins(0.12)
    axes.axis("off")
    return figure
