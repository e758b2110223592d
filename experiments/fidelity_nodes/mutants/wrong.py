"""The fidelity behind nodes on links that carry more than frames, as veth's do elsewhere."""

from pathlib import Path

from testbed import LinkShape, RunningNetwork
from topologies.middle import Middle

from ..experiment import OWN, QUEUED, FidelityNodes

WIRE = Path("/sys/module/veth/parameters/wire")


class Wrong(FidelityNodes):
    """Switches push a far queue's fill back to the sender, whose own queue does not."""

    def topology(self) -> Middle:
        """The sender's queue is at the node's interface."""
        if self.params.first == OWN:
            return Middle(kind=self.params.kind, first=LinkShape(), second=QUEUED)
        return super().topology()

    def run(self, net: RunningNetwork) -> None:
        """Has buffers cross links with all that the sender's kernel noted in them."""
        WIRE.write_text("0")
        super().run(net)
