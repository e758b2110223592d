"""TCP flows whose running costs are measured by bench/speed.py and bench/ns3.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from testbed import Experiment, LinkShape, Tables, Verdict, bulk_flows, claim, holds, param
from topologies.dumbbell import BOTTLENECK, BOTTLENECK_FAR, Dumbbell


class Speed(Experiment):
    """TCP flows over a dumbbell."""

    @dataclass(frozen=True)
    class Parameters:
        """What runs, and for how long."""

        flows: int = param(1, "TCP flows", low=1, high=64)
        cc: str = param("cubic", "congestion control")
        rate_mbps: float = param(10.0, "rate of the bottleneck", unit="Mbit/s", low=0.1)
        rtt_ms: float = param(40.0, "round-trip time", unit="ms", low=1)
        queue_pkts: int = param(33, "bottleneck buffer", unit="packets", low=1)
        duration_s: float = param(60.0, "how long", unit="s", low=1)
        capture: bool = param(True, "captures at both ends of the bottleneck")
        probe: bool = param(True, "tcp_probe at every acknowledgement")

    params: Parameters

    def topology(self) -> Dumbbell:
        """A dumbbell."""
        p = self.params
        back = LinkShape(rate_mbps=p.rate_mbps, delay_ms=p.rtt_ms / 2)
        ahead = LinkShape(rate_mbps=p.rate_mbps, delay_ms=p.rtt_ms / 2, queue_pkts=p.queue_pkts)
        return Dumbbell(pairs=p.flows, bottleneck=ahead, back=back)

    def run(self, net: Any) -> None:
        """Lets the flows send."""
        p = self.params
        if p.capture:
            net.capture(BOTTLENECK, BOTTLENECK_FAR, snaplen_bytes=96)
        if p.probe:
            net.trace("tcp_probe")
        for i in range(1, p.flows + 1):
            bulk_flows.receive(net, f"rx{i}")
            bulk_flows.send(net, f"tx{i}", net.address(f"rx{i}"), cc=p.cc, seconds=p.duration_s)
        net.sleep_until(p.duration_s + 2.0)

    def measure(self, data: Any) -> dict[str, Any]:
        """Nothing: the wall clock is what counts."""
        return {}

    @claim("The network ran to its end.", source="bench/speed.py")
    def ended(self, tables: Tables) -> Verdict:
        """A run that did not would have raised."""
        return holds(True, observed="it did", expected="it does")
