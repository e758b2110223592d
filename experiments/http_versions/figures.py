"""What a page costs over each version, as one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .pages import LARGE, SMALL, WAYS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = {
    "time_s": ("page time, s", 1.0),
    "rounds": ("page time, round trips", 1.0),
    "wire_bytes": ("both directions, kB", 1e-3),
    "connections": ("connections", 1.0),
}
"""Column → what its row of panels shows, and its scale."""


def page_costs(costs: pd.DataFrame) -> Figure:
    """Time, round trips, bytes and connections over the RTT; a column per page and loss.

    Args:
        costs: of `pages.costs`; repetitions are dots, lines go through their means.
    """
    from matplotlib.figure import Figure

    cases = [
        (page, loss, own)
        for page in (SMALL, LARGE)
        for loss in sorted(costs["loss_percent"].unique())
        if len(own := costs[(costs["page"] == page.name) & (costs["loss_percent"] == loss)])
    ]
    figure = Figure(figsize=(10, 9), layout="constrained")
    every = figure.subplots(len(ROWS), len(cases), squeeze=False, sharex=True)
    for (column, (label, scale)), panels in zip(ROWS.items(), every, strict=True):
        for axes, (_, loss, own) in zip(panels, cases, strict=True):
            _draw(axes, own.assign(shown=own[column] * scale), dots=loss > 0)
        panels[0].set_ylabel(label)
    for axes, (page, loss, _) in zip(every[0], cases, strict=True):
        lost = f"{loss:g} % loss" if loss else "no loss"
        axes.set_title(f"{page.files} files of {page.size_bytes / 1e3:g} kB, {lost}")
    for axes in every[-1]:
        axes.set_xlabel("RTT, ms")
        axes.locator_params(axis="y", integer=True)
    lines, titles = every[0][0].get_legend_handles_labels()
    figure.legend(lines, titles, loc="outside lower center", ncols=len(titles))
    return figure


def _draw(axes: Axes, costs: pd.DataFrame, *, dots: bool) -> None:
    """One line per version."""
    for number, way in enumerate(WAYS):
        own = costs[costs["way"] == way.name]
        if own.empty:
            continue
        means = own.groupby("rtt_ms")["shown"].mean()
        colour = f"C{number}"
        size = 10 - 1.6 * number  # so that equal values show one inside the other
        axes.plot(means.index, means, marker="o", ms=size, color=colour, label=way.title)
        if dots:
            axes.scatter(own["rtt_ms"], own["shown"], s=10, color=colour, alpha=0.5)
    axes.set_ylim(0, 1.1 * costs["shown"].max())
