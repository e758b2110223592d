"""`testbed mininet` in a guest: files, input, terminal, captures and exit code of a script."""

import os
import pty
import shutil
import subprocess
import sys
import tempfile

import pytest

from analysis import packets as capture
from testbed.core.project import PROJECT

pytestmark = pytest.mark.guest

MININET = [sys.executable, "-m", "testbed.cli.main", "mininet", "--runtime", "guest"]

SCRIPT = """
import os, sys
import beside
from mininet.cli import CLI
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo

net = Mininet(SingleSwitchTopo(2), switch=LinuxBridge, controller=None)
net.start()
net["h1"].cmd("echo of a node > results/node.txt; echo > /tmp/elsewhere")
CLI(net)
net.stop()
with open("results/script.txt", "w") as file:
    file.write(beside.WORD + open(sys.argv[1]).read())
os.remove("old.txt")
sys.exit(5)
"""


@pytest.fixture
def folder(guest_kernel, tmp_path):
    own = tmp_path / "own"
    (own / "results").mkdir(parents=True)
    (own / "script.py").write_text(SCRIPT)
    (own / "beside.py").write_text("WORD = 'read: '\n")
    (own / "old.txt").write_text("old")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "data.txt").write_text("data")
    return own


def run(folder, *arguments, text="", umask=0o022):
    return subprocess.run(
        [*MININET, *arguments],
        umask=umask,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        timeout=120,
    )


def test_a_script_sees_its_folder_and_what_it_writes_comes_back(folder):
    text = "h1 ping -c1 h2\nnodes\n"
    done = run(folder, "--capture", "s1-eth1", "script.py", "../other/data.txt", text=text)
    assert done.returncode == 5, done.stderr + done.stdout
    assert "1 received, 0% packet loss" in done.stderr  # where Mininet prints
    assert "h1 h2 s1" in done.stderr
    assert (folder / "results" / "node.txt").read_text() == "of a node\n"
    assert (folder / "results" / "script.txt").read_text() == "read: data"
    packets = capture.read(folder / "s1-eth1.pcap")
    assert len(packets[packets["icmp_type"].notna()]) >= 2
    assert "not kept: /tmp/elsewhere" in done.stderr
    assert (
        (folder / "old.txt").exists() and "still here" in done.stderr and "old.txt" in done.stderr
    )
    names = {p.name for p in folder.iterdir()}
    assert names == {"beside.py", "old.txt", "results", "s1-eth1.pcap", "script.py"}


WRITES = """
import errno, os, subprocess, sys
print(open(sys.argv[1]).read())
try:
    os.rename("a-moved", "renamed")
except OSError as error:
    assert error.errno == errno.EXDEV, error
os.makedirs("new/empty/in")
os.chmod("new/empty/in", 0o500)
os.symlink("old.txt", "a-link")
os.mkfifo("a-pipe")
anew = "rm -rf a-remade a-gone && mkdir -p a-remade/below && mv a-moved away"
subprocess.run(anew, shell=True, check=True)
with open("a-remade/new", "w") as file:
    file.write("new")
os.chmod("old.txt", 0o600)
os.chmod("results", 0o750)
os.remove("again.txt")
open("again.txt", "w").close()
with open("results/program", "w") as file:
    file.write("#!/bin/sh")
os.chmod("results/program", 0o755)
busy = "while :; do for n in 1 2 3 4 5 6 7 8 9; do : > F$n; done; rm -f F*; done"
for place in ("/tmp/busy-", "busy-"):  # goes on while the files are kept
    subprocess.Popen(["sh", "-c", busy.replace("F", place)], start_new_session=True)
"""


def test_folders_modes_and_files_that_come_and_go(folder):
    """Named through a link to its folder; nobody reads the input, larger than a pipe."""
    (folder / "writes.py").write_text(WRITES)
    (folder / "results").chmod(0o755)
    (folder / "old.txt").chmod(0o644)
    (folder / "again.txt").write_text("")
    (folder / "again.txt").chmod(0o600)
    for name in ("a-remade/old", "a-remade/below/old", "a-gone/old", "a-moved/old"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("old")
    link = folder.parent / "link"
    link.symlink_to(folder)
    (folder.parent / "elsewhere").mkdir()
    script = folder.parent / "elsewhere" / "script.py"
    script.symlink_to(folder / "writes.py")
    data = folder.parent / "data"
    data.symlink_to(folder.parent / "other")
    for named in (link / "writes.py", script):
        done = run(folder, str(named), str(data / "data.txt"), text="x" * 200_000, umask=0o027)
        assert (done.returncode, done.stdout) == (0, "data\n"), done.stderr
        assert "Traceback" not in done.stderr
        names = ("again.txt", "old.txt", "results", "results/program", "new/empty", "new/empty/in")
        modes = {name: oct((folder / name).stat().st_mode & 0o777)[2:] for name in names}
        assert list(modes.values()) == ["640", "600", "750", "750", "750", "500"], modes
        assert (folder / "old.txt").read_text() == "old"
        assert (folder / "a-remade" / "new").read_text() == "new"
        assert (folder / "away" / "old").read_text() == "old"
        still_here = ("a-gone", "a-moved", "a-remade/below/old", "a-remade/old")
        assert (
            f"still here: {', '.join(str(folder / name) for name in still_here)}" in done.stderr
        ), done.stderr
        assert "not kept:" in done.stderr
        for name in ("a-link", "a-pipe"):
            assert not os.path.lexists(folder / name) and f"{folder / name}" in done.stderr
        shutil.rmtree(folder / "new")
        shutil.rmtree(folder / "away")


QUICK = """
from functools import partial
from mininet.link import TCLink
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo

link = partial(TCLink, delay="40ms", loss=30)
net = Mininet(SingleSwitchTopo(2), switch=LinuxBridge, controller=None, link=link)
net.start()
print(net["h1"].cmd("ping -c20 -i1 10.0.0.2"))
raise ValueError("in the script")
"""


ODD = """
import os
from functools import partial
from mininet.cli import CLI
from mininet.link import TCLink
from mininet.net import Mininet
from mininet.node import Controller, CPULimitedHost, OVSKernelSwitch
from mininet.topo import Topo

class Odd(Topo):
    def build(self):
        switch = self.addSwitch("s1")
        for number in (1, 2):
            host = self.addHost(f"h-{number}", privateDirs=["/run"], ip=f"10.0.1.{number}/24")
            self.addLink(host, switch, bw="10", intfName1="eth0")

host = partial(CPULimitedHost, sched="cfs", cpu=0.5)
net = Mininet(Odd(), switch=OVSKernelSwitch, controller=Controller, host=host, link=TCLink)
net.start()
net.waitConnected(timeout=10)
net.pingAll()
print("bridge", flush=True)
os.system("ovs-vsctl list-br")
print(net["h-1"].cmd("echo private > /run/own; cat /run/own; ls -d /run/lab"))
vlan = net["h-1"].cmd
vlan("ip link add link eth0 name eth0.7 type vlan id 7; ip addr flush dev eth0")
vlan("ip link set eth0.7 up; ip addr add 10.0.7.1/24 dev eth0.7")
CLI(net)
net.stop()
"""

LINES = """sh ovs-ofctl show s1
h-2 echo v4 h-1 h-2
h-2 echo -6 h-2
iperf s1 h-2
link s1 h-2 down
links
pingal
h-1 echo still here
"""


def test_what_scripts_do_oddly(folder):
    (folder / "odd.py").write_text(ODD)
    done = run(folder, "odd.py", text=LINES)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("cpu= has no effect") == 1
    assert "bridge\ns1\nprivate\n/run/lab\n" in done.stdout.replace("\r", "")
    assert "OFPT_FEATURES_REPLY" in done.stdout
    assert "Results: 0% dropped (2/2 received)" in done.stderr  # with or without a controller
    assert "v4 10.0.7.1 10.0.1.2" in done.stderr
    assert "-6 fd00::2" in done.stderr
    assert "error: iperf: s1 is a switch" in done.stderr
    assert "eth0<->s1-eth2 (DOWN DOWN)" in done.stderr
    assert "(did you mean 'pingall'?)" in done.stderr
    assert "still here" in done.stderr


def test_the_virtual_clock_and_a_seed_give_the_same_output_again(folder):
    (folder / "quick.py").write_text(QUICK)
    one, two, other = (
        run(folder, "--clock", "virtual", "--seed", seed, "quick.py") for seed in ("1", "1", "2")
    )
    assert (one.returncode, one.stdout) == (1, two.stdout), one.stderr
    assert one.stdout != other.stdout
    assert "time=160 ms" in one.stdout
    assert one.stderr.endswith("ValueError: in the script\n")
    assert "quick.py" in one.stderr and "dropin.py" not in one.stderr


def test_mininets_own_command_at_a_terminal(folder):
    ours, theirs = pty.openpty()
    options = ["mn", "--topo", "single,2", "--switch", "lxbr", "--controller", "none"]
    process = subprocess.Popen(
        [*MININET, *options],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    os.close(theirs)
    shown = b""

    def wait_for(word):
        nonlocal shown
        while word not in shown:
            shown += os.read(ours, 4096)
        shown = shown.rpartition(word)[2]

    wait_for(b"mininet>")
    os.write(ours, b"h1 ping h2\n")
    wait_for(b"icmp_seq=2")
    os.write(ours, b"\x03")
    wait_for(b"mininet>")
    os.write(ours, b"\x04")
    left = b""
    while True:
        try:
            left += os.read(ours, 4096)
        except OSError:
            break
    os.close(ours)
    assert process.wait(60) == 0
    assert b"Power down" not in left


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes to a folder of the system")
def test_a_script_in_a_folder_of_the_system(folder):
    """The guest gets the file alone: what else is in such a folder is not the user's."""
    with tempfile.NamedTemporaryFile(dir="/var/lib", suffix=".py") as script:
        script.write(b"import os\nprint(__file__, *os.listdir(os.path.dirname(__file__)))\n")
        script.flush()
        done = run(folder, script.name)
    assert done.returncode == 0, done.stderr
    place, *names = done.stdout.split()
    assert place == script.name and "dpkg" not in names


def test_bad_requests_end_before_anything_starts(folder):
    done = run(folder, "no-such-script.py")
    assert done.returncode == 2 and "no-such-script.py" in done.stderr
    done = run(folder, "--keep", "/etc", "script.py")
    assert done.returncode == 2 and "belongs to the system" in done.stderr
