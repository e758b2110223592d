"""The textbook's pictures of congestion control, from measured tables."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import rows
from analysis.plots.style import COLOURS

PHASES = {
    "slow start": "#009E73",
    "congestion avoidance": "#FFFFFF",
    "recovery": "#E69F00",
    "loss recovery": "#D55E00",
}
"""Shades behind the window."""


def window(
    cwnd: pd.DataFrame, phases: pd.DataFrame, retransmissions: pd.DataFrame, titles: dict[str, str]
) -> Figure:
    """Window and ssthresh over time, phases shaded, retransmissions marked.

    Args:
        cwnd, phases, retransmissions: tables of `analysis.tcp_flow` with ``scenario``; a scenario
            without phases (an algorithm that knows no ssthresh) gets neither shade nor ssthresh.
        titles: scenario → title of its panel.
    """
    figure, panels = _panels(len(titles), "congestion window (segments)")
    for axes, (scenario, title) in zip(panels, titles.items(), strict=True):
        mine = cwnd[cwnd["scenario"] == scenario]
        spans = phases[phases["scenario"] == scenario]
        axes.step(mine["time_s"], mine["cwnd_segments"], where="post", label="cwnd", lw=1.2)
        if len(spans):
            ssthresh = mine["ssthresh_segments"].astype("Float64").to_numpy(float, na_value=np.nan)
            axes.step(
                mine["time_s"],
                ssthresh,
                "--",
                where="post",
                color=COLOURS[1],
                lw=1,
                label="ssthresh",
            )
            _shade(axes, spans)
        top = float(mine["cwnd_segments"].max()) * 1.1
        lost = retransmissions.loc[retransmissions["scenario"] == scenario, "time_s"]
        axes.plot(lost, [0.03 * top] * len(lost), "|", color="black", ms=7, label="retransmission")
        axes.set(title=title, ylim=(0, top), xlim=(0, mine["time_s"].max()))
    _finish(figure)
    return figure


def _shade(axes: Axes, phases: pd.DataFrame) -> None:
    for name, colour in PHASES.items():
        spans = phases[phases["phase"] == name]
        if name != "congestion avoidance" and len(spans):
            first = True
            for span in rows(spans):
                axes.axvspan(
                    span.start_s,
                    span.end_s,
                    color=colour,
                    alpha=0.25,
                    lw=0,
                    label=name if first else None,
                )
                first = False


def goodput(
    rates: pd.DataFrame,
    flows: pd.DataFrame | None,
    setting: pd.DataFrame | None,
    titles: dict[str, str],
) -> Figure:
    """Goodput of each flow over time, their sum, and the bottleneck's capacity.

    Args:
        rates: ``goodput`` of `analysis.tcp_flow`: scenario, flow, time_s, mbps.
        flows: scenario, flow → ``label``; None: flows are labelled by their names.
        setting: scenario, ``rate_mbps`` of the bottleneck; None: it is not drawn.
        titles: scenario → title of its panel.
    """
    figure, panels = _panels(len(titles), "goodput (Mbit/s)", right_in=1.8)
    for axes, (scenario, title) in zip(panels, titles.items(), strict=True):
        mine = rates[rates["scenario"] == scenario]
        labels = {}
        if flows is not None:
            here = flows[flows["scenario"] == scenario]
            labels = dict(zip(here["flow"], here["label"], strict=True))
        for flow, series in mine.groupby("flow", sort=False):
            axes.plot(series["time_s"], series["mbps"], label=labels.get(flow, str(flow)))
        total = mine.groupby("time_s")["mbps"].sum()
        if mine["flow"].nunique() > 1:
            axes.plot(total.index, total, ":", color="black", label="all", lw=1)
        if setting is not None:
            rate = setting.loc[setting["scenario"] == scenario, "rate_mbps"].iloc[0]
            axes.axhline(rate, ls="--", color="grey", lw=1, label=f"link, {rate:g} Mbit/s")
        axes.set(title=title, xlim=(0, None), ylim=(0, None))
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def queue(
    lengths: pd.DataFrame, passages: pd.DataFrame, setting: pd.DataFrame, titles: dict[str, str]
) -> Figure:
    """Length of the bottleneck's queue over time, with its limit and its drops and marks."""
    figure, panels = _panels(len(titles), "queue (packets)")
    for axes, (scenario, title) in zip(panels, titles.items(), strict=True):
        mine = lengths[lengths["scenario"] == scenario]
        passed = passages[passages["scenario"] == scenario]
        limit = setting.loc[setting["scenario"] == scenario, "queue_pkts"].iloc[0]
        axes.step(mine["time_s"], mine["length_pkts"], where="post", lw=0.8, label="queue")
        axes.axhline(limit, ls="--", color=COLOURS[1], lw=1, label="limit")
        for what, colour in (("dropped", "black"), ("marked", COLOURS[3])):
            at = passed.loc[passed[what], "time_s"]
            if len(at):
                axes.plot(at, [limit * 1.08] * len(at), "|", color=colour, ms=7, label=what)
        axes.set(title=title, ylim=(0, limit * 1.18), xlim=(0, None))
    _finish(figure)
    return figure


def round_trip(cwnd: pd.DataFrame, setting: pd.DataFrame, titles: dict[str, str]) -> Figure:
    """The sender's smoothed round-trip time, one line a scenario."""
    figure, axes = plt.subplots()
    for scenario, title in titles.items():
        mine = cwnd[cwnd["scenario"] == scenario]
        axes.plot(mine["time_s"], mine["srtt_ms"], label=title, lw=1.2)
    base = setting.loc[setting["scenario"].isin(titles), "rtt_ms"].min()
    axes.axhline(base, ls=":", color="black", lw=1, label="path without queue")
    axes.set(xlabel="time (s)", ylabel="smoothed round-trip time (ms)", ylim=(0, None))
    axes.set_xlim(0, None)
    axes.legend(ncols=2)
    return figure


def time_sequence(
    segments: pd.DataFrame, acks: pd.DataFrame, start_s: float, end_s: float, title: str
) -> Figure:
    """Segments sent, segments sent again and ACKs, as sequence number over time.

    Args:
        segments, acks: ``segments`` and ``acks`` of one flow.
        start_s, end_s: the window shown.
        title: above the figure.
    """
    figure, axes = plt.subplots()
    shown = segments[segments["time_s"].between(start_s, end_s)]
    back = acks[acks["time_s"].between(start_s, end_s)]
    new, again = shown[~shown["retransmission"]], shown[shown["retransmission"]]
    axes.plot(new["time_s"], new["seq_bytes"] / 1e3, ".", ms=3, label="segment")
    axes.plot(
        again["time_s"], again["seq_bytes"] / 1e3, "x", ms=6, color=COLOURS[1], label="sent again"
    )
    axes.step(
        back["time_s"],
        back["ack_bytes"] / 1e3,
        where="post",
        lw=1,
        color=COLOURS[2],
        label="acknowledged up to",
    )
    axes.set(title=title, xlabel="time (s)", ylabel="sequence number (kB)", xlim=(start_s, end_s))
    axes.legend()
    return figure


def mathis(points: pd.DataFrame) -> Figure:
    """Goodput over loss rate, compared with Mathis' law.

    Args:
        points: loss (fraction), goodput_mbps, mathis_mbps.
    """
    figure, axes = plt.subplots(figsize=(6.5, 4.2))
    axes.loglog(
        points["loss"] * 100,
        points["mathis_mbps"],
        "--",
        color=COLOURS[1],
        label="Mathis: MSS/RTT · √(3/2)/√p",
    )
    axes.loglog(points["loss"] * 100, points["goodput_mbps"], "o", label="measured")
    axes.set(xlabel="packets lost (%)", ylabel="goodput (Mbit/s)")
    ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10]
    low, high = points["loss"].min() * 80, points["loss"].max() * 125
    axes.set_xticks([t for t in ticks if low <= t <= high], minor=False)
    axes.set_yticks([1, 2, 3, 5, 8, 12, 20])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter(lambda *_: "")
    axes.legend()
    return figure


def delays(passages: pd.DataFrame, titles: dict[str, str], target_ms: float) -> Figure:
    """Distribution of the delay in the bottleneck's queue, one line a scenario."""
    figure, axes = plt.subplots()
    for scenario, title in titles.items():
        delay = passages.loc[passages["scenario"] == scenario, "delay_s"].dropna().sort_values()
        share = pd.Series(range(1, len(delay) + 1)) / max(1, len(delay))
        axes.plot(delay * 1e3, share * 100, label=title)
    axes.axvline(target_ms, ls=":", color="black", lw=1, label=f"CoDel's target {target_ms:g} ms")
    axes.set(xlabel="delay in the queue (ms)", ylabel="packets (%)", ylim=(0, 100))
    axes.set_xscale("symlog", linthresh=1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlim(0, None)
    axes.legend()
    return figure


def _panels(count: int, ylabel: str, right_in: float = 0.15) -> tuple[Figure, list[Axes]]:
    """Panels below each other over one time axis.

    The margins are known, so no layout has to be found: that costs as much as drawing.

    Args:
        count: of panels.
        ylabel: what all of them show.
        right_in: inches to the right of the panels, for legends.
    """
    width_in, height_in = 9.0, 1.0 + 2.1 * count
    left_in, bottom_in, top_in, gap_in = 0.75, 0.55, 0.65, 0.55
    panel_in = (height_in - bottom_in - top_in - (count - 1) * gap_in) / count
    figure, panels = plt.subplots(
        count, 1, figsize=(width_in, height_in), squeeze=False, layout="none"
    )
    figure.subplots_adjust(
        left=left_in / width_in,
        right=1 - right_in / width_in,
        bottom=bottom_in / height_in,
        top=1 - top_in / height_in,
        hspace=gap_in / panel_in,
    )
    figure.supylabel(ylabel, x=0.08 / width_in, ha="left")
    figure.supxlabel("time (s)", y=0.08 / height_in, va="bottom")
    return figure, list(panels[:, 0])


def _finish(figure: Figure) -> None:
    """One legend for all panels."""
    handles, labels = [], []
    for panel in figure.axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            if label not in labels:
                handles.append(handle)
                labels.append(label)
    figure.legend(handles, labels, loc="upper center", ncols=min(6, len(labels)))
