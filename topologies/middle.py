"""A sender and a receiver with one node between them: a router, a bridge or Open vSwitch."""

from __future__ import annotations

from testbed import ConfigError, LinkShape, Topo

KINDS = ("router", "bridge", "openvswitch")

DEFAULT_SECOND = LinkShape(rate_mbps=10, queue_pkts=100)


class Middle(Topo):
    """Two hosts and the node between them; the queue under test is its own, towards the receiver.

    ::

        tx ───── r1 or s1 ═════ rx
           first          second →

    =========  ==============  ==============================
    node       interface       link
    =========  ==============  ==============================
    tx         tx-eth0         first
    r1         r1-eth0, -eth1  first, second
    s1         s1-eth1, -eth2  first, second
    rx         rx-eth0         second; the way back is plain
    =========  ==============  ==============================

    The node is ``r1`` if it is a router, else ``s1``: a Linux bridge, or an Open vSwitch that
    learns by itself.
    """

    def build(
        self,
        kind: str = "router",
        first: LinkShape | None = None,
        second: LinkShape = DEFAULT_SECOND,
    ) -> None:
        """Builds the graph.

        Args:
            kind: of the node between, one of `KINDS`.
            first: shape of the link from the sender to it; default: plain.
            second: shape of the link from it to the receiver.
        """
        if kind not in KINDS:
            raise ConfigError(f"middle kind: {kind!r} is unknown; allowed: {', '.join(KINDS)}")
        tx, rx = self.addHost("tx"), self.addHost("rx")
        if kind == "router":
            middle = self.addRouter("r1")
        elif kind == "bridge":
            middle = self.addSwitch("s1")
        else:
            middle = self.addOpenFlowSwitch("s1", failMode="standalone")
        self.addLink(tx, middle, shape1=first or LinkShape())
        self.addLink(middle, rx, shape1=second)


topos = {"middle": Middle}
