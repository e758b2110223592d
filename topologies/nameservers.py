"""Name servers around the world: a client and its resolver at home, the servers far away."""

from __future__ import annotations

from collections.abc import Sequence

from testbed import LinkShape, Topo

DELAYS_MS = (40.0, 25.0, 10.0, 10.0)
"""One-way delays to n1 (root), n2 (top level), n3 (authoritative) and n4."""


class NameServers(Topo):
    """A LAN with a client and a resolver; four name servers at different distances.

    ::

        h1 ──┐          ┌═══ n1  root
             s1 ── r1 ══╪═══ n2  top-level domain
        v1 ──┘          ├═══ n3  authoritative
                        └═══ n4  another one

    =========  ===========================  =======================================
    node       interfaces                   on
    =========  ===========================  =======================================
    h1, v1     h1-eth0, v1-eth0             LAN 1: client and resolver
    r1         r1-eth0                      LAN 1
    r1         r1-eth1 … r1-eth4            n1 … n4, each over a link with its delay
    n1 … n4    n1-eth0 … n4-eth0            a LAN each
    =========  ===========================  =======================================

    Addresses come from the plan.
    """

    def build(self, delays_ms: Sequence[float] = DELAYS_MS) -> None:
        """Builds the graph.

        Args:
            delays_ms: one-way delay to each server, in ms.
        """
        lan, router = self.addSwitch("s1"), self.addRouter("r1")
        for node in (self.addHost("h1"), self.addHost("v1"), router):
            self.addLink(node, lan)
        for number, delay_ms in enumerate(delays_ms, 1):
            self.addLink(router, self.addHost(f"n{number}"), shape=LinkShape(delay_ms=delay_ms))


topos = {"nameservers": NameServers}
