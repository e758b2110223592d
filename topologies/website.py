"""What a page's visitor meets: a resolver at home, name servers, the site and a third party."""

from __future__ import annotations

from collections.abc import Mapping

from testbed import LinkShape, Topo, number

DELAYS_MS = {"n1": 40.0, "n2": 25.0, "n3": 10.0, "w1": 20.0, "w2": 80.0}
"""One-way delays to the root, top level and authoritative servers, the site and the third party."""


class Website(Topo):
    """A LAN with a client and its resolver; servers at different distances.

    ::

        h1 ──┐          ┌═══ n1  root
             │          ├═══ n2  top-level domains
             s1 ── r1 ══╪═══ n3  authoritative
             │          ├═══ w1  the site
        v1 ──┘          └═══ w2  a third party

    ===========  ===========================  =======================================
    node         interfaces                   on
    ===========  ===========================  =======================================
    h1, v1       h1-eth0, v1-eth0             LAN 1: client and resolver
    r1           r1-eth0                      LAN 1
    r1           r1-eth1 … r1-eth5            n1, n2, n3, w1, w2, each over its link
    the others   n1-eth0 …                    a LAN each
    ===========  ===========================  =======================================

    Addresses come from the plan.
    """

    def build(
        self, delays_ms: Mapping[str, float] = DELAYS_MS, rate_mbps: float | None = None
    ) -> None:
        """Builds the graph.

        Args:
            delays_ms: node → one-way delay of its link; the nodes of `DELAYS_MS`, in any order.
            rate_mbps: of the links to w1 and w2; None: unlimited.
        """
        if rate_mbps is not None:
            number("website rate_mbps", rate_mbps, 0.001, 100_000)
        lan, router = self.addSwitch("s1"), self.addRouter("r1")
        for node in (self.addHost("h1"), self.addHost("v1"), router):
            self.addLink(node, lan)
        for name in DELAYS_MS:
            rate = rate_mbps if name.startswith("w") else None
            shape = LinkShape(delay_ms=delays_ms[name], rate_mbps=rate)
            self.addLink(router, self.addHost(name), shape=shape)


topos = {"website": Website}
