"""Echo requests and their replies in a capture at the asking host."""

from __future__ import annotations

import pandas as pd

_REQUEST, _REPLY = (8, 128), (0, 129)


def echoes(packets: pd.DataFrame) -> pd.DataFrame:
    """One row a request, in order.

    Args:
        packets: ``time_s``, ``frame``, ``icmp_type``, ``icmp_id``, ``icmp_seq``.

    Returns:
        ``time_s``, ``frame``, ``icmp_id``, ``icmp_seq``, ``rtt_ms`` (missing if lost), ``lost``.
    """
    keys = ["icmp_id", "icmp_seq"]
    asked = packets[packets["icmp_type"].isin(_REQUEST)][["time_s", "frame", *keys]]
    answers = packets[packets["icmp_type"].isin(_REPLY)][["time_s", *keys]]
    answers = answers.drop_duplicates(keys).rename(columns={"time_s": "answered_s"})
    found = asked.merge(answers, how="left", on=keys)
    found["rtt_ms"] = (found["answered_s"] - found["time_s"]) * 1e3
    found["lost"] = found["answered_s"].isna()
    return found.drop(columns="answered_s")


def outage(found: pd.DataFrame, failed_s: float) -> float:
    """From a failure to the first request behind the last loss, in seconds; 0 if none was lost.

    If the last request was lost too, the outage lasts at least to the end: infinite.
    """
    lost = found[found["lost"] & (found["time_s"] >= failed_s - 1.0)]
    if lost.empty:
        return 0.0
    later = found[found["time_s"] > lost["time_s"].max()]
    return float(later["time_s"].min() - failed_s) if len(later) else float("inf")
