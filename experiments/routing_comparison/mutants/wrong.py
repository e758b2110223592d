"""RIP and OSPF that cannot be compared.

Other costs, slow paths, short patience, a mute router, a bad cable.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..experiment import RoutingComparison

EDITS = {
    ("rip", "cut"): (
        "router rip\n",
        "access-list all permit any\nrouter rip\n offset-list all in 3 r1-eth1\n",
    ),
    ("ospf", "cut"): ("router ospf\n", "router ospf\n timers throttle spf 9000 9000 9000\n"),
    ("ospf", "silence"): (
        "hello-interval 10\n ip ospf dead-interval 40",
        "hello-interval 5\n ip ospf dead-interval 20",
    ),
    ("rip", "silence"): ("router rip\n", "router rip\n passive-interface default\n"),
}
_CHANGED = {"cut": "r1", "silence": "r2"}


class WrongComparison(RoutingComparison):
    """The comparison as it should not be."""

    def inputs(self) -> Mapping[str, str]:
        """The configurations, edited."""
        found = dict(super().inputs())
        old, new = EDITS.get((self.params.protocol, self.params.failure), ("", ""))
        if old:
            for name, text in found.items():
                if self.params.protocol == "ospf" or f"/{_CHANGED[self.params.failure]}/" in name:
                    found[name] = text.replace(old, new)
        return found

    def run(self, net: Any) -> None:
        """The target's cable loses some packets all the while."""
        if (self.params.protocol, self.params.failure) == ("ospf", "cut"):
            net.reshape("h3-eth0", replace(net.shape("h3-eth0"), loss_percent=10.0))
        super().run(net)
