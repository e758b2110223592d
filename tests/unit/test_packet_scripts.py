"""The notation of packet scripts, packets as octets, and what is found to differ."""

import json
import os
import socket

import pytest

from testbed.author import packet_scripts
from testbed.author.sockets import TcpSocket
from testbed.cli import packetdrill as command
from testbed.core.checksum import internet_checksum
from testbed.core.errors import ConfigError
from testbed.core.json_lines import json_lines
from testbed.execution import packetdrill
from testbed.peers import matching, notation, segments, symbols
from testbed.peers.calls import Calls
from testbed.peers.segments import Connection
from testbed.peers.values import UnsupportedError

PEER, TESTED = ("10.0.0.2", 40_000), ("10.0.0.1", 80)


def _step(line):
    (step,) = notation.parse(line).steps
    return step


def _sent(line):
    """The packet of a line, sent and read again."""
    octets = segments.build(_step(line)["packet"], Connection(PEER, TESTED))
    return octets, segments.read(octets, 0)


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ("0.25 < R 1:1(0)", ["at", 0.25]),
        ("+.1 < R 1:1(0)", ["after", 0.1]),
        ("* > R 1:1(0)", ["whenever"]),
        ("1~1.5 > R 1:1(0)", ["between", 1.0, 1.5]),
        ("+0~+.3 > R 1:1(0)", ["after_between", 0.0, 0.3]),
    ],
)
def test_times(line, at):
    assert _step(line)["at"] == at


def test_a_segment_is_read_and_built():
    line = '0 < [ect0] SP. 7:12(5) ack 3 win 9 urg 2 <mss 1460,nop,wscale 7> "h\\x00llo"'
    octets, packet = _sent(line)
    assert (packet.source, packet.target) == (PEER, TESTED)
    assert (packet.seq, packet.ack, packet.window, packet.urgent) == (7, 3, 9, 2)
    assert segments.flag_letters(packet.flags) == "SP."
    assert packet.options == [["mss", 1460], ["nop"], ["wscale", 7]]
    assert packet.payload == b"h\0llo"
    assert packet.tos == 2
    assert internet_checksum(octets[:20]) == 0
    pseudo = octets[12:20] + bytes([0, 6, 0, len(octets) - 20])
    assert internet_checksum(pseudo + octets[20:]) == 0


def test_a_checksum_is_damaged_on_request():
    octets, _ = _sent("0 < . 1:1(0) ack 1 win 9 bad_checksum")
    pseudo = octets[12:20] + bytes([0, 6, 0, len(octets) - 20])
    assert internet_checksum(pseudo + octets[20:]) != 0


@pytest.mark.parametrize(
    "option",
    [
        ["sackOK"],
        ["sack", [[1, 2], [3, 4]]],
        ["TS", 100, 4_294_967_295],
        ["kind", 253, "0a0b"],
        ["kind", 34, ""],
    ],
)
def test_options_are_read_as_they_are_built(option):
    assert segments.options_of(segments.option_octets(option)) == [option]


def test_damaged_options_end_the_list():
    assert segments.options_of(b"\1\2\4\5") == [["nop"]]
    assert segments.options_of(b"\2") == []
    assert segments.options_of(b"\2\0") == []


def test_numbers_of_the_tested_end_are_relative():
    connection = Connection(PEER, TESTED)
    connection.tested_isn = 0xFFFFFFFF
    step = _step("0 < . 1:1(0) ack 5 win 9 <nop,nop,sack 7:9>")
    packet = segments.read(segments.build(step["packet"], connection), 0)
    assert packet.ack == 4
    assert packet.options[2] == ["sack", [[6, 8]]]


def test_sequence_numbers_wrap():
    step = _step("0 < . 4294967295:4(5) ack 1 win 9")
    assert (step["packet"]["seq"], step["packet"]["length"]) == (4_294_967_295, 5)


def test_a_steps_text_has_no_comment():
    text = (
        '+.02 > P. 1:3(2) ack 1 "//" /* why */  // the path\n*  > . 1:1(0) ack 1 /* and\n more */'
    )
    steps = notation.parse(text).steps
    assert [s["text"] for s in steps] == ['+.02 > P. 1:3(2) ack 1 "//"', "*  > . 1:1(0) ack 1"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "has no steps"),
        ("0 < S 0:0(0) win", "ends too early"),
        ("0 < S 0:0(0) win 9 <mss 1460,tfo 3>", "script:1:30: 'tfo' is not expected here"),
        ("0 < S 0:0(0)\n+1 < Z 1:1(0)", "script:2:6: 'Z' is not expected here"),
        ("0 < . 1:9(5) ack 1", "script:1:7: 1:9(5) does not add up; 1:6(5) does"),
        ("0 < . 1:1(0) win 65536", "win 65536 is too large; at most 65535"),
        ("0 < 70000 > 80 S 0:0(0)", "port 70000 is too large"),
        ("0 < S 0:0(0) <...>", "<...> needs a packet that is expected"),
        ("* < S 0:0(0)", "only a packet that is expected can have such a time"),
        ("2~1 > S 0:0(0)", "the range ends before it begins"),
        ('0 < P. 1:4(3) ack 1 "ab"', "the text has 2 bytes, not 3"),
        ("0 > icmp unreachable port_unreachable", "an ICMP message cannot be expected"),
        ("0 < icmp redirect host", "ICMP: only unreachable with one of"),
        ("0 < S 0:0(0) <sack 1:2 1:2 1:2 1:2 1:2>", "the options have 42 bytes; at most 40"),
        ("0 < S 0:0(0) <FO abc>", "'abc' has an odd number of hexadecimal digits"),
        ("9999999 < S 0:0(0)", "time 9999999 is too large"),
        ("0 < S 0:0(0) \x1b[2J", "'?[2J' is not expected here"),
        ("0 < S 0:0(0) win " + "9" * 5000, "script:1:18: a number of 5000 characters is too long"),
        ("0 write(3, ..., " + "9" * 5000 + ") = 1", "script:1:17: a number of 5000 characters"),
        ("0" * 5000 + " close(3) = 0", "script:1:1: a number of 5000 characters is too long"),
        ('0 < P. 1:2(1) ack 1 "\\x"', "script:1:21: the text has an incomplete escape"),
        ('0 < P. 1:2(1) ack 1 "\\u4e2d"', "a character of the text is not a single byte"),
        ('0 write(3, "中", 1) = 1', "script:1:12: a character of the text is not a single byte"),
        ("0 < S 0:0(0) <kind 5 " + "ab" * 300 + ">", "an option has at most 40 bytes"),
        ("0 poll(" + "[" * 20_000 + "]" * 20_000 + ") = 0", "the values are nested too deep"),
    ],
)
def test_errors_name_line_and_column(text, place):
    with pytest.raises(notation.ScriptError) as caught:
        notation.parse(text)
    message = str(caught.value)
    assert place in message
    assert "\n" not in message


def test_numbers_may_have_leading_zeros():
    packet = _step("0 < . 01:01(00) ack 01 win 0010 <sack 01:02>")["packet"]
    assert (packet["seq"], packet["ack"], packet["window"]) == (1, 1, 10)
    assert packet["options"] == [["sack", [[1, 2]]]]


@pytest.mark.parametrize(
    "line",
    [
        "0 write(4, ..., -1) = 1",
        "0 write(4, ..., 900000000000) = 1",
        "0 write(4, ...) = 1",
        "0 setsockopt(4, 1, 2, {99999999999}, 4) = 0",
        "0 setsockopt(4, 1, 2, 99999999999, 4) = 0",
        "0 poll([{events=1}], 1, 0) = 0",
    ],
)
def test_values_that_a_call_cannot_take_are_unsupported(line):
    step = _step(line)
    player = Calls("127.0.0.1", "127.0.0.1", 80)
    reading, writing = os.pipe()
    with socket.socket() as taken, os.fdopen(reading), os.fdopen(writing):
        player._files[4] = taken if "setsockopt" in line else writing
        with pytest.raises(UnsupportedError, match=f"the arguments of {step['name']}: "):
            player.run(step, None, lambda: 0.0, lambda _: 0.0)


def test_a_log_that_ends_within_a_line_is_unfinished(tmp_path):
    whole = '{"event": "start"}\nnoise\n{"event": "se'
    assert list(json_lines(whole)) == [{"event": "start"}]
    assert list(json_lines('{"a": "\u2028"}')) == [{"a": "\u2028"}]
    with pytest.raises(ValueError):
        list(json_lines('{"event"\n{}'))
    log = tmp_path / "x.log"
    for text in (whole, '{"event"\n', '{"other": 1}\n'):
        log.write_text(text)
        found = packetdrill._result(packetdrill.Played("x", "unfinished"), log)
        assert (found.verdict, "the player ended early" in found.reason) == ("unfinished", True)


def test_what_scripts_say_cannot_steer_the_terminal(capsys):
    bad = "\x1b]0;owned\x07"
    one = packetdrill.Played(bad, "differs", 1, expected=bad, came=bad, reason=bad)
    command._show([one])
    said = capsys.readouterr().out
    assert "\x1b]" not in said
    assert said.count("\\x1b]0;owned\\x07") == 4


def test_calls_commands_and_code_are_read():
    text = """
    --tolerance_usecs=7000
    // the first line
    `true \\
     && true`
       0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
     +.1...0.2 connect(3, {sa_family = AF_INET, sin_port = htons(80),
                           sin_addr = inet_addr("1.2.3.4")}, ...) = -1 EINPROGRESS (In progress)
      +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0x2 (flags O_RDWR)
      +0 `ip link`
      +0 %{ assert tcpi_snd_cwnd == 10 }%
    `true`
    """
    script = notation.parse(text)
    assert script.options == {"tolerance_usecs": "7000"}
    assert script.before == ["true \\\n     && true"]
    assert script.after == ["true"]
    assert [s["do"] for s in script.steps] == ["call", "call", "call", "shell", "code"]
    connect, fcntl = script.steps[1:3]
    assert (connect["until_s"], connect["result"], connect["error"]) == (0.2, -1, "EINPROGRESS")
    assert fcntl["arguments"][2] == {"or": [{"word": "O_RDWR"}, {"word": "O_NONBLOCK"}]}
    assert connect["line"] == 7


@pytest.mark.parametrize(
    ("expected", "came", "what"),
    [
        ("> . 1:1(0) ack 6", "< . 1:1(0) ack 6 win 9", ""),
        ("> . 1:1(0) ack 6", "< . 1:1(0) ack 5 win 9", "ack is 5, not 6"),
        ("> P. 1:3(2) ack 6", "< . 1:3(2) ack 6 win 9", "flags is ., not P."),
        ("> . 1:3(2) ack 6", "< . 1:2(1) ack 6 win 9", "length is 1, not 2"),
        ("> . 2:2(0) ack 6", "< . 1:1(0) ack 6 win 9", "seq is 1, not 2"),
        ("> . 1:1(0) ack 6 win 8", "< . 1:1(0) ack 6 win 9", "win is 9, not 8"),
        ("> . 1:1(0) ack 6", "< . 1:1(0) ack 6 <nop>", "options is <nop,eol>, not <>"),
        ("> . 1:1(0) ack 6 <...>", "< . 1:1(0) ack 6 <nop>", ""),
        ("> [ce] . 1:1(0) ack 6", "< [ect0] . 1:1(0) ack 6", "ECN is 2, not ce"),
        ("> [ect01] . 1:1(0) ack 6", "< [ect1] . 1:1(0) ack 6", ""),
        ('> . 1:3(2) ack 6 "ab"', '< . 1:3(2) ack 6 "ac"', "payload is 'ac', not 'ab'"),
        ("> udp (3)", "< udp (4)", "length is 4, not 3"),
    ],
)
def test_what_differs_is_named(expected, came, what):
    _, packet = _sent(f"0 {came}")
    found = matching.difference(_step(f"0 {expected}")["packet"], packet, Connection(PEER, TESTED))
    assert found == what


def test_a_piece_of_a_segment_matches():
    _, packet = _sent("0 < . 1:3(2) ack 6")
    expected = _step("0 > P. 1:5(4) ack 6")["packet"]
    connection = Connection(PEER, TESTED)
    assert matching.difference(expected, packet, connection, piece=True) == ""
    assert "length" in matching.difference(expected | {"flags": "."}, packet, connection)


def test_time_stamps_map_to_the_script():
    connection = Connection(PEER, TESTED)
    step = _step("0 > S. 0:0(0) ack 1 <TS val 100 ecr 7>")["packet"]
    _, packet = _sent("0 < S. 5:5(0) ack 1 <TS val 9100 ecr 7>")
    matching.learn(step, packet, connection)
    assert (connection.tested_isn, connection.clocks) == (5, {100: 9100})
    assert connection.clock_to_script(9200) == 200


def test_an_experiment_gets_its_scripts_as_files():
    files = packet_scripts.inputs({"one": "0 < S 0:0(0) win 9"})
    assert list(files) == ["scripts/one.json"]
    assert json.loads(files["scripts/one.json"])["steps"][0]["do"] == "send"


def test_a_peer_has_packets_only():
    with pytest.raises(ConfigError, match=r"^one:2: a peer's script has packets only"):
        packet_scripts.inputs({"one": "0 < S 0:0(0)\n+1 close(3) = 0"})


def test_fields_of_tcp_info():
    found = symbols.TCP_INFO.read(bytes([1, 3, 0, 0, 0, 0, 0x87, 0]) + bytes(20) + b"\7\0\0\0")
    assert found["tcpi_ca_state"] == 3
    assert (found["tcpi_snd_wscale"], found["tcpi_rcv_wscale"]) == (7, 8)
    assert found["tcpi_sacked"] == 7
    assert "tcpi_snd_cwnd" not in found


def test_scripts_that_cannot_be_read_do_not_start_a_guest(tmp_path):
    (tmp_path / "a.pkt").write_text("0 < Z 0:0(0)")
    (tmp_path / "b.pkt").write_bytes(b"\xff")
    played = packetdrill._prepare(tmp_path / "a.pkt", tmp_path, 0, tmp_path, packetdrill.Settings())
    assert (played.verdict, played.reason) == ("unreadable", "a.pkt:1:5: 'Z' is not expected here")
    played = packetdrill._prepare(tmp_path / "b.pkt", tmp_path, 0, tmp_path, packetdrill.Settings())
    assert played.reason == "b.pkt: byte 0: is not UTF-8 text"


def test_files_that_commands_name_are_lent(tmp_path):
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "defaults.sh").write_text("true")
    (tmp_path / "tcp").mkdir()
    script = tmp_path / "tcp" / "x.pkt"
    script.write_text("`../common/defaults.sh`\n0 < S NAME:0(0)")
    out = tmp_path / "out"
    (out / "plans").mkdir(parents=True)
    settings = packetdrill.Settings(defines={"NAME": "0"})
    packetdrill._prepare(script, packetdrill._tree(script, [tmp_path]), 0, out, settings)
    plan = json.loads((out / "plans" / "0000.json").read_text())
    assert plan["before"] == ["../common/defaults.sh"]
    assert (out / "files" / "0000" / "common" / "defaults.sh").read_text() == "true"
    assert plan["folder"] == "/run/lab/files/0000/d0"


@pytest.mark.parametrize("word", ["../secret", "link", "large"])
def test_only_files_of_the_given_folder_are_lent(tmp_path, word):
    given = tmp_path / "given"
    given.mkdir()
    (tmp_path / "secret").write_text("x")
    (given / "link").symlink_to(tmp_path / "secret")
    (given / "large").write_bytes(bytes(1_000_001))
    script = given / "x.pkt"
    script.write_text(f"`cat {word}`\n0 < S 0:0(0)")
    (tmp_path / "out" / "plans").mkdir(parents=True)
    tree = packetdrill._tree(script, [script])
    played = packetdrill._prepare(script, tree, 0, tmp_path / "out", packetdrill.Settings())
    assert played.verdict == "unreadable"
    assert ("has more than" if word == "large" else "is outside") in played.reason
    assert not (tmp_path / "out" / "files").exists()


def test_a_connect_that_fails_at_once_is_recorded():
    class Net:
        def event(self, _kind, **row):
            self.result = row["result"]

    with socket.socket() as raw:
        client = TcpSocket(Net(), "h1", "client", raw)
        client.begin_connect("224.0.0.1", 80)  # TCP has no groups: refused before any packet
        assert not client.connected()
    assert client._net.result == "ENETUNREACH"


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ("pass pass", 0),
        ("pass differs unreadable", 1),
        ("pass unreadable", 2),
        ("pass unsupported", 4),
    ],
)
def test_exit_codes(verdicts, code):
    assert packetdrill.exit_code([packetdrill.Played("x", v) for v in verdicts.split()]) == code


def test_folders_are_searched(tmp_path):
    with pytest.raises(ConfigError, match="has no files that end in"):
        packetdrill.find([tmp_path])
    (tmp_path / "b.pkt").touch()
    (tmp_path / "a.pkt").touch()
    assert [p.name for p in packetdrill.find([tmp_path])] == ["a.pkt", "b.pkt"]
    with pytest.raises(ConfigError, match="does not exist"):
        packetdrill.find([tmp_path / "c"])
