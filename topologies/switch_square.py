"""The square, of OpenFlow switches: two ways of equal length, and a loop."""

from __future__ import annotations

from testbed import LinkShape, Topo

WIRE = LinkShape(rate_mbps=100, delay_ms=1)
"""As in `topologies.square`, to compare."""


class SwitchSquare(Topo):
    """Four switches in a square; s1 and s4 are opposite corners.

    ::

              ┌── s2 ──┐
        h1 ── s1      s4 ── h4
              └── s3 ──┘

    =========  =====================  ==================
    node       interface              towards
    =========  =====================  ==================
    s1         s1-eth1                h1
    s1         s1-eth2, s1-eth3       s2, s3
    s2         s2-eth1, s2-eth2       s1, s4
    s3         s3-eth1, s3-eth2       s1, s4
    s4         s4-eth2, s4-eth3       s2, s3
    s4         s4-eth1                h4
    =========  =====================  ==================

    h1 has 10.0.0.1/8, h4 10.0.0.2/8.
    """

    def build(self, shape: LinkShape = WIRE) -> None:
        """Builds the graph.

        Args:
            shape: of the links between switches.
        """
        s1, s2, s3, s4 = (self.addOpenFlowSwitch(f"s{i}") for i in range(1, 5))
        self.addLink(s1, self.addHost("h1"))
        self.addLink(s4, self.addHost("h4"))
        for one, two in ((s1, s2), (s1, s3), (s2, s4), (s3, s4)):
            self.addLink(one, two, shape=shape)


topos = {"switch_square": SwitchSquare}
