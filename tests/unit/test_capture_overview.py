"""Statistics of captures: protocols, hosts, time, health of TCP, and what is odd."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

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


def healths(*frames: bytes) -> list[dict[str, Any]]:
    table = capture(*frames)
    segments = tcp.analyse(table)
    return health.health(tcp.connections(table, segments), segments).to_dict("records")


OPENED = (tcp_segment(0, SYN, 5), tcp_segment(1, SYN | ACK, 9, 6), tcp_segment(0, ACK, 6, 10))


def test_a_syn_sent_again_is_not_data_sent_again() -> None:
    (found,) = healths(
        *[tcp_segment(0, SYN, 5)] * 5, *OPENED[1:], tcp_segment(0, ACK, 6, 10, b"abc")
    )
    assert found["retransmitted"] == 4
    assert found["retransmitted_percent"] == 0
    assert found["verdict"] == "SYN or FIN sent again"


def test_a_connection_that_died_comes_before_one_that_is_only_slow() -> None:
    died = [*OPENED, *[tcp_segment(0, ACK, 6, 10, b"abc")] * 3]
    other = [_from_port(frame, 2000) for frame in OPENED]
    for number in range(50):  # the whole window each time: 8192 bytes
        body = bytes(8192)
        other.append(_from_port(tcp_segment(0, ACK, 6 + 8192 * number, 10, body), 2000))
        other.append(_from_port(tcp_segment(1, ACK, 10, 6 + 8192 * (number + 1)), 2000))
    worst, better = healths(*died, *other)
    assert worst["client"].endswith("port 1000")
    assert worst["verdict"].startswith("the other side fell silent, 67 % of data sent again")
    assert better["verdict"] == "limited by the receive window"


def _from_port(frame: bytes, port: int) -> bytes:
    """The same segment with another port of the client."""
    client = 20 if frame[12:16] == bytes([10, 0, 0, 1]) else 22
    return frame[:client] + port.to_bytes(2, "big") + frame[client + 2 :]


def test_bytes_that_came_before_are_not_only_out_of_order() -> None:
    table = capture(
        *OPENED,
        tcp_segment(0, ACK, 6, 10, b"abc"),
        tcp_segment(0, ACK, 9, 10, b"def"),
        tcp_segment(0, ACK, 6, 10, b"abc"),
        tcp_segment(0, ACK, 15, 10, b"jkl"),
        tcp_segment(0, ACK, 12, 10, b"ghi"),
    )
    table["time_ns"] = [0, 10**9, *[2 * 10**9 + number for number in range(6)]]
    segments = tcp.analyse(table)
    assert segments["out_of_order"].tolist() == [False] * 5 + [True, False, True]
    assert segments["seen_before"].tolist() == [False] * 5 + [True, False, False]
    texts = marks.of_packets(segments)
    assert texts[6][0] == "out of order, or sent again: its bytes came before"
    assert texts[8][0] == "out of order"


def test_nothing_is_odd_in_an_empty_capture() -> None:
    table = read("layers.pcap").head(0)
    segments = tcp.analyse(table)
    assert odd(table).empty
    assert expert.summary(odd(table)).empty
    assert overview.over_time(table).empty
    assert overview.endpoints(table).empty
    assert overview.hierarchy(table, {}).empty
    assert health.health(tcp.connections(table, segments), segments).empty
