"""Figure of forged answers racing the true one."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from analysis.plots.style import COLOURS

Race = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]


def races(found: Mapping[str, Race]) -> Figure:
    """Message numbers tried over time, one panel a scenario.

    Args:
        found: scenario → forged answers (`time_s`, `number`), the question (`time_s`, `id`), true
            answers to it, and forged ones with its number and port (`time_s`, `id`).
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for panel, (name, (forged, asked, true, hits)) in zip(panels, found.items(), strict=True):
        start_s = float(asked["time_s"].min())
        panel.plot(
            (forged["time_s"] - start_s) * 1e3,
            forged["number"],
            ".",
            markersize=2,
            color=COLOURS[0],
            label="forged, wrong port or number",
        )
        panel.axhline(
            float(asked["id"].iloc[0]),
            color="0.5",
            linewidth=0.8,
            linestyle=":",
            label="number of the question",
        )
        for answers, mark, colour, label in (
            (true, "o", COLOURS[2], "true answer"),
            (hits, "X", COLOURS[1], "forged, right"),
        ):
            panel.plot(
                (answers["time_s"] - start_s) * 1e3,
                answers["id"].astype(float),
                mark,
                color=colour,
                markersize=8,
                label=label,
                zorder=3,
            )
        panel.set(title=name, xlabel="ms since the question", xlim=(-10, 230), ylim=(-2000, 67_500))
    panels[0].set_ylabel("message number")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles), fontsize=8)
    return figure
