"""One switch with hosts."""

from __future__ import annotations

from testbed import LinkShape, Topo, whole_number


class Single(Topo):
    """n hosts on one switch.

    ::

        h1   h2  ...  hn
         └────┼────────┘
              s1

    | node | IPv4 | IPv6 |
    | --- | --- | --- |
    | hi | 10.0.0.i/8 | fd00::i/64 |
    """

    def build(self, hosts: int = 2, shape: LinkShape | None = None) -> None:
        """Build it.

        Args:
            hosts: how many, 1 to 1000.
            shape: of every link, both directions; default: plain.
        """
        whole_number("single hosts", hosts, 1, 1000)
        switch = self.addSwitch("s1")
        for i in range(1, hosts + 1):
            self.addLink(self.addHost(f"h{i}"), switch, shape=shape)


topos = {"single": Single}
