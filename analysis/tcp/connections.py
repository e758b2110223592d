"""What each TCP connection did: one row a connection and side, rates over time, states."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.bins import of_times
from analysis.tcp.coverage import new_bytes_of_streams
from analysis.tcp.flows import ACK, FIN, RST, SYN

COUNTED = (
    "retransmission",
    "fast_retransmission",
    "timeout_retransmission",
    "spurious_retransmission",
    "out_of_order",
    "lost_segment",
    "ack_lost_segment",
    "duplicate_ack",
    "zero_window",
    "zero_window_probe",
    "window_full",
    "keep_alive",
)


def connections(packets: pd.DataFrame, segments: pd.DataFrame) -> pd.DataFrame:
    """Sums up connections.

    Args:
        packets: the capture.
        segments: `analyse(packets)`.

    Returns:
        one row a connection and side that sent something:

        - ``connection``, ``side``, ``src``, ``sport``, ``dst``, ``dport``
        - ``first_ns``, ``last_ns``, ``segments``, ``wire_bytes``, ``payload_bytes``,
          ``unique_bytes`` (each byte once)
        - counts of each kind in `COUNTED`
        - ``mss_bytes``, ``window_shift``, ``sack_permitted``, ``timestamps``: as offered
        - ``handshake_rtt_ns``: SYN to the ACK that completes the handshake, null if not seen
        - ``rtt_min_ns``, ``rtt_median_ns``, ``rtt_max_ns``: of unambiguous ACKs this side got
        - ``max_in_flight_bytes``, ``max_window_bytes``
        - ``goodput_mbps`` (unique bytes), ``throughput_mbps`` (wire bytes) over its lifetime
        - ``close``: ``fin`` (both sides finished), ``half`` (one), ``reset``, ``open``
    """
    keys = ["connection", "side"]
    groups = segments.groupby(keys, sort=True)
    table = groups.agg(
        first_ns=("time_ns", "min"),
        last_ns=("time_ns", "max"),
        segments=("frame", "size"),
        payload_bytes=("payload_bytes", "sum"),
        max_in_flight_bytes=("bytes_in_flight", "max"),
        max_window_bytes=("window_bytes", "max"),
        **{name: (name, "sum") for name in COUNTED},
    )
    wire_bytes = packets["wire_bytes"].loc[segments.index]
    sums = wire_bytes.groupby([segments[key] for key in keys]).sum()
    table.insert(list(table).index("payload_bytes"), "wire_bytes", sums)
    table = _ends(packets, segments).join(table, how="right")
    table["unique_bytes"] = _unique_bytes(segments).reindex(table.index, fill_value=0)
    table = table.join(_offers(packets, segments))
    table = table.join(_rtts(segments))
    table["handshake_rtt_ns"] = (
        _handshake(segments).reindex(table.index.get_level_values("connection")).array
    )
    seconds = (table["last_ns"] - table["first_ns"]).where(lambda ns: ns > 0) / 1e9
    table["goodput_mbps"] = table["unique_bytes"] * 8 / 1e6 / seconds
    table["throughput_mbps"] = table["wire_bytes"] * 8 / 1e6 / seconds
    table["close"] = _closes(segments).reindex(table.index.get_level_values("connection")).array
    return table.reset_index()


def _ends(packets: pd.DataFrame, segments: pd.DataFrame) -> pd.DataFrame:
    """Addresses and ports of each connection and side that sent something."""
    first = segments[["connection", "side"]].drop_duplicates()
    ends = packets.loc[first.index, ["ip_src", "tcp_sport", "ip_dst", "tcp_dport"]]
    ends = ends.set_axis(["src", "sport", "dst", "dport"], axis=1)
    return ends.set_index([first["connection"], first["side"]])


def _unique_bytes(segments: pd.DataFrame) -> pd.Series:
    """Payload bytes of each side, every sequence number counted once."""
    keys = [segments["connection"], segments["side"]]
    return _new_bytes(segments).groupby(keys).sum().rename("unique_bytes")


def _new_bytes(segments: pd.DataFrame) -> pd.Series:
    """Payload bytes that each segment is the first to bring."""
    new = np.zeros(len(segments), np.int64)
    has_data = (segments["payload_bytes"] > 0).to_numpy(bool)
    data = segments.loc[has_data, ["connection", "side", "seq", "payload_bytes"]]
    streams = data.groupby(["connection", "side"], observed=True).ngroup()
    stream = streams.to_numpy().astype(np.int64)
    seq = data["seq"].to_numpy(np.int64)
    end = seq + data["payload_bytes"].to_numpy(np.int64)
    new[has_data] = new_bytes_of_streams(stream, seq, end)
    return pd.Series(new, segments.index)


def _offers(packets: pd.DataFrame, segments: pd.DataFrame) -> pd.DataFrame:
    """What each side offered in its SYN."""
    opening = segments[(segments["tcp_flags"] & SYN) != 0]
    offered = packets.loc[
        opening.index, ["tcp_mss", "tcp_wscale", "tcp_sack_permitted", "tcp_tsval"]
    ].assign(connection=opening["connection"], side=opening["side"])
    first = offered.groupby(["connection", "side"]).first()
    return pd.DataFrame(
        {
            "mss_bytes": first["tcp_mss"],
            "window_shift": first["tcp_wscale"],
            "sack_permitted": first["tcp_sack_permitted"].fillna(False).astype(bool),
            "timestamps": first["tcp_tsval"].notna(),
        }
    )


def _rtts(segments: pd.DataFrame) -> pd.DataFrame:
    """RTTs of the side whose data were acknowledged: the opposite of the ACK's."""
    known = segments["ack_rtt_ns"].notna() & ~segments["ack_rtt_ambiguous"]
    good = segments.loc[known, ["connection", "side", "ack_rtt_ns"]]
    rtt = pd.DataFrame(
        {
            "rtt": good["ack_rtt_ns"].astype("int64"),
            "connection": good["connection"],
            "side": 1 - good["side"],
        }
    ).groupby(["connection", "side"])["rtt"]
    return pd.DataFrame(
        {"rtt_min_ns": rtt.min(), "rtt_median_ns": rtt.median(), "rtt_max_ns": rtt.max()}
    )


def _handshake(segments: pd.DataFrame) -> pd.Series:
    """ns from the last SYN before the first pure ACK to that ACK, by connection."""
    flags = segments["tcp_flags"]
    segments = segments[["connection", "time_ns"]]
    answer = segments[(flags & (SYN | ACK)) == ACK].groupby("connection")["time_ns"].min()
    opening = segments[(flags & (SYN | ACK)) == SYN]
    opening = opening[opening["time_ns"] <= opening["connection"].map(answer)]
    last = opening.groupby("connection")["time_ns"].max()
    return (answer.reindex(last.index) - last).astype("Int64")


def _closes(segments: pd.DataFrame) -> pd.Series:
    flags = segments["tcp_flags"]
    connections_ = pd.Index(segments["connection"].unique(), name="connection")
    finished = segments[(flags & FIN) != 0].groupby("connection")["side"].nunique()
    finished = finished.reindex(connections_, fill_value=0)
    reset = pd.Series(
        connections_.isin(segments.loc[(flags & RST) != 0, "connection"]), connections_
    )
    names = np.select([reset, finished == 2, finished == 1], ["reset", "fin", "half"], "open")
    return pd.Series(names, connections_)


def rates(segments: pd.DataFrame, packets: pd.DataFrame, bin_s: float = 1.0) -> pd.DataFrame:
    """Goodput and throughput over time.

    Args:
        segments: `analyse(packets)`.
        packets: the capture.
        bin_s: width of the time bins in seconds.

    Returns:
        ``connection``, ``side``, ``start_s`` (since the first segment), ``throughput_mbps`` (wire
        bytes), ``goodput_mbps`` (payload bytes, each when it was first seen); bins
        in which nothing was sent hold 0.

    Raises:
        ConfigError: no sensible width for this capture.
    """
    if segments.empty:
        empty = pd.Series(dtype="float64")
        return pd.DataFrame(
            {
                "connection": [],
                "side": [],
                "start_s": empty,
                "throughput_mbps": empty,
                "goodput_mbps": empty,
            }
        )
    which = segments.groupby(["connection", "side"]).ngroup().to_numpy()
    sides = segments[["connection", "side"]].drop_duplicates().sort_values(["connection", "side"])
    number, bins = of_times(segments["time_ns"], bin_s, len(sides))
    cell = which * bins + number
    wire = packets.loc[segments.index, "wire_bytes"].to_numpy(np.float64)
    octets = [
        np.bincount(cell, values, minlength=bins * len(sides))
        for values in (wire, _new_bytes(segments).to_numpy())
    ]
    scale = 8 / 1e6 / bin_s
    return pd.DataFrame(
        {
            "connection": np.repeat(sides["connection"].to_numpy(), bins),
            "side": np.repeat(sides["side"].to_numpy(), bins),
            "start_s": np.tile(np.arange(bins) * bin_s, len(sides)),
            "throughput_mbps": octets[0] * scale,
            "goodput_mbps": octets[1] * scale,
        }
    )
