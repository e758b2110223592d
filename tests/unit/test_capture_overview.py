"""Statistics of captures: protocols, hosts, time, health of TCP, and what is odd."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

from analysis import expert, messages, overview, packets, tcp
from analysis.tcp import health, marks
from tests.unit import raw_packets
from tests.unit.raw_packets import ACK, RST, SYN
from tests.unit.raw_packets import tcp as tcp_segment

CAPTURES = Path(__file__).parents[1] / "captures"


def read(name: str) -> pd.DataFrame:
    return packets.read(CAPTURES / name, list(packets.COLUMNS))


def odd(table: pd.DataFrame) -> pd.DataFrame:
    return expert.find(table, tcp.analyse(table), messages.find(table))


def test_hierarchy_counts_what_carries_what() -> None:
    table = read("applications.pcap")
    found = overview.hierarchy(table, messages.by_frame(messages.find(table)))
    rows = [(r.depth, r.protocol, r.packets) for r in found.itertuples()]
    assert rows == [
        (0, "Ethernet", 15),
        (1, "IPv4", 13),
        (2, "UDP", 9),
        (3, "DNS", 5),
        (3, "DHCP", 4),
        (2, "TCP", 4),
        (3, "HTTP", 2),
        (3, "TLS", 2),
        (1, "IPv6", 2),
        (2, "UDP", 2),
        (3, "DNS", 2),
    ]
    assert found["bytes"].iloc[0] == table["wire_bytes"].sum()


def test_endpoints_add_up() -> None:
    table = read("layers.pcap")
    found = overview.endpoints(table)
    assert found["sent_packets"].sum() == found["received_packets"].sum() == len(table)
    assert found["bytes"].is_monotonic_decreasing
    assert found["address"].iloc[0] == "10.0.0.1"


@pytest.mark.parametrize("most", [1, 7, 60])
def test_over_time_has_few_round_steps_and_every_packet(most: int) -> None:
    table = read("tcp-sender.pcap.gz")
    found = overview.over_time(table, most)
    assert len(found) <= most
    assert found["packets"].sum() == len(table)
    assert found["bytes"].sum() == table["wire_bytes"].sum()
    assert f"{found['step_s'].iloc[0]:e}"[0] in "125"


def test_lying_times_give_no_more_steps() -> None:
    table = read("layers.pcap").head(3).assign(time_ns=[-(2**63), 0, 2**63 - 1])
    found = overview.over_time(table)
    assert len(found) <= overview.MOST_BINS
    assert found["packets"].sum() == 3


def test_the_worst_comes_first() -> None:
    found = odd(read("tcp-random-0.pcap.gz"))
    ranks = [marks.SEVERITIES.index(severity) for severity in found["severity"]]
    assert ranks == sorted(ranks)
    table = expert.summary(found)
    assert table["packets"].sum() == len(found)
    segments = tcp.analyse(read("tcp-random-0.pcap.gz"))
    counted = dict(zip(table["what"], table["packets"], strict=True))
    assert counted["TCP zero window"] == segments["zero_window"].sum()
    assert counted["TCP duplicate ACK"] == segments["duplicate_ack"].sum()


def test_a_failure_is_reported_by_dns_and_a_claim_by_arp() -> None:
    found = odd(read("applications.pcap"))
    assert found["what"].tolist() == ["DNS reports a failure"]
    assert "NXDOMAIN" in found["text"].iloc[0]
    table = read("layers.pcap")
    twice = pd.concat([table[table["arp_op"] == 2]] * 2, ignore_index=True)
    twice["frame"] = [23, 24]
    twice["arp_sender_mac"] = ["02:00:00:00:00:09", "02:00:00:00:00:66"]
    conflict = odd(twice)
    assert "10.0.0.9 is at 02:00:00:00:00:66, and was at 02:00:00:00:00:09" in list(
        conflict["text"]
    )


def capture(*frames: bytes) -> pd.DataFrame:
    return packets.read(io.BytesIO(raw_packets.pcap(frames)), list(packets.COLUMNS))


def test_connections_that_were_asked_for_in_vain() -> None:
    refused = capture(tcp_segment(0, SYN, 5), tcp_segment(1, RST | ACK, 0, 6))
    silent = capture(tcp_segment(0, SYN, 5), tcp_segment(0, SYN, 5))
    opened = capture(
        tcp_segment(0, SYN, 5), tcp_segment(1, SYN | ACK, 9, 6), tcp_segment(0, ACK, 6, 10)
    )
    for table, verdict, what in (
        (refused, "refused", "TCP connection refused"),
        (silent, "no answer", "TCP connection request without an answer"),
        (opened, "healthy", None),
    ):
        segments = tcp.analyse(table)
        found = health.health(tcp.connections(table, segments), segments)
        assert found["verdict"].tolist()[0] == verdict
        kinds = set(odd(table)["what"]) - {"IPv4 header checksum is wrong"}
        assert (what in kinds) if what else not kinds


def test_health_agrees_with_the_analysis() -> None:
    table = read("tcp-sender.pcap.gz")
    segments = tcp.analyse(table)
    sides = tcp.connections(table, segments)
    found = health.health(sides, segments)
    assert found["retransmitted"].sum() == segments["retransmission"].sum()
    assert found["segments"].sum() == len(segments)
    assert found["trouble"].is_monotonic_decreasing
    worst = found.iloc[0]
    own = segments[segments["connection"] == worst["connection"]]
    share = 100 * own["retransmission"].sum() / (own["payload_bytes"] > 0).sum()
    assert worst["retransmitted_percent"] == pytest.approx(share)
    assert worst["client"].startswith("10.1.0.1 port ")


def test_nothing_is_odd_in_an_empty_capture() -> None:
    table = read("layers.pcap").head(0)
    segments = tcp.analyse(table)
    assert odd(table).empty
    assert expert.summary(odd(table)).empty
    assert overview.over_time(table).empty
    assert overview.endpoints(table).empty
    assert overview.hierarchy(table, {}).empty
    assert health.health(tcp.connections(table, segments), segments).empty
