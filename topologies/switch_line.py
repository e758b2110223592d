"""A row of switches with two hosts at each: learning switches, or Linux bridges to compare."""

from __future__ import annotations

from itertools import pairwise

from testbed import LinkShape, Topo, whole_number

ACCESS = LinkShape(delay_ms=0.5)
TRUNK = LinkShape(delay_ms=1)


class SwitchLine(Topo):
    """Switches s1…sn in a row; host h<i> and then h<n+i> at switch s<i>.

    ::

        h1       h2              hn
          \\       \\               \\
           s1 ───── s2 ──── … ──── sn
          /       /               /
        h<n+1>  h<n+2>          h<2n>

    =========  =========================================
    port       leads to
    =========  =========================================
    s<i>-eth1  h<i>
    s<i>-eth2  h<n+i>
    s<i>-eth3  the neighbour before (of s1: the next)
    s<i>-eth4  the next
    =========  =========================================

    Host h<i> has 10.0.0.<i>/8. The round-trip time of h1 and h2 is 4 ms.
    """

    def build(
        self,
        switches: int = 2,
        openflow: bool = True,
        fail_mode: str = "secure",
        access: LinkShape = ACCESS,
        trunk: LinkShape = TRUNK,
    ) -> None:
        """Builds the graph.

        Args:
            switches: how many, 1 to 500.
            openflow: of Open vSwitch, under a controller; else Linux bridges.
            fail_mode: what a switch without a controller does: ``secure`` or ``standalone``.
            access: shape of the links to hosts.
            trunk: shape of the links between switches.
        """
        whole_number("switch_line switches", switches, 1, 500)
        names = [f"s{i}" for i in range(1, switches + 1)]
        for name in names:
            if openflow:
                self.addOpenFlowSwitch(name, failMode=fail_mode)
            else:
                self.addSwitch(name)
        for number in range(1, 2 * switches + 1):
            name = names[(number - 1) % switches]
            self.addLink(self.addHost(f"h{number}"), name, shape=access)
        for one, two in pairwise(names):
            self.addLink(one, two, shape=trunk)


topos = {"switch_line": SwitchLine}
