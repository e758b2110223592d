"""One look for all figures: readable in print and for colour-blind readers."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import IO, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis import rows
from testbed.core.files import writing

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette: distinguishable with every common colour vision deficiency."""

LINES = ("-", "--", "-.", ":")

_RC: Any = {
    "figure.figsize": (9.0, 4.2),
    "figure.dpi": 130,
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=COLOURS),
    "legend.frameon": False,
    "svg.hashsalt": "testbed",
    "agg.path.chunksize": 10000,
}


@contextmanager
def applied() -> Iterator[None]:
    """Draws with this style, and with nothing of the user's own configuration.

    pyplot keeps each figure until it is closed: those drawn here are closed at the end.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.use("agg")
        mpl.rcParams.update(_RC)
        others = set(plt.get_fignums())
        try:
            yield
        finally:
            for number in set(plt.get_fignums()) - others:
                plt.close(number)


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG to a file, the same bytes each time."""
    with writing(path) as file:
        _write(figure, file)


def png(figure: Figure) -> bytes:
    """The same PNG."""
    buffer = io.BytesIO()
    _write(figure, buffer)
    return buffer.getvalue()


def _write(figure: Figure, file: IO[bytes]) -> None:
    """`Figure.savefig` would draw all twice, to find its layout."""
    packed = {"compress_type": zlib.Z_RLE}  # for line art as good, in half the time
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(file, metadata={"Software": None}, pil_kwargs=packed)


def colours(names: list[str]) -> dict[str, str]:
    """A colour for each name, in order, the same in every figure of a run."""
    return dict(zip(names, cycle(COLOURS), strict=False))


def moments(steps: pd.DataFrame) -> dict[str, float]:
    """Step → when it began, in s, for `mark`; `steps` has columns `time_s` and `step`."""
    return {str(row.step): row.time_s for row in rows(steps)}


def mark(axes: Axes, moments: Mapping[str, float], *, inside: bool = False) -> None:
    """Vertical lines at moments, each with its name: above the panel, or inside it."""
    place: Any = {"xytext": (2, -2), "va": "top", "rotation": 90}
    if not inside:
        place = {"xytext": (1, 2), "va": "bottom", "rotation": 45}
    for name, time_s in moments.items():
        axes.axvline(time_s, color="0.4", lw=0.8, ls="--")
        axes.annotate(
            name,
            (time_s, 1),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=7,
            color="0.25",
            **place,
        )
