"""The dumbbell: pairs of hosts that share one bottleneck between two routers."""

from __future__ import annotations

from testbed import LinkShape, Topo, whole_number

BOTTLENECK = "r1-eth0"
"""The interface whose queue the senders share."""

BOTTLENECK_FAR = "r2-eth0"
"""Where the bottleneck's packets arrive."""

DEFAULT_BOTTLENECK = LinkShape(rate_mbps=10, delay_ms=20, queue_bdp=1)


class Dumbbell(Topo):
    """Senders tx1…txn, receivers rx1…rxn, and one shaped link between r1 and r2.

    ::

        tx1 ──┐                              ┌── rx1
        tx2 ──┤ r1 r1-eth0 ═════ r2-eth0 r2  ├── rx2
        txn ──┘     bottleneck →             └── rxn
                    ← back

    =========  ================  =============================================
    node       interface         link
    =========  ================  =============================================
    r1         r1-eth0           bottleneck towards r2: shape `bottleneck`
    r2         r2-eth0           towards r1: shape `back`
    r1         r1-eth<i>         tx<i>
    r2         r2-eth<i>         rx<i>
    tx<i>      tx<i>-eth0        r1
    rx<i>      rx<i>-eth0        r2
    =========  ================  =============================================

    Addresses come from the plan (links in the order above).
    """

    def build(
        self,
        pairs: int = 1,
        bottleneck: LinkShape = DEFAULT_BOTTLENECK,
        back: LinkShape | None = None,
        access: LinkShape | None = None,
    ) -> None:
        """Builds the graph.

        Args:
            pairs: number of senders, and of receivers, 1 to 500.
            bottleneck: shape of the shared link, from r1 to r2.
            back: shape of its other direction; default: the same.
            access: shape of all other links; default: plain.
        """
        whole_number("dumbbell pairs", pairs, 1, 500)
        self.bottleneck = bottleneck
        r1, r2 = self.addRouter("r1"), self.addRouter("r2")
        self.addLink(r1, r2, shape1=bottleneck, shape2=back or bottleneck)
        shape = {"shape": access} if access else {}
        for i in range(1, pairs + 1):
            self.addLink(self.addHost(f"tx{i}"), r1, **shape)
            self.addLink(self.addHost(f"rx{i}"), r2, **shape)


topos = {"dumbbell": Dumbbell}
