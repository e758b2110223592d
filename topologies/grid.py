"""A grid of n × n routers."""

from __future__ import annotations

from testbed import LinkShape, Topo, whole_number

PLAIN = LinkShape()


class Grid(Topo):
    """Routers in a square grid, each linked with its neighbours; hosts in two corners.

    ::

        h1 ── r1 ─── r2 ─── r3
              │      │      │
              r4 ─── r5 ─── r6
              │      │      │
              r7 ─── r8 ─── r9 ── h9

    Routers are numbered row by row. Interfaces count in the order of links: to the right, then
    down, from r1 on. Addresses come from the plan: LAN 10.0.1.0/24 at r1, 10.0.2.0/24 at the last.
    """

    def build(self, side: int = 3, shape: LinkShape = PLAIN) -> None:
        """Builds the graph.

        Args:
            side: routers in a row, and rows, 2 to 30.
            shape: of all links between routers.
        """
        whole_number("grid side", side, 2, 30)
        names = [self.addRouter(f"r{i}") for i in range(1, side * side + 1)]
        options = {} if shape.is_plain else {"shape": shape}
        for i, router in enumerate(names):
            if (i + 1) % side:
                self.addLink(router, names[i + 1], **options)
            if i + side < len(names):
                self.addLink(router, names[i + side], **options)
        self.addLink(names[0], self.addHost("h1"))
        self.addLink(names[-1], self.addHost(f"h{len(names)}"))


topos = {"grid": Grid}
