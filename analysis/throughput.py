"""How much flows carried: goodput (application bytes) and throughput (wire bytes) over time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.cwnd import unwrap
from analysis.tcp.coverage import new_bytes

ETHERNET_BYTES, IPV4_BYTES, TCP_BYTES, TIMESTAMPS_BYTES = 14, 20, 20, 12


def arrivals(packets: pd.DataFrame, source: str, sport: int) -> pd.DataFrame:
    """What a receiver got of one flow, each byte counted once.

    Args:
        packets: capture at the receiving side.
        source, sport: the sending socket.

    Returns:
        time_s, new_bytes (payload never seen before, at the time it first arrived), wire_bytes.
    """
    mine = packets[(packets["ip_src"] == source) & (packets["tcp_sport"] == sport)]
    mine = mine[mine["tcp_payload_bytes"] > 0]
    seq = unwrap(mine["tcp_seq"]).astype(np.int64)
    end = seq + mine["tcp_payload_bytes"].to_numpy(np.int64)
    return pd.DataFrame(
        {
            "time_s": mine["time_s"].to_numpy(),
            "new_bytes": new_bytes(seq, end),
            "wire_bytes": mine["wire_bytes"].to_numpy(np.int64),
        }
    )


def rate_mbps(arrived: pd.DataFrame, column: str, start_s: float, end_s: float) -> float:
    """Mean rate in Mbit/s of `column` (bytes) in a window; NaN for an empty window."""
    if end_s <= start_s:
        return float("nan")
    inside = arrived[(arrived["time_s"] >= start_s) & (arrived["time_s"] < end_s)]
    return float(inside[column].sum() * 8 / (end_s - start_s) / 1e6)


def binned_mbps(arrived: pd.DataFrame, column: str, bin_s: float, end_s: float) -> pd.DataFrame:
    """The rate over time: time_s (middle of the bin), mbps."""
    edges = np.arange(0.0, end_s + bin_s, bin_s)
    total, _ = np.histogram(arrived["time_s"], bins=edges, weights=arrived[column])
    return pd.DataFrame({"time_s": edges[:-1] + bin_s / 2, "mbps": total * 8 / bin_s / 1e6})


def goodput_share(mss_bytes: int) -> float:
    """Payload per byte of Ethernet frame for full segments with timestamps (RFC 7323 §3.2)."""
    header = ETHERNET_BYTES + IPV4_BYTES + TCP_BYTES + TIMESTAMPS_BYTES
    return mss_bytes / (mss_bytes + header)


def jain(rates: list[float]) -> float:
    """Jain's fairness index of the rates: 1 for equal shares, 1/n if one has all."""
    values = np.asarray(rates, float)
    if not len(values) or not np.isfinite(values).all() or not values.any():
        return float("nan")
    return float(values.sum() ** 2 / (len(values) * (values**2).sum()))
