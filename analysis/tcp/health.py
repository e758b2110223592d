"""How well TCP connections did: one row each, with a verdict in words, the worst first."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.tcp.flows import ACK, SYN

WEIGHTS = {
    "retransmission": 1.0,
    "lost_segment": 1.0,
    "out_of_order": 0.5,
    "zero_window": 3.0,
    "window_full": 0.3,
    "duplicate_ack": 0.2,
}
"""How much one segment of each kind adds to a connection's trouble."""

_FAILED, _SILENT, _RESET = 1e12, 1e10, 5.0
"""A connection that was never opened, and one that died, come before all that only suffered."""

_REPEATED_IN_VAIN = 2
"""Retransmissions of data behind the other side's last segment: it answers no more."""

_UNHEALTHY_PERCENT = 0.1


def health(sides: pd.DataFrame, segments: pd.DataFrame) -> pd.DataFrame:
    """Sums up connections, both sides together.

    Args:
        sides: of `analysis.tcp.connections`.
        segments: of `analysis.tcp.analyse`.

    Returns:
        one row per connection: ``connection``, ``client``, ``server`` (address and port),
        ``segments``, ``sent_bytes``, ``received_bytes`` (payload, by the client), ``duration_s``,
        ``rtt_ms`` (median, of the side with more data), ``retransmitted``,
        ``retransmitted_percent`` (of segments with data: those sent again), ``close``,
        ``trouble`` (0: none) and ``verdict``; the most trouble first.
    """
    if sides.empty:
        columns = "connection client server segments sent_bytes received_bytes duration_s rtt_ms"
        columns += " retransmitted retransmitted_percent close trouble verdict"
        return pd.DataFrame(columns=columns.split())
    groups = sides.groupby("connection", sort=True)
    table = groups.agg(
        segments=("segments", "sum"),
        first_ns=("first_ns", "min"),
        last_ns=("last_ns", "max"),
        close=("close", "first"),
        **{name: (name, "sum") for name in WEIGHTS},
    )
    table = table.join(_ends(sides))
    table["duration_s"] = (table["last_ns"] - table["first_ns"]) / 1e9
    busier = sides.sort_values("payload_bytes").groupby("connection").last()
    table["rtt_ms"] = busier["rtt_median_ns"].astype("Float64") / 1e6
    table = table.join(_data(segments)).fillna({"data": 0, "data_again": 0})
    table["retransmitted"] = table["retransmission"]
    table["retransmitted_percent"] = 100 * table["data_again"] / table["data"].clip(lower=1)
    table["silent"] = _silent(segments).reindex(table.index, fill_value=False)
    opened = _answered(segments, table.index)
    table["trouble"] = sum(weight * table[name] for name, weight in WEIGHTS.items())
    table["trouble"] += _RESET * (table["close"] == "reset") + _SILENT * table["silent"]
    table["trouble"] += _FAILED * (opened < 1)
    rows = zip(table.to_dict("records"), opened.tolist(), strict=True)
    table["verdict"] = [_verdict(row, answered) for row, answered in rows]
    table = table.rename_axis("connection").reset_index()
    return table.sort_values("trouble", ascending=False, kind="stable", ignore_index=True)


def _data(segments: pd.DataFrame) -> pd.DataFrame:
    """Segments with data of each connection: all, and those sent again."""
    data = (segments["payload_bytes"] > 0).to_numpy(bool)
    late = segments["out_of_order"] & segments["seen_before"]
    again = (segments["retransmission"] | late).to_numpy(bool)
    table = pd.DataFrame({"data": data, "data_again": data & again})
    return table.groupby(segments["connection"].to_numpy()).sum()


def _silent(segments: pd.DataFrame) -> pd.Series:
    """Connections in which one side sent its data again and again, and got no answer any more."""
    frame, side = segments["frame"], segments["side"]
    last = frame.groupby([segments["connection"], side]).max()
    other = pd.MultiIndex.from_arrays([segments["connection"], 1 - side])
    heard = last.reindex(other, fill_value=0).to_numpy()
    vain = segments["timeout_retransmission"] & (segments["payload_bytes"] > 0) & (frame > heard)
    count = vain.groupby([segments["connection"], side]).sum()
    return (count >= _REPEATED_IN_VAIN).groupby(level=0).any()


def _ends(sides: pd.DataFrame) -> pd.DataFrame:
    """Address and port of both ends, and what each sent."""
    rows: dict[int, dict[str, object]] = {}
    columns = ["connection", "side", "src", "sport", "dst", "dport", "unique_bytes"]
    for number, side, src, sport, dst, dport, octets in sides[columns].itertuples(index=False):
        row = rows.setdefault(int(number), {"sent_bytes": 0, "received_bytes": 0})
        here, there = f"{src} port {sport}", f"{dst} port {dport}"
        row["client"], row["server"] = (here, there) if side == 0 else (there, here)
        row["sent_bytes" if side == 0 else "received_bytes"] = int(octets)
    return pd.DataFrame.from_dict(rows, orient="index")


def _answered(segments: pd.DataFrame, connections: pd.Index) -> pd.Series:
    """1 for connections that were opened or whose opening is not in the capture; 0: refused; -1: no
    answer.
    """
    asked = segments.loc[(segments["tcp_flags"] & (SYN | ACK)) == SYN, "connection"].unique()
    back = segments[segments["side"] == 1]
    accepted = back.loc[(back["tcp_flags"] & SYN) != 0, "connection"].unique()
    failed = connections.isin(asked) & ~connections.isin(accepted)
    spoke = connections.isin(back["connection"].unique())
    data = connections.isin(segments.loc[segments["payload_bytes"] > 0, "connection"].unique())
    failed &= ~(data & spoke)
    return pd.Series(np.where(~failed, 1, np.where(spoke, 0, -1)), connections)


def _verdict(row: Mapping[Hashable, Any], opened: int) -> str:
    """What was wrong, in words; or that nothing was."""
    if opened < 1:
        return "refused" if opened == 0 else "no answer"
    said = ["the other side fell silent"] if row["silent"] else []
    percent = row["retransmitted_percent"]
    if percent >= _UNHEALTHY_PERCENT:
        said.append(f"{_short(percent)} % of data sent again")
    elif row["retransmitted"] > row["data_again"]:
        said.append("SYN or FIN sent again")
    for name, words in (
        ("lost_segment", "gaps in the capture"),
        ("out_of_order", "segments out of order"),
        ("zero_window", "receiver full (zero window)"),
        ("window_full", "limited by the receive window"),
    ):
        if row[name]:
            said.append(words)
    if row["close"] == "reset":
        said.append("reset")
    return ", ".join(said) or "healthy"


def _short(percent: float) -> str:
    """Two significant digits, without an exponent."""
    return f"{percent:.2g}" if percent < 99.5 else f"{percent:.0f}"
