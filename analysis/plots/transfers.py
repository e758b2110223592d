"""Figures of single transfers: bytes in flight."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure


def in_flight(transfers: Mapping[str, pd.DataFrame], limit_bytes: int = 65_535) -> Figure:
    """Bytes on their way over time, one line per transfer.

    Args:
        transfers: name → the sender's segments: ``time_s``, ``bytes_in_flight``.
        limit_bytes: drawn as a line; by default the largest window without scaling.
    """
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, segments in transfers.items():
        sent = segments.dropna(subset=["bytes_in_flight"])
        start_s = float(sent["time_s"].min()) if len(sent) else 0.0
        axes.step(
            (sent["time_s"] - start_s) * 1e3,
            sent["bytes_in_flight"].astype(float) / 1e3,
            where="post",
            label=name,
        )
    axes.axhline(limit_bytes / 1e3, color="0.4", linestyle="--", linewidth=1)
    axes.annotate(
        f"{limit_bytes} bytes",
        (1, limit_bytes / 1e3),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
    )
    axes.set(xlabel="milliseconds since the first data", ylabel="in flight, kB", ylim=(0, None))
    axes.legend()
    return figure
