"""Figures of packet exchanges: walks along a path, sizes of segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from analysis.plots.style import mark, moments


def walks(forms: Mapping[str, pd.DataFrame]) -> Figure:
    """Traceroute: the round-trip time to each hop, one panel a form.

    Args:
        forms: name → one row a probe with `ttl`, `rtt_ms`, `by`, `answer`.
    """
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    panels = figure.subplots(1, len(forms), sharey=True, squeeze=False)[0]
    for panel, (name, walk) in zip(panels, forms.items(), strict=True):
        heard = walk.dropna(subset=["rtt_ms"])
        panel.bar(heard["ttl"], heard["rtt_ms"].astype(float), width=0.6)
        for row in heard.to_dict("records"):
            panel.annotate(
                f"{row['by']}\n{row['answer']}",
                (row["ttl"], row["rtt_ms"]),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=7,
            )
        panel.set(title=f"{name.upper()} probes", xlabel="TTL of the probe")
        panel.set_xticks(range(1, int(walk["ttl"].max() if len(walk) else 1) + 1))
        panel.margins(y=0.25)
    panels[0].set_ylabel("round-trip time in ms")
    return figure


def segment_sizes(transfers: Mapping[str, pd.DataFrame], mtu_bytes: int) -> Figure:
    """Size of each segment sent, over time, one panel a transfer.

    Args:
        transfers: name → data packets at the sender (`time_s`, `ip_bytes`).
        mtu_bytes: MTU of the path's narrowest link.
    """
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    panels = figure.subplots(1, len(transfers), sharey=True, squeeze=False)[0]
    for panel, (name, sent) in zip(panels, transfers.items(), strict=True):
        if len(sent):
            start_s = sent["time_s"].iloc[0]
            panel.plot((sent["time_s"] - start_s) * 1e3, sent["ip_bytes"].astype(float), ".")
        panel.axhline(mtu_bytes, linestyle="--", linewidth=1, color="0.4")
        panel.set_xscale("symlog", linthresh=1)
        panel.set_xlim(-0.2, 3e4)
        panel.set(title=name.replace("-", " "), xlabel="ms since the first segment")
    panels[0].set_ylabel("IP packet in bytes")
    panels[0].annotate(
        f"MTU {mtu_bytes}",
        (0.02, mtu_bytes),
        xycoords=("axes fraction", "data"),
        xytext=(0, -3),
        textcoords="offset points",
        va="top",
        fontsize=8,
    )
    return figure


def fragments(cuts: Mapping[str, pd.DataFrame]) -> Figure:
    """Where in its datagram each fragment lies; one panel a place on the way.

    Args:
        cuts: place → fragments (`ip_offset_bytes`, `ip_bytes`, `ip_header_bytes`, `ip_mf`).
    """
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    panels = figure.subplots(1, len(cuts), sharex=True, squeeze=False)[0]
    for panel, (name, pieces) in zip(panels, cuts.items(), strict=True):
        begins = pieces["ip_offset_bytes"].astype(float)
        lengths = (pieces["ip_bytes"] - pieces["ip_header_bytes"]).astype(float)
        order, middle = range(1, len(pieces) + 1), float((begins + lengths).max()) / 2
        panel.barh(list(order), lengths, left=begins, height=0.5)
        for number, begin, length, more in zip(
            order, begins, lengths, pieces["ip_mf"], strict=True
        ):
            text = f"offset {begin / 8:.0f}×8, {length:.0f} B, MF {int(more)}"
            left = begin < middle
            panel.annotate(
                text,
                (begin if left else begin + length, number - 0.25),
                xytext=(0, 2),
                textcoords="offset points",
                va="bottom",
                ha="left" if left else "right",
                fontsize=7,
            )
        panel.set(title=name, xlabel="bytes of the datagram", ylabel="in order of sending")
        panel.set_yticks(list(order))
        panel.margins(y=0.15)
        panel.invert_yaxis()
    return figure


def loss_by_fragments(loss: float, measured_fragments: int, measured_share: float) -> Figure:
    """Datagrams that survive by their number of fragments: formula and one measurement.

    Args:
        loss: probability that a packet is lost.
        measured_fragments: fragments of the datagrams measured.
        measured_share: share of them delivered.
    """
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    counts = list(range(1, 13))
    axes.plot(counts, [(1 - loss) ** k for k in counts], "o-", label=f"(1 − {loss:g})^k")
    axes.plot([measured_fragments], [measured_share], "s", markersize=9, label="measured")
    axes.set(xlabel="fragments of a datagram (k)", ylabel="share delivered", ylim=(0, 1))
    axes.legend()
    return figure


_STATE_COLOURS = {
    "REACHABLE": "tab:green",
    "STALE": "tab:gray",
    "DELAY": "tab:olive",
    "PROBE": "tab:orange",
    "FAILED": "tab:red",
    "PERMANENT": "tab:blue",
    "INCOMPLETE": "tab:pink",
}


def cache_states(changes: pd.DataFrame, steps: pd.DataFrame, node: str) -> Figure:
    """The entries of one node's neighbour cache over time, by state.

    Args:
        changes: the kernel's notifications: `time_s`, `node`, `action`, `address`, `mac`, `state`.
        steps: `time_s`, `step`; named along the top.
        node: whose cache.
    """
    mine = changes[(changes["node"] == node) & (changes["family"] == 4)]
    entries = sorted(mine["address"].unique())
    end_s = float(max(steps["time_s"].max(), changes["time_s"].max()))
    figure = Figure(figsize=(9, 1.4 + 0.5 * len(entries)), layout="constrained")
    axes = figure.subplots()
    for place, entry in enumerate(entries):
        rows = mine[mine["address"] == entry].sort_values("time_s")
        ends = [*rows["time_s"].iloc[1:], end_s]
        for begin, end, state, action in zip(
            rows["time_s"], ends, rows["state"], rows["action"], strict=True
        ):
            if action != "del":
                colour = _STATE_COLOURS.get(state, "black")
                axes.barh(place, end - begin, left=begin, height=0.6, color=colour)
    handles = [
        Patch(color=c, label=s) for s, c in _STATE_COLOURS.items() if s in set(mine["state"])
    ]
    figure.legend(handles=handles, ncols=len(handles), fontsize=7, loc="outside lower left")
    mark(axes, moments(steps))
    axes.set_yticks(range(len(entries)), entries)
    axes.set(xlabel="seconds since the start", xlim=(0, end_s))
    axes.grid(False)
    return figure


def bars(values: Mapping[str, float], title: str, unit: str) -> Figure:
    """One bar a value, with its number.

    Args:
        values: name → value in `unit`.
        title: of the figure.
        unit: label of the axis.
    """
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    drawn = axes.bar(list(values), list(values.values()), width=0.6)
    axes.bar_label(drawn, fmt="%.4g", padding=2)
    axes.set(title=title, ylabel=unit)
    axes.margins(y=0.15)
    return figure


def latencies(series: Mapping[str, Sequence[float]]) -> Figure:
    """One row of points per name.

    Args:
        series: name → milliseconds.
    """
    figure = Figure(figsize=(8, 0.7 + 0.45 * len(series)), layout="constrained")
    axes = figure.subplots()
    for row, values in enumerate(series.values()):
        axes.plot(values, [row] * len(values), "o", alpha=0.6)
    axes.set_yticks(range(len(series)), list(series))
    axes.set(xlabel="milliseconds", xlim=(0, None), ylim=(len(series) - 0.5, -0.5))
    axes.grid(axis="x", alpha=0.3)
    return figure


def encapsulation(packets: pd.DataFrame) -> Figure:
    """Bytes of each layer in each TCP packet, stacked from the frame's beginning.

    Args:
        packets: `wire_bytes`, `ip_bytes`, `ip_header_bytes`, `tcp_header_bytes`,
            `tcp_payload_bytes`, `info`.
    """
    layers = {
        "Ethernet": packets["wire_bytes"] - packets["ip_bytes"],
        "IP": packets["ip_header_bytes"],
        "TCP": packets["tcp_header_bytes"],
        "HTTP": packets["tcp_payload_bytes"],
    }
    figure = Figure(figsize=(9, 1.2 + 0.4 * len(packets)), layout="constrained")
    axes = figure.subplots()
    begin = [0.0] * len(packets)
    rows = list(range(len(packets)))
    for name, size in layers.items():
        lengths = [float(v) for v in size]
        drawn = axes.barh(rows, lengths, left=begin, label=name, height=0.7)
        axes.bar_label(
            drawn, [f"{v:.0f}" if v >= 14 else "" for v in lengths], label_type="center", fontsize=6
        )
        begin = [b + v for b, v in zip(begin, lengths, strict=True)]
    axes.set_yticks(rows, [str(text) for text in packets["info"]], fontsize=7)
    axes.invert_yaxis()
    axes.set(xlabel="bytes of the frame (scale: square root)")
    axes.set_xscale("function", functions=(_root, _square))
    axes.legend(fontsize=7, loc="upper right")
    return figure


def _root(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Small headers stay visible next to a full frame."""
    return np.sqrt(np.maximum(values, 0))


def _square(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.square(values)


def arrivals(numbers: Mapping[str, Sequence[int]]) -> Figure:
    """Numbers of datagrams in the order in which they came, one panel a place.

    Args:
        numbers: place → the datagrams' numbers, counted from 0 without gaps when they were sent.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    panels = figure.subplots(1, len(numbers), sharex=True, sharey=True, squeeze=False)[0]
    for panel, (name, found) in zip(panels, numbers.items(), strict=True):
        order = np.array(found, int)
        late = order < np.maximum.accumulate(order) if len(order) else np.zeros(0, bool)
        again = pd.Series(order).duplicated().to_numpy()
        kinds = {"in order": ~late & ~again, "overtaken": late & ~again, "second copy": again}
        for (kind, chosen), sign in zip(kinds.items(), "ovx", strict=True):
            panel.plot(np.flatnonzero(chosen) + 1, order[chosen], sign, markersize=4, label=kind)
        lost = sorted(set(range(max(found, default=0))) - set(found))
        panel.plot([0] * len(lost), lost, "_", color="black", markersize=8, label="lost")
        panel.set(title=name, xlabel="order of arrival")
    panels[0].set_ylabel("number of the datagram")
    panels[0].legend(loc="upper left")
    return figure
