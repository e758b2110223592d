"""A small enterprise: two LANs, a server zone, and the Internet behind address translation."""

from __future__ import annotations

from testbed import LinkShape, Topo, whole_number

UPLINK = LinkShape(rate_mbps=50, delay_ms=10, queue_pkts=200)
OUTSIDE = "edge-eth0"
"""The interface behind which the whole enterprise has one address."""


class Enterprise(Topo):
    """Office and lab LANs, a server zone, a border router with NAT, a host in the Internet.

    ::

        pc1 pc2 pc3          pc4 pc5 pc6
         └─ s1 ─┘             └─ s2 ─┘
            └───── core ─────────┘
                  ╱    ╲
        web dns ─ s3    edge ═══════ isp ── remote
                     NAT ↑ uplink

    | network | IPv4 | IPv6 |
    | --- | --- | --- |
    | remote, at isp | 203.0.113.0/24: isp .1, remote .11 | fd00:0:0:6::/64 |
    | edge isp | 198.51.100.0/30: edge .2, isp .1 | fd00:0:1:2::/64 |
    | office: core .1, pc1 ... from .11 | 10.1.0.0/24 | fd00:0:0:1::/64 |
    | lab: core .1, pc4 ... from .11 | 10.2.0.0/24 | fd00:0:0:2::/64 |
    | server zone: core .1, web .80, dns .53 | 10.3.0.0/24 | fd00:0:0:3::/64 |
    | core edge | 172.16.0.0/30 | fd00:0:1:1::/64 |

    isp has no route to the networks inside. IPv6 is not translated and has no way out.
    """

    def build(self, desks: int = 3, uplink: LinkShape = UPLINK) -> None:
        """Build it.

        Args:
            desks: computers in each of the two LANs, 1 to 200.
            uplink: shape of the link to the provider, both directions.
        """
        whole_number("enterprise desks", desks, 1, 200)
        core = self.addRouter("core", x=3.0, y=2.0)
        edge = self.addRouter("edge", x=4.4, y=3.2, nat=OUTSIDE)
        isp = self.addRouter("isp", x=6.6, y=3.2)
        addresses = {"params1": {"ip": "198.51.100.2/30"}, "params2": {"ip": "198.51.100.1/30"}}
        self.addLink(edge, isp, shape=uplink, **addresses)
        self.addLink(edge, core)
        for number, (lan, x) in enumerate(((1, 1.4), (2, 4.6))):
            switch = self.addSwitch(f"s{lan}", x=x, y=1.0)
            self.addLink(switch, core, params2={"ip": f"10.{lan}.0.1/24"})
            for i in range(1, desks + 1):
                spot = x + (i - (desks + 1) / 2) * 0.9
                pc = self.addHost(f"pc{number * desks + i}", x=spot, y=0.0)
                self.addLink(pc, switch)
        zone = self.addSwitch("s3", x=1.6, y=3.2)
        self.addLink(zone, core, params2={"ip": "10.3.0.1/24"})
        for name, last, y in (("web", 80, 2.7), ("dns", 53, 3.7)):
            self.addLink(self.addHost(name, ip=f"10.3.0.{last}/24", x=0.4, y=y), zone)
        remote = self.addHost("remote", ip="203.0.113.11/24", x=8.0, y=3.2)
        self.addLink(isp, remote, params1={"ip": "203.0.113.1/24"})


topos = {"enterprise": Enterprise}
