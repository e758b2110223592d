"""What nodes on the running kernel write, delete or replace is not the machine's."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.core.project import PROJECT
from testbed.guest_init import layers

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="the host runtime needs root"),
]

SACRIFICE = Path(__file__).with_name("sacrifice.py")
TESTBED = [sys.executable, "-m", "testbed.cli.main"]

UNPROTECTED = """
import os, sys
from testbed.guest_init import layers

class Nothing:
    def __init__(self, *_): pass
    def written(self): return []

layers.stack = layers.enter = Nothing
from testbed.cli.main import main
sys.argv = ["testbed", *sys.argv[1:]]
main()
"""
"""The command without what is tested here: a mutant."""

HARM = r"""
echo nameserver 6.6.6.6 > /etc/resolv.conf.new && mv /etc/resolv.conf.new /etc/resolv.conf
echo 6.6.6.6 machine >> /etc/hosts
for place in /etc /root /run /usr/local /var/lib $SACRIFICE; do
    echo node > $place/x; rm -f $place/*.out; rm -rf $place/folder; echo node > $place/new
done
grep -q 6.6.6.6 /etc/resolv.conf /etc/hosts && cat /var/lib/new /root/x && echo harmed inside
"""

SCRIPT = """
import os, sys
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo

net = Mininet(SingleSwitchTopo(2), switch=LinuxBridge, controller=None)
net.start()
print(net["h1"].cmd("sh " + sys.argv[1]))
net["h2"].cmd("echo of a node > node.txt")
with open("script.txt", "w") as file:
    file.write("of the script")
os.system("rm -f $SACRIFICE/*.out /tmp/vconn* /etc/*.out")  # as Mininet's own clean-up
net.stop()
"""


def sacrificed(command, cwd):
    done = subprocess.run(
        [sys.executable, str(SACRIFICE), *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "TESTBED_CACHE": str(cwd / "cache")},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "harm.sh").write_text(HARM)
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


def mininet(files):
    return ["mininet", "--runtime", "host", "script.py", files / "harm.sh"]


def test_a_script_and_its_nodes_write_to_layers(files):
    found = sacrificed([*TESTBED, *mininet(files)], files)
    assert found["code"] == 0 and "harmed inside" in found["output"], found
    assert found["changed"] == []
    assert (files / "node.txt").read_text() == "of a node\n"
    assert (files / "script.txt").read_text() == "of the script"
    assert "not kept: /etc/hosts, /etc/new" in found["output"]


def test_without_layers_the_same_test_fails(files):
    found = sacrificed([sys.executable, "-c", UNPROTECTED, *mininet(files)], files)
    assert "harmed inside" in found["output"], found
    names = {"/etc/resolv.conf", "/etc/hosts", "/etc/machine.out", "/var/lib/x", "/root/folder"}
    assert names <= set(found["changed"])


def test_a_session_and_its_nodes_write_to_layers(files):
    command = f"echo h1 sh harm.sh | {' '.join(TESTBED)} shell single,2 --runtime host --out out"
    (files / "out").mkdir()
    shutil.copy(files / "harm.sh", files / "out")
    found = sacrificed(["sh", "-c", command], files)
    assert "harmed inside" in found["output"], found
    assert found["changed"] == []


NETWORK = """
import sys
from mininet.topo import SingleSwitchTopo
from testbed.net import Network
with Network(SingleSwitchTopo(2)) as net:
    print(net["h1"].cmd("sh " + sys.argv[1]))
"""


def test_nodes_of_a_program_of_ones_own_write_to_layers(files):
    found = sacrificed([sys.executable, "-c", NETWORK, files / "harm.sh"], files)
    assert found["code"] == 0 and "harmed inside" in found["output"], found
    assert found["changed"] == []


SETTINGS = """
cat /proc/sys/vm/swappiness > /proc/sys/vm/swappiness || echo machine: refused
echo 1 > /proc/sys/net/ipv4/ip_forward && echo network: written
hostname node && hostname
"""


def test_settings_and_name_of_the_machine_are_out_of_reach(files):
    (files / "harm.sh").write_text(SETTINGS)
    name = os.uname().nodename
    commands = [[*TESTBED, *mininet(files)], [sys.executable, "-c", NETWORK, files / "harm.sh"]]
    for command in commands:
        # a name space of its own, which may lose its name: the machine's would else be at stake
        found = sacrificed(["unshare", "--uts", "sh", "-c", '"$@"; hostname', "-", *command], files)
        assert found["output"].count("machine: refused") == 1, found
        assert found["output"].count("network: written") == 1
        assert "node\n" in found["output"] and f"\n{name}\n" in found["output"]
    assert os.uname().nodename == name


WITHOUT_OVERLAYS = (
    "from testbed.guest_init import layers; layers.stack.__kwdefaults__['overlay'] = False"
)


def test_a_kernel_without_overlays_has_the_rest_read_only(files):
    found = sacrificed([sys.executable, "-c", WITHOUT_OVERLAYS + NETWORK, files / "harm.sh"], files)
    assert found["code"] == 0 and "/root/x: Read-only file system" in found["output"], found
    assert "/etc/new" not in found["output"] and "/var/lib/x" not in found["output"]
    assert found["changed"] == []


def test_nothing_of_a_killed_command_is_left(files):
    (files / "waits.py").write_text("print('up', flush=True)\ninput()\n")
    command = [*TESTBED, "mininet", "--runtime", "host", "waits.py"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    before = Path("/proc/self/mountinfo").read_text()
    with subprocess.Popen(command, cwd=files, **pipes) as process:
        assert process.stdout.readline() == b"up\n"
        inside = Path(f"/proc/{process.pid}/mountinfo").read_text()
        process.kill()
    assert "overlay" in inside and str(files) in inside
    assert Path("/proc/self/mountinfo").read_text() == before


LEASE = """
import subprocess, sys, time
from mininet.topo import SingleSwitchTopo
from testbed.net import Network
with Network(SingleSwitchTopo(2)) as net:
    h1, h2 = net["h1"], net["h2"]
    h1.cmd("ip addr flush dev h1-eth0")
    server = h2.popen(
        "dnsmasq --no-daemon -C /dev/null --port=0 --dhcp-range=10.0.0.100,10.0.0.110,1h "
        "--dhcp-authoritative --dhcp-option=6,10.9.9.9 --interface=h2-eth0 "
        "--dhcp-leasefile=/tmp/leases"
    )
    said = h1.cmd("dhcpcd -4 -1 --noarp -t 20 h1-eth0")
    print(said, h1.cmd("ip -4 addr show h1-eth0; cat /etc/resolv.conf; ls /var/lib/dhcpcd*"))
"""


def test_a_dhcp_client_writes_its_own_resolv_conf(files):
    if shutil.which("dhcpcd") is None or shutil.which("dnsmasq") is None:
        pytest.skip("dhcpcd and dnsmasq are not installed")
    found = sacrificed([sys.executable, "-c", LEASE], files)
    assert "inet 10.0.0.1" in found["output"] and "nameserver 10.9.9.9" in found["output"], found
    assert found["changed"] == []


def test_a_folder_of_the_system_is_never_kept(files):
    done = subprocess.run(
        [*TESTBED, "mininet", "--keep", "/etc", "script.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=files,
    )
    assert done.returncode == 2 and "--keep /etc" in done.stderr
    assert layers.may_be_kept(str(files)) and not layers.may_be_kept("/tmp/../etc")
    for folder in ("/etc/frr", "/usr/local", "/var/lib/x", "/run/x", "/lib64/x"):
        assert not layers.may_be_kept(folder), folder
    assert layers.may_be_kept("/var/tmp/x") and layers.may_be_kept("/home/ada/lab")
