"""Flow metrics: sums, rates, gaps, and two capture points of the same network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import flows, packets, tcp
from testbed.core.errors import ConfigError
from tests.unit.segments import data, segments

OPTIONS = [name for name, column in packets.COLUMNS.items() if "option" in column.meaning]
OPTIONS += [name for name in packets.COLUMNS if name.startswith("tcp_sack")]
CAPTURES = Path(__file__).parents[1] / "captures"


@pytest.fixture(scope="module")
def sender() -> pd.DataFrame:
    table = packets.read(CAPTURES / "tcp-sender.pcap.gz")
    return table[table.protocol == "TCP"]  # without the neighbours' discovery


@pytest.fixture(scope="module")
def receiver() -> pd.DataFrame:
    table = packets.read(CAPTURES / "tcp-receiver.pcap.gz")
    return table[table.protocol == "TCP"]


def test_flows_add_up(sender: pd.DataFrame) -> None:
    got = flows.flows(sender)
    ip = sender[sender.ip_src.notna()]
    assert got.packets.sum() == len(ip)
    assert got.wire_bytes.sum() == ip.wire_bytes.sum()
    assert len(got) == 6  # three connections, two directions each
    one = got.iloc[0]
    mine = ip[(ip.ip_src == one.src) & (ip.tcp_sport == one.sport)]
    assert one.packets == len(mine)


def test_conversations_hold_both_directions(sender: pd.DataFrame) -> None:
    got = flows.flows(sender, both_ways=True)
    assert len(got) == 3
    assert set(got.dport) == {5201}
    one_way = flows.flows(sender)
    back = one_way[one_way.sport == 5201].packets.sum()
    assert got.packets_back.sum() == back


def test_flows_without_ports() -> None:
    got = flows.flows(packets.read(CAPTURES / "layers.pcap"))
    ospf = got[got.protocol == "OSPF"].iloc[0]
    assert pd.isna(ospf.sport)
    assert pd.isna(ospf.throughput_mbps)
    assert set(got.protocol) >= {"TCP", "UDP", "ICMP", "ICMPv6", "OSPF"}


def test_rates_add_up(sender: pd.DataFrame) -> None:
    table = flows.with_flow(sender)
    got = flows.rates(table, bin_s=0.1)
    assert (got.throughput_mbps * 1e6 / 8 * 0.1).sum() == pytest.approx(table.wire_bytes.sum())
    assert got.packets.sum() == len(table)
    assert got.groupby("flow").size().nunique() == 1  # empty bins are there too
    for wrong in (0, -1):
        with pytest.raises(ConfigError, match="bin_s"):
            flows.rates(table, bin_s=wrong)


def test_gaps(sender: pd.DataFrame) -> None:
    table = flows.with_flow(sender)
    gaps = flows.gaps_ns(table)
    assert gaps.isna().sum() == table.flow.nunique()
    assert (gaps.dropna() >= 0).all()


def test_packets_are_found_behind_the_router(sender: pd.DataFrame, receiver: pd.DataFrame) -> None:
    """The router changed TTL and MAC addresses; what it did not drop is there, later."""
    ahead = sender[sender.ip_src == "10.1.0.1"]
    end = int(receiver.time_ns.max())
    got = flows.match(ahead, receiver)
    assert len(got) == len(ahead)
    seen = got.dropna()
    assert (seen.delay_ns > 0).all()
    pairs = receiver.set_index("frame").loc[seen.frame_after.astype(int)]
    sent = sender.set_index("frame").loc[seen.frame_before]
    assert pairs.tcp_seq.tolist() == sent.tcp_seq.tolist()
    assert (pairs.ip_ttl.to_numpy() == sent.ip_ttl.to_numpy() - 1).all()
    assert seen.frame_after.is_unique
    lost = flows.loss(got, end)
    assert 0.1 < lost < 0.4  # two flows into a buffer of eight packets
    queue = flows.queueing_delay_ns(got).dropna()
    assert queue.min() == 0
    assert queue.max() < 40e6  # 12 kB at 5 Mbit/s take 19 ms, and the scheduler's delay


def test_nothing_is_lost_to_oneself(sender: pd.DataFrame) -> None:
    got = flows.match(sender, sender)
    assert (got.delay_ns == 0).all()
    assert flows.loss(got, int(sender.time_ns.max())) == 0.0


def test_a_dropped_packet_is_the_one_lost(sender: pd.DataFrame) -> None:
    ip = sender[sender.ip_src.notna()]
    after = ip.drop(index=ip.index[100]).assign(time_ns=lambda t: t.time_ns + 5_000_000)
    got = flows.match(ip, after)
    assert got.frame_before[got.frame_after.isna()].tolist() == [ip.frame.iloc[100]]
    assert np.all(got.delay_ns.dropna() == 5_000_000)


def test_missing_column_is_named(sender: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match="column 'ip_id' is missing"):
        flows.match(sender.drop(columns="ip_id"), sender)


@pytest.mark.parametrize("last_ns", [10**18, 2**62, -(2**63)])
def test_times_that_lie_get_one_line_and_no_memory(last_ns: int) -> None:
    table = segments(*(data(0, 100 * n, b"x" * 100) for n in range(3)))
    table["time_ns"] = [2**62 - 1, 0, last_ns]
    table = table.assign(wire_bytes=154, protocol="TCP", tcp_window=1, **dict.fromkeys(OPTIONS))
    with pytest.raises(ConfigError, match="bins in this capture; choose a larger one"):
        tcp.rates(tcp.analyse(table), table)
    with pytest.raises(ConfigError, match="bins in this capture; choose a larger one"):
        flows.rates(flows.with_flow(table))
