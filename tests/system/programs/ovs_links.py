"""Runs inside a guest: shaped links between Open vSwitches, with and without our care for them."""

import json
import re
import sys
from pathlib import Path

from mininet.node import OVSSwitch as StockSwitch

from testbed.author.topo import Topo
from testbed.net import Network
from testbed.net.ovs import OVSBridge
from testbed.net.shape import LinkShape

PING = "ping -c3 -i0.5 -s1472 10.0.0.2"


class Careless(OVSBridge):
    """Lets Open vSwitch do with the queue disciplines of its ports what it does."""

    def intfOpts(self, intf):
        return StockSwitch.intfOpts(self, intf)


class Middle(Topo):
    """The shaped link is between two switches: both its ends are ports."""

    def build(self):
        shape = LinkShape(rate_mbps=10, delay_ms=10, queue_pkts=20)
        for number in (1, 2):
            self.addLink(self.addHost(f"h{number}"), self.addSwitch(f"s{number}"))
        self.addLink("s1", "s2", shape=shape)


def main(folder):
    found = {}
    for name, switch in (("ours", OVSBridge), ("careless", Careless)):
        with Network(Middle(), switch=switch) as net:
            net["h1"].cmd(PING)  # learn addresses first
            rtts = re.findall(r"time=([\d.]+)", net["h1"].cmd(PING))
            kinds = [q["kind"] for q in net.qdiscs() if q["place"] == "sender"]
            found[name] = {"rtts_ms": [float(rtt) for rtt in rtts], "kinds": kinds}
    (folder / "ovs.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
