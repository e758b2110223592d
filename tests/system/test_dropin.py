"""Scripts written for Mininet run unchanged; controllers on the machine are reached."""

import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import mininet
import pytest
from mininet.link import TCIntf
from mininet.node import OVSBridge, RemoteController
from mininet.topo import LinearTopo

from testbed.author.topo import Topo
from testbed.core.errors import ConfigError, MissingPrerequisiteError
from testbed.core.project import PROJECT
from testbed.net import Host, Link, Network
from testbed.net.control import is_listening
from testbed.net.ovs import OVSSwitch

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="the host runtime needs root"),
]

EXAMPLES = Path(mininet.__file__).parent / "examples"
TESTBED = [sys.executable, "-m", "testbed.cli.main"]


def run(*arguments, text=""):
    return subprocess.run(
        [*TESTBED, "mininet", "--runtime", "host", *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
        timeout=120,
    )


def test_mininets_own_command():
    options = ["--topo", "tree,2,2", "--switch", "lxbr", "--controller", "none", "--mac"]
    done = run("mn", *options, text="pingall\nlink s2 h1 down\nh1 ping -c1 -W1 h2\nh2 ifconfig\n")
    assert done.returncode == 0, done.stderr
    assert "0% dropped (12/12 received)" in done.stderr + done.stdout
    assert "Network is unreachable" in done.stderr + done.stdout
    assert "00:00:00:00:00:02" in done.stderr + done.stdout


def test_mininets_command_with_custom_classes():
    """Without `testbed mininet`: by the option that Mininet has for it."""
    custom = str(PROJECT / "testbed" / "net" / "mn.py")
    classes = ["--custom", custom, "--host", "tb", "--switch", "tb", "--link", "tb"]
    argv = ["mn", *classes, "--controller", "none", "--topo", "linear,3"]
    site = [str(PROJECT), *(p for p in sys.path if "site-packages" in p)]
    done = subprocess.run(
        [*argv, "--test", "pingall"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(site)},
    )
    assert "0% dropped (6/6 received)" in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("example", "says"),
    [
        ("linuxrouter.py", "10.0.0.0"),
        ("baresshd.py", "You may now ssh into h1"),
        ("natnet.py", "mininet>"),
    ],
)
def test_mininets_examples(example, says):
    done = run(str(EXAMPLES / example))
    assert done.returncode == 0, done.stderr
    assert says in done.stdout + done.stderr


def test_what_is_no_script_is_refused():
    done = run("no-such-script")
    assert done.returncode == 2 and "no-such-script" in done.stderr
    assert "Traceback" not in done.stderr


def test_limits_of_processors_are_named_and_have_no_effect(tmp_path):
    script = tmp_path / "limited.py"
    script.write_text(
        "from mininet.net import Mininet\nfrom mininet.node import CPULimitedHost\n"
        "from mininet.topo import SingleSwitchTopo\nfrom functools import partial\n"
        "from mininet.nodelib import LinuxBridge\n"
        "host = partial(CPULimitedHost, cpu=0.5)\n"
        "Mininet(SingleSwitchTopo(2), host=host, switch=LinuxBridge, controller=None)\n"
    )
    done = run(str(script))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("cpu= has no effect") == 1


def test_nodes_made_outside_of_the_network_belong_to_it():
    early = Host("early")
    with Network(LinearTopo(2)) as net:
        late = Host("late")
        for number, host in enumerate((early, late), 8):
            assert host.engine is net.engine
            Link(host, net["s1"])
            net["s1"].attach(net["s1"].intfList()[-1].name)
            host.setIP(f"10.0.0.{number}/8")
            assert " 0% packet loss" in host.cmd("ping -c1 -W1 10.0.0.2")
    assert Host("later").engine is not net.engine


def test_interfaces_that_shape_by_themselves():
    class Two(Topo):
        def build(self):
            self.addLink(self.addHost("h1"), self.addHost("h2"))

    with Network(Two(), intf=partial(TCIntf, bw=10)) as net:
        assert net.shape("h1-eth0").rate_mbps == net.shape("h2-eth0").rate_mbps == 10


@pytest.fixture
def open_vswitch():
    try:
        with Network(LinearTopo(2), switch=OVSBridge) as net:
            net["s1"].dpctl("show")
    except MissingPrerequisiteError as error:
        pytest.skip(str(error))


def test_tcp_over_open_vswitch(open_vswitch):
    """Its user-space data path passes on checksums that a card would have to fill in."""
    with Network(LinearTopo(2), switch=OVSBridge) as net:
        server, _ = net.iperf(seconds=1)
        assert float(server.split()[0]) > 0


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.fixture
def machines_controller():
    port = free_port()
    argv = [*TESTBED, "controller", "learning_switch", "--listen", f"127.0.0.1:{port}"]
    program = subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    try:
        assert "listens on" in program.stdout.readline()
        yield port
    finally:
        program.kill()
        program.wait()
        program.stdout.close()


@pytest.mark.parametrize(
    "make",
    [
        lambda port: partial(RemoteController, ip="127.0.0.1", port=port),
        lambda port: lambda name: RemoteController(name, ip="127.0.0.1", port=port),
    ],
)
def test_a_controller_on_the_machine_is_reached(open_vswitch, machines_controller, make):
    remote = make(machines_controller)
    with Network(LinearTopo(2), switch=OVSSwitch, controller=remote) as net:
        assert net.waitConnected(timeout=20)
        assert net.pingAll() == 0
        inside = net["h1"].engine.inside(
            net["h1"].namespace, lambda: is_listening("127.0.0.1", machines_controller)
        )
        assert not inside, "a host of the network reaches the machine"
    assert is_listening("127.0.0.1", machines_controller), "what is not ours stays"


def test_without_a_controller_on_the_machine_nothing_is_forwarded(open_vswitch):
    port = free_port()
    remote = partial(RemoteController, ip=f"127.0.0.1:{port}")
    with Network(LinearTopo(2), switch=OVSSwitch, controller=remote) as net:
        assert not net["s1"].connected()
        assert net.pingAll(timeout="1") == 100


def test_controllers_that_cannot_be(open_vswitch):
    with pytest.raises(ConfigError, match="controller c0: ip 'no such host'"), Network() as net:
        net.addController("c0", RemoteController, ip="no such host")


def test_a_script_that_ends_without_stopping_leaves_nothing(tmp_path):
    script = tmp_path / "careless.py"
    script.write_text(
        "from mininet.net import Mininet\nfrom mininet.topo import SingleSwitchTopo\n"
        "net = Mininet(SingleSwitchTopo(2))\nnet.start()\nnet['h1'].cmd('sleep 1000 &')\n"
        "print(net['s1'].ovs.folder)\nraise SystemExit(7)\n"
    )
    done = run(str(script))
    if "openvswitch" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 7, done.stderr
    assert not Path(done.stdout.strip()).exists()
    argv = [*TESTBED, "clean", "--dry-run"]
    cleaned = subprocess.run(argv, capture_output=True, check=False, cwd=PROJECT)
    assert (cleaned.returncode, cleaned.stderr) == (0, b"")
