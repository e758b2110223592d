"""A line of routers; with two of them, the smallest network that routes."""

from __future__ import annotations

from itertools import pairwise

from testbed import LinkShape, Topo, whole_number

FAR_LAN, FAR_ROUTER = "198.51.100.0/24", "198.51.100.1/24"
"""The LAN of the last router."""

FAR_LAN6 = "fd00:0:0:2::/64"
"""The same in IPv6, as the plan numbers it."""

WIRE = LinkShape(delay_ms=1)


class Line(Topo):
    """Routers r1…rn in a row, a host at each end.

    ::

        h1 ── r1 ───── r2 ───── … ───── rn ── hn

    =========  ==============================  =====================
    node       interface                       towards
    =========  ==============================  =====================
    r<i>       r<i>-eth1                       r<i+1>: shape `shape`
    r<i>       r<i>-eth0                       r<i-1>; of r1: h1
    r<n>       r<n>-eth1                       h<n>
    =========  ==============================  =====================

    The LAN at rn is 198.51.100.0/24 (RFC 5737): a class C, so that protocols without masks can
    tell it too. All other addresses come from the plan.
    """

    def build(self, routers: int = 2, shape: LinkShape = WIRE) -> None:
        """Builds the graph.

        Args:
            routers: how many, 2 to 500.
            shape: of the links between them.
        """
        whole_number("line routers", routers, 2, 500)
        names = [self.addRouter(f"r{i}") for i in range(1, routers + 1)]
        self.addLink(self.addHost("h1"), names[0])
        for one, two in pairwise(names):
            self.addLink(one, two, shape=shape)
        self.addLink(names[-1], self.addHost(f"h{routers}"), params1={"ip": FAR_ROUTER})


topos = {"line": Line}
