"""The square: two paths of equal cost."""

from __future__ import annotations

from testbed import LinkShape, Topo

WIRE = LinkShape(rate_mbps=100, delay_ms=1)


class Square(Topo):
    """Four routers in a square; r1 and r4 are opposite corners.

    ::

              ┌── r2 ──┐
        h1 ── r1      r4 ── h4
              └── r3 ──┘

    =========  =====================  ==================
    node       interface              towards
    =========  =====================  ==================
    r1         r1-eth0                h1
    r1         r1-eth1, r1-eth2       r2, r3
    r2         r2-eth0, r2-eth1       r1, r4
    r3         r3-eth0, r3-eth1       r1, r4
    r4         r4-eth1, r4-eth2       r2, r3
    r4         r4-eth0                h4
    =========  =====================  ==================

    Addresses come from the plan: LAN 10.0.1.0/24 at r1, 10.0.2.0/24 at r4.
    """

    def build(self, shape: LinkShape = WIRE) -> None:
        """Builds the graph.

        Args:
            shape: of the links between routers.
        """
        r1, r2, r3, r4 = (self.addRouter(f"r{i}") for i in range(1, 5))
        self.addLink(r1, self.addHost("h1"))
        self.addLink(r4, self.addHost("h4"))
        for one, two in ((r1, r2), (r1, r3), (r2, r4), (r3, r4)):
            self.addLink(one, two, shape=shape)


topos = {"square": Square}
