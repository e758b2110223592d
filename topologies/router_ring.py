"""A ring of routers: two ways to everywhere."""

from __future__ import annotations

from testbed import LinkShape, Topo, whole_number

WIRE = LinkShape(delay_ms=1)


class RouterRing(Topo):
    """Routers r1…rn in a ring; hosts at r1 and at the router opposite.

    ::

              ┌── r2 ──┐
        h1 ── r1      r3 ── h3
              └── r4 ──┘

    =========  ==========  =================================
    node       interface   towards
    =========  ==========  =================================
    r1         r1-eth0     r2
    r1         r1-eth1     r<n>
    r<i>       r<i>-eth0   r<i-1>
    r<i>       r<i>-eth1   r<i+1>, of the last router r1
    r1, r<k>   …-eth2      h1, h<k>; k = 1 + n/2
    =========  ==========  =================================

    Addresses come from the plan: LAN 10.0.1.0/24 at r1, 10.0.2.0/24 opposite.
    """

    def build(self, routers: int = 4, shape: LinkShape = WIRE) -> None:
        """Builds the graph.

        Args:
            routers: how many, 3 to 500.
            shape: of the links between them.
        """
        whole_number("ring routers", routers, 3, 500)
        names = [self.addRouter(f"r{i}") for i in range(1, routers + 1)]
        for i, router in enumerate(names):
            self.addLink(router, names[(i + 1) % routers], shape=shape)
        for i in (0, routers // 2):
            self.addLink(names[i], self.addHost(f"h{i + 1}"))


topos = {"router_ring": RouterRing}
