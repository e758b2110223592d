"""A campus: a core LAN of four routers, a fifth behind two of them."""

from __future__ import annotations

from testbed import LinkShape, Topo

CORE = LinkShape(rate_mbps=100, delay_ms=0.1)
UPLINK = LinkShape(rate_mbps=10, delay_ms=1)


class Campus(Topo):
    """Five routers: r1…r4 share the core LAN (switch s1), r5 hangs on r3 and r4.

    ::

        h1 ── r1 ──┐          ┌── r3 ── uplink ──┐
                   ├─ s1 core ┤                  r5 ── h5
        h2 ── r2 ──┘          └── r4 ── uplink ──┘

    =========  =====================  =====================
    node       interface              towards
    =========  =====================  =====================
    r1…r4      r<i>-eth0              s1: shape `core`
    r1, r2     r<i>-eth1              h<i>
    r3, r4     r<i>-eth1              r5: shape `uplink`
    r5         r5-eth0, r5-eth1       r3, r4
    r5         r5-eth2                h5
    =========  =====================  =====================

    Addresses come from the plan: LANs 10.0.1.0/24 at r1, 10.0.2.0/24 at r2, 10.0.3.0/24 at r5;
    the core is a transit network of its own.
    """

    def build(self, core: LinkShape = CORE, uplink: LinkShape = UPLINK) -> None:
        """Builds the graph.

        Args:
            core: shape of each router's link to the core switch.
            uplink: shape of r5's two links.
        """
        r1, r2, r3, r4, r5 = (self.addRouter(f"r{i}") for i in range(1, 6))
        s1 = self.addSwitch("s1")
        for router in (r1, r2, r3, r4):
            self.addLink(router, s1, shape=core)
        self.addLink(r1, self.addHost("h1"))
        self.addLink(r2, self.addHost("h2"))
        self.addLink(r3, r5, shape=uplink)
        self.addLink(r4, r5, shape=uplink)
        self.addLink(r5, self.addHost("h5"))


topos = {"campus": Campus}
