"""Figures of cryptography: birthdays, pictures under ciphers, speeds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.plots.style import COLOURS

_MOST = 3.5
"""End of the axis, in roots of the number of hashes."""


def birthdays(tries: Mapping[int, pd.Series[float]]) -> Figure:
    """Share of searches that have found a collision, against tries, and the formula.

    Args:
        tries: bits of the hash → tries of each search.
    """
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    for (bits, found), colour in zip(tries.items(), COLOURS, strict=False):
        ordered = np.sort(found.to_numpy(float)) / 2 ** (bits / 2)
        share = np.arange(1, len(ordered) + 1) / len(ordered)
        axes.step(ordered, share, where="post", color=colour, label=f"{bits} bits, measured")
    x = np.linspace(0, _MOST, 200)
    axes.plot(x, 1 - np.exp(-(x**2) / 2), color="0.2", linestyle="--", label="birthday formula")
    axes.set(
        xlim=(0, _MOST),
        ylim=(0, 1.02),
        xlabel="tries, in units of $2^{n/2}$ for a hash of n bits",
        ylabel="share of searches with a collision",
    )
    axes.legend(loc="lower right")
    return figure


def pictures(found: Mapping[str, bytes], width: int, height: int) -> Figure:
    """Bytes as pictures, four bytes per pixel, of which three are colours.

    Args:
        found: title → the bytes; what is beyond the last whole picture is left out.
        width: of a line, in pixels.
        height: in lines.
    """
    figure = Figure(figsize=(2.3 * len(found), 2.3), layout="constrained")
    for axes, (title, octets) in zip(
        figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True
    ):
        flat = np.zeros(width * height * 4, np.uint8)
        kept = np.frombuffer(octets, np.uint8)[: len(flat)]
        flat[: len(kept)] = kept
        axes.imshow(flat.reshape(height, width, 4)[..., :3], interpolation="nearest")
        axes.set_title(title, fontsize=10)
        axes.set_axis_off()
    return figure


def speeds(found: pd.DataFrame) -> Figure:
    """Bars on a logarithmic axis, one panel per unit.

    Args:
        found: `operation`, `unit`, `per_s`.
    """
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    units = list(dict.fromkeys(found["unit"]))
    for axes, unit in zip(figure.subplots(1, len(units), squeeze=False)[0], units, strict=True):
        rows = found[found["unit"] == unit]
        bars = axes.barh(rows["operation"], rows["per_s"], color=COLOURS[0])
        axes.bar_label(bars, [f" {value:.2g}" for value in rows["per_s"]], fontsize=8)
        axes.set(xscale="log", xlabel=f"{unit} per second (logarithmic)")
        axes.set_xlim(float(rows["per_s"].min()) / 10, float(rows["per_s"].max()) * 30)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
    return figure
