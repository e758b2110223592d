"""A queue behind a switch is nobody's but the switch's: it drops, and TCP measures its delay."""

import json
import os
import subprocess
import sys
import time

import pytest

from testbed.author.topo import Topo
from testbed.core.errors import MissingPrerequisiteError
from testbed.net import Network, orphan, traffic
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
SLOW = LinkShape(rate_mbps=1, queue_pkts=QUEUE_PKTS)
"""Even if the machine stops for seconds, most packets come before the queue has room for them."""

FASTER = LinkShape(rate_mbps=10, queue_pkts=QUEUE_PKTS)
FRAME_BYTES = 1442

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
print(time.monotonic(), flush=True)
for number in range({SENT_PKTS}):
    s.send(bytes(1400))
    if number % 20 == 0:
        time.sleep(0.002)  # Open vSwitch in user space must come to read them
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

    def build(self, shape=SLOW):
        h1, s1, h2 = self.addHost("h1"), self.addSwitch("s1"), self.addHost("h2")
        self.addLink(h1, s1)
        self.addLink(s1, h2, shape1=shape)


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


def start(net, server, client):
    """A server and its client, two programs in Python."""
    address = net["h2"].IP()
    options = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    listener = net["h2"].popen([sys.executable, "-c", server], **options)
    assert listener.stdout.readline() == "ready\n"
    return listener, net["h1"].popen([sys.executable, "-c", client, address], **options)


def offered(net, port):
    """Packets that a queue has seen: those it let go, holds and dropped."""
    (queue, *_) = json.loads(net["s1"].cmd(f"tc -s -j qdisc show dev {port} root"))
    return queue["packets"] + queue["qlen"] + queue["drops"]


def received_pkts(net, port="s1-eth2"):
    """How many arrived, and how many the queue and its link can have let through.

    While packets come, the link sends some, and the queue takes as many more: at most what the
    rate limit allows from before the first is sent until the queue is seen to have had them all.
    """
    listener, sender = start(net, RECEIVE, SEND)
    seen = []
    while listener.poll() is None:
        seen.append((offered(net, port), time.monotonic()))
    had_all_s = next(at_s for count, at_s in seen if count == seen[-1][0])
    coming_s = had_all_s - float(sender.communicate()[0])
    rate = traffic.bytes_per_s(SLOW.rate_mbps)
    burst_bytes = max(traffic.frame_bytes(SLOW), rate * traffic.REAL_CLOCK_BURST_S)
    sent_pkts = (burst_bytes + rate * coming_s) / FRAME_BYTES
    return int(listener.communicate()[0]), QUEUE_PKTS + sent_pkts


def rtt_ms(net):
    listener, sender = start(net, SINK, STREAM)
    said = sender.communicate()[0]
    listener.communicate(timeout=10)
    return int(said) / 1000


@pytest.mark.parametrize("topo", [BehindOne, BehindTwo])
def test_a_queue_behind_a_switch_drops_what_does_not_fit(topo, switch):
    with Network(topo(), switch=switch) as net:
        assert not net.engine.notes
        received, most = received_pkts(net)
    assert QUEUE_PKTS <= received <= most < SENT_PKTS


def test_tcp_measures_the_delay_of_a_queue_behind_a_switch():
    """With its whole window in the queue."""
    with Network(BehindOne(FASTER)) as net:
        assert 80 < rtt_ms(net) < 130


def test_without_the_program_the_queue_holds_the_sender_back(monkeypatch):
    """What the tests above would see if it were not there."""
    monkeypatch.setattr(Engine, "orphan", lambda *_: None)
    with Network(BehindOne(FASTER)) as net:
        assert rtt_ms(net) < 30
    with Network(BehindOne()) as net:
        assert received_pkts(net)[0] == SENT_PKTS


def test_a_port_added_or_shaped_later_has_it_too():
    with Network(BehindOne()) as net:
        net.reshape("s1-eth1", LinkShape())
        h3 = net.addHost("h3", ip="10.0.0.3/8")
        net.addLink(h3, net["s1"], shape2=SLOW)
        net.configHosts()
        net.nameToNode["h2"] = h3
        received, most = received_pkts(net, "s1-eth3")
    assert QUEUE_PKTS <= received <= most < SENT_PKTS


def test_a_kernel_without_bpf_is_told_of_in_the_record(monkeypatch):
    def refuse():
        raise OSError(1, "BPF: Operation not permitted")

    monkeypatch.setattr(orphan, "load", refuse)
    with Network(BehindOne()) as net:
        assert net.engine.notes and "BPF: Operation not permitted" in net.engine.notes[0]
        assert " 0% packet loss" in net["h1"].cmd("ping -c1 -W1", net["h2"].IP())
