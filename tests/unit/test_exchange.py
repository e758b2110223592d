"""Steps, packets by step, and what packets say in words; on hand-written tables."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from analysis import describe
from testbed.author import steps as exchange
from testbed.author.steps import pick, step_at
from testbed.core.claims import MissingDataError
from testbed.core.tables import Tables

_NOTHING: dict[str, Any] = dict.fromkeys(describe.COLUMNS, pd.NA)


def _words(**fields: Any) -> str:
    return str(describe.packets(pd.DataFrame([{**_NOTHING, **fields}])).iloc[0])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"arp_op": 1, "arp_sender_ip": "10.0.0.1", "arp_target_ip": "10.0.0.2"},
            "ARP who has 10.0.0.2? tell 10.0.0.1",
        ),
        (
            {"arp_op": 1, "arp_sender_ip": "0.0.0.0", "arp_target_ip": "10.0.0.2"},
            "ARP probe: is 10.0.0.2 in use?",
        ),
        (
            {"ip_version": 4, "icmp_type": 3, "icmp_code": 4, "icmp_mtu": 1400},
            "fragmentation needed, MTU 1400",
        ),
        ({"ip_version": 4, "icmp_type": 3, "icmp_code": 3}, "port unreachable"),
        (
            {"ip_version": 6, "icmp_type": 135, "icmp_code": 0, "icmp6_target": "fd00::1"},
            "neighbour solicitation for fd00::1",
        ),
        (
            {"ip_version": 4, "ip_offset_bytes": 1480, "ip_mf": False, "ip_id": 7},
            "fragment of 7, from byte 1480, the last",
        ),
        (
            {"ip_version": 4, "udp_sport": 68, "udp_dport": 67, "udp_bytes": 308},
            "UDP 68 → 67, 300 bytes",
        ),
        (
            {
                "ip_version": 4,
                "tcp_sport": 1,
                "tcp_dport": 80,
                "tcp_flags": 2,
                "tcp_payload_bytes": 0,
            },
            "TCP 1 → 80 SYN",
        ),
    ],
)
def test_words(fields: dict[str, Any], words: str) -> None:
    assert _words(**fields) == words


def test_step_at_takes_the_step_that_began_last() -> None:
    steps = pd.DataFrame({"time_s": [1.0, 5.0], "step": ["one", "two"]})
    assert step_at(steps, pd.Series([0.5, 1.0, 4.9, 5.0])) == ["", "one", "one", "two"]


@pytest.fixture
def tables() -> Tables:
    steps = {"scenario": "main", "time_s": [0.0, 1.0], "step": ["one", "two"]}
    packets = {
        "scenario": "main",
        "capture": ["a", "b", "a"],
        "step": ["one", "one", "two"],
        "frame": [1, 1, 2],
        "port": pd.array([80, None, 80], dtype="Int64"),
    }
    return Tables(steps=pd.DataFrame(steps), packets=pd.DataFrame(packets))


def test_pick_takes_values_and_sets_and_leaves_nulls_out(tables: Tables) -> None:
    assert list(pick(tables, "one", port=80)["capture"]) == ["a"]
    assert list(pick(tables, "one", port={80, 443})["capture"]) == ["a"]
    assert list(pick(tables, "one", "b")["frame"]) == [1]


def test_no_packet_is_an_answer_but_no_step_is_none(tables: Tables) -> None:
    assert pick(tables, "two", port=443).empty
    with pytest.raises(MissingDataError, match="three"):
        pick(tables, "three")


def test_a_ladder_of_nothing_says_so(tables: Tables) -> None:
    tables["addresses"] = pd.DataFrame(
        {"scenario": ["main"], "node": ["h1"], "ipv4": [None], "ipv6": [None], "mac": [None]}
    )
    for column in ("eth_src", "eth_dst", "ip_src", "ip_dst", "info", "protocol", "time_ns"):
        tables["packets"][column] = pd.NA
    assert "no packets" in exchange.ladder(tables, "two", "b")
