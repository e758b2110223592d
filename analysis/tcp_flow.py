"""Everything about one TCP flow as tables: window, rounds, losses, goodput, segments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from analysis import cwnd, throughput
from testbed.core.tables import label

Tables = dict[str, pd.DataFrame]

BIN_S = 0.5
"""Width of the bins of rates over time."""


@dataclass(frozen=True)
class Flow:
    """One flow and where its traces are.

    Attributes:
        name: as in column ``flow`` of all tables.
        address, sport: the sending socket.
        mss_bytes: payload of a full segment.
        at_sender, at_receiver: captures near both ends (columns of `analysis.packets`).
        probe, states: ``tcp_probe`` and ``tcp_cong_state_set`` events; None if not traced.
    """

    name: str
    address: str
    sport: int
    mss_bytes: int
    at_sender: pd.DataFrame
    at_receiver: pd.DataFrame
    probe: pd.DataFrame | None = None
    states: pd.DataFrame | None = None


def measure(flow: Flow, end_s: float) -> Tables:
    """The flow's tables, each with a column ``flow``.

    Args:
        flow: what was recorded of it.
        end_s: end of the time axis for rates.

    Returns:
        ``arrived`` (`throughput.arrivals`), ``goodput`` (rate in bins), ``segments``
        (`cwnd.sent_data`), ``acks`` (`cwnd.acks`), and, where the kernel was traced, ``cwnd``,
        ``rounds``, ``reductions``, ``phases`` and ``retransmissions`` (see `analysis.cwnd`).
    """
    arrived = throughput.arrivals(flow.at_receiver, flow.address, flow.sport)
    tables = {
        "arrived": arrived,
        "goodput": throughput.binned_mbps(arrived, "new_bytes", BIN_S, end_s),
        "segments": cwnd.sent_data(flow.at_sender, flow.address, flow.sport),
        "acks": cwnd.acks(flow.at_sender, flow.address, flow.sport),
    }
    if flow.probe is not None and flow.states is not None:
        probe, states = (_of(flow, events) for events in (flow.probe, flow.states))
        series = cwnd.cwnd_series(probe, states, flow.mss_bytes)
        tables |= {
            "cwnd": series,
            "rounds": cwnd.rounds(series, states),
            "reductions": cwnd.reductions(series, states),
            "phases": cwnd.phases(series, states),
            "retransmissions": cwnd.retransmissions(tables["segments"], tables["acks"], states),
        }
    for table in tables.values():
        label(table, "flow", flow.name)
    return tables


def _of(flow: Flow, events: pd.DataFrame) -> pd.DataFrame:
    """The kernel events of the flow's sending socket."""
    return events[(events["saddr"] == flow.address) & (events["sport"] == flow.sport)]


def collect(parts: Iterable[Tables]) -> Tables:
    """The tables of several flows, one below the other."""
    parts = list(parts)
    names = dict.fromkeys(name for part in parts for name in part)
    return {
        name: pd.concat([part[name] for part in parts if name in part], ignore_index=True)
        for name in names
    }
