"""Networks on the running kernel: Mininet's API, and that nothing stays whatever happens."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mininet.link import TCLink
from mininet.node import Node, OVSBridge
from mininet.nodelib import NAT
from mininet.topo import LinearTopo
from mininet.topolib import TreeTopo

from testbed.author.topo import Topo
from testbed.core.errors import ConfigError, MissingPrerequisiteError, TestbedError
from testbed.net import Network, leftovers, owned, remove
from testbed.net.mininet_api import cli
from testbed.net.shape import LinkShape
from topologies.ring import Ring
from topologies.single import Single
from topologies.star import Star

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="the host runtime needs root"),
]


def beside():
    """Processes of the test runner's other workers: a test there has namespaces of its own."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = {pid for pid, parent in parents.items() if parent == os.getppid()} - {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def network_namespaces():
    """Inodes of the network namespaces that processes or open files hold, but of tests beside."""
    found, others = set(), beside()
    processes = [p for p in Path("/proc").glob("[0-9]*/ns/net") if int(p.parts[2]) not in others]
    for path in [*processes, *Path("/proc/self/fd").iterdir()]:
        try:
            target = str(path.readlink())
        except OSError:
            continue
        if target.startswith("net:"):
            found.add(target)
    return found


def interfaces():
    return sorted(path.name for path in Path("/sys/class/net").iterdir())


def children():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


@pytest.fixture(autouse=True)
def nothing_stays():
    links, spaces, own = interfaces(), network_namespaces(), children()
    yield
    assert interfaces() == links
    # an orphan of a test beside this one may have one for a moment; a leak stays
    assert eventually(lambda: network_namespaces() <= spaces), network_namespaces() - spaces
    assert children() == own


def reach(net, one, two, options="-c1 -W1"):
    return " 0% packet loss" in net[one].cmd(f"ping {options} {two}")


def test_ping_of_all_pairs():
    with Network(TreeTopo(2, 2)) as net:
        assert net.pingAll() == 0
        net.configLinkStatus("s2", "h1", "down")
        assert net.pingAll(timeout="1") == 50
        net.configLinkStatus("s2", "h1", "up")
        assert net.pingAll() == 0


def test_addresses_are_mininets_in_a_network_without_routers():
    with Network(LinearTopo(3)) as net:
        assert [h.IP() for h in net.hosts] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        assert [h.intf().prefixLen for h in net.hosts] == [8, 8, 8]
        assert reach(net, "h1", "fd00::3")
        row = net.addresses[0]
        assert (row["node"], row["interface"], row["peer"]) == ("h1", "h1-eth0", "s1-eth1")
        assert row["ipv4"] == "10.0.0.1/8" and row["ipv6"] == "fd00::1/64"


def test_kernel_has_what_the_table_says():
    with Network(Star(3)) as net:
        for row in net.addresses:
            seen = net[row["node"]].cmd(f"ip -o address show dev {row['interface']}")
            assert row["ipv4"] in seen and row["ipv6"] in seen


@pytest.mark.parametrize("version", ["ipv4", "ipv6"])
def test_static_routes_reach_everything(version):
    with Network(Ring(4)) as net:
        targets = [row[version].split("/")[0] for row in net.addresses]
        assert all(reach(net, "h1", target) for target in targets)
        assert "ttl=62" in net["h1"].cmd(f"ping -c1 {net['h2'].IP()}")


def test_routers_know_nothing_more_without_routing():
    with Network(Ring(4), routing=None) as net:
        assert reach(net, "h1", "10.0.1.1")
        assert not reach(net, "h1", net["h2"].IP())


def test_static_routes_come_back_with_their_link():
    with Network(Ring(3)) as net:
        before = net["r1"].cmd("ip route; ip -6 route")
        net.configLinkStatus("r1", "r2", "down")
        assert net["r1"].cmd("ip route; ip -6 route") != before
        net.configLinkStatus("r1", "r2", "up")
        after = net["r1"].cmd("ip route; ip -6 route")
        assert sorted(after.split("\r\n")) == sorted(before.split("\r\n"))


def test_a_shell_starts_with_the_first_command():
    before = children()
    with Network(LinearTopo(2)) as net:
        assert children() == before
        assert net["h1"].popen(["true"]).wait() == 0
        assert net["h1"]._shell is None
        assert net["h1"].cmd("echo one; echo two") == "one\r\ntwo\r\n"
        assert net["h1"]._shell is not None and net["h2"]._shell is None


def test_processes_the_ways_mininet_has():
    with Network(LinearTopo(2)) as net:
        h1 = net["h1"]
        assert h1.pexec("sh", "-c", "echo out; echo err >&2; exit 3") == ("out\n", "err\n", 3)
        assert h1.pexec("echo $0", shell=True)[0].strip().endswith("sh")
        h1.sendCmd("sleep 1000")
        assert eventually(
            lambda: "sleep 1000" in h1.pexec("ps", "-e", "-o", "args=")[0].split("\n")
        )
        h1.sendInt()  # before that the shell would drop the line, and never say that it is done
        h1.waitOutput()
        h1.cmd("sleep 1000 &")
        assert h1.lastPid
        is_sleep = f"until ps -o comm= -p {h1.lastPid} | grep sleep; do sleep 0.1; done"
        assert "sleep" in h1.cmd("timeout 10 sh -c", f"'{is_sleep}'")  # first it is a shell's fork
        assert "h1-eth0" in h1.cmd("ls /sys/class/net")
        assert h1.cmd("hostname") == net["h2"].cmd("hostname")
        with pytest.raises(MissingPrerequisiteError, match="no-such-program"):
            h1.popen(["no-such-program"])


def test_hosts_and_links_come_and_go_at_run_time():
    with Network(LinearTopo(2)) as net:
        net.addHost("h3", ip="10.0.0.3/8")
        net.addLink(net["h3"], net["s1"])
        net["h3"].configDefault()
        assert reach(net, "h1", "10.0.0.3")
        net.delLinkBetween(net["h3"], net["s1"])
        assert not reach(net, "h1", "10.0.0.3")
        net.delHost(net["h3"])
        assert "h3" not in net and reach(net, "h1", "10.0.0.2")
        with pytest.raises(ConfigError, match="h1"):
            net.addHost("h1")


def test_interfaces_as_mininet_has_them():
    with Network(LinearTopo(2)) as net:
        intf = net["h1"].intf()
        intf.setIP("10.0.0.77/8")
        intf.setMAC("02:00:00:00:00:77")
        assert (intf.updateIP(), intf.updateMAC()) == ("10.0.0.77", "02:00:00:00:00:77")
        assert intf.isUp() and intf.status() == "OK"
        intf.ifconfig("down")
        assert not intf.isUp()
        intf.rename("first")
        assert "first" in net["h1"].cmd("ip link") and reach(net, "h2", "10.0.0.77")
        net["h1"].setARP("10.0.0.99", "02:00:00:00:00:99")
        assert "PERMANENT" in net["h1"].cmd("ip neighbour show 10.0.0.99")


class LinuxRouter(Node):
    """As the lab of every course has it: written for stock Mininet."""

    def config(self, **params):
        super().config(**params)
        self.cmd("sysctl net.ipv4.ip_forward=1")

    def terminate(self):
        self.cmd("sysctl net.ipv4.ip_forward=0")
        super().terminate()


class CourseLab(Topo):
    def build(self):
        router = self.addNode("r0", cls=LinuxRouter, ip="192.168.1.1/24")
        for i, name in ((1, "h1"), (2, "h2")):
            gateway = f"192.168.{i}.1"
            switch = self.addSwitch(f"s{i}")
            self.addLink(switch, router, intfName2=f"r0-eth{i}", params2={"ip": f"{gateway}/24"})
            host = self.addHost(name, ip=f"192.168.{i}.100/24", defaultRoute=f"via {gateway}")
            self.addLink(host, switch)


def test_classes_written_for_mininet():
    with Network(CourseLab()) as net:
        assert net.pingAll() == 0
        assert isinstance(net["r0"], LinuxRouter)


def test_nat_hides_the_inside():
    class Lab(Topo):
        def build(self):
            nat = self.addNode("n1", cls=NAT, subnet="10.1/16", ip="10.1.0.1/16")
            self.addLink(nat, self.addHost("h1", ip="10.1.0.2/16", defaultRoute="via 10.1.0.1"))
            self.addLink(nat, self.addHost("h2", ip="10.2.0.2/16"), params1={"ip": "10.2.0.1/16"})

    try:
        with Network(Lab()) as net:
            assert reach(net, "h1", "10.2.0.2")
            assert not reach(net, "h2", "10.1.0.2")
    except MissingPrerequisiteError as error:
        pytest.skip(str(error))


def test_mininets_command_line_interface(tmp_path, capsys):
    script = tmp_path / "script"
    script.write_text("h1 ping -c1 h2\nlink h1 s1 down\npy h2.IP()\nnodes\nnet\ndump\n")
    with Network(LinearTopo(2)) as net, Path(os.devnull).open() as nothing:
        cli.CLI(net, stdin=nothing, script=str(script))
        assert not reach(net, "h2", "10.0.0.1")


def test_mininets_link_options():
    class Slow(Topo):
        def build(self):
            self.addLink(self.addHost("h1"), self.addHost("h2"), bw=10, max_queue_size=50)

    with Network(Slow(), link=TCLink) as net:
        assert net.shape("h1-eth0") == LinkShape(rate_mbps=10, queue_pkts=50)
        kinds = [q["kind"] for q in net.qdiscs() if q["interface"] == "h1-eth0"]
        assert kinds[:2] == ["tbf", "pfifo"]
        server, client = net.iperf(seconds=1)
        assert 0 < float(client.split()[0]) < 12, (server, client)  # a busy machine is slower


def test_open_vswitch_without_a_service():
    try:
        with Network(LinearTopo(2), switch=OVSBridge) as net:
            folder = net["s1"].ovs.folder
            assert net.pingAll() == 0
            net["s1"].dpctl("del-flows")
            assert net.pingAll(timeout="1") == 100
    except MissingPrerequisiteError as error:
        pytest.skip(str(error))
    assert not folder.exists()


def test_sysctls():
    with Network(Star(2)) as net:
        net.sysctl("h1", "net.ipv4.tcp_ecn", 1)
        found = net.sysctls(["net.ipv4.tcp_ecn", "net.ipv4.ip_forward", "net.no.such"])
        assert found["h1"] == {
            "net.ipv4.tcp_ecn": "1",
            "net.ipv4.ip_forward": "0",
            "net.no.such": None,
        }
        assert found["r1"]["net.ipv4.ip_forward"] == "1"
        for name, value in (("net.no.such", 1), ("kernel.panic", 1), ("net.ipv4.tcp_ecn", "x")):
            with pytest.raises(ConfigError, match=name):
                net.sysctl("h1", name, value)


def test_two_networks_with_the_same_names():
    with Network(Single(2)) as one, Network(Single(2)) as two:
        one["h1"].cmd("ip address add 10.9.9.9/32 dev lo")
        assert "10.9.9.9" not in two["h1"].cmd("ip address")
        assert one.pingAll() == two.pingAll() == 0


@pytest.mark.parametrize(
    ("topo", "says"),
    [
        (lambda: Single(2, LinkShape(mtu_bytes=1000)), None),
        (lambda: BadRoute(0), "h1: defaultRoute via 10.9.0.1"),
        (lambda: BadName(0), "15"),
    ],
)
def test_what_cannot_be_built_leaves_nothing(topo, says):
    if says is None:
        with Network(topo()) as net:
            assert "mtu 1000" in net["h1"].cmd("ip link show h1-eth0")
        return
    with pytest.raises(ConfigError, match=says):
        Network(topo())


class BadRoute(Topo):
    def build(self, _):
        self.addLink(
            self.addHost("h1", defaultRoute="via 10.9.0.1", ip="10.0.0.1/24"), self.addHost("h2")
        )


class BadName(Topo):
    def build(self, _):
        self.addLink(self.addHost("h1"), self.addHost("a-rather-long-name"))


def test_an_error_in_the_block_leaves_nothing():
    with pytest.raises(TestbedError, match="mine"), Network(Single(2)) as net:
        net["h1"].popen(["sleep", "1000"])
        raise TestbedError("mine")


DAEMONS = """
import os, sys, time
from testbed.net import Network
from topologies.single import Single
net = Network(Single(2))
net.start()
net["h1"].cmd("setsid sh -c 'sleep 7654 & sleep 7654' & setsid -f sleep 7654")
net["h2"].popen(["setsid", "-f", "sleep", "7654"]).wait()
print("ready", flush=True)
time.sleep(1000)
"""


def eventually(holds, within_s=30.0):
    """Whether something comes true in time."""
    deadline = time.monotonic() + within_s
    while not (now := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return now


def sleepers():
    found = subprocess.run(["pgrep", "-f", "^sleep 7654"], capture_output=True, check=False)
    return found.stdout.split()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_everything_dies_with_the_program(how):
    program = subprocess.Popen([sys.executable, "-c", DAEMONS], stdout=subprocess.PIPE)
    assert program.stdout.readline() == b"ready\n"
    try:
        assert eventually(lambda: len(sleepers()) == 4), "setsid's child may not be 'sleep' yet"
        waits = [os.pidfd_open(int(pid)) for pid in sleepers()]
        program.send_signal(how)
        program.wait()
    finally:
        program.kill()  # also if it failed: what stays would fail the next test
        program.wait()
    for fd in waits:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)  # a program that stays ends the test
        _wait_gone(fd)
        signal.alarm(0)
        os.close(fd)
    assert not sleepers()


def _wait_gone(pidfd):
    import select

    select.select([pidfd], [], [])


def test_only_what_dead_runs_left_is_listed_and_removed(tmp_path):
    with Network(Single(2)) as net:
        alive = net["h1"].popen(["sleep", "1000"])
        here = net.engine.rooms.run_id.split("-")[0]
        marked, elsewhere = (
            {**os.environ, "TESTBED_NETWORK": f"{space}-999999-1.1"} for space in (here, "0000abcd")
        )
        unknown = subprocess.Popen(["sleep", "1000"], env=elsewhere)
        dead = subprocess.Popen(["sleep", "1000"], env=marked)
        unmarked = subprocess.Popen(["sleep", "1000"])
        try:
            found = leftovers()
            assert [item.pid for item in found] == [dead.pid]
            remove(found)
            assert dead.wait() == -signal.SIGKILL
            assert all(p.poll() is None for p in (alive, unmarked, unknown))
        finally:
            for process in (unmarked, unknown):
                process.kill()
                process.wait()
        assert leftovers() == []


def test_tracing_instances_of_dead_runs_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(owned, "TRACEFS", tmp_path)
    (tmp_path / "instances").mkdir()
    mine = owned.new_tracing_instance()
    space = owned.new_run().split("-")[0]
    dead = mine.with_name(f"testbed-{space}-999999-1.1")
    for path in (dead, mine.with_name("somebody-elses"), mine.with_name("testbed-0000abcd-9-1.1")):
        path.mkdir()
    found = leftovers()
    assert [item.folder for item in found] == [dead]
    remove(found)
    assert len(list((tmp_path / "instances").iterdir())) == 3 and not dead.exists()
