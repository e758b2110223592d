"""Figures of reliable delivery: the sliding window, the timer, repairs, what limits a sender."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.style import COLOURS


def window(sent: pd.DataFrame, told: pd.DataFrame, probes: pd.DataFrame) -> Figure:
    """The sliding window at the sender, over time.

    Args:
        sent: the sender's segments with data: `time_s`, `end`.
        told: what the receiver told: `time_s`, `ack`, `window_bytes`.
        probes: of the closed window: `time_s`, `seq`.
    """
    begin_s = sent["time_s"].min()
    moments_s = told["time_s"] - begin_s
    end_s = float(moments_s.max())
    spans = {"the whole": (0.0, end_s)}
    closed_s = moments_s[told["window_bytes"] == 0]
    if len(closed_s):
        first_s = float(closed_s.iloc[0])
        opened_s = moments_s[(moments_s > first_s) & (told["window_bytes"] > 0)].min()
        spans = {
            "closing": (-0.02, first_s + 0.1),
            "probed": spans["the whole"],
            "opening": (opened_s - 0.02, end_s + 0.02),
        }
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    panels = figure.subplots(1, len(spans), sharey=True, squeeze=False)[0]
    for panel, (title, span) in zip(panels, spans.items(), strict=True):
        _sliding(panel, sent, told, probes, begin_s)
        panel.set(title=title, xlabel="time (s)", xlim=span)
    panels[0].set_ylabel("byte of the stream (kB)")
    panels[len(panels) // 2].legend(loc="upper left", fontsize=8)
    return figure


def _sliding(
    axes: Axes, sent: pd.DataFrame, told: pd.DataFrame, probes: pd.DataFrame, begin_s: float
) -> None:
    since_s = told["time_s"] - begin_s
    left, right = told["ack"] / 1e3, (told["ack"] + told["window_bytes"]) / 1e3
    axes.fill_between(
        since_s, left, right, step="post", alpha=0.3, color=COLOURS[5], label="window"
    )
    axes.step(since_s, right, where="post", color=COLOURS[0], label="may be sent up to")
    axes.step(since_s, left, where="post", color=COLOURS[2], label="acknowledged up to")
    axes.plot(
        sent["time_s"] - begin_s, sent["end"] / 1e3, ".", ms=3, color="black", label="sent up to"
    )
    axes.plot(probes["time_s"] - begin_s, probes["seq"] / 1e3, "x", color=COLOURS[1], label="probe")


def timer(table: pd.DataFrame) -> Figure:
    """Samples, SRTT and the timer: of the kernel, and by the formulae.

    Args:
        table: `sample_ms`, `srtt_ms`, `rttvar_ms`, and the kernel's with `kernel_` in front.
    """
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True, height_ratios=[2, 2, 1])
    number = range(1, len(table) + 1)
    panels[0].plot(number, table["sample_ms"], ".", color="0.5", label="sample")
    panels[0].plot(number, table["kernel_srtt_ms"], color=COLOURS[0], label="SRTT, kernel")
    panels[0].plot(number, table["srtt_ms"], "o", ms=3, color=COLOURS[1], label="formula")
    panels[1].plot(number, table["kernel_rttvar_ms"], color=COLOURS[0], label="RTTVAR, kernel")
    panels[1].plot(number, table["rttvar_ms"], "o", ms=3, color=COLOURS[1], label="formula")
    panels[2].step(number, table["kernel_rto_ms"], color=COLOURS[0], label="timer, kernel")
    for panel in panels:
        panel.set_ylabel("ms")
        panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
    for panel in panels[1:]:
        panel.set_ylim(0, None)
    panels[2].set_xlabel("exchange")
    return figure


def losses(runs: Mapping[str, pd.DataFrame], source: str) -> Figure:
    """Segments, those sent again, and acknowledgements; one panel a run.

    Args:
        runs: title → segments of one connection at the sender (see `analysis.conversation`).
        source: the sender's address.
    """
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panels = figure.subplots(1, len(runs), sharex=True, sharey=True, squeeze=False)[0]
    for panel, (title, seen) in zip(panels, runs.items(), strict=True):
        since_ms = (seen["time_s"] - seen["time_s"].min()) * 1e3
        sent = (seen["ip_src"] == source) & (seen["payload_bytes"] > 0)
        before = seen["end"][sent].cummax().shift(fill_value=0)
        again = sent & (seen["end"] <= before.reindex(seen.index, fill_value=0))
        back = (seen["ip_src"] != source) & seen["ack"].notna()
        panel.step(
            since_ms[back],
            seen["ack"][back].astype(float) / 1e3,
            where="post",
            color=COLOURS[2],
            label="acknowledged up to",
        )
        for rows, mark, colour, label in (
            (sent & ~again, ".", COLOURS[0], "segment"),
            (again, "x", COLOURS[1], "sent again"),
        ):
            panel.plot(
                since_ms[rows], seen["seq"][rows] / 1e3, mark, color=colour, ms=5, label=label
            )
        panel.set(title=title.replace("no-sack", "without SACK").replace("sack", "with SACK"))
        panel.set_xlabel("ms")
    last_ms = max(
        1e3 * (s[s["payload_bytes"] > 0]["time_s"].max() - s["time_s"].min()) for s in runs.values()
    )
    panels[0].set(ylabel="sequence number (kB)", xlim=(0, last_ms + 100))
    panels[0].legend(loc="upper left", fontsize=8)
    return figure


def by_window(table: pd.DataFrame) -> Figure:
    """Throughput over the window, beside window / RTT.

    Args:
        table: `window_bytes`, `mbps`, `window_mbps`.
    """
    figure = Figure(figsize=(6.5, 3.6), layout="constrained")
    axes = figure.subplots()
    table = table.sort_values("window_bytes")
    axes.plot(table["window_bytes"] / 1e3, table["window_mbps"], "--", label="window / RTT")
    axes.plot(table["window_bytes"] / 1e3, table["mbps"], "o", label="measured")
    axes.set(xlabel="receiver's window (kB)", ylabel="Mbit/s", xlim=(0, None), ylim=(0, None))
    axes.legend()
    return figure


def arrived(runs: Mapping[str, pd.DataFrame]) -> Figure:
    """Bytes that have arrived over time, one line a run.

    Args:
        runs: name → data segments at the receiver: `time_s`, `payload_bytes`.
    """
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, came in runs.items():
        since_s = came["time_s"] - came["time_s"].min()
        axes.step(since_s, came["payload_bytes"].cumsum() / 1e6, where="post", label=name)
    axes.set(xlabel="time (s)", ylabel="MB arrived", xlim=(0, None), ylim=(0, None))
    axes.legend()
    return figure


def limits(flights: Mapping[str, pd.DataFrame], again: Mapping[str, pd.DataFrame]) -> Figure:
    """Bytes under way and the receiver's window; one panel a run.

    Args:
        flights: title → the sender's segments: `time_s`, `flight_bytes`, `window_bytes`.
        again: title → segments sent again: `time_s`.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    panels = figure.subplots(1, len(flights), squeeze=False)[0]
    for panel, (title, flight) in zip(panels, flights.items(), strict=True):
        begin_s = flight["time_s"].min()
        since_s = flight["time_s"] - begin_s
        panel.step(
            since_s, flight["window_bytes"] / 1e3, where="post", color=COLOURS[0], label="window"
        )
        panel.plot(since_s, flight["flight_bytes"] / 1e3, color=COLOURS[2], lw=1, label="in flight")
        _crosses(panel, again[title], begin_s)
        panel.set(title=title.replace("-", " "), xlabel="time (s)", ylim=(0, None))
    panels[0].set_ylabel("kB")
    panels[-1].legend(loc="upper left", fontsize=8)
    return figure


def _crosses(panel: Axes, again: pd.DataFrame, begin_s: float) -> None:
    if len(again):
        zeros = [0.0] * len(again)
        panel.plot(
            again["time_s"] - begin_s,
            zeros,
            "x",
            color=COLOURS[1],
            label="sent again",
            clip_on=False,
        )
