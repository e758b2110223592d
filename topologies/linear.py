"""A chain of switches, each with its hosts."""

from __future__ import annotations

from testbed import LinkShape, Topo, whole_number


class Linear(Topo):
    """k switches in a row, n hosts on each.

    ::

        h1    h2         hk
        │     │          │
        s1 ── s2 ── ... ─ sk

    | node | IPv4 | IPv6 |
    | --- | --- | --- |
    | i-th host (h1, h2, ...; with n > 1: h1s1, h1s2, ...) | 10.0.0.i/8 | fd00::i/64 |
    """

    def build(self, switches: int = 2, hosts: int = 1, shape: LinkShape | None = None) -> None:
        """Build it.

        Args:
            switches: how many, 1 to 1000.
            hosts: on each switch, 1 to 200.
            shape: of the links between switches, both directions; default: plain.
        """
        whole_number("linear switches", switches, 1, 1000)
        whole_number("linear hosts", hosts, 1, 200)
        for i in range(1, switches + 1):
            self.addSwitch(f"s{i}")
            for j in range(1, hosts + 1):
                host = self.addHost(f"h{i}" if hosts == 1 else f"h{j}s{i}")
                self.addLink(host, f"s{i}")
            if i > 1:
                self.addLink(f"s{i}", f"s{i - 1}", shape=shape)


topos = {"linear": Linear}
