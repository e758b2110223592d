"""A queue behind a switch is nobody's but the switch's: it drops, and TCP measures its delay."""

import os
import subprocess
import sys

import pytest

from testbed.author.topo import Topo
from testbed.core.errors import MissingPrerequisiteError
from testbed.net import Network, orphan
from testbed.net.engine import Engine
from testbed.net.ovs import OVSBridge
from testbed.net.shape import LinkShape
from testbed.net.switch import Switch

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="the host runtime needs root"),
]

QUEUE_PKTS, SENT_PKTS = 120, 400
"""The queue is longer than what a UDP socket may have under way (92 such packets, by default)."""
SLOW = LinkShape(rate_mbps=10, queue_pkts=QUEUE_PKTS)
FRAME_BYTES = 1442
LATE_PKTS = 10
"""What leaves before the sender's clock is read, on a busy machine."""

BURST_PKTS = 3
"""What leaves at once at 10 Mbit/s on the real clock, and the packet that is being sent."""

RECEIVE = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.bind(("", 9000))
print("ready", flush=True)
count = 0
s.settimeout(5)
try:
    while True:
        s.recv(2000)
        count += 1
        s.settimeout(0.3)
except TimeoutError:
    print(count)
"""
SEND = f"""
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 9000))
began = time.monotonic()
for number in range({SENT_PKTS}):
    s.send(bytes(1400))
    if number % 20 == 0:
        time.sleep(0.002)  # Open vSwitch in user space must come to read them
print(time.monotonic() - began)
"""
SINK = """
import socket
with socket.create_server(("", 9001)) as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)  # a window below the queue's length
    print("ready", flush=True)
    c, _ = s.accept()
    while c.recv(1 << 16):
        pass
"""
STREAM = """
import socket, struct, sys
s = socket.create_connection((sys.argv[1], 9001))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 400_000)
s.sendall(bytes(1_000_000))
print(struct.unpack_from("I", s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 68)[0])
"""


class BehindOne(Topo):
    """h1, a plain link, s1, a slow link, h2."""

    def build(self):
        h1, s1, h2 = self.addHost("h1"), self.addSwitch("s1"), self.addHost("h2")
        self.addLink(h1, s1)
        self.addLink(s1, h2, shape1=SLOW)


class BehindTwo(Topo):
    """The slow link is between two switches."""

    def build(self):
        h1, h2 = self.addHost("h1"), self.addHost("h2")
        s1, s2 = self.addSwitch("s1"), self.addSwitch("s2")
        self.addLink(h1, s1)
        self.addLink(s1, s2, shape1=SLOW)
        self.addLink(s2, h2)


@pytest.fixture(params=[Switch, OVSBridge])
def switch(request):
    """Each kind of switch that this machine can have."""
    if request.param is OVSBridge:
        try:
            with Network(BehindOne(), switch=OVSBridge):
                pass
        except MissingPrerequisiteError:
            pytest.skip("Open vSwitch is not installed")
    return request.param


def talk(net, server, client):
    """What a server and its client, two programs in Python, print."""
    address = net["h2"].IP()
    options = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    listener = net["h2"].popen([sys.executable, "-c", server], **options)
    assert listener.stdout.readline() == "ready\n"
    said = net["h1"].popen([sys.executable, "-c", client, address], **options).communicate()[0]
    return listener.communicate(timeout=10)[0], said


def received_pkts(net):
    """How many arrived, and how many the queue and its link can have let through."""
    received, sending_s = talk(net, RECEIVE, SEND)
    left_pkts = float(sending_s) * SLOW.rate_mbps * 1e6 / 8 / FRAME_BYTES
    return int(received), QUEUE_PKTS + BURST_PKTS + LATE_PKTS + left_pkts


def rtt_ms(net):
    return int(talk(net, SINK, STREAM)[1]) / 1000


@pytest.mark.parametrize("topo", [BehindOne, BehindTwo])
def test_a_queue_behind_a_switch_drops_what_does_not_fit(topo, switch):
    with Network(topo(), switch=switch) as net:
        assert not net.engine.notes
        received, most = received_pkts(net)
    assert QUEUE_PKTS <= received <= most < SENT_PKTS


def test_tcp_measures_the_delay_of_a_queue_behind_a_switch():
    """With its whole window in the queue."""
    with Network(BehindOne()) as net:
        assert 80 < rtt_ms(net) < 130


def test_without_the_program_the_queue_holds_the_sender_back(monkeypatch):
    """What the tests above would see if it were not there."""
    monkeypatch.setattr(Engine, "orphan", lambda *_: None)
    with Network(BehindOne()) as net:
        assert rtt_ms(net) < 30
        assert received_pkts(net)[0] == SENT_PKTS


def test_a_port_added_or_shaped_later_has_it_too():
    with Network(BehindOne()) as net:
        net.reshape("s1-eth1", LinkShape())
        h3 = net.addHost("h3", ip="10.0.0.3/8")
        net.addLink(h3, net["s1"], shape2=SLOW)
        net.configHosts()
        net.nameToNode["h2"] = h3
        received, most = received_pkts(net)
    assert QUEUE_PKTS <= received <= most < SENT_PKTS


def test_a_kernel_without_bpf_is_told_of_in_the_record(monkeypatch):
    def refuse():
        raise OSError(1, "BPF: Operation not permitted")

    monkeypatch.setattr(orphan, "load", refuse)
    with Network(BehindOne()) as net:
        assert net.engine.notes and "BPF: Operation not permitted" in net.engine.notes[0]
        assert " 0% packet loss" in net["h1"].cmd("ping -c1 -W1", net["h2"].IP())
