"""Routers in a ring, each with a host: two ways from everywhere to everywhere."""

from __future__ import annotations

import math

from testbed import LinkShape, Topo, whole_number


class Ring(Topo):
    """n routers in a ring, a host behind each.

    ::

        h1 ─ r1 ─── r2 ─ h2
             │       │
        h4 ─ r4 ─── r3 ─ h3

    | link | IPv4 | IPv6 |
    | --- | --- | --- |
    | hi ri | 10.0.i.11/24, 10.0.i.1/24 | fd00:0:0:i::/64 |
    | k-th of r1 r2, r1 rn, r2 r3, r3 r4, ... | k-th /30 of 172.16.0.0/12 | fd00:0:1:k::/64 |
    """

    def build(self, routers: int = 4, shape: LinkShape | None = None) -> None:
        """Build it.

        Args:
            routers: how many, 3 to 500.
            shape: of the links between routers, both directions; default: plain.
        """
        whole_number("ring routers", routers, 3, 500)
        for i in range(1, routers + 1):
            turn = 2 * math.pi * (i - 1) / routers - math.pi / 2
            spot = (math.cos(turn) * routers, math.sin(turn) * routers)
            self.addRouter(f"r{i}", x=spot[0], y=spot[1])
            host = self.addHost(f"h{i}", x=spot[0] * 1.5, y=spot[1] * 1.5)
            self.addLink(host, f"r{i}")
        for i in range(1, routers):
            self.addLink(f"r{i}", f"r{i + 1}", shape=shape)
        self.addLink("r1", f"r{routers}", shape=shape)


topos = {"ring": Ring}
