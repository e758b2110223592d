"""Echo requests and their replies, as the host that asks sees them."""

from __future__ import annotations

import pandas as pd

COLUMNS = (
    "frame",
    "eth_src",
    "eth_dst",
    "ip_src",
    "ip_dst",
    "icmp_type",
    "icmp_id",
    "icmp_seq",
)
"""What `packets` must contain, besides ``time_s``."""

_REQUESTS, _REPLIES = (8, 128), (0, 129)
"""ICMP types, of IPv4 and IPv6."""


def pings(packets: pd.DataFrame, address: str) -> pd.DataFrame:
    """One row an echo request that a host sent.

    Args:
        packets: of the host's own interface, with `COLUMNS`.
        address: the host's.

    Returns:
        ``frame``, ``time_s`` of sending, ``ip_src``, ``ip_dst``, ``icmp_id``, ``icmp_seq``,
        ``rtt_ms`` (null: never answered), ``lost``, ``first`` (True for the first of a series).
    """
    keys = ["peer", "icmp_id", "icmp_seq"]
    sent = packets[packets["icmp_type"].isin(_REQUESTS) & (packets["ip_src"] == address)]
    got = packets[packets["icmp_type"].isin(_REPLIES) & (packets["ip_dst"] == address)]
    columns = ["frame", "time_s", "ip_src", "ip_dst", "icmp_id", "icmp_seq"]
    asked = sent[columns].astype({"ip_src": "string", "ip_dst": "string"})
    answered = got.astype({"ip_src": "string"}).drop_duplicates(["ip_src", *keys[1:]])
    answers = answered[["ip_src", "icmp_id", "icmp_seq", "time_s"]].rename(
        columns={"ip_src": "peer", "time_s": "reply_s"}
    )
    found = asked.assign(peer=asked["ip_dst"]).merge(answers, on=keys, how="left")
    found["rtt_ms"] = (found["reply_s"] - found["time_s"]) * 1e3
    found["lost"] = found["rtt_ms"].isna()
    found["first"] = ~found.duplicated(["icmp_id", "ip_dst"])
    return found.drop(columns=["peer", "reply_s"])


def lost_percent(table: pd.DataFrame) -> float:
    """Share of the requests that were never answered; NaN if there were none."""
    return float(100 * table["lost"].mean()) if len(table) else float("nan")


def outage_s(table: pd.DataFrame, failed_s: float) -> float:
    """From a failure to the first request behind the last loss, in seconds; 0 if none was lost.

    If the last request was lost too, the outage lasts at least to the end: infinite.
    """
    lost = table[table["lost"] & (table["time_s"] >= failed_s - 1.0)]
    if lost.empty:
        return 0.0
    later = table[table["time_s"] > lost["time_s"].max()]
    return float(later["time_s"].min() - failed_s) if len(later) else float("inf")
