"""The parking lot: one long flow meets cross traffic at every bottleneck on its way."""

from __future__ import annotations

from testbed import LinkShape, Topo, whole_number

_BOTTLENECK = LinkShape(rate_mbps=10, delay_ms=5, queue_bdp=2)


class ParkingLot(Topo):
    """n bottlenecks in a row; the long flow crosses all, cross flow i only the i-th.

    ::

        tx ─ r1 ═════ r2 ═════ r3 ─ rx          n = 2
             │        │        │
            tx1    rx1 tx2    rx2

    Cross flow i goes from txi (at ri) to rxi (at r(i+1)).

    | link | IPv4 | IPv6 |
    | --- | --- | --- |
    | ri r(i+1) | i-th /30 of 172.16.0.0/12 | fd00:0:1:i::/64 |
    | router and its host, k-th in the order of the routers' and hosts' names | 10.0.k.1/24, 10.0.k.11/24 | fd00:0:0:k::/64 |
    """  # noqa: E501 (a table row cannot be broken)

    def build(
        self,
        bottlenecks: int = 2,
        bottleneck: LinkShape = _BOTTLENECK,
        access: LinkShape | None = None,
    ) -> None:
        """Build it.

        Args:
            bottlenecks: how many in a row, 1 to 200.
            bottleneck: shape of each, both directions.
            access: shape of all other links; default: plain.
        """
        whole_number("parking_lot bottlenecks", bottlenecks, 1, 200)
        for i in range(1, bottlenecks + 2):
            self.addRouter(f"r{i}", x=2.0 * i, y=0.0)
        for i in range(1, bottlenecks + 1):
            self.addLink(f"r{i}", f"r{i + 1}", shape=bottleneck)
        last = 2.0 * (bottlenecks + 1)
        self.addLink("r1", self.addHost("tx", x=0.5, y=0.0), shape=access)
        far = self.addHost("rx", x=last + 1.5, y=0.0)
        self.addLink(f"r{bottlenecks + 1}", far, shape=access)
        for i in range(1, bottlenecks + 1):
            tx = self.addHost(f"tx{i}", x=2.0 * i + 0.4, y=1.2)
            rx = self.addHost(f"rx{i}", x=2.0 * i + 1.6, y=1.2)
            self.addLink(f"r{i}", tx, shape=access)
            self.addLink(f"r{i + 1}", rx, shape=access)


topos = {"parking_lot": ParkingLot}
