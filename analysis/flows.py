"""Flows of any kind of packet: sums, rates, gaps, and what happens between two capture points."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.bins import of_times
from analysis.packets.columns import need

FIVE_TUPLE = ("protocol", "src", "sport", "dst", "dport")

NEEDED = (
    "frame",
    "time_ns",
    "wire_bytes",
    "protocol",
    "ip_src",
    "ip_dst",
    "tcp_sport",
    "tcp_dport",
    "udp_sport",
    "udp_dport",
)
"""Packet columns that `flows` reads."""

MATCHED = (
    "frame",
    "time_ns",
    "ip_version",
    "ip_src",
    "ip_dst",
    "ip_proto",
    "ip_id",
    "ip_offset_bytes",
    "ip_bytes",
    "udp_sport",
    "udp_dport",
    "tcp_sport",
    "tcp_dport",
    "tcp_seq",
    "tcp_ack",
    "tcp_flags",
    "tcp_tsval",
    "icmp_type",
    "icmp_code",
    "icmp_id",
    "icmp_seq",
)
"""Packet columns that `match` compares: what a router leaves as it is (not TTL, MAC, DSCP)."""


def with_flow(packets: pd.DataFrame, both_ways: bool = False) -> pd.DataFrame:
    """IP packets with the columns of `FIVE_TUPLE` and ``flow``, a number from 0.

    Args:
        packets: with the columns `NEEDED`.
        both_ways: packets back belong to the flow of the first packet between the two sockets.

    Raises:
        ConfigError: a column is missing.
    """
    need(packets, NEEDED)
    chosen = packets[packets["ip_src"].notna()]
    table = chosen.assign(
        src=chosen["ip_src"],
        dst=chosen["ip_dst"],
        sport=chosen["tcp_sport"].fillna(chosen["udp_sport"]).astype("Int32"),
        dport=chosen["tcp_dport"].fillna(chosen["udp_dport"]).astype("Int32"),
    )
    one = _socket(table["src"], table["sport"])
    two = _socket(table["dst"], table["dport"])
    _, codes = np.unique(np.concatenate([one, two]), return_inverse=True)
    a, b = codes[: len(table)].astype(np.int64), codes[len(table) :].astype(np.int64)
    if both_ways:
        a, b = np.minimum(a, b), np.maximum(a, b)
    protocol = pd.factorize(table["protocol"])[0].astype(np.int64)
    table["flow"] = pd.factorize((a * (len(codes) + 1) + b) * 64 + protocol)[0]
    return table


def _socket(address: pd.Series, port: pd.Series) -> npt.NDArray[np.uint64]:
    """One number an address and port; addresses by their text's hash, equal in both columns."""
    texts = address.astype("category")
    hashes = pd.util.hash_array(np.asarray(texts.cat.categories, dtype=object))
    of_row: npt.NDArray[np.uint64] = hashes[texts.cat.codes.to_numpy()]
    number: npt.NDArray[np.uint64] = port.fillna(65_536).to_numpy(np.uint64)
    number += of_row * np.uint64(65_537)
    return number


def flows(packets: pd.DataFrame, both_ways: bool = False) -> pd.DataFrame:
    """Sums up flows.

    Args:
        packets: with the columns `NEEDED`.
        both_ways: one row a conversation instead of one a direction.

    Returns:
        one row a flow in the order of first packets: ``flow``, `FIVE_TUPLE` (of the first packet),
        ``packets``, ``wire_bytes``, ``first_ns``, ``last_ns``, ``duration_s``,
        ``throughput_mbps`` (null for a flow of one moment); ``packets_back`` with `both_ways`.
    """
    need(packets, NEEDED)
    table = with_flow(packets[list(NEEDED)], both_ways)
    groups = table.groupby("flow", sort=True)
    result = groups[list(FIVE_TUPLE)].first()
    result["packets"] = groups.size()
    result["wire_bytes"] = groups["wire_bytes"].sum().astype("int64")
    result["first_ns"], result["last_ns"] = groups["time_ns"].min(), groups["time_ns"].max()
    result["duration_s"] = (result["last_ns"] - result["first_ns"]) / 1e9
    seconds = result["duration_s"].where(result["duration_s"] > 0)
    result["throughput_mbps"] = result["wire_bytes"] * 8 / 1e6 / seconds
    if both_ways:
        first = table["flow"].map(result["src"].astype(object))
        port = table["flow"].map(result["sport"])
        ahead = (table["src"].astype(object) == first) & (
            table["sport"].fillna(-1) == port.fillna(-1)
        )
        result["packets_back"] = (~ahead).groupby(table["flow"]).sum()
    return result.reset_index()


def rates(packets: pd.DataFrame, bin_s: float = 1.0) -> pd.DataFrame:
    """Throughput of each flow over time.

    Args:
        packets: result of `with_flow`.
        bin_s: width of a bin in seconds.

    Returns:
        ``flow``, ``start_s`` (since the first packet), ``throughput_mbps``, ``packets``; empty bins
        hold 0.

    Raises:
        ConfigError: no sensible width for this capture.
    """
    if packets.empty:
        return pd.DataFrame(columns=["flow", "start_s", "throughput_mbps", "packets"])
    count = int(packets["flow"].max()) + 1
    number, bins = of_times(packets["time_ns"], bin_s, count)
    cell = packets["flow"].to_numpy(np.int64) * bins + number
    octets = np.bincount(cell, packets["wire_bytes"].to_numpy(), minlength=bins * count)
    return pd.DataFrame(
        {
            "flow": np.repeat(np.arange(count), bins),
            "start_s": np.tile(np.arange(bins) * bin_s, count),
            "throughput_mbps": octets * 8 / 1e6 / bin_s,
            "packets": np.bincount(cell, minlength=bins * count),
        }
    )


def gaps_ns(packets: pd.DataFrame) -> pd.Series:
    """Time since the flow's packet before, in ns; null for each flow's first.

    Args:
        packets: result of `with_flow`.
    """
    return packets.groupby("flow")["time_ns"].diff().astype("Int64")


def match(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Finds the packets of one capture point at another of the same network.

    A packet is known again by what routers do not change (`MATCHED`); the n-th packet with the same
    marks here is the n-th there. Packets that were lost between equal ones shift the count: where
    IP identification or TCP timestamps differ from packet to packet, as they do, none are equal.

    Args:
        before: capture nearer to the sender, with the columns `MATCHED`.
        after: capture nearer to the receiver.

    Returns:
        one row a packet of `before` whose source sends it there: ``frame_before``,
        ``frame_after`` (null: not seen), ``time_ns``, ``delay_ns`` (null: not seen).

    Raises:
        ConfigError: a column is missing.
    """
    tables = [_marked(side, name) for side, name in ((before, "before"), (after, "after"))]
    joined = tables[0].merge(tables[1], on=["mark", "repeat"], how="left")
    delay = joined["time_ns_after"] - joined["time_ns_before"]
    seen = joined["frame_after"].notna() & (delay >= 0).fillna(False).astype(bool)
    return pd.DataFrame(
        {
            "frame_before": joined["frame_before"],
            "frame_after": joined["frame_after"].astype("Int64").where(seen),
            "time_ns": joined["time_ns_before"],
            "delay_ns": delay.where(seen),
        }
    )


def _marked(packets: pd.DataFrame, name: str) -> pd.DataFrame:
    need(packets, MATCHED)
    chosen = packets[packets["ip_src"].notna()]
    mark = np.zeros(len(chosen), np.uint64)
    for column in MATCHED[2:]:
        values = chosen[column]
        if isinstance(values.dtype, pd.CategoricalDtype):
            texts = pd.util.hash_array(np.asarray(values.cat.categories, dtype=object))
            number = texts[values.cat.codes.to_numpy()]
        else:
            number = values.fillna(0).to_numpy(np.int64).view(np.uint64)
            number = number + values.isna().to_numpy() * np.uint64(1 << 40)
        mark = pd.util.hash_array(mark ^ (number * np.uint64(0x9E37_79B9_7F4A_7C15)))
    table = pd.DataFrame({"mark": mark}, index=chosen.index)
    table["repeat"] = table.groupby("mark").cumcount()
    table[f"frame_{name}"] = chosen["frame"]
    # Nullable, so that a packet not found does not turn all times into floats, which hold no ns of
    # today.
    table[f"time_ns_{name}"] = chosen["time_ns"].astype("Int64")
    return table


def loss(matched: pd.DataFrame, after_end_ns: int) -> float:
    """Share of packets lost between the two points.

    Args:
        matched: result of `match`.
        after_end_ns: when the second capture ended; packets sent within the largest delay before
            may still have been under way and do not count.

    Returns:
        lost packets by all that could have arrived; NaN if there were none.
    """
    longest = matched["delay_ns"].max()
    margin = 0 if pd.isna(longest) else int(longest)
    counted = matched[matched["time_ns"] <= after_end_ns - margin]
    return float(counted["frame_after"].isna().mean()) if len(counted) else float("nan")


def queueing_delay_ns(matched: pd.DataFrame) -> pd.Series[int]:
    """Delay above the smallest one seen: what queues between the points added, in ns."""
    delay: pd.Series[int] = matched["delay_ns"]
    return delay - delay.min()
