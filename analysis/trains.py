"""UDP packet trains: each datagram where it was sent, where it left a queue, where it arrived."""

from __future__ import annotations

import bisect
from collections.abc import Iterable

import numpy as np
import pandas as pd

ETHERNET_BYTES = 14
"""Of a header."""

HEADERS_BYTES = ETHERNET_BYTES + 20 + 8
"""Ethernet, IPv4 and UDP: what a link's rate counts besides the payload."""

COLUMNS = ("ip_src", "ip_id", "udp_sport", "ip_bytes")
"""What packets must have, besides ``time_s``."""

_IDS = 1 << 16


def frame_bytes(payload_bytes: int) -> int:
    """A datagram as a link's rate counts it."""
    return HEADERS_BYTES + payload_bytes


def frame_ns(size_bytes: int, rate_mbps: float) -> float:
    """Transmission time of a frame."""
    return size_bytes * 8e3 / rate_mbps


def seen(packets: pd.DataFrame, sport: int, first_id: int, t0_ns: int) -> pd.DataFrame:
    """A train's datagrams in a capture: number (0 for the first sent), time_ns, in capture order.

    Args:
        packets: a capture with `COLUMNS`.
        sport: the train's source port.
        first_id: IP identification of its first datagram.
        t0_ns: time zero. Nanoseconds since 1970 are more than a float can tell apart (it takes
            steps of 256), and tables with gaps become floats.
    """
    mine = packets[packets["udp_sport"] == sport]
    number = (mine["ip_id"].to_numpy(np.int64) - first_id) % _IDS
    return pd.DataFrame({"number": number, "time_ns": mine["time_ns"].to_numpy() - t0_ns})


def first_id(packets: pd.DataFrame, sport: int) -> int | None:
    """IP identification of a train's first datagram, which no queue drops; None if it is gone."""
    mine = packets.loc[packets["udp_sport"] == sport, "ip_id"]
    return int(mine.iloc[0]) if len(mine) else None


def passage(sent_ns: Iterable[int], left: pd.DataFrame, arrived: pd.DataFrame) -> pd.DataFrame:
    """One row a datagram sent: number, sent_ns, left_ns, arrived_ns (Int64, null: never), copies.

    Args:
        sent_ns: when the program handed each over, since the same time zero as the others.
        left, arrived: of `seen`, where the sender's queue lets go and where the receiver gets it.
    """
    table = pd.DataFrame({"sent_ns": np.array(list(sent_ns), np.int64)})
    table.insert(0, "number", np.arange(len(table)))
    for name, frame in (("left_ns", left), ("arrived_ns", arrived)):
        first = frame.drop_duplicates("number").set_index("number")["time_ns"]
        table[name] = table["number"].map(first).astype("Int64")
    copies = arrived["number"].value_counts()
    table["copies"] = table["number"].map(copies).fillna(0).astype(int)
    return table


def ideal_fifo(arriving_ns: Iterable[int], service_ns: float, limit_pkts: int) -> np.ndarray:
    """When a drop-tail queue lets each packet of one size go; NaN for those it drops.

    One packet is in transmission and at most `limit_pkts` wait. The time is that of the
    transmission's start, which is when a capture sees a packet leave.
    """
    leaving: list[float] = []  # of the accepted ones; increasing
    found = []
    for now in arriving_ns:
        waiting = len(leaving) - bisect.bisect_right(leaving, now)
        if waiting >= limit_pkts:
            found.append(np.nan)
            continue
        leaving.append(max(float(now), leaving[-1] + service_ns) if leaving else float(now))
        found.append(leaving[-1])
    return np.array(found)


def ideal_wire(
    left_ns: Iterable[int], frame_bytes: Iterable[int], rate_mbps: float, delay_ms: float
) -> np.ndarray:
    """When packets arrive: each waits for the one before, is transmitted, then propagates.

    Args:
        left_ns: when the sender let each go, in that order.
        frame_bytes: size of each, as the link's rate counts it.
        rate_mbps, delay_ms: of the link.
    """
    free_ns, found = -np.inf, []
    for now_ns, size in zip(left_ns, frame_bytes, strict=True):
        free_ns = max(float(now_ns), free_ns) + frame_ns(size, rate_mbps)
        found.append(free_ns + delay_ms * 1e6)
    return np.array(found)


def queue_violations(passed: pd.DataFrame, limit_pkts: int, by_ns: pd.Series | None = None) -> int:
    """Packets dropped though there was room, and accepted though there was none.

    Needs no model of the times: how many waited is counted from what was accepted and had not
    left. Where a packet leaves at the very moment another comes, either order is right.

    Args:
        passed: of `passage`.
        limit_pkts: how many may wait.
        by_ns: when each had surely come to the queue; at once, if not given.
    """
    leaving: list[int] = []  # of the accepted ones; increasing
    wrong = 0
    by_ns = passed["sent_ns"] if by_ns is None else by_ns
    for sent_ns, latest_ns, left_ns in zip(
        passed["sent_ns"], by_ns, passed["left_ns"], strict=True
    ):
        least = len(leaving) - bisect.bisect_right(leaving, latest_ns)
        most = len(leaving) - bisect.bisect_left(leaving, sent_ns)
        if pd.isna(left_ns):
            wrong += most < limit_pkts
        else:
            wrong += least >= limit_pkts
            leaving.append(left_ns)
    return int(wrong)


def rate_mbps(times_ns: pd.Series, size_bytes: int) -> float:
    """Rate of back-to-back frames from their times; NaN for fewer than two."""
    known = times_ns.dropna()
    if len(known) < 2:
        return float("nan")
    return (len(known) - 1) * size_bytes * 8e3 / float(known.max() - known.min())


def stalls_met_us(stalls: pd.DataFrame, left_ns: pd.Series, arrived_ns: pd.Series) -> np.ndarray:
    """For each packet, the longest stall of the host while it was on the wire.

    Args:
        stalls: of `ScenarioData.stalls`.
        left_ns, arrived_ns: since the same time zero; one that never arrived met none.
    """
    worst = np.zeros(len(left_ns))
    left, arrived = (
        t.astype("Float64").to_numpy(float, na_value=np.nan) for t in (left_ns, arrived_ns)
    )
    times = stalls[["began_ns", "ended_ns", "longest_ns"]].to_numpy(float)
    for began_ns, ended_ns, longest_ns in times:
        met = (left < ended_ns) & (arrived > began_ns)
        worst[met] = np.maximum(worst[met], longest_ns / 1e3)
    return worst
