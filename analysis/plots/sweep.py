"""Pictures of one experiment over many parameters and seeds.

All take rows with one column per varied parameter, ``claim``, ``verdict`` and ``value``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.plots.style import COLOURS, LINES
from analysis.statistics import mean_interval

MOST_LINES, MOST_CELLS, MOST_PANELS = 12, 40, 6
"""More would not be readable: lines of a figure, cells along an axis, panels."""

_LOG_FROM = 30.0
"""An axis is logarithmic if its largest value is this many times the smallest."""

_HOLDS = LinearSegmentedColormap.from_list("holds", [COLOURS[1], "#f2f2f2", COLOURS[0]])
"""From never (orange) to always (blue)."""

_MARKS = {"PASS": "o", "FAIL": "X", "INCONCLUSIVE": "s"}
_OF_VERDICT = {"PASS": COLOURS[0], "FAIL": COLOURS[1], "INCONCLUSIVE": "0.6"}


def where_claims_hold(
    claims: pd.DataFrame, varied: Sequence[str], labels: Mapping[str, str]
) -> Figure:
    """Share of runs in which each claim holds: one row per claim, one column per point.

    Inconclusive runs are left out; a point without others is grey.

    Args:
        claims: one row per run and claim.
        varied: parameters that distinguish the points; at most `MOST_CELLS` combinations.
        labels: parameter → its name on axes.
    """
    held = claims.assign(
        point=_points(claims, varied, labels),
        held=claims["verdict"].map({"PASS": 1.0, "FAIL": 0.0}),
    )
    share = held.pivot_table(index="claim", columns="point", values="held", sort=False)
    share = share.reindex(index=held["claim"].unique(), columns=held["point"].unique())
    figure, axes = plt.subplots(figsize=(3.4 + 0.55 * share.shape[1], 1.6 + 0.34 * share.shape[0]))
    _cells(axes, share.to_numpy(), _HOLDS, (0, 1), "{:.0%}")
    axes.set_yticks(range(len(share)), [name.replace("_", " ") for name in share.index])
    axes.set_xticks(range(share.shape[1]), share.columns, rotation=40, ha="right")
    axes.set_title("Share of runs in which each claim holds", loc="left")
    return figure


def _points(claims: pd.DataFrame, varied: Sequence[str], labels: Mapping[str, str]) -> pd.Series:
    """Each row's point in words."""
    if not varied:
        return pd.Series("all runs", index=claims.index)
    return claims[list(varied)].apply(
        lambda row: ", ".join(_said(name, row[name], labels) for name in varied), axis=1
    )


def _said(name: str, value: Any, labels: Mapping[str, str]) -> str:
    label = labels.get(name, name)
    number = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{label.partition(' (')[0]} {number}"


def _cells(
    axes: Axes, values: np.ndarray, colours: Any, limits: tuple[float, float], text: str
) -> Any:
    """A grid of coloured cells with their values; grey where there is none."""
    axes.set_facecolor("0.8")
    image = axes.imshow(values, cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto")
    axes.grid(False)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if _is_dark(image.cmap(image.norm(value))) else "black"
            said = text.format(value)
            axes.text(column, row, said, ha="center", va="center", fontsize=7, color=colour)
    return image


def _is_dark(colour: Any) -> bool:
    """Whether white is easier to read on it than black (ITU-R BT.601's luma)."""
    red, green, blue, *_ = colour
    return bool(0.299 * red + 0.587 * green + 0.114 * blue < 0.5)


# ---- one claim


def lines(
    found: pd.DataFrame, x: str, others: Sequence[str], labels: Mapping[str, str], title: str
) -> Figure:
    """A claim's number over one parameter: mean over the seeds, with its 95 % confidence band.

    A point of one run has no band. The title says how many of more than `MOST_LINES` are drawn.

    Runs in which the claim does not hold are marked.

    Args:
        found: rows of one claim that have a value.
        x: the parameter along the axis.
        others: further parameters; each combination is a line.
        labels: parameter → its name on axes; ``value`` → the number's.
        title: of the figure.
    """
    figure, axes = plt.subplots()
    groups = list(found.groupby(list(others), sort=False)) if others else [((), found)]
    groups, title = _first(groups, MOST_LINES, title)
    found = pd.concat([rows for _, rows in groups])
    places, words = _places(found[x])
    styles = zip(cycle(COLOURS), (line for line in cycle(LINES) for _ in COLOURS), strict=False)
    for (key, rows), (colour, line) in zip(groups, styles, strict=False):
        name = ", ".join(_said(n, v, labels) for n, v in zip(others, key, strict=True))
        _line(axes, rows.assign(at=rows[x].map(places)), colour, line, name)
    _mark_failures(axes, found.assign(at=found[x].map(places)))
    if words:
        axes.set_xticks(list(places.values()), words)
    elif _is_wide(found[x]):
        axes.set_xscale("log")
        ticks = sorted(places.values())
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    axes.set(title=title, xlabel=labels.get(x, x), ylabel=labels.get("value", "value"))
    axes.ticklabel_format(axis="y", useOffset=False)
    if others or axes.get_legend_handles_labels()[1]:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    return figure


def _first(groups: list[Any], most: int, title: str) -> tuple[list[Any], str]:
    """At most `most` groups, and a title that says if there are more."""
    if len(groups) > most:
        title = f"{title} ({most} of {len(groups)} combinations)"
    return groups[:most], title


def _places(column: pd.Series) -> tuple[dict[Any, float], list[str]]:
    """Value → its place on the axis, and words for the places unless the values are numbers."""
    known = list(dict.fromkeys(column.sort_values() if _is_number(column) else column))
    if _is_number(column):
        return {value: float(value) for value in known}, []
    return {value: float(n) for n, value in enumerate(known)}, [str(value) for value in known]


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _is_wide(column: pd.Series) -> bool:
    return bool(column.min() > 0 and column.max() / column.min() >= _LOG_FROM)


def _line(axes: Axes, rows: pd.DataFrame, colour: str, line: str, name: str) -> None:
    by_place = [(at, mean_interval(group)) for at, group in rows.groupby("at")["value"]]
    at = np.array([place for place, _ in by_place])
    mean = np.array([interval.mean for _, interval in by_place])
    half = np.array([interval.half for _, interval in by_place])  # NaN for one run
    axes.plot(at, mean, line, marker="o", ms=4, lw=1.3, color=colour, label=name or None)
    if np.isfinite(half).any():
        axes.fill_between(at, mean - half, mean + half, color=colour, alpha=0.2, lw=0)


def _mark_failures(axes: Axes, found: pd.DataFrame) -> None:
    for verdict, mark in _MARKS.items():
        rows = found[found["verdict"] == verdict]
        if verdict != "PASS" and len(rows):
            axes.plot(
                rows["at"], rows["value"], mark, ms=6, color=_OF_VERDICT[verdict], ls="",
                label=f"{verdict}: a run", zorder=3,
            )  # fmt: skip


def maps(
    found: pd.DataFrame,
    x: str,
    y: str,
    others: Sequence[str],
    labels: Mapping[str, str],
    title: str,
) -> Figure:
    """A claim's mean number over two parameters, as a heat map for each combination of the others.

    A cell in which the claim fails in some run has an orange frame. The title says how many of more
    than `MOST_PANELS` combinations are drawn.

    Args:
        found: rows of one claim that have a value.
        x, y: parameters along the axes, with at most `MOST_CELLS` values each.
        others: further parameters; each combination is a panel.
        labels: as for `lines`.
        title: of the figure.
    """
    groups = list(found.groupby(list(others), sort=False)) if others else [((), found)]
    groups, title = _first(groups, MOST_PANELS, title)
    size = (1.6 + 0.75 * found[x].nunique(), 1.5 + 0.5 * found[y].nunique())
    figure, grid = plt.subplots(
        1, len(groups), figsize=(max(4.6, size[0]) * len(groups), max(2.8, size[1])), squeeze=False
    )
    limits = (float(found["value"].min()), float(found["value"].max()))
    limits = limits if limits[1] > limits[0] else (limits[0] - 0.5, limits[1] + 0.5)
    image = None
    for axes, (key, rows) in zip(grid.flat, groups, strict=True):
        image = _map(axes, rows, (x, y), limits)
        name = ", ".join(_said(n, v, labels) for n, v in zip(others, key, strict=True))
        axes.set(title=name, xlabel=labels.get(x, x), ylabel=labels.get(y, y))
    assert image is not None
    figure.colorbar(image, ax=list(grid.flat), label=labels.get("value", "value"))
    figure.suptitle(title, fontsize=11)
    return figure


def _map(axes: Axes, rows: pd.DataFrame, at: tuple[str, str], limits: tuple[float, float]) -> Any:
    x, y = at
    mean = rows.pivot_table(index=y, columns=x, values="value")
    held = rows.assign(held=rows["verdict"].ne("FAIL")).pivot_table(
        index=y, columns=x, values="held", aggfunc="min"
    )
    image = _cells(axes, mean.to_numpy(), "cividis", limits, "{:.3g}")
    axes.invert_yaxis()
    axes.set_xticks(range(len(mean.columns)), [_short(v) for v in mean.columns])
    axes.set_yticks(range(len(mean.index)), [_short(v) for v in mean.index])
    for (row, column), holds in np.ndenumerate(held.reindex_like(mean).to_numpy(dtype=float)):
        if holds == 0:
            corner = (column - 0.46, row - 0.46)
            frame = Rectangle(corner, 0.92, 0.92, fill=False, ec=COLOURS[1], lw=2.5)
            axes.add_patch(frame)
    return image


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def samples(found: pd.DataFrame, x: str, y: str, labels: Mapping[str, str], title: str) -> Figure:
    """Points of a sampled sweep over two parameters: where a claim holds and fails.

    Args:
        found: rows of one claim.
        x, y: parameters along the axes.
        labels: as for `lines`.
        title: of the figure.
    """
    figure, axes = plt.subplots(figsize=(7.0, 4.4))
    for verdict, mark in _MARKS.items():
        rows = found[found["verdict"] == verdict]
        if len(rows):
            colour = _OF_VERDICT[verdict]
            axes.plot(rows[x], rows[y], mark, ms=6, color=colour, ls="", label=verdict, alpha=0.8)
    for name, scale in ((x, axes.set_xscale), (y, axes.set_yscale)):
        if _is_number(found[name]) and _is_wide(found[name]):
            scale("log")
    axes.set(title=title, xlabel=labels.get(x, x), ylabel=labels.get(y, y))
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
