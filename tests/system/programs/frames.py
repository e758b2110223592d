"""Runs inside a guest: what one node's kernel knew of a frame is not known to the next node's."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from testbed import programs
from testbed.author.topo import Topo
from testbed.net import Network
from testbed.net.shape import LinkShape

SAME_FLOW = """
import socket, sys
for _ in range(10):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("", 4000))
        s.connect((sys.argv[1], 4000))
        s.send(bytes(1000))
"""
"""Ten sockets, one after another, with the same addresses and ports."""

TALK = """
import socket, sys, time
with socket.create_connection((sys.argv[1], 4000)) as s:
    for _ in range(20):
        s.send(b"x")
        time.sleep(0.5)
    print("now", flush=True)
    sys.stdin.readline()
    s.send(b"x")
    time.sleep(0.9)
    print("sent", flush=True)
"""
LISTEN = (
    "import socket; s = socket.create_server(('', 4000)); c, _ = s.accept(); c.recv(1 << 20, 256)"
)


class Routed(Topo):
    """Hosts h1 and h2 at routers r1 and r2, which have one or more links."""

    def build(self, links: int = 1, last: LinkShape | None = None) -> None:
        for name in ("r1", "r2"):
            self.addRouter(name)
        self.addLink(self.addHost("h1"), "r1")
        for _ in range(links):
            self.addLink("r1", "r2")
        self.addLink("r2", self.addHost("h2"), shape1=last or LinkShape())


class Pair(Topo):
    def build(self, shape: LinkShape) -> None:
        self.addLink(self.addHost("h1"), self.addHost("h2"), shape=shape)


def python(node: object, program: str, *words: str, **more: object) -> subprocess.Popen:
    return node.popen([sys.executable, "-c", program, *words], text=True, **more)


def ways_of_one_flow() -> int:
    """Over how many of two equal ways ten sockets with the same ports go."""
    with Network(Routed(links=2)) as net:
        r1, far = net["r1"], net["h2"].IP()
        ways = [r for r in r1.cmd("ip -4 addr").split() if r.startswith("172.16.")]
        hops = [w.split("/")[0].rsplit(".", 1) for w in ways if not w.endswith(".255")]
        hops = [f"nexthop via {prefix}.{int(last) + 1}" for prefix, last in hops]
        r1.cmd("sysctl -w net.ipv4.fib_multipath_hash_policy=1")
        r1.cmd(f"ip route replace {far}/32 {' '.join(hops)}")
        python(net["h1"], SAME_FLOW, far).wait()
        time.sleep(2)
        counted = [line.split() for line in r1.cmd("cat /proc/net/dev").splitlines()]
        return sum(int(row[9]) >= 1000 for row in counted if row[0] in ("r1-eth1:", "r1-eth2:"))


def probes_of_a_router() -> int:
    """ARP requests by which a router asks again for a host that it sends TCP to, in 20 s."""
    with Network(Routed(last=LinkShape(rate_mbps=1))) as net:
        far = net["h2"].IP()
        for name in ("base_reachable_time_ms=1000", "delay_first_probe_time=1"):
            net["r2"].cmd(f"sysctl -w net.ipv4.neigh.r2-eth1.{name}")
        listener = net["h2"].popen(programs.argv("bulk", "receive", "5201"))
        time.sleep(1)
        dump = net["h2"].popen(
            ["tcpdump", "-Z", "root", "-n", "-l", "-i", "h2-eth0", f"arp and dst host {far}"],
            text=True,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(0.5)
        net["h1"].popen(programs.argv("bulk", "send", "--seconds", "20", far, "5201")).wait()
        listener.wait()
        dump.terminate()
        return dump.communicate()[0].count("Request who-has")


def repeated_in_time() -> int:
    """Segments that TCP sends again because a wire has become slow, with the first still on it."""
    shape = LinkShape(delay_ms=10)
    with Network(Pair(shape)) as net:
        server = python(net["h2"], LISTEN)
        time.sleep(1)
        talk = python(
            net["h1"], TALK, net["h2"].IP(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        talk.stdout.readline()
        net.reshape("h1-eth0", replace(shape, delay_ms=2000))
        talk.stdin.write("\n")
        talk.stdin.flush()
        talk.stdout.readline()
        counters = net["h1"].cmd("grep Tcp: /proc/net/snmp").splitlines()
        titles, values = (row.split() for row in counters)
        talk.wait()
        server.wait()
        return int(values[titles.index("RetransSegs")])


def main(folder: Path) -> None:
    checks = (ways_of_one_flow, probes_of_a_router, repeated_in_time)
    found = {check.__name__: check() for check in checks}
    (folder / "frames.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
