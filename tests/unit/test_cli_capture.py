"""`testbed capture` on captures a user brings."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.unit.raw_packets import ACK, PSH, ip, pcap, tcp, udp

CAPTURES = Path(__file__).parents[1] / "captures"
LAYERS = CAPTURES / "layers.pcap"


def capture(*words: object, stdin: bytes = b"") -> tuple[int, str, str]:
    code = "from testbed.cli.main import main; import sys; sys.exit(main())"
    argv = [sys.executable, "-c", code, "capture", *map(str, words)]
    done = subprocess.run(argv, input=stdin, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_show() -> None:
    code, text, said = capture("show", LAYERS, "-n", 3)
    assert code == 0
    assert "10.0.0.1" in text
    assert "SYN" in text
    assert len(text.strip().splitlines()) == 4
    assert "3 of 42 packets" in said


def test_show_columns_and_query() -> None:
    code, text, _ = capture(
        "show", LAYERS, "--where", "tcp_mss > 0", "--columns", "ip_src,tcp_mss,tcp_wscale"
    )
    assert code == 0
    rows = [line.split() for line in text.strip().splitlines()[1:]]
    assert [row[3] for row in rows] == ["1460", "1448", "1460", "1460"]


def test_messages_of_a_protocol(tmp_path: Path) -> None:
    target = tmp_path / "messages.json"
    code, _, said = capture(
        *("export", CAPTURES / "applications.pcap", target, "--messages", "http")
    )
    assert (code, said) == (0, f"2 messages in {target}\n")
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert (rows[0]["method"], rows[1]["status"]) == ("GET", 200)
    assert bytes.fromhex(rows[1]["body"]) == b"hello"
    code, text, _ = capture(
        *("follow", CAPTURES / "applications.pcap", "--stream", 0, "--as", "messages")
    )
    assert code == 0
    assert text.splitlines()[-1].startswith("→ packet 12: HTTP GET")
    code, _, said = capture("export", LAYERS, target, "--messages", "htpt")
    assert code == 2
    assert "did you mean" in said or "allowed" in said


def test_flows_of_stdin() -> None:
    code, text, _ = capture("flows", "-", stdin=(CAPTURES / "tcp-sender.pcap.gz").read_bytes())
    assert code == 0
    assert len([line for line in text.splitlines() if " 5201 " in line]) == 3
    code, text, _ = capture("flows", "--tcp", CAPTURES / "tcp-sender.pcap.gz")
    assert "resent" in text
    assert "1460" in text


def test_ladder(tmp_path: Path) -> None:
    target = tmp_path / "ladder.svg"
    code, _, said = capture("ladder", LAYERS, "-o", target)
    assert (code, said) == (0, "")
    assert target.read_text().startswith("<svg")
    code, text, _ = capture("ladder", LAYERS, "--where", "protocol == 'ARP'")
    assert text.count('class="message') == 2
    code, _, said = capture("ladder", LAYERS, "--where", "protocol == 'SCTP'")
    assert code == 2
    assert "no messages" in said


@pytest.mark.parametrize("form", ["parquet", "csv", "json"])
def test_export(tmp_path: Path, form: str) -> None:
    target = tmp_path / f"out.{form}"
    code, _, said = capture("export", LAYERS, target, "--columns", "frame,ip_src,tcp_seq")
    assert code == 0
    assert "42 packets" in said
    if form == "parquet":
        rows = pd.read_parquet(target).to_dict("records")
    elif form == "csv":
        rows = pd.read_csv(target).to_dict("records")
    else:
        rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert len(rows) == 42
    assert list(rows[0]) == ["frame", "ip_src", "tcp_seq"]
    assert (rows[0]["ip_src"], int(rows[0]["tcp_seq"])) == ("10.0.0.1", 4_000_000_000)


def test_damaged_capture_is_shown_to_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "bad.pcap"
    path.write_bytes(LAYERS.read_bytes() + struct.pack("<IIII", 1, 2, 0x7FFFFFFF, 3) + bytes(99))
    code, text, said = capture("show", path, "--count", 0)
    assert code == 0
    numbers = [line.split()[0] for line in text.splitlines()[1:] if line[:6].strip()]
    assert numbers == [str(number) for number in range(1, 43)]
    assert "damaged" in said
    assert "byte 4219" in said
    code, _, said = capture("export", path, tmp_path / "out.parquet")
    assert code != 0
    assert "byte 4219" in said
    assert "out.parquet contains the packets before" in said
    assert len(pd.read_parquet(tmp_path / "out.parquet")) == 42


@pytest.mark.parametrize("form", ["parquet", "csv", "json"])
def test_export_of_what_is_no_capture_leaves_the_target_alone(tmp_path: Path, form: str) -> None:
    target = tmp_path / f"kept.{form}"
    target.write_text("mine")
    assert capture("export", __file__, target)[0] != 0
    assert capture("export", tmp_path / "none.pcap", target)[0] == 2
    assert target.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "none.pcap"), "none.pcap: No such file"),
        (("show", __file__), "not pcap or pcapng"),
        (("show", LAYERS, "--where", "ip_srk == 1"), "did you mean 'ip_src'"),
        (("show", LAYERS, "--where", "ip_src =="), "filter 'ip_src ==': column 10"),
        (("show", LAYERS, "--where", "@pd.x"), "no field '@pd.x'"),
        (("show", LAYERS, "--columns", "ip_srk"), "did you mean 'ip_src'"),
        (("export", LAYERS, "x.cvs"), "did you mean 'csv'"),
    ],
)
def test_bad_input_is_one_clear_line(words: tuple[object, ...], message: str) -> None:
    code, _, said = capture(*words)
    assert code == 2
    assert message in said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1


def test_show_says_which_link_type_is_not_decoded() -> None:
    octets = LAYERS.read_bytes()
    code, text, said = capture(
        "show", "-", "-n", 2, stdin=octets[:20] + struct.pack("<I", 105) + octets[24:]
    )
    assert code == 0
    assert len(text.strip().splitlines()) == 3
    assert "link type 105 is not decoded" in said


def test_a_count_below_0_is_no_count() -> None:
    code, _, said = capture("show", LAYERS, "-n", "-1")
    assert code == 2
    assert "-1 is not in the range" in said


def test_a_capture_is_not_replaced_by_what_is_made_of_it(tmp_path: Path) -> None:
    copy = tmp_path / "mine.csv"
    copy.write_bytes(LAYERS.read_bytes())
    for words in (("export", copy, copy), ("ladder", copy, "-o", copy)):
        code, _, said = capture(*words)
        assert code == 2 and "is the capture itself; choose another file" in said
    assert copy.read_bytes() == LAYERS.read_bytes()


@pytest.mark.parametrize("form", ["parquet", "csv", "json"])
def test_bytes_are_hexadecimal_in_every_format(tmp_path: Path, form: str) -> None:
    from analysis import packets

    expected = [
        octets.hex() if isinstance(octets, bytes) else None
        for octets in packets.read(LAYERS, ["frame", "payload"])["payload"]
    ]
    assert any(expected) and None in expected
    target = tmp_path / f"out.{form}"
    assert capture("export", LAYERS, target, "--columns", "frame,payload")[0] == 0
    if form == "json":
        found = [json.loads(line)["payload"] for line in target.read_text().splitlines()]
        assert found == expected
        return
    table = pd.read_csv(target, dtype=str) if form == "csv" else pd.read_parquet(target)
    texts = table["payload"].astype(object)
    assert texts.where(texts.notna(), "").tolist() == [text or "" for text in expected]


def test_payload_is_shown_in_hexadecimal() -> None:
    code, text, _ = capture("show", LAYERS, "--where", "payload", "--columns", "payload", "-n", 1)
    from analysis import packets

    first = packets.read(LAYERS, ["payload"])["payload"].dropna().iloc[0]
    assert code == 0
    assert first.hex() in "".join(text.split())


def test_filters_read_payloads_if_they_ask_for_them() -> None:
    code, text, _ = capture("show", CAPTURES / "applications.pcap", "--where", "dns and not tcp")
    assert code == 0
    assert len(text.splitlines()) > 2


def test_show_reads_messages_and_marks_what_is_odd() -> None:
    code, text, _ = capture("show", CAPTURES / "applications.pcap")
    assert code == 0
    assert "query A www.example.org" in text
    assert "DHCP" in text and "OFFER 10.0.0.5 for 3600 s" in text
    code, text, _ = capture("show", CAPTURES / "tcp-random-0.pcap.gz", "-n", 12)
    assert "[duplicate ACK 1 of frame 3]" in text
    assert "seq 1 ack 101 len 500" in text
    assert "\x1b" not in text  # not a terminal
    code, text, _ = capture("show", CAPTURES / "tcp-random-0.pcap.gz", "-n", 1, "--absolute")
    assert "seq 4294964296" in text


def test_times_under_a_filter_are_those_of_the_file() -> None:
    code, text, _ = capture("show", LAYERS, "--where", "frame.number == 3")
    assert code == 0
    assert text.splitlines()[1].split()[:2] == ["3", "0.246912"]


def test_nothing_is_cut_without_a_terminal() -> None:
    code, text, _ = capture("show", LAYERS, "--columns", "payload", "-n", 0)
    from analysis import packets

    longest = max(packets.read(LAYERS, ["payload"])["payload"].dropna(), key=len)
    assert code == 0
    assert longest.hex() in text


def test_packet_shows_fields_next_to_their_bytes() -> None:
    code, text, _ = capture("packet", CAPTURES / "applications.pcap", 2)
    assert code == 0
    lines = [line.split(maxsplit=1) for line in text.splitlines()]
    assert ["0016", "40                         time to live: 64"] in lines
    assert "answer: www.example.org CNAME web.example.org" in text
    code, _, said = capture("packet", LAYERS, 99)
    assert code == 2
    assert "there is no packet 99; its packets are 1 to 42" in said


@pytest.mark.parametrize("only", ["hierarchy", "endpoints", "conversations", "connections", "io"])
def test_stats_have_the_same_tables_in_every_format(only: str) -> None:
    name = CAPTURES / "tcp-random-0.pcap.gz"
    code, text, _ = capture("stats", name, "--only", only, "--format", "csv")
    assert code == 0
    rows = len(pd.read_csv(io.StringIO(text)))
    code, text, _ = capture("stats", name, "--only", only, "--format", "json")
    assert len(json.loads(text)[only]) == rows > 0
    code, text, _ = capture("stats", name, "--only", only, "-n", 0)
    assert len(text.splitlines()) == rows + 2
    code, _, said = capture("stats", name, "--format", "csv")
    assert code == 2
    assert "--only" in said


def test_report_is_one_page_that_names_the_worst(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    code, _, said = capture("report", CAPTURES / "tcp-random-0.pcap.gz", "-o", target)
    assert (code, said.strip()) == (0, f"report {target}")
    page = target.read_text()
    assert "zero window" in page
    assert page.count("data:image/png") >= 2
    assert "<svg" in page
    outside = page.replace("http://www.w3.org/2000/svg", "")
    assert "http" not in outside  # self-contained
    code, _, said = capture("report", LAYERS, "-o", LAYERS)
    assert code == 2 and "is the capture itself" in said


def hostile() -> bytes:
    """A DNS query and an HTTP request full of what terminals and browsers obey."""
    name = b"\x1b]0;owned\x07<script>"
    dns = struct.pack("!6H", 1, 0x100, 1, 0, 0, 0) + bytes([len(name)]) + name + b"\0\0\1\0\1"
    http = (
        b"GET /\x1b[31m<script>alert(1)</script>\xe2\x80\xae HTTP/1.1\r\nHost: \x1b[2J<b>\r\n\r\n"
    )
    return pcap([udp(1000, 53, dns), tcp(0, PSH | ACK, 1, 1, http)])


def test_texts_of_packets_reach_no_terminal_and_no_page_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "hostile.pcap"
    path.write_bytes(hostile())
    for words in (("show", path), ("packet", path, 1), ("packet", path, 2), ("stats", path)):
        code, text, said = capture(*words)
        assert code == 0
        assert "\x1b" not in text + said and "\x07" not in text and "\u202e" not in text
    assert capture("report", path, "-o", tmp_path / "page.html")[0] == 0
    assert capture("ladder", path, "-o", tmp_path / "ladder.svg")[0] == 0
    for name in ("page.html", "ladder.svg"):
        text = (tmp_path / name).read_text()
        assert "<script" not in text and "<b>" not in text
        assert all(one.isprintable() or one in "\n\xa0" for one in text)


def test_too_many_hosts_for_a_ladder_name_the_options(tmp_path: Path) -> None:
    path = tmp_path / "many.pcap"
    path.write_bytes(pcap(ip(99, b"", 1, 2 + host) for host in range(28)))
    code, _, said = capture("ladder", path)
    assert code == 2
    assert "29 hosts are too many" in said and "--hosts" in said and "--where" in said
    assert capture("ladder", path, "--hosts", "10.0.0.1,10.0.0.2,10.0.0.3")[0] == 0


def test_a_ladder_is_not_written_under_the_name_of_another_format(tmp_path: Path) -> None:
    code, _, said = capture("ladder", LAYERS, "-o", tmp_path / "x.png")
    assert code == 2
    assert "choose a name that ends in .svg" in said
    assert not (tmp_path / "x.png").exists()


def test_a_length_that_is_too_small_is_no_number_of_bytes(tmp_path: Path) -> None:
    path = tmp_path / "udp.pcap"
    path.write_bytes(pcap([ip(17, struct.pack("!4H", 1000, 2000, 7, 0) + b"abc")]))
    _, text, _ = capture("show", path)
    assert "length field 7 is too small" in text
