"""Page times as one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .pages import LARGE, SMALL, WAYS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def page_times(times: pd.DataFrame) -> Figure:
    """Page time over RTT, one panel per page and loss, one line per version.

    Args:
        times: of `pages.times`; repetitions are dots, lines go through their means.
    """
    from matplotlib.figure import Figure

    panels = [
        (page, loss)
        for page in (SMALL, LARGE)
        for loss in sorted(times["loss_percent"].unique())
        if len(times[(times["page"] == page.name) & (times["loss_percent"] == loss)])
    ]
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    every = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (page, loss) in zip(every, panels, strict=True):
        for number, way in enumerate(WAYS):
            own = times[
                (times["page"] == page.name)
                & (times["loss_percent"] == loss)
                & (times["way"] == way.name)
            ]
            if own.empty:
                continue
            means = own.groupby("rtt_ms")["time_s"].mean()
            colour = f"C{number}"
            axes.plot(means.index, means, marker="o", color=colour, label=way.title)
            if loss:
                axes.scatter(own["rtt_ms"], own["time_s"], s=10, color=colour, alpha=0.5)
        kilobytes = page.size_bytes / 1e3
        lost = f"{loss:g} % loss" if loss else "no loss"
        axes.set(
            title=f"{page.files} files of {kilobytes:g} kB, {lost}",
            xlabel="RTT, ms",
            ylim=(0, None),
        )
    every[0].set_ylabel("page time, s")
    lines, titles = every[0].get_legend_handles_labels()
    figure.legend(lines, titles, loc="outside lower center", ncols=len(titles))
    return figure
