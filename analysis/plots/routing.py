"""Pictures of routing: messages over time, tables over time, metrics that climb."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.style import COLOURS

INFINITY = 16


def messages(sent: pd.DataFrame, kind: str, failed_s: float = 0.0) -> Figure:
    """Each message as a mark: routers in rows, types by colour.

    Args:
        sent: ``time_s``, ``sender`` and the column named by `kind`.
        kind: the column of the message's type.
        failed_s: when the link failed; 0: it did not.
    """
    routers = sorted(sent["sender"].unique(), key=_natural, reverse=True)
    kinds = list(dict.fromkeys(sent[kind]))
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.5 * len(routers) + 0.2 * len(kinds)))
    for i, name in enumerate(kinds):
        mine = sent[sent[kind] == name]
        spread = 0.7 * (i / max(1, len(kinds) - 1) - 0.5) if len(kinds) > 1 else 0.0
        rows = [routers.index(s) + spread for s in mine["sender"]]
        axes.plot(mine["time_s"], rows, "|", ms=11, mew=1.6, label=str(name),
                  color=COLOURS[i % len(COLOURS)])  # fmt: skip
    axes.set_yticks(range(len(routers)), routers)
    axes.set_ylim(-0.6, len(routers) - 0.4)
    _mark_failure(axes, failed_s)
    axes.set_xlabel("time (s)")
    axes.set_ylabel("sender")
    figure.legend(loc="outside upper center", ncols=min(6, len(kinds) + 1))
    return figure


def climbs(told: Mapping[str, pd.DataFrame]) -> Figure:
    """The metric told of a lost network, over time, one panel a scenario.

    Args:
        told: title → ``time_s``, ``sender``, ``metric``.
    """
    figure, panels = plt.subplots(1, len(told), figsize=(10, 3.6), sharey=True, squeeze=False)
    for axes, (title, entries) in zip(panels[0], told.items(), strict=True):
        for i, (sender, mine) in enumerate(entries.groupby("sender")):
            axes.plot(mine["time_s"], mine["metric"], "os^"[i % 3], ms=5, color=COLOURS[i],
                      label=f"told by {sender}")  # fmt: skip
        axes.axhline(INFINITY, color="black", lw=0.8, ls=":")
        axes.set_title(title)
        axes.set_xlabel("time (s)")
        axes.set_ylim(0, INFINITY + 1)
        axes.set_yticks(range(0, INFINITY + 1, 4))
    panels[0][0].set_ylabel("metric of the lost network (hops)")
    handles, labels = max(
        (a.get_legend_handles_labels() for a in panels[0]), key=lambda h: len(h[1])
    )
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def tables_over_time(
    changes: pd.DataFrame, protocol: str, end_s: float, failed_s: float = 0.0
) -> Figure:
    """Each router's learned routes as bars over time, coloured and named by next hop.

    Args:
        changes: ``time_s``, ``node``, ``action``, ``destination``, ``protocol``, ``next_hops``.
        protocol: whose routes.
        end_s: end of the run.
        failed_s: when the link failed; 0: it did not.
    """
    bars = _bars(changes[changes["protocol"] == protocol], end_s)
    rows = sorted({b[0] for b in bars}, key=lambda r: (_natural(r[0]), r[1]), reverse=True)
    hops = sorted({b[3] for b in bars}, key=_natural)
    colour = {hop: COLOURS[i % len(COLOURS)] for i, hop in enumerate(hops)}
    figure, axes = plt.subplots(figsize=(9, 1.6 + 0.24 * len(rows)))
    shown = set()
    for row, begin_s, until_s, hop in bars:
        label = f"by {hop}" if hop not in shown else None
        shown.add(hop)
        axes.barh(rows.index(row), until_s - begin_s, left=begin_s, height=0.7, label=label,
                  color=colour[hop])  # fmt: skip
    axes.set_yticks(range(len(rows)), [f"{node}  {prefix}" for node, prefix in rows], fontsize=8)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, end_s)
    _mark_failure(axes, failed_s)
    axes.set_xlabel("time (s)")
    figure.legend(loc="outside upper center", ncols=6)
    return figure


def _bars(changes: pd.DataFrame, end_s: float) -> list[tuple[tuple[str, str], float, float, str]]:
    """(router, prefix), from, to and next hop of each time a route stood."""
    standing: dict[tuple[str, str], tuple[float, str]] = {}
    bars = []
    for change in changes.sort_values("time_s").itertuples():
        key = (str(change.node), str(change.destination))
        if key in standing:
            begin_s, hop = standing.pop(key)
            bars.append((key, begin_s, float(str(change.time_s)), hop))
        if change.action != "del":
            standing[key] = (float(str(change.time_s)), str(change.next_hops))
    bars += [(key, begin_s, end_s, hop) for key, (begin_s, hop) in standing.items()]
    return bars


def _mark_failure(axes: Axes, failed_s: float) -> None:
    if failed_s:
        axes.axvline(failed_s, color="black", lw=1, ls="--")
        axes.annotate("failure", (failed_s, 1), xycoords=("data", "axes fraction"), fontsize=8,
                      xytext=(3, -2), textcoords="offset points", va="top")  # fmt: skip


def _natural(name: str) -> tuple[int, str]:
    digits = "".join(c for c in name if c.isdigit())
    return int(digits or 0), name
