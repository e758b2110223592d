"""`why h1 h2` names what is wrong, in networks that are broken in one way each."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.core.project import PROJECT

pytestmark = [pytest.mark.guest, pytest.mark.xdist_group("why")]

SCRIPT = Path(__file__).with_name("scripts") / "broken_networks.py"
TESTBED = [sys.executable, "-m", "testbed.cli.main"]

EXPECTED = {  # case → node, words of the answer; both are empty where nothing is wrong
    "fine": ("", ""),
    "sender down": ("h1", "h1-eth0 of h1 is down"),
    "receiver down": ("h2", "h2-eth0 of h2 is down"),
    "switch port down": ("s1", "s1-eth2 of s1 is down"),
    "own cable cut": ("s1", "s1-eth1 of s1 is down"),
    "no address": ("h1", "h1 has no IPv4 address"),
    "no address there": ("h2", "h2 has no IPv4 address"),
    "short mask there": ("h2", "its address 10.0.0.2/32 has so long a prefix"),
    "same address": ("h2", "h2 and h3 have the same address 10.0.0.2"),
    "static ARP": ("h1", "static ARP entry for 10.0.0.2 with MAC 02:00:00:00:00:99"),
    "filter": ("h2", "h2's filter drops the packets: the rule 'ip saddr 10.0.0.1 drop' of"),
    "answers filtered": (
        "h2",
        "filter drops the packets: its policy (drop) of chain ip f out",
    ),
    "silent": ("h2", "is set not to answer ping"),
    "MTU": ("h2", "larger ones than 1400 bytes are lost: h2-eth0 takes only these (MTU)"),
    "port out of the bridge": ("s1", "s1-eth2 is not a port of switch s1"),
    "blocked port": ("s1", "does not forward at s1-eth2"),
    "routed and fine": ("", ""),
    "no default route": ("h1", "h1 has no route to 10.0.2.1; it needs a default route"),
    "nobody's gateway": ("h1", "by the gateway 10.0.1.77, an address that nobody has"),
    "mask too wide": ("h1", "its own address 10.0.1.1/8 has so short a prefix"),
    "no way back": ("h2", "answers do not come back: h2 has no route to 10.0.1.1"),
    "does not forward": ("r1", "does not forward them (ip_forward is 0)"),
    "router without route": ("r1", "r1 has no route to 10.0.2.1; it needs one to that network"),
    "router without route back": ("r2", "answers do not come back: r2 has no route to 10.0.1.1"),
    "loop": ("r1", "a routing loop: packets to 10.0.2.1 go r1 → r2 → r1"),
    "black hole": ("r1", "a blackhole route to 10.0.2.0/24"),
    "forward policy": ("r1", "its policy (drop) of chain inet f fw"),
    "reverse path": ("r2", "r2 drops packets from 10.0.1.1 that come in by r2-eth1"),
    "cable between routers": ("r2", "r2-eth1 of r2 is down"),
    "lossy cable": ("s1", "the cable of s1-eth2 loses every packet"),
    "no flows": ("s1", "switch s1 has no flow"),
    "access ports and a trunk": ("", ""),
    "a trunk of the VLAN": ("", ""),
    "a trunk of another VLAN": ("s1", "s1-eth1 in VLAN 10 and s1-eth2 as a trunk of VLAN 20"),
    "access port behind a trunk": ("s2", "s2-eth2 in VLAN none and s2-eth1 in VLAN 11"),
    "access port instead of a trunk": ("s2", "s2-eth2 in VLAN 10 and s2-eth1 in VLAN 10"),
    "translated": ("", ""),
    "proxy ARP": ("", ""),
    "same address in another VLAN": ("", ""),
    "same addresses elsewhere": ("", ""),
    "a namesake's address": ("h4", "h4 and h2 have the same address 10.0.0.2"),
    "VLANs": ("s1", "s1-eth1 in VLAN none and s1-eth2 in VLAN 7"),
}


@pytest.fixture(scope="module")
def answers(guest_kernel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("broken")
    shutil.copy(SCRIPT, folder)
    done = subprocess.run(
        [*TESTBED, "mininet", "--runtime", "guest", "--clock", "virtual", SCRIPT.name],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "answers.json").read_text())


def test_no_case_is_forgotten(answers):
    assert set(answers) == set(EXPECTED)


@pytest.mark.parametrize("case", EXPECTED)
def test_the_first_thing_wrong_is_named(answers, case):
    node, words = EXPECTED[case]
    answer = answers[case]
    assert answer["node"] == node, answer
    assert words in answer["text"], answer
    assert bool(answer["see"]) == bool(node)


def test_the_way_is_shown(answers):
    there = ["h1 → r1: from h1-eth0 to r1-eth0", "r1 → r2: from r1-eth1 to r2-eth1"]
    assert answers["routed and fine"]["way"][:2] == there
    assert answers["routed and fine"]["way"][-1] == "r1 → h1: from r1-eth0 to h1-eth0"


def test_at_the_command_line(guest_kernel, tmp_path):
    done = subprocess.run(
        [*TESTBED, "shell", "single,2", "--runtime", "guest", "--out", str(tmp_path / "s")],
        input="why h1 h2\nlink s1 h2 down\nwhy h1 h2\nwhy h1 h9\nwhy h1\nwhy h1 h1\n",
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout.replace("\r", "")
    assert "h1 → h2: from h1-eth0 to h2-eth0" in shown
    assert "h1 and h2 reach each other" in shown
    assert "why: " in shown and "is down\nsee: " in shown
    assert "'h9' is not a host or router" in shown
    assert "usage: why HOST HOST" in shown
    assert "h1 twice; name two hosts" in shown
