"""Page loads: filmstrip, waterfall and packets on one axis of time."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import urlsplit

import matplotlib.image as mpl_image
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Patch

from analysis import rows
from analysis.plots.style import COLOURS
from testbed.core.tables import Tables

PHASE_COLOURS = {
    "blocked": "0.85",
    "dns": COLOURS[2],
    "connect": COLOURS[4],
    "tls": COLOURS[3],
    "send": COLOURS[6],
    "wait": COLOURS[5],
    "receive": COLOURS[0],
}
"""blocked: waiting for a connection or a turn."""

_MOMENTS = {
    "first_paint": "first paint",
    "content_loaded": "document parsed",
    "loaded": "loaded",
}
_PICTURES = 6
_ZOOM = 0.1
_NAME_CHARS = 34
_NS_PER_MS = 1e6


def waterfall(tables: Tables, scenario: str, visit: str, capture: str) -> Figure:
    """One visit: what the screen showed, one bar per request, and the packets below.

    Args:
        tables: ``visits``, ``requests`` and ``frames`` of `analysis.browser`; ``packets`` with
            `scenario` and `capture`.
        scenario, visit: which one.
        capture: packets of which capture.
    """
    shown = tables.row("visits", scenario=scenario, visit=visit)
    requests = tables.of("requests", scenario=scenario, visit=visit)
    frames = tables.rows("frames", scenario=scenario, visit=visit)
    zero_ns = int(shown["began_ns"])
    end_ms = _end_ms(shown, requests, zero_ns)
    packets = _packets(tables, scenario, capture, zero_ns, end_ms)
    height = 3.9 + 0.24 * len(requests)
    figure = Figure(figsize=(10, height), layout="constrained")
    heights = (1.3, 0.24 * len(requests) + 0.4, 1.6)
    film, bars, below = figure.subplots(
        3, 1, sharex=True, height_ratios=heights, gridspec_kw={"hspace": 0.02}
    )
    _film(film, frames, zero_ns, end_ms)
    _bars(bars, requests, packets, zero_ns)
    _lanes(below, packets, requests)
    for axes in (film, bars, below):
        for column, name in _MOMENTS.items():
            if not pd.isna(shown[f"{column}_ns"]):
                at_ms = float(shown[f"{column}_ns"]) / _NS_PER_MS
                colour = {"first_paint": "#009E73", "loaded": "#D55E00"}.get(column, "0.5")
                label = f"{name} {at_ms:.0f} ms" if axes is bars else None
                axes.axvline(at_ms, color=colour, lw=1.2, ls="--", label=label, zorder=0)
    handles = [Patch(color=colour, label=name) for name, colour in PHASE_COLOURS.items()]
    moments = bars.get_legend_handles_labels()[0]
    figure.legend(handles=[*handles, *moments], loc="outside lower center", ncols=5, fontsize=8)
    figure.suptitle(f"{visit}: {shown['url']}", fontsize=10)
    below.set_xlabel("ms since the address was typed")
    below.set_xlim(-0.02 * end_ms, 1.02 * end_ms)
    return figure


def times(visits: pd.DataFrame) -> Figure:
    """First paint and load of several visits, as bars.

    Args:
        visits: rows of ``visits`` of `analysis.browser`, in any order.
    """
    visits = visits.sort_values("began_ns")
    figure = Figure(figsize=(9, 0.8 + 0.34 * len(visits)), layout="constrained")
    axes = figure.subplots()
    places = range(len(visits))
    for column, colour, name, offset in (
        ("first_content_ns", COLOURS[2], "first paint", -0.2),
        ("loaded_ns", COLOURS[0], "loaded", 0.2),
    ):
        values = visits[column].astype("float") / _NS_PER_MS
        bars = axes.barh([p + offset for p in places], values, 0.38, color=colour, label=name)
        axes.bar_label(bars, fmt="%.0f", padding=2, fontsize=7)
    axes.set_yticks(list(places), visits["visit"].tolist())
    axes.invert_yaxis()
    axes.set_xlabel("ms since the address was typed")
    axes.margins(x=0.08)
    axes.legend(fontsize=8, loc="best")
    return figure


def _end_ms(shown: pd.Series, requests: pd.DataFrame, zero_ns: int) -> float:
    ends = [requests["ended_ns"].max() - zero_ns, *(shown[f"{c}_ns"] for c in _MOMENTS)]
    return 1.05 * max((float(e) for e in ends if not pd.isna(e)), default=1e6) / _NS_PER_MS


def _packets(
    tables: Tables, scenario: str, capture: str, zero_ns: int, end_ms: float
) -> pd.DataFrame:
    found = tables.of("packets", scenario=scenario, capture=capture)
    at_ms = found["time_s"] * 1e3 - zero_ns / _NS_PER_MS
    found = found.assign(at_ms=at_ms)
    return found[(at_ms >= -1) & (at_ms <= end_ms)].reset_index(drop=True)


def _film(axes: Axes, frames: pd.DataFrame, zero_ns: int, end_ms: float) -> None:
    """The pictures where they were painted; moved aside where they would cover each other."""
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.grid(False)
    width_ms, free_ms = end_ms / _PICTURES, 0.0
    kept = [row for row in rows(frames) if isinstance(row.picture, bytes)]
    for number, row in enumerate(kept[-_PICTURES:]):
        at_ms = (row.time_ns - zero_ns) / _NS_PER_MS
        last_ms = end_ms - (len(kept[-_PICTURES:]) - number - 0.5) * width_ms
        place_ms = min(max(at_ms, free_ms + width_ms / 2), last_ms)
        free_ms = place_ms + width_ms / 2
        image = OffsetImage(mpl_image.imread(io.BytesIO(row.picture)), zoom=_ZOOM)
        box = AnnotationBbox(image, (place_ms, 0.6), pad=0.1, bboxprops={"ec": "0.6"})
        axes.add_artist(box)
        axes.annotate(
            f"{at_ms:.0f} ms",
            (at_ms, 0.0),
            xytext=(place_ms, 0.02),
            ha="center",
            fontsize=7,
            arrowprops={"arrowstyle": "-", "color": "0.6", "lw": 0.6},
        )
    if not kept:
        axes.text(0.5, 0.5, "nothing was painted", transform=axes.transAxes, ha="center")


def _bars(axes: Axes, requests: pd.DataFrame, packets: pd.DataFrame, zero_ns: int) -> None:
    """One bar per request, by phase, with the numbers of its connection's packets."""
    names = []
    for place, request in enumerate(rows(requests)):
        at_ms = (request.began_ns - zero_ns) / _NS_PER_MS
        for phase, colour in PHASE_COLOURS.items():
            width_ms = getattr(request, f"{phase}_ns") / _NS_PER_MS
            if width_ms:
                axes.barh(place, width_ms, 0.7, left=at_ms, color=colour, lw=0)
                at_ms += width_ms
        axes.annotate(
            _words(request, packets, zero_ns),
            (at_ms, place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=6.5,
            color="0.3",
            bbox={"fc": "white", "ec": "none", "alpha": 0.7, "pad": 0.4},
        )
        names.append(_name(request.url))
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()


def _words(request: Any, packets: pd.DataFrame, zero_ns: int) -> str:
    """What became of a request, and the packets that carried it."""
    told = str(request.status or request.error or "")
    if request.served_from != "network":
        return f"{told} {request.served_from}".strip()
    if pd.isna(request.local_port) or pd.isna(request.ended_ns):
        return told
    port = int(request.local_port)
    began_ms, ended_ms = (
        (ns - zero_ns) / _NS_PER_MS for ns in (request.began_ns, request.ended_ns)
    )
    mine = packets[
        ((packets["tcp_sport"] == port) | (packets["tcp_dport"] == port))
        & packets["at_ms"].between(began_ms - 0.5, ended_ms + 0.5)
    ]
    frames = f"packets {mine['frame'].min()}–{mine['frame'].max()}" if len(mine) else ""
    return f"{told}  {frames}".strip()


def _name(url: str) -> str:
    parts = urlsplit(url)
    text = f"{parts.scheme}://{parts.netloc}" if parts.path in ("", "/") else parts.path
    return text if len(text) <= _NAME_CHARS else f"…{text[1 - _NAME_CHARS :]}"


def _lanes(axes: Axes, packets: pd.DataFrame, requests: pd.DataFrame) -> None:
    """Packets as marks: one lane per connection and one for look-ups; up is what the host sends."""
    ports = [int(p) for p in dict.fromkeys(requests["local_port"].dropna())]
    lanes = {"DNS": packets[(packets["udp_dport"] == 53) | (packets["udp_sport"] == 53)]}
    for port in ports:
        chosen = (packets["tcp_sport"] == port) | (packets["tcp_dport"] == port)
        server = int(requests.loc[requests["local_port"] == port, "port"].iloc[0])
        lanes[f"TCP {port} → {server}"] = packets[chosen]
    lanes = {name: found for name, found in lanes.items() if len(found)}
    for place, (name, found) in enumerate(lanes.items()):
        sent = (found["udp_dport"] == 53) | found["tcp_sport"].isin(ports)
        size = found["tcp_payload_bytes"].fillna(1).astype(float)
        for up, colour in ((True, COLOURS[1]), (False, COLOURS[0])):
            mine = found[sent.fillna(False) == up]
            shift = -0.16 if up else 0.16
            full = size[mine.index] > 0
            for filled, width in ((True, 1.1), (False, 0.5)):
                at = mine.loc[full == filled, "at_ms"]
                axes.vlines(at, place + shift - 0.15, place + shift + 0.15, colour, lw=width)
        axes.text(1.005, place, name, transform=axes.get_yaxis_transform(), fontsize=7, va="center")
    axes.set_yticks([])
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.set_ylabel("packets", fontsize=8)
