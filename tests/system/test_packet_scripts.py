"""The guest's kernel answers packet scripts to 10 µs; mistakes are one line with their place."""

import json
from pathlib import Path

import pytest

from analysis import packets
from testbed.author import packet_scripts
from testbed.core.json_lines import json_lines
from testbed.execution import packetdrill
from testbed.execution.runtime import choose

pytestmark = pytest.mark.guest

SCRIPTS = Path(__file__).parent / "scripts"
EXACT = packetdrill.Settings(exact=True)

SYN_ACK = """
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 1000 <mss 1000>
"""
"""A socket listens, and a SYN comes."""

WRONG = {  # name → (script, verdict, line, what is said)
    "late": (f"{SYN_ACK}+.3 > S. 0:0(0) ack 1 <mss 1460>", "differs", 6, "at 0.00000"),
    "flags": (f"{SYN_ACK}+0 > . 0:0(0) ack 1 <mss 1460>", "differs", 6, "flags is S., not ."),
    "options": (f"{SYN_ACK}+0 > S. 0:0(0) ack 1", "differs", 6, "options is <mss 1460>, not <>"),
    "silence": ("0 < . 1:1(0) ack 1\n* > S 0:0(0) <...>", "differs", 2, "flags is R, not S"),
    "nothing": ("0.1 > S 0:0(0) <...>", "differs", 1, "nothing until 1.1"),
    "blocks": (f"{SYN_ACK}+0 accept(3, ..., ...) = 4", "differs", 6, "has not returned after 10 s"),
    "result": ("0 close(7) = 0", "differs", 1, "it returned -1 EBADF"),
    "code": ("0 %{ assert 1 == 2, 'no' }%", "differs", 1, "no"),
    "crash": ("0 %{ 1 / 0 }%", "differs", 1, "ZeroDivisionError"),
    "shell": ("0 `false`", "differs", 1, "exit code 1"),
    "symbol": ("0 socket(..., SOCK_WRONG, 0) = 3", "unsupported", 1, "the symbol SOCK_WRONG"),
    "call": ("0 frobnicate(3) = 0", "unsupported", 1, "the system call frobnicate"),
    "option": ("--frob=1\n0 close(3) = 0", "unsupported", 0, "--frob"),
    "number": ("--mtu=x\n0 close(3) = 0", "unsupported", 0, "--mtu=x, which is not a number"),
}


@pytest.fixture(scope="module")
def played(guest_kernel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong")
    for name, (text, *_) in WRONG.items():
        (folder / f"{name}.pkt").write_text(text)
    found = packetdrill.play([SCRIPTS, folder], EXACT, folder / "out")
    return {Path(one.script).stem: one for one in found}


@pytest.mark.parametrize("name", sorted(path.stem for path in SCRIPTS.glob("*.pkt")))
def test_kernel_answers(played, name):
    assert played[name].verdict == "pass", played[name]
    assert played[name].largest_us <= 20


@pytest.mark.parametrize("name", sorted(WRONG))
def test_what_is_wrong_is_named_with_its_line(played, name):
    _, verdict, line, text = WRONG[name]
    one = played[name]
    assert (one.verdict, one.line) == (verdict, line), one
    assert text in f"{one.came}{one.reason}"


PEERS = {
    "echo": """
        0       < S 0:0(0) win 1000 <mss 1460>
        +0      > S. 0:0(0) ack 1 <mss 1460>
        +.1     < . 1:1(0) ack 1 win 1000
        +0      < P. 1:6(5) ack 1 win 1000 "hello"
        +0      > . 1:1(0) ack 6
        *       > P. 1:6(5) ack 6 "hello"
        +0      < . 6:6(0) ack 6 win 1000
        +1      < R 6:6(0)
    """,
    "impatient": """
        0       < S 0:0(0) win 1000 <mss 1460>
        +.5     > S. 0:0(0) ack 1 <mss 1460>
    """,
    "gone": """
        0       < S 0:0(0) win 1000 <mss 1460>
        +0      > S. 0:0(0) ack 1 <mss 1460>
        +1~+1.1 > S. 0:0(0) ack 1 <mss 1460>
        +2~+2.2 > S. 0:0(0) ack 1 <mss 1460>
    """,
    "server": """
        *       > S 0:0(0) <...>
        +0      < S. 4294967295:4294967295(0) ack 1 win 2 <mss 1460>
        +0      > . 1:1(0) ack 1
        *       > P. 1:3(2) ack 1
        +0      < . 1:1(0) ack 3 win 2
        +0      > FP. 3:4(1) ack 1
        +0      < R 1:1(0)
    """,
}


def test_a_peer_plays_against_a_real_host(guest_kernel, tmp_path):
    for name, text in packet_scripts.inputs(PEERS).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    outcome = choose("guest").run(tmp_path, seed=1, module="tests.system.programs.peers")
    assert outcome.ok, (outcome, (tmp_path / "console.log").read_text()[-3000:])
    result = json.loads((tmp_path / "played.json").read_text())
    logs = {n: list(json_lines((tmp_path / f"logs/scripts-{n}.log").read_text())) for n in PEERS}
    assert result == {"echo": True, "impatient": False, "gone": True, "server": True}, logs
    assert "at 0.00000" in logs["impatient"][-1]["came"]
    seen = packets.read(tmp_path / "captures/h2-eth0.pcap")
    resets = seen[(seen["tcp_flags"] & 4 > 0) & (seen["ip_src"] == "10.0.0.2")]
    assert len(resets) == 2  # those of the scripts: the peer's own kernel kept out of it
