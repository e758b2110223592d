"""What links do, compared with their parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.plots.style import COLOURS
from testbed.core.quantities import number


def links(table: pd.DataFrame, targets: Mapping[str, float]) -> Figure:
    """Error of rate and of delay over the link's rate, one mark a link.

    Args:
        table: link, kind, rate_mbps, rtt_ms, measured_mbps, worst_delay_error_us.
        targets: ``rate`` (a fraction) and ``delay_us``.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
    train = table[table["kind"] == "train"]
    for colour, (rtt_ms, mine) in zip(COLOURS, train.groupby("rtt_ms"), strict=False):
        error = 100 * (mine["measured_mbps"] / mine["rate_mbps"] - 1).abs().clip(lower=1e-6)
        left.plot(mine["rate_mbps"], error, "o", color=colour, label=f"RTT {rtt_ms:g} ms")
        right.plot(
            mine["rate_mbps"],
            1e3 * mine["worst_delay_error_us"].clip(lower=1e-4),
            "o",
            color=colour,
        )
    left.axhline(100 * targets["rate"], color="black", ls="--", lw=1, label="target")
    right.axhline(1e3 * targets["delay_us"], color="black", ls="--", lw=1)
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="rate of the link (Mbit/s)")
    left.set(title="Rate of a packet train", ylabel="off the link's rate (%)")
    right.set(title="One-way delay, the worst packet", ylabel="off the formula (ns)")
    left.legend(fontsize=8)
    return figure


def jitter(table: pd.DataFrame, cdfs: Mapping[str, Callable[[float], float]]) -> Figure:
    """Distribution of the measured delays over the distribution that was set."""
    figure, panels = plt.subplots(1, len(cdfs), figsize=(10, 4), squeeze=False)
    for axes, (link, cdf) in zip(panels[0], cdfs.items(), strict=True):
        delays = np.sort(table.loc[table["link"] == link, "delay_ms"].dropna())
        x = np.linspace(delays.min() - 0.5, delays.max() + 0.5, 400)
        axes.plot(x, [cdf(v) for v in x], color="black", lw=4, alpha=0.25, label="set")
        share = np.arange(1, len(delays) + 1) / len(delays)
        axes.step(
            delays, share, where="post", lw=1, label=f"measured ({number(len(delays), 'packets')})"
        )
        axes.set(title=f"{link} jitter", xlabel="one-way delay (ms)", ylabel="share of packets")
        axes.legend(fontsize=8)
    return figure


def chance(table: pd.DataFrame, expected_percent: Mapping[str, float], sigmas: float) -> Figure:
    """Measured shares with the interval that independent trials allow.

    Args:
        table: link, delay_ms, copies.
        expected_percent: link → probability that was set.
        sigmas: half width of the interval in standard deviations.
    """
    figure, axes = plt.subplots(figsize=(9, 3.6))
    for row, (link, percent) in enumerate(expected_percent.items()):
        mine = table[table["link"] == link]
        p = percent / 100
        half = 100 * sigmas * np.sqrt(p * (1 - p) / len(mine))
        axes.plot([percent - half, percent + half], [row, row], color="black", lw=6, alpha=0.2)
        axes.plot([percent], [row], "|", color="black", ms=12)
        axes.plot([100 * _share(link, mine)], [row], "o", color=COLOURS[0])
    axes.set_yticks(range(len(expected_percent)), list(expected_percent))
    axes.set(
        xlabel="share of packets (%)",
        xscale="log",
        title=f"Measured share (dot), the one set (bar) and {sigmas:g} standard deviations",
    )
    axes.invert_yaxis()
    return figure


def _share(link: str, mine: pd.DataFrame) -> float:
    if link.startswith("loss"):
        return float((mine["copies"] == 0).mean())
    if link.startswith("duplicate"):
        return float((mine["copies"] == 2).mean())
    return float((mine["delay_ms"] < mine["delay_ms"].max() / 2).mean())


def series(table: pd.DataFrame) -> Figure:
    """Arrivals at and departures from two queues in series, with the ideal queue's departures."""
    figure, axes = plt.subplots()
    start_ns = table["arriving_ns"].min()
    marks = (("first", COLOURS[0]), ("second", COLOURS[1]))
    for name, colour in marks:
        mine = table[table["queue"] == name]
        kept = mine.dropna(subset=["ideal_ns"])
        axes.plot(
            (kept["ideal_ns"] - start_ns) / 1e6,
            kept["number"],
            "-",
            color=colour,
            lw=5,
            alpha=0.25,
            label=f"ideal {name} queue",
        )
        axes.plot(
            (mine["left_ns"] - start_ns) / 1e6,
            mine["number"],
            ".",
            color=colour,
            ms=3,
            label=f"left the {name} queue",
        )
        lost = mine[mine["left_ns"].isna()]
        axes.plot(
            (lost["arriving_ns"] - start_ns) / 1e6,
            lost["number"],
            "x",
            color=colour,
            ms=5,
            label=f"dropped by the {name} queue",
        )
    axes.set(title="A train of packets through two queues", xlabel="time (ms)", ylabel="packet")
    axes.legend(fontsize=8)
    return figure


def tcp(table: pd.DataFrame) -> Figure:
    """Goodput of TCP over the formula, one mark a flow."""
    figure, axes = plt.subplots()
    axes.plot(table["rate_mbps"], 100 * (table["goodput_mbps"] / table["expected_mbps"] - 1), "o")
    off = 100 * (table["goodput_mbps"] / table["expected_mbps"] - 1)
    for link, rate_mbps, percent in zip(table["link"], table["rate_mbps"], off, strict=True):
        axes.annotate(
            link,
            (rate_mbps, percent),
            xytext=(0, 8),
            textcoords="offset points",
            fontsize=8,
            ha="center",
        )
    axes.axhline(0, color="black", lw=1)
    axes.margins(x=0.15, y=0.3)
    axes.set(
        xscale="log",
        xlabel="rate of the link (Mbit/s)",
        ylabel="off the formula (%)",
        title="Goodput of a TCP flow, against rate × 1448 / 1514",
    )
    return figure


def fat(table: pd.DataFrame, rate_mbps: float) -> Figure:
    """Bytes a round-trip time of one TCP flow over a fast and long path."""
    figure, axes = plt.subplots()
    table = table[(table["round"] >= 1) & (table["mbps"] > 1)]  # the first round is the handshake's
    axes.semilogy(table["round"], table["mbps"], "o-", label="arrived in the round-trip time")
    first = table["mbps"].iloc[0]
    rounds = table["round"]
    doubling = first * 2.0 ** (rounds - rounds.iloc[0])
    axes.semilogy(
        rounds,
        doubling.clip(upper=rate_mbps),
        ":",
        color="black",
        label="doubling, up to the link's rate",
    )
    axes.set(
        title="TCP over 10 Gbit/s and 100 ms: slow start to full rate",
        xlabel="round-trip time number",
        ylabel="Mbit/s",
    )
    axes.legend()
    return figure


def windows(table: pd.DataFrame, limit_segments: float) -> Figure:
    """The congestion window over time, one line per scenario.

    Args:
        table: scenario, time_s, cwnd_segments.
        limit_segments: what path and queue hold.
    """
    figure, axes = plt.subplots(figsize=(9, 4))
    for name, mine in table.groupby("scenario", sort=False):
        since_s = mine["time_s"] - mine["time_s"].iloc[0]
        axes.step(since_s, mine["cwnd_segments"], where="post", lw=1, label=str(name))
    axes.axhline(limit_segments, color="black", ls="--", lw=1, label="path and queue")
    axes.set(
        title="TCP's window behind each kind of node",
        xlabel="time (s)",
        ylabel="congestion window (segments)",
    )
    axes.legend(fontsize=8)
    return figure
