"""Packets of an experiment's steps together with what the TCP analysis says of each segment."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import tcp

COLUMNS = tcp.NEEDED
"""Packet columns that `segments` needs."""

SYN, FIN, RST = 2, 1, 4

_KEPT = (
    *(
        "capture",
        "step",
        "frame",
        "time_s",
        "time_ns",
        "ip_src",
        "ip_dst",
        "tcp_sport",
        "tcp_dport",
    ),
    *("tcp_flags", "tcp_ack", "tcp_wscale", "tcp_sack_count", "payload"),
    *(f"tcp_sack{i}_{side}" for i in (1, 2, 3) for side in ("left", "right")),
)
"""Columns of packets that stay: claims pick from a table again and again."""


def segments(packets: pd.DataFrame) -> pd.DataFrame:
    """TCP segments with relative sequence numbers and their kinds.

    Args:
        packets: of several captures, with ``capture`` and the columns `COLUMNS`.

    Returns:
        the packets' place, time, addresses, ports, flags and SACK blocks; ``seq``, ``ack`` and
        ``window_bytes`` of `analysis.tcp.analyse` (counted from the handshake, so that the first
        byte of data is 1); ``payload_bytes``; ``end``, the number behind the last byte (SYN and FIN
        count one).
    """
    parts = []
    for _, seen in packets.groupby("capture", sort=False):
        found = tcp.analyse(seen)
        kept = seen.loc[found.index, [name for name in _KEPT if name in seen]]
        sizes = seen.loc[found.index, "tcp_payload_bytes"].astype("int64").rename("payload_bytes")
        parts.append(kept.join([sizes, found[["seq", "ack", "window_bytes"]]]))
    both = pd.concat(parts, ignore_index=True)
    control = (both["tcp_flags"].astype("int64") & (SYN | FIN)) != 0
    return both.assign(end=both["seq"] + both["payload_bytes"] + control)


def data(segments: pd.DataFrame, source: str) -> pd.DataFrame:
    """Segments with data that one address sent."""
    mine = (segments["ip_src"] == source) & (segments["payload_bytes"] > 0)
    return segments[mine].reset_index(drop=True)


def pure_acks(segments: pd.DataFrame, source: str) -> pd.DataFrame:
    """Segments of one address that carry an acknowledgement and nothing else."""
    control = (segments["tcp_flags"].astype("int64") & (SYN | FIN | RST)) != 0
    mine = (segments["ip_src"] == source) & (segments["payload_bytes"] == 0) & ~control
    return segments[mine].reset_index(drop=True)


def acknowledged(segments: pd.DataFrame, sent: pd.DataFrame, source: str) -> pd.Series[float]:
    """What had been acknowledged at the sender when each of its segments left.

    Args:
        segments: one connection, captured at the sender.
        sent: those of its segments to look at.
        source: the sender's address.

    Returns:
        The highest acknowledgement number before each, with the index of `sent`; 0 before any.
    """
    back = segments[(segments["ip_dst"] == source) & segments["ack"].notna()]
    highest = np.concatenate([[0.0], back["ack"].astype(float).cummax()])
    at = np.searchsorted(back["frame"].to_numpy(), sent["frame"].to_numpy())
    return pd.Series(highest[at], index=sent.index)
