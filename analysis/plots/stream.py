"""Figures of byte streams: a typist's keys, and where a stream is cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_SHADES = ("#56B4E9", "#0072B2")
"""Of neighbouring blocks."""


def keys(typed: Mapping[str, pd.DataFrame]) -> Figure:
    """Each key when it is typed, when it leaves, and when its echo is read.

    Args:
        typed: panel's title → one row a key: `typed_s`, `sent_s`, `echo_s`.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, len(typed), sharex=True, sharey=True, squeeze=False)[0]
    for panel, (title, rows) in zip(panels, typed.items(), strict=True):
        if len(rows):
            since_ms = (rows - rows["typed_s"].iloc[0]) * 1e3
            number = range(1, len(rows) + 1)
            panel.hlines(number, since_ms["typed_s"], since_ms["echo_s"], color="0.8", linewidth=1)
            for column, label, mark in (
                ("typed_s", "typed", "|"),
                ("sent_s", "sent", ">"),
                ("echo_s", "echo read", "o"),
            ):
                panel.plot(since_ms[column], number, mark, label=label, markersize=5)
            echo_ms = since_ms["echo_s"] - since_ms["typed_s"]
            found = f"echo after {echo_ms.mean():.0f} ms, {echo_ms.max():.0f} ms at worst"
            panel.set_title(f"{title}: {found}", fontsize=10)
        panel.set_xlabel("ms since the first key")
    panels[0].set_ylabel("key")
    panels[0].yaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].legend(loc="upper left", fontsize=8)
    return figure


def boundaries(cases: Mapping[str, Mapping[str, Sequence[int]]]) -> Figure:
    """How the bytes of streams were cut at several places; one panel a stream.

    Args:
        cases: panel's title → place (``written``, …) → sizes of the pieces in bytes.
    """
    figure = Figure(figsize=(9, 1.3 * ((len(cases) + 1) // 2) + 0.6), layout="constrained")
    panels = figure.subplots((len(cases) + 1) // 2, 2, squeeze=False).ravel()
    for panel in panels[len(cases) :]:
        panel.set_axis_off()
    for panel, (title, places) in zip(panels, cases.items(), strict=False):
        for row, sizes in enumerate(places.values()):
            _blocks(panel, row, sizes)
        panel.set_yticks(
            range(len(places)),
            [f"{place} ({len(sizes)})" for place, sizes in places.items()],
            fontsize=8,
        )
        panel.invert_yaxis()
        panel.set_title(title, fontsize=9)
        panel.tick_params(axis="x", labelsize=7)
        panel.grid(False)
    figure.supxlabel("bytes of the stream", fontsize=9)
    return figure


def _blocks(panel: Axes, row: int, sizes: Sequence[int]) -> None:
    begin = 0
    for number, size in enumerate(sizes):
        panel.barh(row, size, left=begin, height=0.7, color=_SHADES[number % 2], edgecolor="white")
        begin += size
