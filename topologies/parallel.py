"""Parallel links between two hosts: any number of link shapes measured in one network."""

from __future__ import annotations

from collections.abc import Mapping

from testbed import ConfigError, LinkShape, Topo


class Parallel(Topo):
    """Links side by side between the sender tx and the receiver rx, each with its own shape.

    ::

        tx  tx-eth0 ═════ rx-eth0  rx
            tx-eth1 ═════ rx-eth1
            tx-eth<i> ═══ rx-eth<i>

    =========  ===========  ==========================================
    node       interface    link
    =========  ===========  ==========================================
    tx         tx-eth<i>    link i, shape `links[i]` in both directions
    rx         rx-eth<i>    its other end
    =========  ===========  ==========================================

    Each link is a subnet of its own, from the plan, in the order of the links. Both hosts are
    routers by kind, so that each of their interfaces gets an address of the plan.
    """

    def build(self, links: Mapping[str, LinkShape] | None = None) -> None:
        """Builds the graph.

        Args:
            links: name → shape, in the order of the interfaces.
        """
        self.shapes = dict(links or {"plain": LinkShape(delay_ms=1)})
        if not self.shapes:
            raise ConfigError("parallel links: there are none; at least 1")
        tx, rx = self.addRouter("tx"), self.addRouter("rx")
        for shape in self.shapes.values():
            self.addLink(tx, rx, shape=shape)


topos = {"parallel": Parallel}
