"""Figures of reliable transfers: use of the link over the window, progress over time."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

_KINDS = {"clean": ("C0", "no losses"), "lossy": ("C1", "losses")}


def utilisation(
    found: pd.DataFrame,
    formulae: Mapping[str, Mapping[str, Mapping[int, float]]],
    titles: Mapping[str, str],
) -> Figure:
    """Use of the link over the window, one panel a scenario: formula as lines, measured as marks.

    Args:
        found: ``scenario``, ``kind`` (``clean``, ``lossy``), ``window``, ``used`` (%).
        formulae: scenario → kind → window → %.
        titles: scenario → title.
    """
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    panels = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    for panel, (scenario, title) in zip(panels, titles.items(), strict=True):
        mine = found[found["scenario"] == scenario]
        for kind, (colour, words) in _KINDS.items():
            line = formulae[scenario].get(kind, {})
            marks = mine[mine["kind"] == kind]
            style = "-" if len(line) > 1 else "_"
            panel.plot(list(line), list(line.values()), style, color=colour, ms=14, lw=1)
            panel.plot(marks["window"], marks["used"], "o", color=colour, ms=5, label=words)
        panel.set_xscale("log", base=2)
        panel.set_xlim(0.8, max(2.0, 1.3 * float(found["window"].max())))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.set(title=title, xlabel="window (frames)", ylim=(0, 108))
    panels[0].set_ylabel("use of the link (%)")
    panels[0].legend(title="measured; lines: formula")
    return figure


def progress(
    frames: pd.DataFrame, found: pd.DataFrame, titles: Mapping[str, str], seconds: float
) -> Figure:
    """What leaves the sender over time, one panel a scenario; repetitions in another colour.

    Args:
        frames: ``scenario``, ``step``, ``capture``, ``time_s``, ``ack``, ``number``.
        found: transfers: ``scenario``, ``step``, ``kind``; of each, the last lossy one is drawn.
        titles: scenario → title.
        seconds: how much of it is drawn.
    """
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    panels = figure.subplots(1, len(titles), squeeze=False)[0]
    for panel, (scenario, title) in zip(panels, titles.items(), strict=True):
        lossy = found[(found["scenario"] == scenario) & (found["kind"] == "lossy")]
        sent = frames[
            (frames["scenario"] == scenario)
            & (frames["step"] == (lossy["step"].iloc[-1] if len(lossy) else ""))
            & (frames["capture"] == "tx1-eth0")
            & ~frames["ack"].astype(bool)
        ]
        time_s = sent["time_s"] - sent["time_s"].min()
        again = sent["number"].duplicated()
        shown = time_s <= seconds
        for chosen, colour, words in ((~again, "C0", "first"), (again, "C1", "again")):
            rows = chosen & shown
            panel.plot(time_s[rows], sent["number"][rows], ".", color=colour, ms=4, label=words)
        panel.set(title=title, xlabel="seconds", xlim=(0, seconds))
    panels[0].set_ylabel("number of the piece")
    panels[0].legend(title="sent")
    return figure
