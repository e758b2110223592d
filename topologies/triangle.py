"""The triangle: a slow direct link and a fast detour."""

from __future__ import annotations

from testbed import LinkShape, Topo

SLOW = LinkShape(rate_mbps=1, delay_ms=10)
FAST = LinkShape(rate_mbps=100, delay_ms=1)

DIRECT = "r1-eth1"
"""The slow direct link's end at r1."""

FIRST_HOP_OF_DETOUR = "r1-eth2"
"""The fast detour's end at r1."""


class Triangle(Topo):
    """Three routers; r1 and r3 have a slow direct link, and a fast detour over r2.

    ::

                       r2
           fast ╱              ╲ fast
          r1-eth2              r3-eth2
        h1 ── r1 r1-eth1 ─ slow ─ r3-eth1 r3 ── h3
                       r2-eth0 ── h2

    =========  ================  ============  =======================
    node       interface         towards       link
    =========  ================  ============  =======================
    r<i>       r<i>-eth0         h<i>          plain
    r1         r1-eth1           r3            `slow`: 1 Mbit/s, 10 ms
    r1         r1-eth2           r2            `fast`: 100 Mbit/s, 1 ms
    r2         r2-eth1, r2-eth2  r1, r3        `fast`
    r3         r3-eth1, r3-eth2  r1, r2        `slow`, `fast`
    =========  ================  ============  =======================

    Addresses come from the plan: LAN i is 10.0.i.0/24.
    """

    def build(self, slow: LinkShape = SLOW, fast: LinkShape = FAST) -> None:
        """Builds the graph.

        Args:
            slow: shape of the direct link.
            fast: shape of both links of the detour.
        """
        routers = [self.addRouter(f"r{i}") for i in (1, 2, 3)]
        for i, router in enumerate(routers, 1):
            self.addLink(router, self.addHost(f"h{i}"))
        r1, r2, r3 = routers
        self.addLink(r1, r3, shape=slow)
        self.addLink(r1, r2, shape=fast)
        self.addLink(r2, r3, shape=fast)


topos = {"triangle": Triangle}
