"""One OpenFlow switch with all hosts on it."""

from __future__ import annotations

from testbed import LinkShape, Topo, whole_number

ACCESS = LinkShape(rate_mbps=10, delay_ms=1, queue_pkts=50)


class SwitchStar(Topo):
    """Hosts h1…hn at the ports 1…n of switch s1.

    ::

          h1   h2        hn
           \\   │        /
            \\  │  …    /
              ── s1 ──

    Host h<i> has 10.0.0.<i>/8, and is at s1-eth<i>.
    """

    def build(self, hosts: int = 4, access: LinkShape = ACCESS) -> None:
        """Builds the graph.

        Args:
            hosts: how many, 2 to 1000.
            access: shape of their links.
        """
        whole_number("switch_star hosts", hosts, 2, 1000)
        self.addOpenFlowSwitch("s1")
        for number in range(1, hosts + 1):
            self.addLink(self.addHost(f"h{number}"), "s1", shape=access)


topos = {"switch_star": SwitchStar}
