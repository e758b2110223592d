"""Breaks networks, one thing each, and asks `why`; prints a JSON object: case → answer.

Run by `testbed mininet --clock virtual`: one guest for all of them.
"""

import json
from pathlib import Path

from mininet.net import Mininet
from mininet.node import OVSBridge, OVSSwitch
from mininet.nodelib import LinuxBridge
from mininet.topo import Topo

from testbed.author.topo import LinkShape
from testbed.net.why import why


class Lan(Topo):
    """h1, h2 and h3 at one switch."""

    def build(self):
        switch = self.addSwitch("s1")
        for number in (1, 2, 3):
            self.addLink(self.addHost(f"h{number}", ip=f"10.0.0.{number}/24"), switch)


class Routed(Topo):
    """h1 - s1 - r1 - r2 - s2 - h2, with a second cable between the routers."""

    def build(self):
        for number in (1, 2):
            near = f"via 10.0.{number}.254"
            self.addHost(f"h{number}", ip=f"10.0.{number}.1/24", defaultRoute=near)
            self.addHost(f"r{number}", ip=f"10.0.{number}.254/24", isRouter=True)
            self.addSwitch(f"s{number}")
            self.addLink(f"h{number}", f"s{number}")
            self.addLink(f"r{number}", f"s{number}", port1=0)
        for net in (8, 9):
            ends = [{"ip": f"10.0.{net}.{number}/24"} for number in (1, 2)]
            self.addLink("r1", "r2", params1=ends[0], params2=ends[1])


LAN = {
    "fine": "",
    "sender down": "h1 ip link set h1-eth0 down",
    "receiver down": "h2 ip link set h2-eth0 down",
    "switch port down": "s1 ip link set s1-eth2 down",
    "own cable cut": "s1 ip link set s1-eth1 down",
    "no address": "h1 ip addr flush dev h1-eth0",
    "no address there": "h2 ip addr flush dev h2-eth0",
    "short mask there": "h2 ip addr flush dev h2-eth0; ip addr add 10.0.0.2/32 dev h2-eth0",
    "same address": "h3 ip addr add 10.0.0.2/24 dev h3-eth0",
    "static ARP": "h1 ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:99 dev h1-eth0",
    "filter": "h2 nft add table ip f; "
    "nft add chain ip f in '{ type filter hook input priority 0; }';"
    " nft add rule ip f in ip saddr 10.0.0.1 drop",
    "answers filtered": "h2 nft add table ip f; "
    "nft add chain ip f out '{ type filter hook output priority 0; policy drop; }'",
    "silent": "h2 sysctl -qw net.ipv4.icmp_echo_ignore_all=1",
    "MTU": "h2 ip link set h2-eth0 mtu 1400",
    "port out of the bridge": "s1 ip link set s1-eth2 nomaster",
    "blocked port": "s1 bridge link set dev s1-eth2 state 0",
}

ROUTED = {
    "routed and fine": "",
    "no default route": "h1 ip route del default",
    "nobody's gateway": "h1 ip route replace default via 10.0.1.77",
    "mask too wide": "h1 ip addr add 10.0.1.1/8 dev h1-eth0; ip addr del 10.0.1.1/24 dev h1-eth0; "
    "ip route replace default via 10.0.1.254",
    "no way back": "h2 ip route del default",
    "does not forward": "r1 sysctl -qw net.ipv4.ip_forward=0",
    "router without route": "r1 ip route del 10.0.2.0/24",
    "router without route back": "r2 ip route del 10.0.1.0/24",
    "loop": "r2 ip addr flush dev r2-eth0; ip route add 10.0.2.0/24 via 10.0.8.1; "
    "ip addr add 10.0.2.254/32 dev r2-eth0",
    "black hole": "r1 ip route replace blackhole 10.0.2.0/24",
    "forward policy": "r1 nft add table inet f; "
    "nft add chain inet f fw '{ type filter hook forward priority 0; policy drop; }'",
    "reverse path": "r2 sysctl -qw net.ipv4.conf.all.rp_filter=1; "
    "ip route replace 10.0.1.0/24 via 10.0.9.1",
    "cable between routers": "r2 ip link set r2-eth1 down",
}


WORKING = {
    "translated": "r2 ip route del 10.0.1.0/24\nr1 nft add table ip n; "
    "nft add chain ip n post '{ type nat hook postrouting priority 100; }'; "
    "nft add rule ip n post oifname r1-eth1 masquerade",
    "proxy ARP": "h1 ip addr add 10.0.1.1/8 dev h1-eth0; ip addr del 10.0.1.1/24 dev h1-eth0\n"
    "r1 sysctl -qw net.ipv4.conf.all.proxy_arp=1",
}


class Trunk(Topo):
    """h1 - s1 - s2 - h2."""

    def build(self):
        for number in (1, 2):
            self.addLink(
                self.addHost(f"h{number}", ip=f"10.0.0.{number}/24"), self.addSwitch(f"s{number}")
            )
        self.addLink("s1", "s2")


class Twins(Topo):
    """h1 - s1 - h2, and apart from them h3 - s2 - h4 with the same addresses."""

    def build(self):
        for number in (1, 2, 3, 4):
            host = self.addHost(f"h{number}", ip=f"10.0.0.{2 - number % 2}/24")
            self.addLink(host, self.addSwitch(f"s{(number + 1) // 2}"))


def in_vlan(*ports):
    """Makes access ports of VLAN 10, or what else is given for a port."""

    def tag(net):
        for port in ports:
            name, _, what = port.partition(" ")
            net[name.partition("-")[0]].vsctl(f"set port {name} {what or 'tag=10'}")

    return tag


def ask(net, target="h2"):
    lines = []
    found = why(net, "h1", target, lines.append)
    return {
        "text": found.text if found else "",
        "node": found.node if found else "",
        "way": lines,
        "see": found.command if found else "",
    }


def broken(topo, change, switch=LinuxBridge, action=None, target="h2"):
    net = Mininet(topo, switch=switch, controller=None)
    net.start()
    try:
        for number in (1, 2):
            if f"r{number}" in net:
                far = 3 - number
                net[f"r{number}"].cmd(f"ip route replace 10.0.{far}.0/24 via 10.0.8.{far}")

        for line in change.splitlines():
            node, _, command = line.partition(" ")
            print(net[node].cmd(command), end="", flush=True)
        if action:
            action(net)
        return ask(net, target)
    finally:
        net.stop()


def lossy(net):
    net.reshape("s1-eth2", LinkShape(loss_percent=100))


answers = {name: broken(Lan(), change) for name, change in LAN.items()}
answers |= {name: broken(Routed(), change) for name, change in ROUTED.items()}
answers["lossy cable"] = broken(Lan(), "", action=lossy)
answers["no flows"] = broken(Lan(), "", switch=OVSSwitch)
answers["VLANs"] = broken(
    Lan(), "", switch=OVSBridge, action=lambda net: net["s1"].vsctl("set port s1-eth2 tag=7")
)
answers |= {
    name: broken(Trunk(), "", switch=OVSBridge, action=in_vlan("s1-eth1", *others))
    for name, others in {
        "access ports and a trunk": ("s2-eth1",),
        "a trunk of the VLAN": ("s2-eth1", "s1-eth2 trunks=10,20"),
        "a trunk of another VLAN": ("s2-eth1", "s1-eth2 trunks=20"),
        "access port behind a trunk": ("s2-eth1 tag=11",),
        "access port instead of a trunk": ("s2-eth1", "s2-eth2"),
    }.items()
}
answers |= {name: broken(Routed(), change) for name, change in WORKING.items()}
answers["same address in another VLAN"] = broken(
    Lan(),
    LAN["same address"],
    switch=OVSBridge,
    action=in_vlan("s1-eth1", "s1-eth2", "s1-eth3 tag=20"),
)
answers["same addresses elsewhere"] = broken(Twins(), "")
answers["a namesake's address"] = broken(Twins(), "", target="h4")
Path("answers.json").write_text(json.dumps(answers, indent=1))
