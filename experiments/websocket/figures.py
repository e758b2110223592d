"""Latency and cost by the way in which updates are delivered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from analysis.plots import exchanges
from testbed import Tables

from . import talk
from .news import per_update_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    "push": "WebSocket",
    "events": "server-sent events",
    "long": "long polling",
    "short": "short polling",
}


def latency(tables: Tables, ways: Sequence[str]) -> Figure:
    """Each update's latency."""
    updates = tables.of("updates")
    series: dict[str, Any] = {}
    for way in ways:
        rows = updates[(updates["step"] == way) & (updates["capture"] == talk.CLIENT)]
        series[NAMES[way]] = rows["latency_ms"].tolist()
    return exchanges.latencies(series)


def cost(tables: Tables, ways: Sequence[str]) -> Figure:
    """Bytes on the wire for each update."""
    values = {NAMES[way]: per_update_bytes(tables, way) for way in ways}
    return exchanges.bars(values, "Cost of an update", "bytes on the wire")
