"""The edge of a site: a LAN behind a router, and the world in front of it."""

from __future__ import annotations

from testbed import LinkShape, Topo, whole_number

UPLINK = LinkShape(rate_mbps=100, delay_ms=5)
"""Of each host outside."""


class Edge(Topo):
    """A LAN and hosts outside, with one router between them.

    ::

        h1 ─┐                ┌═ o1
        h2 ─┼─ s1 ── r1 ── s2┼═ o2
        …   │                │  …
        hn ─┘                └═ om

    ========  ====================  ==========================================
    node      interfaces            on
    ========  ====================  ==========================================
    h1 … hn   h1-eth0 …             the LAN, 10.0.1.0/24, from .11
    r1        r1-eth0, r1-eth1      the LAN, 10.0.1.1; outside, 10.0.2.1
    o1 … om   o1-eth0 …             outside, 10.0.2.0/24, from .11, over `uplink`
    ========  ====================  ==========================================
    """

    def build(self, inside: int = 6, outside: int = 8, uplink: LinkShape = UPLINK) -> None:
        """Builds the graph.

        Args:
            inside, outside: number of hosts, 1 to 100 each.
            uplink: shape of the link of each host outside, both ways.
        """
        whole_number("edge inside", inside, 1, 100)
        whole_number("edge outside", outside, 1, 100)
        router = self.addRouter("r1")
        lan, world = self.addSwitch("s1"), self.addSwitch("s2")
        self.addLink(router, lan)
        self.addLink(router, world)
        for number in range(1, inside + 1):
            self.addLink(self.addHost(f"h{number}"), lan)
        for number in range(1, outside + 1):
            self.addLink(self.addHost(f"o{number}"), world, shape=uplink)


topos = {"edge": Edge}
