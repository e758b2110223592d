"""`testbed shell`: Mininet's command line on both runtimes, from a script and at a terminal."""

import os
import pty
import subprocess
import sys

import pytest

from testbed.core.project import PROJECT

SHELL = [sys.executable, "-m", "testbed.cli.main", "shell"]


def script(*arguments, text):
    return subprocess.run(
        [*SHELL, *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
        timeout=120,
    )


@pytest.mark.guest
def test_commands_of_a_script_in_a_guest(guest_kernel, tmp_path):
    done = script(
        "single,3",
        "--runtime",
        "guest",
        "--out",
        str(tmp_path / "s"),
        "--capture",
        "h1-eth0",
        text="pingall\nlink s1 h2 down\nh1 ping -c1 -W1 h2\n",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0% dropped (6/6 received)" in done.stdout
    assert "100% packet loss" in done.stdout
    assert (tmp_path / "s" / "captures" / "h1-eth0.pcap").stat().st_size > 24


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="the host runtime needs root")
def test_commands_of_a_script_on_the_host(tmp_path):
    done = script("single,2", "--runtime", "host", "--out", str(tmp_path / "s"), text="pingall\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0% dropped (2/2 received)" in done.stdout


def test_an_unknown_topology_is_refused_before_anything_starts(tmp_path):
    done = script("singel", "--out", str(tmp_path / "s"), text="")
    assert done.returncode == 2
    assert "did you mean 'single'" in done.stderr
    assert not (tmp_path / "s").exists()


@pytest.mark.guest
def test_ctrl_d_at_a_terminal_ends_it_cleanly(guest_kernel, tmp_path):
    ours, theirs = pty.openpty()
    argv = [*SHELL, "single,2", "--runtime", "guest", "--out", str(tmp_path / "s")]
    process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, cwd=PROJECT)
    os.close(theirs)
    shown = b""
    while b"mininet>" not in shown:
        shown += os.read(ours, 4096)
    os.write(ours, b"\x04")
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:
            break
    assert process.wait(60) == 0, shown.decode(errors="replace")
    os.close(ours)


@pytest.mark.guest
def test_vtysh_reaches_a_routers_frr(guest_kernel, tmp_path):
    text = "vtysh r1 show ip ospf neighbor\nvtysh r9\n"
    options = ["--runtime", "guest", "--configs", "ospf", "--out", str(tmp_path / "s")]
    done = script("triangle", *options, text=text)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Neighbor ID" in done.stdout
    assert "no node 'r9'" in done.stdout


@pytest.mark.guest
def test_a_topology_of_the_users_own_file(guest_kernel, tmp_path):
    file = tmp_path / "mine.py"
    text = (PROJECT / "topologies" / "single.py").read_text().replace('"single"', '"mine"')
    file.write_text(text)
    done = script(f"{file},3", "--runtime", "guest", "--out", str(tmp_path / "s"), text="nodes\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "h1 h2 h3 s1" in done.stdout
