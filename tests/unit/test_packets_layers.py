"""Every layer against tshark's view of the same packets (tests/captures/make_layers.py)."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analysis import packets
from analysis.packets.columns import as_markdown
from testbed.core.errors import ConfigError

CAPTURES = Path(__file__).parents[1] / "captures"


def number(text: str) -> int:
    """A field's text as tshark writes it: decimal, 0x…, True or False."""
    if text in {"True", "False"}:
        return int(text == "True")
    return int(text, 16) if text.startswith("0x") else int(float(text))


def nth(index: int) -> Callable[[str], str]:
    return lambda text: text.split(";")[index] if len(text.split(";")) > index else ""


FIRST = nth(0)
# column: tshark fields (the first that is not empty), then what to do with the text
EXPECTED: dict[str, tuple[str, Callable[[str], object]]] = {
    "frame": ("frame.number", number),
    "wire_bytes": ("frame.len", number),
    "captured_bytes": ("frame.cap_len", number),
    "eth_dst": ("eth.dst", str),
    "eth_src": ("eth.src", str),
    "eth_type": ("vlan.etype eth.type", lambda t: number(t.split(";")[-1])),
    "vlan_id": ("ieee8021ad.id vlan.id", lambda t: number(FIRST(t))),
    "vlan_pcp": ("ieee8021ad.priority vlan.priority", lambda t: number(FIRST(t))),
    "arp_op": ("arp.opcode", number),
    "arp_sender_mac": ("arp.src.hw_mac", str),
    "arp_sender_ip": ("arp.src.proto_ipv4", str),
    "arp_target_mac": ("arp.dst.hw_mac", str),
    "arp_target_ip": ("arp.dst.proto_ipv4", str),
    "ip_version": ("ip.version ipv6.version", lambda t: number(FIRST(t))),
    "ip_src": ("ip.src ipv6.src", FIRST),
    "ip_dst": ("ip.dst ipv6.dst", FIRST),
    "ip_ttl": ("ip.ttl ipv6.hlim", lambda t: number(FIRST(t))),
    "ip_dscp": ("ip.dsfield.dscp ipv6.tclass.dscp", lambda t: number(FIRST(t))),
    "ip_ecn": ("ip.dsfield.ecn ipv6.tclass.ecn", lambda t: number(FIRST(t))),
    "ip_id": ("ip.id ipv6.fraghdr.ident", lambda t: number(FIRST(t))),
    "ip_df": ("ip.flags.df", lambda t: bool(number(FIRST(t)))),
    "ip_mf": ("ip.flags.mf ipv6.fraghdr.more", lambda t: bool(number(FIRST(t)))),
    "ip_checksum_ok": ("ip.checksum.status", lambda t: FIRST(t) == "1"),
    "ip6_flow_label": ("ipv6.flow", lambda t: number(FIRST(t))),
    "icmp_type": ("icmp.type icmpv6.type", number),
    "icmp_code": ("icmp.code icmpv6.code", number),
    "icmp_id": ("icmp.ident icmpv6.echo.identifier", lambda t: number(FIRST(t))),
    "icmp_seq": ("icmp.seq icmpv6.echo.sequence_number", number),
    "icmp_mtu": ("icmp.mtu icmpv6.mtu", number),
    "icmp_gateway": ("icmp.redir_gw", str),
    "icmp6_target": ("icmpv6.nd.ns.target_address icmpv6.nd.na.target_address", str),
    "udp_sport": ("udp.srcport", number),
    "udp_dport": ("udp.dstport", number),
    "udp_bytes": ("udp.length", number),
    "tcp_sport": ("tcp.srcport", number),
    "tcp_dport": ("tcp.dstport", number),
    "tcp_seq": ("tcp.seq_raw", number),
    "tcp_ack": ("tcp.ack_raw", number),
    "tcp_flags": ("tcp.flags", number),
    "tcp_window": ("tcp.window_size_value", number),
    "tcp_urgent": ("tcp.urgent_pointer", number),
    "tcp_header_bytes": ("tcp.hdr_len", number),
    "tcp_payload_bytes": ("tcp.len", number),
    "tcp_mss": ("tcp.options.mss_val", number),
    "tcp_wscale": ("tcp.options.wscale.shift", number),
    "tcp_sack_permitted": ("tcp.options.sack_perm", bool),
    "tcp_tsval": ("tcp.options.timestamp.tsval", number),
    "tcp_tsecr": ("tcp.options.timestamp.tsecr", number),
    "tcp_sack_count": ("tcp.options.sack.count", number),
    **{
        f"tcp_sack{i + 1}_{side}": (f"tcp.options.sack_{side[0]}e", nth(i))
        for i in range(4)
        for side in ("left", "right")
    },
}

NESTED = {"GRE", "ICMP", "ICMPv6"}
"""Protocols in which tshark also shows the fields of the packet carried inside."""


@pytest.fixture(scope="module")
def ours(either_reader: None) -> pd.DataFrame:
    return packets.read(CAPTURES / "layers.pcap")


@pytest.fixture(scope="module")
def tshark() -> pd.DataFrame:
    return pd.read_csv(CAPTURES / "layers.tsv", sep="\t", dtype=str).fillna("")


def expected(tshark: pd.DataFrame, column: str) -> list[object]:
    names, convert = EXPECTED[column]
    values: list[object] = []
    for _, row in tshark.iterrows():
        texts = [row[name] for name in names.split() if row[name]]
        value = convert(texts[0]) if texts else None
        values.append(None if value == "" else value)
    return values


@pytest.mark.parametrize("column", list(EXPECTED))
def test_column_agrees_with_tshark(ours: pd.DataFrame, tshark: pd.DataFrame, column: str) -> None:
    seen = [None if pd.isna(value) else value for value in ours[column].tolist()]
    wanted = expected(tshark, column)
    if column.startswith("tcp_sack") and column[8].isdigit():
        wanted = [None if value is None else int(str(value)) for value in wanted]
    differ = [
        (row + 1, ours.protocol[row], got, want)
        for row, (got, want) in enumerate(zip(seen, wanted, strict=True))
        if got != want and not (ours.protocol[row] in NESTED and got is None)
    ]
    assert not differ
    assert any(value is not None for value in seen)


def test_times_are_exact(ours: pd.DataFrame, tshark: pd.DataFrame) -> None:
    whole = tshark["frame.time_epoch"].str.split(".")
    times = [int(seconds) * 10**9 + int(part.ljust(9, "0")) for seconds, part in whole]
    assert ours.time_ns.tolist() == times


def test_lengths_of_the_ip_layer(ours: pd.DataFrame, tshark: pd.DataFrame) -> None:
    four = ours[ours.ip_version == 4]
    rows = tshark.loc[four.index]
    assert four.ip_bytes.tolist() == [int(text.split(";")[0]) for text in rows["ip.len"]]
    assert four.ip_header_bytes.tolist() == [int(t.split(";")[0]) for t in rows["ip.hdr_len"]]
    offset = [int(text.split(";")[0]) for text in rows["ip.frag_offset"]]
    assert four.ip_offset_bytes.tolist() == [8 * n if n < 8 else n for n in offset]
    six = ours[ours.ip_version == 6]
    plen = [int(text.split(";")[0]) for text in tshark.loc[six.index]["ipv6.plen"]]
    assert six.ip_bytes.tolist() == [40 + n for n in plen]


def test_ipv6_extension_headers(ours: pd.DataFrame) -> None:
    found = ours.ip6_extensions.dropna().tolist()
    assert found == [
        "hop-by-hop",
        "destination,routing",
        "fragment",
        "fragment",
        "hop-by-hop",
    ]
    fragments = ours[ours.ip6_extensions == "fragment"]
    assert fragments.ip_offset_bytes.tolist() == [0, 16]
    assert fragments.ip_mf.tolist() == [True, False]
    assert fragments.udp_sport.notna().tolist() == [True, False]
    chained = ours[ours.ip6_extensions == "destination,routing"].iloc[0]
    assert (chained.udp_sport, chained.ip_proto, chained.ip_header_bytes) == (13, 17, 72)


def test_well_formed_packets_are_not_flagged(ours: pd.DataFrame) -> None:
    assert not ours.malformed.any()
    assert ours.problem.isna().all()


def test_addresses_compare_as_text_and_share_categories(ours: pd.DataFrame) -> None:
    assert (ours[ours.ip_src == "10.0.0.1"].ip_version == 4).all()
    assert (ours.ip_src == "2001:db8::1").sum() == (ours.ip_version == 6).sum()
    assert not (ours.ip_src == ours.ip_dst).any()


def test_protocols_are_named(ours: pd.DataFrame) -> None:
    assert ours.protocol[ours.ip_offset_bytes == 0].isin(["IPv4", "IPv6"]).sum() == 0
    known = {"TCP", "UDP", "ICMP", "ICMPv6", "ARP", "OSPF", "GRE", "802.3", "LLDP"}
    assert set(ours.protocol) == known | {"IPv4", "IPv6"}  # these two: later fragments


def test_types_are_those_of_the_table(ours: pd.DataFrame) -> None:
    assert {name: str(ours[name].dtype) for name in ours} == {
        name: column.dtype for name, column in packets.COLUMNS.items() if name != "payload"
    }


def test_flags_by_name(ours: pd.DataFrame) -> None:
    syn = ours[packets.has_flags(ours, "SYN", without="ACK")]
    assert syn.tcp_flags.unique().tolist() == [2]
    assert packets.flag_names(0x12) == "SYN,ACK"
    with pytest.raises(ConfigError, match="did you mean 'SYN'"):
        packets.has_flags(ours, "SYM")


@pytest.mark.parametrize("column", [c for c in packets.COLUMNS if c != "payload"])
def test_one_column_alone_is_the_same(ours: pd.DataFrame, column: str) -> None:
    alone = packets.read(CAPTURES / "layers.pcap", [column])
    assert list(alone) == [column]
    assert [None if pd.isna(v) else v for v in alone[column]] == [
        None if pd.isna(v) else v for v in ours[column]
    ]


def test_unknown_column_is_named() -> None:
    with pytest.raises(ConfigError, match=r"tcp_portt.*did you mean 'tcp_[sd]port'"):
        packets.read(CAPTURES / "layers.pcap", ["tcp_portt"])


def test_no_value_is_a_float(ours: pd.DataFrame) -> None:
    assert not any(isinstance(v, float) and not math.isnan(v) for v in ours.iloc[0])


def test_the_page_of_columns_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "packet-columns.md"
    assert page.read_text() == as_markdown()
