"""The congestion experiment on a TCP stack whose settings break a claim."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..experiment import Congestion


class BrokenStack(Congestion):
    """One duplicate ACK is enough, the timer stops at one second, the buffer holds two packets."""

    def scenarios(self) -> Mapping[str, Any]:
        """Those whose claims the settings break."""
        right = super().scenarios()
        return {
            "reno": replace(right["reno"], queue_bdp=0.05),
            "cubic": replace(right["cubic"], queue_bdp=0.05),
            "outage": replace(right["outage"], outage_s=5.0),
        }

    def run(self, net: Any) -> None:
        """Breaks the sender's stack, then runs as always."""
        net.sysctl("tx1", "net.ipv4.tcp_reordering", 1)
        net.sysctl("tx1", "net.ipv4.tcp_rto_max_ms", 1000)
        super().run(net)
