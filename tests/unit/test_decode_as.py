"""Protocols at unusual ports."""

from __future__ import annotations

import pytest

from analysis import decode_as
from analysis.dissect import dns, rip
from analysis.filters import select
from testbed.core.errors import ConfigError
from tests.unit.segments import datagrams, talk

QUERY = bytes.fromhex("0007010000010000000000000377777702687400 0001 0001".replace(" ", ""))


def test_a_rule_makes_a_port_another_protocols() -> None:
    table = datagrams([QUERY], (40000, 5300))
    assert dns.read(table).empty
    decode_as.set_rules(table, ["udp.port == 5300 , DNS"])
    assert dns.read(table)["question"].tolist() == ["www.ht"]
    assert select(table[table["frame"] > 0], "dns").tolist() == [True]
    over_tcp = talk((0, len(QUERY).to_bytes(2, "big") + QUERY), ports=(40000, 5300))
    decode_as.set_rules(over_tcp, ["tcp.port==5300,dns"])
    assert dns.read(over_tcp)[["question", "over_tcp"]].values.tolist() == [["www.ht", True]]


def test_a_port_is_no_longer_its_usual_protocols() -> None:
    table = datagrams([QUERY], (40000, 53))
    decode_as.set_rules(table, ["udp.port==53,ripng"])
    assert dns.read(table).empty
    assert rip.read(table)["protocol"].tolist() == ["RIPng"]


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ("dns", "not a rule"),
        ("udp.port==99999,dns", "not a rule"),
        ("udp.port==53,dsn", "did you mean 'dns'"),
        ("ip.proto==1,dns", "not a rule"),
    ],
)
def test_a_wrong_rule_is_named(rule: str, what: str) -> None:
    with pytest.raises(ConfigError, match=f"decode as .*{what}"):
        decode_as.set_rules(datagrams([QUERY], (1, 2)), [rule])
