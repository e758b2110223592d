"""Three OSPF areas: a backbone, a stub and one with a way to the outside."""

from __future__ import annotations

from dataclasses import replace

from testbed import LinkShape, Topo
from testbed.daemons.frr.generate import Ospf

WIRE = LinkShape(rate_mbps=100, delay_ms=1)

BACKBONE, STUB, TRANSIT = "0.0.0.0", "0.0.0.1", "0.0.0.2"

AREA_OF = {
    "r1-eth0": STUB,
    "r1-eth1": STUB,
    "r1-eth2": STUB,
    "r2-eth0": STUB,
    "r5-eth1": TRANSIT,
    "r6-eth0": TRANSIT,
    "r6-eth1": TRANSIT,
}
"""Interface → area; all others are in the backbone."""

BORDER_ROUTERS = ("r2", "r5")
OUTSIDE_ROUTER = "r6"
OUTSIDE_PREFIX = "198.51.100.0/24"
"""Known to r6 from outside (RFC 5737's example prefix)."""

OUTSIDE_PREFIX6 = "2001:db8:51::/48"
"""The same in IPv6 (RFC 3849's example prefix)."""

STUB_LANS = ("10.1.0.0/24", "10.1.1.0/24")
STUB_RANGE = "10.1.0.0/16"
"""Announced by r2 as one."""
STUB_LANS6 = ("fd00:0:0:1::/64", "fd00:0:0:2::/64")
STUB_RANGE6 = "fd00::/62"
"""The same in IPv6, where the plan's numbers leave no range without h6's LAN: its own is longer."""


def configured(options: Ospf, *, ipv6: bool = False) -> Ospf:
    """OSPF as this topology means it: its areas, the stub, the range, the way outside."""
    span, outside = (STUB_RANGE6, OUTSIDE_PREFIX6) if ipv6 else (STUB_RANGE, OUTSIDE_PREFIX)
    return replace(
        options,
        areas=AREA_OF,
        stub=(STUB,),
        ranges=((STUB, span),),
        redistribute={OUTSIDE_ROUTER: ("static",)},
        static={OUTSIDE_ROUTER: (outside,)},
    )


class Areas(Topo):
    """A stub area 1, the backbone, and area 2 with a router to the outside.

    ::

         area 1 (stub)     │        backbone            │   area 2
        h1 ─ r1 ────────── r2 ───── r3 ── s1 ── r4 ──── r5 ────── r6 ─ outside
        h2 ─┘             (ABR)           └──────────── (ABR)   (ASBR)  └ h6

    =========  =====================  ==============================
    node       interface              towards
    =========  =====================  ==============================
    r1         r1-eth0                r2 (area 1)
    r1         r1-eth1, r1-eth2       h1 10.1.0.0/24, h2 10.1.1.0/24
    r2         r2-eth0, r2-eth1       r1 (area 1), r3 (backbone)
    r3, r4     r<i>-eth1, r4-eth0     s1; r3-eth0 towards r2
    r5         r5-eth0, r5-eth1       s1 (backbone), r6 (area 2)
    r6         r6-eth0, r6-eth1       r5, h6 (area 2)
    =========  =====================  ==============================

    The LANs of area 1 are chosen to fit one range; all other addresses come from the plan.
    """

    def build(self, shape: LinkShape = WIRE) -> None:
        """Builds the graph.

        Args:
            shape: of the links between routers.
        """
        r1, r2, r3, r4, r5, r6 = (self.addRouter(f"r{i}") for i in range(1, 7))
        s1 = self.addSwitch("s1")
        self.addLink(r1, r2, shape=shape)
        self.addLink(r1, self.addHost("h1"), params1={"ip": "10.1.0.1/24"})
        self.addLink(r1, self.addHost("h2"), params1={"ip": "10.1.1.1/24"})
        self.addLink(r2, r3, shape=shape)
        for router in (r3, r4, r5):
            self.addLink(router, s1, shape=shape)
        self.addLink(r5, r6, shape=shape)
        self.addLink(r6, self.addHost("h6"))


topos = {"areas": Areas}
