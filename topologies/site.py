"""A site: one LAN with two routers, one towards a far network, one to a branch."""

from __future__ import annotations

from testbed import LinkShape, Topo

PATH = LinkShape(delay_ms=10)
"""Each of the two links of the path, unless the experiment says otherwise."""


class Site(Topo):
    """A LAN behind a switch, a path of three routers to h2, and a second router to a branch.

    ::

        h1 ──┐         path            narrow
             s1 ── r1 ══════════ r2 ══════════ r3 ── h2
        h3 ──┘└─── r4 ── h4

    =========  ==========================  =============================================
    node       interfaces                  on
    =========  ==========================  =============================================
    h1, h3     h1-eth0, h3-eth0            LAN 1; default gateway r1
    r1         r1-eth0, r1-eth1            LAN 1; `path` to r2
    r4         r4-eth0, r4-eth1            LAN 1; LAN of h4
    r2         r2-eth0, r2-eth1            `path` to r1; `narrow` to r3
    r3         r3-eth0, r3-eth1            `narrow` to r2; LAN of h2
    h2, h4     h2-eth0, h4-eth0            a LAN each
    =========  ==========================  =============================================

    Addresses come from the plan: 10.0.k.1 is a LAN's gateway, hosts follow from .11.
    """

    def build(self, path: LinkShape = PATH, narrow: LinkShape | None = None) -> None:
        """Builds the graph.

        Args:
            path: shape of the link r1–r2, both ways.
            narrow: shape of the link r2–r3, both ways; a small MTU goes here. Default: like `path`.
        """
        lan = self.addSwitch("s1")
        r1, r2, r3, r4 = (self.addRouter(f"r{i}") for i in range(1, 5))
        for node in (self.addHost("h1"), self.addHost("h3"), r1, r4):
            self.addLink(node, lan)
        self.addLink(r1, r2, shape=path)
        self.addLink(r2, r3, shape=narrow or path)
        self.addLink(r3, self.addHost("h2"))
        self.addLink(r4, self.addHost("h4"))


topos = {"site": Site}
