"""What both sides of a connection said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.raw_packets import ACK, FIN, SYN, pcap, tcp
from tests.unit.test_cli_capture import CAPTURES, LAYERS, capture
from tests.unit.test_dissect_websocket import ASK, KEY, SWITCH, frame

HELLO = b"hello\r\nwho are"
ESC = b"\x1b[2J \xff\n"


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """A question in two segments, one of them sent twice; an answer; a gap of 3 bytes; more."""
    packets = [
        tcp(0, SYN, 99),
        tcp(1, SYN | ACK, 499, 100),
        tcp(0, ACK, 100, 500, HELLO),
        tcp(0, ACK, 100, 500, HELLO),
        tcp(0, ACK, 114, 500, b" you?\n"),
        tcp(1, ACK, 500, 120, ESC),
        tcp(0, ACK, 123, 507, b"bye"),
        tcp(1, FIN | ACK, 507, 126),
    ]
    path = tmp_path / "talk.pcap"
    path.write_bytes(pcap(packets))
    return path


def test_each_byte_comes_once_and_gaps_are_named(talk: Path) -> None:
    code, text, _ = capture("follow", talk, "--stream", 0)
    assert code == 0
    assert text.splitlines() == [
        "→ client 10.0.0.1 port 1000: 26 bytes, 3 missing",
        "← server 10.0.0.2 port 80: 7 bytes",
        "",
        "→ hello",
        "→ who are you?",
        "← \\x1b[2J \\xff",
        "→ [3 bytes are missing in the capture]",
        "→ bye",
    ]


def test_bytes_of_one_side(talk: Path) -> None:
    code, text, _ = capture("follow", talk, "--stream", 0, "--as", "raw", "--side", "client")
    assert (code, text) == (0, "hello\r\nwho are you?\nbye")


def test_hexadecimal_has_offsets_of_each_side(talk: Path) -> None:
    code, text, _ = capture("follow", talk, "--stream", 0, "--as", "hex")
    assert code == 0
    lines = text.splitlines()
    assert "0000  68 65 6c 6c 6f 0d 0a 77 68 6f 20 61 72 65        hello..who are" in lines
    assert "0017  62 79 65                                         bye" in lines
    assert "← packet 6" in lines


def test_a_connection_that_is_not_there_is_one_clear_line(talk: Path) -> None:
    code, _, said = capture("follow", talk, "--stream", 7)
    assert code == 2
    assert "--stream 7: no such connection; there are 0 to 0" in said
    code, _, said = capture("follow", LAYERS, "--stream", 1)
    assert code == 0
    assert "nothing was said" in said


def test_websocket_frames_are_read_behind_the_switch(tmp_path: Path) -> None:
    hello = frame(1, b"Hello", key=KEY) + frame(1, b"Hel", fin=0, key=KEY)
    answer = SWITCH + b"\r\n" + frame(9, b"\x1b[2J")
    packets = [
        tcp(0, SYN, 99),
        tcp(1, SYN | ACK, 499, 100),
        tcp(0, ACK, 100, 500, ASK),
        tcp(1, ACK, 500, 100 + len(ASK), answer),
        tcp(0, ACK, 100 + len(ASK), 500 + len(answer), hello),
        tcp(1, ACK, 500 + len(answer), 100 + len(ASK) + len(hello), frame(8, b"\3\xe8", key=KEY)),
    ]
    path = tmp_path / "websocket.pcap"
    path.write_bytes(pcap(packets))
    code, text, _ = capture("follow", path, "--stream", 0)
    lines = text.splitlines()
    assert code == 0
    assert lines[3] == "→ GET /chat HTTP/1.1"
    assert lines[-5:] == [
        "←",
        "← ping, 4 bytes",
        "→ text, 5 bytes, masked: Hello",
        "→ text (first part), 3 bytes, masked: Hel",
        "← close 1000, 2 bytes, masked [a server's frame is masked]",
    ]
    code, text, _ = capture("show", path, "--where", "websocket.opcode == 1")
    assert code == 0
    assert "text, 5 bytes, masked: Hello · text (first part), 3 bytes, masked: Hel" in text
    code, text, _ = capture("ladder", path)
    assert code == 0 and "ping, 4 bytes" in text


def test_a_connection_of_quic_is_followed_with_its_http3() -> None:
    pytest.importorskip("pylsqpack")
    code, text, _ = capture("follow", CAPTURES / "quic.pcapng", "--quic", "--stream", 0)
    assert code == 0
    lines = [line for line in text.splitlines() if "stream 0" in line]
    assert [line.split(": ")[1] for line in lines] == [
        "HEADERS stream 0, GET /small0, 38 bytes",
        "HEADERS stream 0, 200, 15 bytes",
        "DATA stream 0, 600 bytes",
    ]
    assert [line[0] for line in lines] == ["→", "←", "←"]
    server = ("--quic", "--stream", 0, "--side", "server")
    text = capture("follow", CAPTURES / "quic.pcapng", *server)[1]
    assert {line[0] for line in text.splitlines()} == {"←"}


def test_what_quic_does_not_have_is_named() -> None:
    code, _, said = capture("follow", CAPTURES / "quic.pcapng", "--quic", "--stream", 99)
    assert (code, "there are 0 to 12" in said) == (2, True)
    code, _, said = capture("follow", LAYERS, "--quic", "--stream", 0)
    assert (code, "the capture has no QUIC connection" in said) == (2, True)
    raw = ("--quic", "--stream", 0, "--as", "raw")
    code, _, said = capture("follow", CAPTURES / "quic.pcapng", *raw)
    assert (code, "--as raw: only for TCP" in said) == (2, True)
