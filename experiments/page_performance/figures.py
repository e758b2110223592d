"""Surfaces over rate and round-trip time, and cuts through them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis import rows

from . import grid
from .loads import geometric_mean, of_grid, slow_downs

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = {grid.scenario(version): f"HTTP/{version}" for version in grid.VERSIONS}
_COLOURS = {name: f"C{place}" for place, name in enumerate(TITLES)}


def surfaces(loads: pd.DataFrame, column: str) -> Figure:
    """A time over rate and round-trip time, without loss, one panel per version.

    Args:
        loads: of `loads.table`, of all scenarios.
        column: ``load_ms`` or ``paint_ms``.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    found = of_grid(loads)
    found = found[found[column].notna()]
    names = [name for name in TITLES if name in set(found["scenario"])]
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    panels = figure.subplots(1, max(len(names), 1), squeeze=False, sharey=True)[0]
    if not names:
        return figure
    low, high = float(found[column].min()), float(found[column].max())
    norm = LogNorm(low, max(high, low * 1.01))
    for axes, name in zip(panels, names, strict=True):
        table = found[found["scenario"] == name].pivot_table(
            index="rtt_ms", columns="rate_mbps", values=column
        )
        values = table.to_numpy(dtype=float)
        image = axes.imshow(values, cmap="viridis_r", norm=norm, origin="lower", aspect="auto")
        axes.set_xticks(range(len(table.columns)), [f"{rate:g}" for rate in table.columns])
        axes.set_yticks(range(len(table.index)), [f"{rtt:g}" for rtt in table.index])
        axes.set(title=TITLES[name], xlabel="rate, Mbit/s")
        axes.grid(False)
        for (y, x), value in ((at, values[at]) for at in _places(values)):
            dark = norm(value) > 0.5
            axes.text(x, y, f"{value:.0f}", ha="center", va="center", color="w" if dark else "k")
    panels[0].set_ylabel("RTT, ms")
    bar = figure.colorbar(image, ax=list(panels), label=_WORDS[column])
    bar.ax.yaxis.set_major_formatter(_plain)
    bar.ax.yaxis.set_minor_formatter(_plain)
    return figure


def _plain(value: float, _place: float = 0) -> str:
    """Without an exponent, and every other one of the small ticks only."""
    return f"{value:g}" if str(value)[0] in "1235" else ""


_WORDS = {"load_ms": "loaded, ms", "paint_ms": "first paint, ms"}


def _places(values: object) -> list[tuple[int, int]]:
    import numpy as np

    return [(int(y), int(x)) for y, x in np.argwhere(~np.isnan(values))]  # type: ignore[call-overload]


def cuts(loads: pd.DataFrame) -> Figure:
    """Load and first paint over the rate at the largest RTT, and over RTT at the highest rate."""
    from matplotlib.figure import Figure

    found = of_grid(loads)
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    over_rate, over_rtt = figure.subplots(1, 2)
    far, fast = found["rtt_ms"].max(), found["rate_mbps"].max()
    _lines(over_rate, found[found["rtt_ms"] == far], "rate_mbps")
    _lines(over_rtt, found[found["rate_mbps"] == fast], "rtt_ms")
    over_rate.set(xscale="log", xlabel="rate, Mbit/s", title=f"RTT {far:g} ms")
    rates = sorted(found["rate_mbps"].unique())
    over_rate.set_xticks(rates, [f"{rate:g}" for rate in rates])
    over_rate.minorticks_off()
    over_rtt.set(xlabel="RTT, ms", title=f"rate {fast:g} Mbit/s", xlim=(0, None))
    for axes in (over_rate, over_rtt):
        axes.set(ylabel="time, ms", ylim=(0, None))
    lines, titles = over_rate.get_legend_handles_labels()
    figure.legend(lines, titles, loc="outside lower center", ncols=3)
    return figure


def _lines(axes: Axes, found: pd.DataFrame, x: str) -> None:
    for name, title in TITLES.items():
        own = found[found["scenario"] == name].sort_values(x)
        for column, line, what in (("load_ms", "-", "loaded"), ("paint_ms", "--", "first paint")):
            seen = own[own[column].notna()]
            if len(seen):
                colour, label = _COLOURS[name], f"{title}, {what}"
                axes.plot(seen[x], seen[column], line, marker="o", color=colour, label=label)


def losses(loads: pd.DataFrame) -> Figure:
    """How many times as long a load takes with loss, by version and congestion control."""
    from matplotlib.figure import Figure

    factors = slow_downs(loads)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    groups = list(factors.groupby(["scenario", "cc"], sort=True))
    for place, ((name, _), own) in enumerate(groups):
        colour = _COLOURS[str(name)]
        axes.scatter(own["factor"], [place] * len(own), s=22, color=colour, alpha=0.6)
        mean = geometric_mean(own["factor"])
        axes.plot([mean] * 2, [place - 0.3, place + 0.3], color=colour, lw=2)
        axes.annotate(f"{mean:.2f}", (mean, place - 0.32), ha="center", va="bottom", fontsize=8)
    labels = [f"{TITLES[str(name)]}, {cc}" for (name, cc), _ in groups]
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.axvline(1, color="0.5", lw=0.8, ls="--")
    axes.set_xlabel("load time with loss, as a multiple of that without")
    return figure


def windows(loads: pd.DataFrame) -> Figure:
    """Load time over the server's first window, at the largest RTT and the highest rate."""
    from matplotlib.figure import Figure

    found = of_grid(loads, windows=True)
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    own = found[found["load_ms"].notna()].sort_values("window_segments")
    axes.plot(own["window_segments"], own["load_ms"], marker="o")
    for row in rows(own):
        at = (row.window_segments, float(row.load_ms))
        axes.annotate(f"{row.load_ms:.0f} ms", at, (0, 6), textcoords="offset points", ha="center")
    if len(own):
        axes.set_xscale("log", base=2)
        ticks = [int(n) for n in own["window_segments"]]
        axes.set_xticks(ticks, [str(n) for n in ticks])
        axes.set_title(f"HTTP/2, RTT {own['rtt_ms'].max():g} ms", fontsize=10)
        axes.set_ylim(0, 1.15 * float(own["load_ms"].max()))
    axes.set(xlabel="first window, segments", ylabel="loaded, ms")
    axes.margins(x=0.12)
    return figure
