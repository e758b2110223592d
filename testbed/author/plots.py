"""Standard plots, one line each, from tables under their usual names.

    def plot(self, tables):
        return {
            "1_exchange": plots.ladder(tables, "resolve", "h1-eth0"),
            "2_window": plots.window(tables),
            "3_goodput": plots.throughput(tables),
            "4_messages": plots.timeline(tables, "messages", by="sender", kind="type"),
        }

The tables of flows are those of `analysis.tcp_flow.measure`. Anything else is drawn with
matplotlib, or with the functions of `analysis.plots`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from testbed.author.steps import ladder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed.core.tables import Tables

__all__ = ["ladder", "throughput", "timeline", "window"]


def throughput(tables: Tables, titles: Mapping[str, str] | None = None) -> Figure:
    """Goodput of each flow, their sum, and the bottleneck's capacity; one panel per scenario.

    Args:
        tables: ``goodput``; optional: ``flows`` (``flow``, ``label``), ``setting`` (``rate_mbps``
            of the bottleneck).
        titles: scenario → title of its panel; default: all scenarios under their names.
    """
    from analysis.plots import congestion

    goodput = tables.of("goodput")
    return congestion.goodput(
        goodput, tables.get("flows"), tables.get("setting"), _titles(goodput, titles)
    )


def window(
    tables: Tables, titles: Mapping[str, str] | None = None, *, without_phases: Collection[str] = ()
) -> Figure:
    """Congestion window and ssthresh over time, phases shaded, retransmissions marked.

    Args:
        tables: ``cwnd``, ``phases`` and ``retransmissions``.
        titles: scenario → title of its panel; default: all scenarios under their names.
        without_phases: scenarios whose algorithm knows no ssthresh, such as BBR.
    """
    from analysis.plots import congestion

    cwnd, phases = tables.of("cwnd"), tables.rows("phases")
    phases = phases[~phases["scenario"].isin(list(without_phases))]
    return congestion.window(cwnd, phases, tables.rows("retransmissions"), _titles(cwnd, titles))


def timeline(
    tables: Tables,
    table: str = "packets",
    *,
    by: str = "capture",
    kind: str = "protocol",
    kinds: Sequence[str] = (),
    marks: Mapping[str, float] | None = None,
    **equals: Any,
) -> Figure:
    """Each row of a table as a tick over time: one line per value of a column, types by colour.

    Args:
        tables: of the run.
        table: with ``time_s`` and both columns.
        by: the column that makes the lines.
        kind: the column of the type.
        kinds: the types in the order of colours; default: as they appear.
        marks: name → time of moments, in s; default: the steps that the run announced.
        equals: column → value of the rows to draw, such as ``scenario="main"``.
    """
    from analysis.plots import captures, style

    found = tables.of(table, **equals)
    if marks is None:
        steps = tables.get("steps")
        marks = {}
        if steps is not None:
            marks = style.moments(steps[steps["scenario"].isin(found["scenario"].unique())])
    return captures.timeline(found, by, kind, kinds, marks)


def _titles(table: Any, titles: Mapping[str, str] | None) -> dict[str, str]:
    if titles is not None:
        return dict(titles)
    return {str(name): str(name) for name in table["scenario"].unique()}
