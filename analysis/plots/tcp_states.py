"""Figure of TCP's states over time."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

_COLOURS = {
    "LISTEN": "#d9d9d9",
    "SYN-SENT": "#f0e442",
    "SYN-RECEIVED": "#e69f00",
    "ESTABLISHED": "#009e73",
    "FIN-WAIT-1": "#56b4e9",
    "FIN-WAIT-2": "#0072b2",
    "CLOSING": "#8c564b",
    "TIME-WAIT": "#7f7f7f",
    "CLOSE-WAIT": "#cc79a7",
    "LAST-ACK": "#d55e00",
}
_VISIBLE_S = 1e-4
"""Shorter stays have no width in the figure, so the legend leaves them out."""


def over_time(changes: pd.DataFrame, rows: Mapping[str, tuple[str, int, int]]) -> Figure:
    """The state of some ends over time, as bars.

    Args:
        changes: `analysis.kernel_states`: ``time_s``, ``node``, ``port``, ``peer_port``,
            ``before``, ``after``.
        rows: label → the end: node, port, peer's port.
    """
    figure = Figure(figsize=(9, 1.2 + 0.45 * len(rows)), layout="constrained")
    axes = figure.subplots()
    used: set[str] = set()
    for place, (node, port, peer) in enumerate(rows.values()):
        mine = changes[
            (changes["node"] == node) & (changes["port"] == port) & (changes["peer_port"] == peer)
        ].sort_values("time_s", kind="stable")
        if mine.empty:
            continue
        zero_s = float(mine["time_s"].min())
        ends = [*mine["time_s"].iloc[1:], None]
        for begin, end, state in zip(mine["time_s"], ends, mine["after"], strict=True):
            if end is not None and state in _COLOURS and end - begin >= _VISIBLE_S:
                used.add(state)
                axes.barh(
                    place,
                    end - begin,
                    left=begin - zero_s,
                    height=0.6,
                    color=_COLOURS[state],
                )
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set(xlabel="seconds since the first change (logarithmic from 0.1 s on)", xlim=(0, None))
    axes.set_xticks([0, 0.1, 1, 10, 60], ["0", "0.1", "1", "10", "60"])
    handles = [Patch(color=c, label=s) for s, c in _COLOURS.items() if s in used]
    figure.legend(handles=handles, ncols=5, fontsize=7, loc="outside lower center")
    axes.grid(False)
    return figure
