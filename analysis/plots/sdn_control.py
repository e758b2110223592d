"""Figures of controllers and their flow tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis import flow_tables, ladder
from analysis.plots.style import COLOURS, LINES, mark, moments


def control_ladder(messages: pd.DataFrame, most: int = 24) -> str:
    """Packets and flows between switches and controller as a ladder, in SVG.

    Args:
        messages: of `openflow.read`, with ``info``; the first `most` are drawn.
        most: how many.
    """
    spoken = messages[messages["type"].isin(["PACKET_IN", "PACKET_OUT", "FLOW_MOD"])].head(most)
    drawn = []
    rows: list[Any] = list(spoken.itertuples())
    for row in rows:
        ends = (f"s{row.dpid}", "controller")
        source, target = reversed(ends) if row.to_switch else ends
        drawn.append(ladder.Message(round(row.time_s * 1e9), source, target, str(row.info)))
    hosts = ["controller", *sorted({f"s{row.dpid}" for row in rows})]
    hosts = [hosts[1], hosts[0], *hosts[2:]] if len(hosts) > 1 else hosts
    return ladder.svg(drawn, hosts, title="The first ping, as the controller sees it")


def first_packet(series: Mapping[str, pd.DataFrame], control_delay_ms: float) -> Figure:
    """Round-trip time of each echo of a series, one line a kind of switch.

    Args:
        series: name → ``icmp_seq``, ``rtt_ms``.
        control_delay_ms: one-way delay to the controller.
    """
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    panel = figure.subplots()
    for (name, table), line, marker in zip(series.items(), LINES, "os^v", strict=False):
        panel.plot(
            table["icmp_seq"].astype(int),
            table["rtt_ms"].astype(float),
            line,
            marker=marker,
            label=name,
        )
    panel.set(xlabel="number of the echo request", ylabel="round-trip time in ms")
    panel.set_ylim(bottom=0)
    panel.set_xticks(sorted({int(x) for table in series.values() for x in table["icmp_seq"]}))
    panel.set_title(
        f"Controller {control_delay_ms:g} ms away: the first packet pays at each switch"
    )
    panel.legend()
    return figure


def flows_over_time(changes: pd.DataFrame, steps: pd.DataFrame) -> Figure:
    """Number of flows in each switch over time.

    Args:
        changes: of `flow_tables.changes`, of all switches.
        steps: ``time_s``, ``step``: named moments.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panel = figure.subplots()
    sizes = flow_tables.sizes(changes)
    for (switch, table), line in zip(sizes.groupby("switch", sort=False), LINES, strict=False):
        panel.step(table["time_s"], table["flows"], line, where="post", label=str(switch))
    mark(panel, moments(steps), inside=True)
    panel.set(xlabel="time in s", ylabel="flows in the table")
    panel.set_ylim(bottom=0)
    if len(sizes):
        figure.legend(loc="outside right upper")
    return figure


def flow_lives(changes: pd.DataFrame, switch: str, most: int = 24) -> Figure:
    """Each flow of one switch as a bar from its installation to its end."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panel = figure.subplots()
    begun: dict[str, float] = {}
    rows: list[tuple[str, float, float]] = []
    last_s = float(changes["time_s"].max())
    dated: list[Any] = list(changes.dropna(subset=["time_s"]).itertuples())
    for change in dated:
        if change.event == "ADDED":
            begun.setdefault(str(change.match), float(change.time_s))
        elif change.event == "DELETED" and (start_s := begun.pop(str(change.match), None)):
            rows.append((str(change.match), start_s, float(change.time_s)))
    rows += [(match, start_s, last_s) for match, start_s in begun.items()]
    rows = sorted(rows, key=lambda row: row[1])[:most]
    for number, (_, start_s, end_s) in enumerate(rows):
        panel.barh(number, end_s - start_s, left=start_s, height=0.6, color=COLOURS[0])
    panel.set_yticks(range(len(rows)), [_short(match) for match, *_ in rows], fontsize=7)
    panel.invert_yaxis()
    panel.set(xlabel="time in s", title=f"Life of each flow in {switch}")
    return figure


def _short(match: str) -> str:
    """A match without what all have in common: the first five bytes of our MAC addresses."""
    words = [w.replace("dl_", "").replace("nw_", "") for w in match.split(",")]
    return " ".join(w.replace("02:01:00:00:00:", "…") for w in words) or "everything"
