"""An office: a LAN with clients and servers, a second LAN, and one router to the world."""

from __future__ import annotations

from testbed import LinkShape, Topo


class Office(Topo):
    """Two LANs behind one router, and a host of the outside world.

    ::

        h1 ──┐            ┌── d1 (server)
             s1 ──────────┤
        h2 ──┘   │        └── d2 (another host that may serve)
                 r1 ── w1
                 └──── h3

    =========  ==================================  ======================================
    node       interfaces                          on
    =========  ==================================  ======================================
    h1, h2     h1-eth0, h2-eth0                    LAN 1 (s1)
    d1, d2     d1-eth0, d2-eth0                    LAN 1; d1's link has the shape `server`
    r1         r1-eth0, r1-eth1, r1-eth2           LAN 1; LAN of h3; LAN of w1
    h3, w1     h3-eth0, w1-eth0                    a LAN each
    =========  ==================================  ======================================

    s1-eth1 … s1-eth5 lead to h1, h2, d1, d2 and r1. Addresses come from the plan: in LAN k
    10.0.k.1 is r1, hosts follow from .11.
    """

    def build(self, server: LinkShape | None = None) -> None:
        """Builds the graph.

        Args:
            server: shape of d1's link, both ways; default: plain.
        """
        lan, router = self.addSwitch("s1"), self.addRouter("r1")
        for name in ("h1", "h2", "d1", "d2"):
            shape = {"shape": server} if server and name == "d1" else {}
            self.addLink(self.addHost(name), lan, **shape)
        self.addLink(router, lan)
        self.addLink(router, self.addHost("h3"))
        self.addLink(router, self.addHost("w1"))


topos = {"office": Office}
