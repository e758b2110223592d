"""DNS, DHCP, HTTP and TLS against tshark's view (tests/captures/make_applications.py)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import packets
from analysis.dissect import dhcp, dns, http, tls
from tests.unit.segments import datagrams, talk

CAPTURES = Path(__file__).parents[1] / "captures"


@pytest.fixture(scope="module")
def capture() -> pd.DataFrame:
    columns = {*dns.COLUMNS, *dhcp.COLUMNS, *http.COLUMNS, *tls.COLUMNS, "time_ns"}
    return packets.read(CAPTURES / "applications.pcap", columns)


@pytest.fixture(scope="module")
def tshark() -> pd.DataFrame:
    table = pd.read_csv(CAPTURES / "applications.tsv", sep="\t", dtype=str).fillna("")
    return table.set_index(table["frame.number"].astype(int))


def texts(values: pd.Series) -> list[str]:
    return ["" if value is None or pd.isna(value) else str(value) for value in values]


def test_dns_messages(capture: pd.DataFrame, tshark: pd.DataFrame) -> None:
    got = dns.read(capture)
    want = tshark[tshark["dns.id"] != ""]
    assert got.frame.tolist() == want.index.tolist()
    assert got.id.tolist() == [int(text, 16) for text in want["dns.id"]]
    assert got.question.tolist() == want["dns.qry.name"].tolist()
    assert got.answers.tolist() == want["dns.count.answers"].astype(int).tolist()
    assert got.response.tolist() == [text in {"1", "True"} for text in want["dns.flags.response"]]
    assert got.rcode.tolist()[-2:] == ["NXDOMAIN", "NOERROR"]
    assert got.type.tolist() == ["A", "A", "AAAA", "AAAA", "A", "A", "MX"]
    assert not got.malformed.any()
    assert "time_ns" in got


def test_dns_records(capture: pd.DataFrame, tshark: pd.DataFrame) -> None:
    got = dns.records(capture)
    data = got.set_index("type").data
    assert data["A"] == tshark["dns.a"][2]
    assert data["AAAA"] == tshark["dns.aaaa"][4]
    assert data["CNAME"] == tshark["dns.cname"][2]
    assert data["MX"] == "10 mail.example.org"
    assert got.ttl_s.tolist()[:2] == [60, 30]


def test_dhcp_messages(capture: pd.DataFrame, tshark: pd.DataFrame) -> None:
    got = dhcp.read(capture)
    want = tshark[tshark["dhcp.id"] != ""]
    assert got.type.tolist() == ["DISCOVER", "OFFER", "REQUEST", "ACK"]
    assert got.xid.tolist() == [int(text, 16) for text in want["dhcp.id"]]
    for column, field in (
        ("requested_ip", "dhcp.option.requested_ip_address"),
        ("server_id", "dhcp.option.dhcp_server_id"),
        ("mask", "dhcp.option.subnet_mask"),
        ("routers", "dhcp.option.router"),
        ("host_name", "dhcp.option.hostname"),
    ):
        assert texts(got[column]) == want[field].tolist(), column
    assert [f"{x:.0f}" if x == x else "" for x in got.lease_s] == want[
        "dhcp.option.ip_address_lease_time"
    ].tolist()
    assert texts(got.your_ip) == ["", "10.0.0.5", "", "10.0.0.5"]
    assert not got.malformed.any()


def test_http_first_lines(capture: pd.DataFrame, tshark: pd.DataFrame) -> None:
    got = http.read(capture).set_index("frame")
    assert got.kind.tolist() == ["request", "response"]
    for column, field in (
        ("method", "http.request.method"),
        ("target", "http.request.uri"),
        ("host", "http.host"),
    ):
        assert texts(got[column]) == tshark.loc[got.index, field].tolist()
    assert got.status.iloc[1] == 200
    assert got.content_bytes.iloc[1] == 5
    assert got.content_type.iloc[1] == "text/html"


def test_tls_hellos(capture: pd.DataFrame, tshark: pd.DataFrame) -> None:
    got = tls.read(capture).set_index("frame")
    want = tshark.loc[got.index]
    assert got.kind.tolist() == ["client", "server"]
    assert got.server_name.iloc[0] == want["tls.handshake.extensions_server_name"].iloc[0]
    assert got.alpn.iloc[0] == want["tls.handshake.extensions_alpn_str"].iloc[0].replace(";", ",")
    for number in (0, 1):
        suites = want["tls.handshake.ciphersuite"].iloc[number].split(";")
        assert got.ciphers.iloc[number] == ",".join(f"{int(one, 0):04x}" for one in suites)
    assert got.version.tolist() == ["TLS 1.3", "TLS 1.3"]
    assert not got.malformed.any()


def test_a_hello_of_many_records_and_ciphers() -> None:
    ciphers = [f"{number:04x}" for number in range(30_000)]
    body = b"\3\3" + bytes(32) + b"\0" + (60_000).to_bytes(2, "big")
    body += bytes.fromhex("".join(ciphers)) + b"\1\0"
    hello = b"\1" + len(body).to_bytes(3, "big") + body
    parts = [hello[at : at + 16_000] for at in range(0, len(hello), 16_000)]
    records = [b"\x16\3\1" + len(part).to_bytes(2, "big") + part for part in parts]
    (found,) = tls.read(talk(*((0, record) for record in records))).to_dict("records")
    assert (found["ciphers"].split(","), found["malformed"]) == (ciphers, False)


def one(payload: bytes, udp: tuple[int, int] | None, tcp: tuple[int, int] | None) -> pd.DataFrame:
    return datagrams([payload], udp) if udp else talk((0, payload), ports=tcp or (0, 0))


def test_dns_name_that_points_at_itself() -> None:
    message = b"\0\1\x01\0\0\1\0\0\0\0\0\0" + b"\xc0\x0c\0\1\0\1"
    assert dns.read(one(message, (1, 53), None)).malformed.tolist() == [True]


def test_cut_messages_are_malformed(capture: pd.DataFrame) -> None:
    answer = capture.payload[1]
    assert dns.read(one(answer[:-3], (53, 1), None)).malformed.tolist() == [True]
    assert dhcp.read(one(capture.payload[7][:-9], (68, 67), None)).malformed.tolist() == [True]


def test_messages_that_the_capture_cut_are_cut_and_not_malformed(capture: pd.DataFrame) -> None:
    for module, number, ports, bytes_ in ((dns, 1, (53, 1), 3), (dhcp, 7, (68, 67), 9)):
        table = one(capture.payload[number], ports, None)
        table["payload"] = [capture.payload[number][:-bytes_]]
        found = module.read(table)
        assert (found.cut.tolist(), found.malformed.tolist()) == ([True], [False])
    found = tls.read(one(capture.payload[13][:60], None, (1, 443)))
    assert (found.cut.tolist(), found.malformed.tolist()) == ([True], [False])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 14), st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255))), st.data())
def test_any_bytes_are_read(which: int, edits: list[tuple[int, int]], data: st.DataObject) -> None:
    whole = packets.read(CAPTURES / "applications.pcap", ["payload"]).payload[which]
    octets = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for at, value in edits if octets else []:
        octets[at % len(octets)] = value
    for module, udp, tcp in (
        (dns, (53, 53), None),
        (dhcp, (67, 68), None),
        (http, None, (80, 80)),
        (tls, None, (443, 443)),
    ):
        assert len(module.read(one(bytes(octets), udp, tcp))) <= 1
    dns.records(one(bytes(octets), (53, 53), None))
