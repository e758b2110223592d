"""Figures of floods: a queue over time, and what becomes of honest clients."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from analysis.plots.style import COLOURS


def service(
    queue: pd.DataFrame, visits: pd.DataFrame, flood_s: tuple[float, float], places: int
) -> Figure:
    """A queue of half-open connections over time, and below it each client's fate.

    Args:
        queue: `time_s`, `half_open`.
        visits: `time_s`, `result`: ``ok`` for clients that were served.
        flood_s: begin and end of the flood.
        places: how many the queue has.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for panel in (above, below):
        panel.axvspan(*flood_s, color="0.9", label="flood")
    above.step(queue["time_s"], queue["half_open"], where="post", color=COLOURS[0])
    above.axhline(places, color="0.4", linewidth=0.8, linestyle=":", label=f"{places} places")
    above.set(ylabel="half-open connections", ylim=(0, 1.15 * places))
    above.legend(loc="center right", fontsize=8)
    served = visits["result"] == "ok"
    for kind, row, colour in ((served, 1, COLOURS[2]), (~served, 0, COLOURS[1])):
        below.plot(visits["time_s"][kind], [row] * int(kind.sum()), "|", markersize=9, color=colour)
    below.set(xlabel="time in s", ylim=(-0.6, 1.6))
    below.set_yticks([0, 1], ["in vain", "served"])
    below.set_ylabel("clients")
    return figure


def queues(found: Mapping[str, pd.DataFrame]) -> Figure:
    """Queues of half-open connections over time, from the begin of a short flood.

    Args:
        found: name → `time_s`, `half_open`.
    """
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    panel = figure.subplots()
    for (name, queue), colour in zip(found.items(), COLOURS, strict=False):
        age_s = queue["time_s"] - queue["time_s"].min()
        panel.step(age_s, queue["half_open"], where="post", color=colour, label=name)
    panel.set(xlabel="s since the flood", ylabel="half-open connections")
    panel.set_ylim(0)
    panel.legend(fontsize=8)
    return figure


def goodput(found: pd.DataFrame) -> Figure:
    """What each flow gets before and in a flood, by defence.

    Args:
        found: `step`, `flow`, `before_mbps`, `during_mbps`; steps in order.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    panel = figure.subplots()
    names = list(dict.fromkeys(found["step"]))
    flows = list(dict.fromkeys(found["flow"]))
    width = 0.8 / len(flows)
    for place, (flow, colour) in enumerate(zip(flows, COLOURS, strict=False)):
        rows = found[found["flow"] == flow].set_index("step").reindex(names)
        x = [n - 0.4 + (place + 0.5) * width for n in range(len(names))]
        panel.bar(x, rows["before_mbps"], 0.9 * width, color="white", edgecolor=colour)
        panel.bar(x, rows["during_mbps"], 0.9 * width, color=colour, alpha=0.8, label=flow)
    panel.set_xticks(range(len(names)), [name.replace("-", "\n") for name in names])
    panel.set_ylabel("goodput in Mbit/s")
    panel.legend(fontsize=8, title="filled: in the flood; outline: before", title_fontsize=8)
    return figure


def rates(found: pd.DataFrame, flood_s: tuple[float, float]) -> Figure:
    """Rates over time of what arrives behind a link.

    Args:
        found: `time_s` (begin of an interval), `what`, `mbps`.
        flood_s: begin and end of the flood.
    """
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    panel = figure.subplots()
    panel.axvspan(*flood_s, color="0.92")
    for (what, rows), colour in zip(found.groupby("what", sort=False), COLOURS, strict=False):
        panel.step(rows["time_s"], rows["mbps"], where="post", color=colour, label=what)
    panel.set(xlabel="s since the step's begin", ylabel="Mbit/s")
    panel.set_ylim(0)
    panel.legend(fontsize=8)
    return figure
