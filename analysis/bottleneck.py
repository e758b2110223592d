"""A bottleneck's queue from two captures: packets that arrive, and packets that leave it."""

from __future__ import annotations

import numpy as np
import pandas as pd

_KEY = ["ip_src", "ip_dst", "tcp_sport", "tcp_dport", "tcp_seq", "ip_id", "tcp_payload_bytes"]


def passage(arrivals: pd.DataFrame, departures: pd.DataFrame) -> pd.DataFrame:
    """Each packet's way through a queue.

    Args:
        arrivals: packets on their way into the queue (one or more captures, with ``time_s``).
        departures: packets seen as they leave it.

    Returns:
        One row an arrival, in order: time_s, flow_src, frame (of the arrival), out_frame,
        wire_bytes, delay_s (null if dropped), dropped, marked (CE set on the way).
        Packets that arrive after the last departure are left out: their fate is unknown.
    """
    left, right = _numbered(arrivals), _numbered(departures)
    right = right.rename(columns={"time_s": "out_s", "frame": "out_frame", "ip_ecn": "out_ecn"})
    keep = [*_KEY, "nth", "out_s", "out_frame", "out_ecn"]
    merged = left.merge(right[keep], on=[*_KEY, "nth"], how="left").sort_values(
        ["time_s", "frame"], kind="stable"
    )
    last = right["out_s"].max() if len(right) else -np.inf
    merged = merged[merged["out_s"].notna() | (merged["time_s"] < last)]
    delay = merged["out_s"] - merged["time_s"]
    return pd.DataFrame(
        {
            "time_s": merged["time_s"],
            "flow_src": merged["ip_src"].astype(str),
            "frame": merged["frame"],
            "out_frame": merged["out_frame"].astype("Int64"),
            "wire_bytes": merged["wire_bytes"],
            "delay_s": delay,
            "dropped": delay.isna(),
            "marked": (merged["out_ecn"] == 3) & (merged["ip_ecn"] != 3),
        }
    ).reset_index(drop=True)


def _numbered(packets: pd.DataFrame) -> pd.DataFrame:
    """The packets with their keys as plain columns, like ones counted."""
    columns = [*_KEY, "time_s", "frame", "wire_bytes", "ip_ecn"]
    plain = packets.loc[:, columns].copy()
    for column in ("ip_src", "ip_dst"):
        plain[column] = plain[column].astype(str)
    plain["nth"] = plain.groupby(_KEY, sort=False).cumcount()
    return plain


def queue_length(passages: pd.DataFrame) -> pd.DataFrame:
    """The queue's length after each change.

    Returns:
        time_s, length_pkts, length_bytes; one row an arrival or departure.
    """
    stayed = passages[~passages["dropped"]]
    changes = pd.concat(
        [
            pd.DataFrame({"time_s": stayed["time_s"], "step": 1, "bytes": stayed["wire_bytes"]}),
            pd.DataFrame(
                {
                    "time_s": stayed["time_s"] + stayed["delay_s"],
                    "step": -1,
                    "bytes": -stayed["wire_bytes"].astype("int64"),
                }
            ),
        ]
    ).sort_values("time_s", kind="stable")
    return pd.DataFrame(
        {
            "time_s": changes["time_s"].to_numpy(),
            "length_pkts": changes["step"].cumsum().to_numpy(),
            "length_bytes": changes["bytes"].cumsum().to_numpy(),
        }
    )


def time_average(series: pd.DataFrame, column: str, start_s: float, end_s: float) -> float:
    """Mean over time of a value that holds until the next row; NaN without data."""
    times = series["time_s"].to_numpy()
    values = series[column].to_numpy(float)
    low, high = np.searchsorted(times, [start_s, end_s])
    if high <= low or end_s <= start_s:
        return float("nan")
    edges = np.concatenate([[start_s], times[low:high], [end_s]])
    held = np.concatenate([[values[low - 1] if low else 0.0], values[low:high]])
    return float(np.sum(np.diff(edges) * held) / (end_s - start_s))
