"""Pictures of runs that differ in their seed alone."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.plots.style import COLOURS
from analysis.statistics import mean_interval

_MARKS = {"PASS": "o", "FAIL": "X", "INCONCLUSIVE": "s"}
_COLUMNS = 3


def claims_by_seed(rows: list[dict[str, Any]]) -> Figure:
    """Each claim's number with each seed, its mean and 95 % confidence interval.

    Args:
        rows: claims of ``repetition.json`` that have numbers.
    """
    lines = -(-len(rows) // _COLUMNS)
    columns = min(_COLUMNS, len(rows))
    figure, grid = plt.subplots(
        lines, columns, figsize=(3.6 * columns + 0.8, 2.6 * lines), squeeze=False
    )
    for axes, row in zip(grid.flat, rows, strict=False):
        _one_claim(axes, row)
    for axes in grid.flat[len(rows) :]:
        axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("seed")
    return figure


def _one_claim(axes: Axes, row: dict[str, Any]) -> None:
    seeds = [int(s) for s in row["values"]]
    for seed, value in zip(seeds, row["values"].values(), strict=True):
        status = row["statuses"][str(seed)]
        colour = COLOURS[0] if status == "PASS" else COLOURS[1]
        axes.plot([seed], [value], _MARKS[status], color=colour, ms=5)
    axes.axhline(row["mean"], color="black", lw=1)
    if row["half_95"]:
        low, high = row["mean"] - row["half_95"], row["mean"] + row["half_95"]
        axes.axhspan(low, high, color="black", alpha=0.12, lw=0)
    axes.set_title(row["claim"].replace("_", " "), fontsize=9)
    axes.set_ylabel(row["unit"], fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.ticklabel_format(axis="y", useOffset=False)


def band(axes: Axes, times_s: np.ndarray, runs: np.ndarray, colour: str, label: str) -> None:
    """The mean of several runs over time, with its 95 % confidence band.

    Args:
        axes: where to draw.
        times_s: shape (times,).
        runs: shape (seeds, times).
        colour, label: of the line.
    """
    intervals = [mean_interval(column) for column in runs.T]
    mean = np.array([i.mean for i in intervals])
    half = np.nan_to_num(np.array([i.half for i in intervals]))
    axes.plot(times_s, mean, color=colour, label=label, lw=1.3)
    axes.fill_between(times_s, mean - half, mean + half, color=colour, alpha=0.25, lw=0)


def goodput(rates: pd.DataFrame, labels: dict[str, str], title: str, rate_mbps: float) -> Figure:
    """Goodput of each flow over time: mean over the seeds, with its 95 % confidence band.

    Args:
        rates: seed, flow, time_s, mbps of one scenario.
        labels: flow → its name in the legend.
        title: of the figure.
        rate_mbps: of the bottleneck, in Mbit/s.
    """
    figure, axes = plt.subplots()
    axes.axhline(rate_mbps, ls="--", color="grey", lw=1, label=f"link, {rate_mbps:g} Mbit/s")
    for (flow, label), colour in zip(labels.items(), COLOURS, strict=False):
        wide = rates[rates["flow"] == flow].pivot_table(
            index="seed", columns="time_s", values="mbps"
        )
        wide = wide.dropna(axis="columns")
        band(axes, wide.columns.to_numpy(float), wide.to_numpy(float), colour, label)
    axes.set(
        title=f"{title}: mean of {rates['seed'].nunique()} seeds and its 95 % confidence band",
        xlabel="time (s)",
        ylabel="goodput (Mbit/s)",
        xlim=(0, None),
        ylim=(0, None),
    )
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
