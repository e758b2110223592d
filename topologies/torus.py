"""Switches on a torus: every row and every column is a ring."""

from __future__ import annotations

from testbed import LinkShape, Topo, whole_number


class Torus(Topo):
    """x times y switches, each linked to its four neighbours, with n hosts each.

    ::

        s1x1 ─ s1x2 ─ s1x3 ─╮
         │      │      │    (each row and column closes to a ring)
        s2x1 ─ s2x2 ─ s2x3 ─╯

    It has loops, so the switches need spanning tree (``stp=True``, which is set here) or OpenFlow.

    | node | IPv4 | IPv6 |
    | --- | --- | --- |
    | i-th host (h1x1, h1x2, ...) | 10.0.0.i/8 | fd00::i/64 |
    """

    def build(
        self, rows: int = 3, columns: int = 3, hosts: int = 1, shape: LinkShape | None = None
    ) -> None:
        """Build it.

        Args:
            rows: 3 to 40.
            columns: 3 to 40.
            hosts: on each switch, 0 to 20.
            shape: of the links between switches, both directions; default: plain.
        """
        whole_number("torus rows", rows, 3, 40)
        whole_number("torus columns", columns, 3, 40)
        whole_number("torus hosts", hosts, 0, 20)
        for row in range(1, rows + 1):
            for column in range(1, columns + 1):
                number = f"{(row - 1) * columns + column:x}"
                spot = (column * 1.6, row * 1.6)
                switch = self.addSwitch(
                    f"s{row}x{column}", dpid=number, stp=True, x=spot[0], y=spot[1]
                )
                for j in range(1, hosts + 1):
                    name = f"h{row}x{column}" if hosts == 1 else f"h{row}x{column}n{j}"
                    self.addHost(name, x=spot[0] + 0.45 + 0.1 * j, y=spot[1] + 0.55 * j)
                    self.addLink(name, switch)
        for row in range(1, rows + 1):
            for column in range(1, columns + 1):
                right, below = column % columns + 1, row % rows + 1
                self.addLink(f"s{row}x{column}", f"s{row}x{right}", shape=shape)
                self.addLink(f"s{row}x{column}", f"s{below}x{column}", shape=shape)


topos = {"torus": Torus}
