"""Display filters over the packet table."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import filters, packets, tcp
from analysis.filters import names, patterns
from testbed.core.errors import ConfigError

CAPTURES = Path(__file__).parents[1] / "captures"
FILES = ("layers.pcap", "applications.pcap")


@cache
def table(name: str = "layers.pcap") -> pd.DataFrame:
    return packets.read(CAPTURES / name, list(packets.COLUMNS))


def frames(text: str, name: str = "layers.pcap") -> set[int]:
    found = table(name)
    return set(found["frame"][filters.select(found, text)])


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("tcp.dstport == 80", "tcp_dport == 80"),
        ("tcp.port == 80", "tcp_sport == 80 or tcp_dport == 80"),
        ("80 == tcp.dstport", "tcp_dport == 80"),
        ("tcp_dport != 80", "tcp_dport != 80 and tcp_dport.notna()"),
        ("tcp.port != 80", "tcp_dport != 80 and tcp_sport != 80 and tcp_dport.notna()"),
        ("not tcp.dstport == 80", "not (tcp_dport == 80).fillna(False)"),
        ("ip.ttl < 64", "ip_ttl < 64 and ip_version == 4"),
        ("ip_ttl le 64", "ip_ttl <= 64"),
        ("frame.number gt 0x10", "frame > 16"),
        ("64 >= frame.len", "wire_bytes <= 64"),
        ("wire_bytes lt 64", "wire_bytes < 64"),
        ("frame.number ge 10 && frame.number LE 20", "frame >= 10 and frame <= 20"),
        ("frame.number eq 3 || frame.number eq 4", "frame == 3 or frame == 4"),
        ("frame.number ne 3", "frame != 3"),
        ("frame.number in {1, 5..9, 40}", "frame in (1, 5, 6, 7, 8, 9, 40)"),
        ("frame.number in {1 5..9 40}", "frame in (1, 5, 6, 7, 8, 9, 40)"),
        ("ip.src == 10.0.0.0/8", "ip_src.astype('str').str.startswith('10.')"),
        ("ip.src in {10.0.0.1 .. 10.0.0.3}", ""),
        ("tcp_flags & 2", "(tcp_flags % 4 >= 2).fillna(False)"),
        ("tcp.flags & 0x12 == 0x12", "(tcp_flags % 32 >= 18) and tcp_flags % 4 >= 2"),
        ("tcp.flags.syn", "(tcp_flags % 4 >= 2).fillna(False)"),
        ("tcp.flags.syn == 1 and !tcp.flags.ack", "(tcp_flags % 32 == 2).fillna(False)"),
        ("tcp_mss", "tcp_mss.notna()"),
        ("protocol == 'ARP'", "protocol == 'ARP'"),
        ("protocol == arp", "protocol == 'ARP'"),
        ('protocol contains "CMP"', "protocol in ('ICMP', 'ICMPv6')"),
        ("protocol matches '^icmp(v6)?$'", "protocol in ('ICMP', 'ICMPv6')"),
        ("protocol ~ '^tcp$'", "protocol == 'TCP'"),
        ("eth.src == ip.src", "frame < 0"),
        ("tcp.srcport > tcp.dstport", "(tcp_sport > tcp_dport).fillna(False)"),
        ("(arp or udp) and not (udp)", "arp_op.notna()"),
        ("frame.time_relative <= 0", "time_ns == time_ns.min()"),
    ],
)
def test_every_form_agrees_with_a_query(text: str, query: str) -> None:
    if not query:  # a range of addresses needs no blanks around its dots
        text, query = text.replace(" .. ", ".."), "ip_src in ('10.0.0.1', '10.0.0.2', '10.0.0.3')"
    found = table()
    assert frames(text) == set(found.query(query, engine="python")["frame"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: the filter ends too early"),
        ("ip_src ==", "column 10: the filter ends too early"),
        ("ip_srk == 1", "column 1: no field 'ip_srk' (did you mean 'ip_src'?)"),
        ("tcp.port == 80 and\n tcp.prt == 80", "column 21: no field 'tcp.prt'"),
        ("tcp and and udp", "column 13: 'udp' is not expected here"),
        ("tcp.port == http", "column 13: tcp.port is a number, not 'http'"),
        ("ip.src == 10.0.0.300", "column 11: ip.src is an address or a prefix"),
        ("tcp.flags.syn == 2", "column 18: tcp.flags.syn is true or false"),
        ("42", "column 1: '42' alone is not a test"),
        ("tcp.port in {}", "the set behind 'in' is empty"),
        ("tcp.port contains '8'", "'contains' is for texts and bytes"),
        ("protocol matches '('", "column 18: the pattern is not valid"),
        ("ip.src & 2", "'&' takes a number's field"),
        ("(tcp) == 1", "column 2: 'tcp' is a protocol, not a field"),
        ("payload == tcp.port", "cannot be compared"),
        ("(tcp or udp) == 1", "column 14: '==' compares a field with a value"),
        ("(" * 300 + "tcp" + ")" * 300 + " & 1" * 200, "deep"),
        ("a" * 20_000, "at most 10000 characters"),
        ("@pd.x", "no field '@pd.x'"),
    ],
)
def test_an_error_is_one_line_that_names_the_place(text: str, message: str) -> None:
    with pytest.raises(filters.FilterError) as caught:
        filters.select(table(), text)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500


def test_application_protocols_are_found() -> None:
    name = "applications.pcap"
    assert frames("dns.qry.name contains '.'", name) <= frames("dns", name) <= frames("udp", name)
    assert frames("dns", name)
    assert frames("http.request.method == GET", name) < frames("http", name)
    assert frames("payload contains 'HTTP/1.1'", name) & frames("http", name)
    assert filters.wants_payload("not DNS") and not filters.wants_payload("tcp.port == 80")
    with pytest.raises(filters.FilterError, match=r"column 9: .* 'payload', which was not read"):
        filters.select(packets.read(CAPTURES / name), "tcp and dns")


def test_retransmissions_are_found() -> None:
    name = "tcp-sender.pcap.gz"
    expected = tcp.analyse(table(name))
    expected = expected[expected["retransmission"]]
    assert frames("tcp.analysis.retransmission", name) == set(table(name)["frame"][expected.index])
    assert frames("tcp.stream == 0 and tcp.len > 0", name)


def test_seconds_are_those_of_the_table_if_it_has_some() -> None:
    found = table().assign(time_s=100.0)
    assert filters.select(found, "time_s == 100").all()


def test_an_empty_table_gives_an_empty_answer() -> None:
    for text in ("tcp", "dns", "tcp.stream == 1", "time_s < 1", "ip.src == 10.0.0.0/8"):
        assert filters.select(table().head(0), text).tolist() == []


_OTHERS = """== != < and or not ! & | && in contains matches ~ ( ) { } , 1..2 10.0.0.0/8 ::1 0x12
'text' "a[ nan inf -1 1e999 true 00:01 '' eq GE \\ {1,5..9}""".split()
_WORDS = st.sampled_from([*names.ALL, *packets.COLUMNS, *_OTHERS, "9" * 30, "9" * 400])
_TEXTS = st.text(max_size=40) | st.lists(_WORDS | st.text(max_size=5), max_size=9).map(" ".join)
_TESTS = st.builds(
    "{} {} {}".format,
    st.sampled_from([*names.ALL, *packets.COLUMNS]),
    st.sampled_from(["==", "!=", "<", ">=", "ge", "&", "contains", "matches"]),
    _WORDS,
)


@settings(max_examples=300, deadline=None)
@given(_TEXTS | _TESTS)
def test_any_text_gives_an_answer_or_one_line(text: str) -> None:
    for found in (table(), table("applications.pcap")):
        try:
            mask = filters.select(found, text)
        except filters.FilterError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert mask.dtype == bool and mask.shape == (len(found),)


_ASKED = [
    *("arp or vlan", "icmp or icmpv6", "ip and not tcp", "dns or http.request", "tcp.len > 0"),
    *(
        "udp and not ip.addr == 1.1.1.1",
        "tcp.port != 80",
        "not tcp.port == 80",
        "ip.addr == 10.0.0.0/8",
    ),
    *("tcp.flags.syn == 1 or tcp.flags & 1", "ip.ttl in {1..63, 255}", "frame.len ge 100"),
    *("tcp.stream == 1", "tcp.srcport > tcp.dstport"),
]
_OPTIONS = ["-n", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("name", FILES)
def test_agrees_with_tshark(name: str) -> None:
    differ = {}
    for text in _ASKED:
        argv = ["tshark", *_OPTIONS, "-r", str(CAPTURES / name), "-Y", text]
        argv += ["-T", "fields", "-e", "frame.number"]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        theirs = {int(line) for line in done.stdout.split()}
        try:
            ours = frames(text, name)
        except filters.FilterError as error:
            differ[text] = str(error)
            continue
        if ours != theirs:
            differ[text] = f"ours {sorted(ours - theirs)}, theirs {sorted(theirs - ours)}"
    assert differ == {}


def test_a_pattern_that_would_take_for_years_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "LONGEST_S", 0.2)
    table = pd.DataFrame({"frame": [1], "payload": [b"a" * 60 + b"b"]})
    with pytest.raises(ConfigError, match=r"column 17: the pattern takes more than 0\.2 s"):
        filters.select(table, 'payload matches "(a+)+$"')
    assert filters.select(table, 'payload matches "a+B"').tolist() == [True]
