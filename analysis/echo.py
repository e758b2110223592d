"""Echo requests and their replies, as the host that asks sees them."""

from __future__ import annotations

import pandas as pd

COLUMNS = (
    "frame", "eth_src", "eth_dst", "ip_src", "ip_dst", "icmp_type", "icmp_id", "icmp_seq",
)  # fmt: skip
"""What `packets` must hold, beside ``time_s``."""

_REQUEST, _REPLY = 8, 0


def pings(packets: pd.DataFrame, address: str) -> pd.DataFrame:
    """One row an echo request that a host sent.

    Args:
        packets: of the host's own interface, with `COLUMNS`.
        address: the host's.

    Returns:
        ``frame``, ``time_s`` of sending, ``ip_src``, ``ip_dst``, ``icmp_id``, ``icmp_seq``,
        ``rtt_ms`` (null: never answered), ``first`` (True for the first of a series).
    """
    keys = ["peer", "icmp_id", "icmp_seq"]
    sent = packets[(packets["icmp_type"] == _REQUEST) & (packets["ip_src"] == address)]
    got = packets[(packets["icmp_type"] == _REPLY) & (packets["ip_dst"] == address)]
    columns = ["frame", "time_s", "ip_src", "ip_dst", "icmp_id", "icmp_seq"]
    asked = sent[columns].astype({"ip_src": "string", "ip_dst": "string"})
    answered = got.astype({"ip_src": "string"}).drop_duplicates(["ip_src", *keys[1:]])
    answers = answered[["ip_src", "icmp_id", "icmp_seq", "time_s"]].rename(
        columns={"ip_src": "peer", "time_s": "reply_s"}
    )
    found = asked.assign(peer=asked["ip_dst"]).merge(answers, on=keys, how="left")
    found["rtt_ms"] = (found["reply_s"] - found["time_s"]) * 1e3
    found["first"] = ~found.duplicated(["icmp_id", "ip_dst"])
    return found.drop(columns=["peer", "reply_s"])


def lost_percent(table: pd.DataFrame) -> float:
    """Share of the requests that were never answered; NaN if there were none."""
    return float(100 * table["rtt_ms"].isna().mean()) if len(table) else float("nan")
