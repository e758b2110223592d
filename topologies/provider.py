"""A provider between clients in two regions and a customer behind a narrow link."""

from __future__ import annotations

from testbed import LinkShape, Topo

FAST = LinkShape(rate_mbps=100, delay_ms=2, queue_pkts=200)
SITE = LinkShape(rate_mbps=10, delay_ms=2, queue_pkts=50)
NARROW = LinkShape(rate_mbps=5, delay_ms=2, queue_pkts=50)


class Provider(Topo):
    """Two regions, a core with a place to clean traffic, a customer with two servers.

    ::

        c1 ─┐                  scrub  d1 d2                  ┌─ c2
        a1 ─┤ s1 ── west ════════╗     │ │     ╔════ east ── s2 ─┤ a3
        a2 ─┘         │          ╚═══ core ════╝      │          └─ a4
                      w1               ║ narrow       e1
                                      gate ── s3 ── v1, v2

    =========  ==========================================  =====================================
    node       interfaces                                  on
    =========  ==========================================  =====================================
    west       west-eth0, west-eth1, west-eth2             LAN of c1, a1, a2; core; w1
    east       east-eth0, east-eth1, east-eth2             LAN of c2, a3, a4; core; e1
    core       core-eth0 … core-eth5                       west; east; gate; scrub; d1; d2
    gate       gate-eth0, gate-eth1                        core; LAN of v1, v2
    scrub      scrub-eth0                                  core
    =========  ==========================================  =====================================

    The link core–gate is narrow, those of w1 and e1 less so. Addresses come from the plan.
    """

    def build(
        self, narrow: LinkShape = NARROW, site: LinkShape = SITE, fast: LinkShape = FAST
    ) -> None:
        """Builds the graph.

        Args:
            narrow: shape of the link between core and gate, both ways.
            site: of the links to w1 and e1.
            fast: of all other links between routers, and of those to d1 and d2.
        """
        west, east, core = (self.addRouter(name) for name in ("west", "east", "core"))
        gate, scrub = self.addRouter("gate"), self.addRouter("scrub")
        lans = ((west, ("c1", "a1", "a2")), (east, ("c2", "a3", "a4")))
        for number, (router, hosts) in enumerate(lans, 1):
            lan = self.addSwitch(f"s{number}")
            self.addLink(router, lan)
            for host in hosts:
                self.addLink(self.addHost(host), lan)
            self.addLink(router, core, shape=fast)
        self.addLink(core, gate, shape=narrow)
        self.addLink(core, scrub, shape=fast)
        lan = self.addSwitch("s3")
        for node in (gate, self.addHost("v1"), self.addHost("v2")):
            self.addLink(node, lan)
        for router, host, shape in (
            (west, "w1", site),
            (east, "e1", site),
            (core, "d1", fast),
            (core, "d2", fast),
        ):
            self.addLink(router, self.addHost(host), shape=shape)


topos = {"provider": Provider}
