"""A tree of switches with hosts as leaves."""

from __future__ import annotations

from testbed import LinkShape, Topo, whole_number


class Tree(Topo):
    """Switches in `depth` levels, each with `fanout` children; the leaves are hosts.

    ::

                 s1                depth 2, fanout 2
             ┌───┴───┐
             s2      s3
           ┌─┴─┐   ┌─┴─┐
           h1  h2  h3  h4

    | node | IPv4 | IPv6 |
    | --- | --- | --- |
    | hi, from the left | 10.0.0.i/8 | fd00::i/64 |
    """

    def build(self, depth: int = 2, fanout: int = 2, shape: LinkShape | None = None) -> None:
        """Build it.

        Args:
            depth: levels of switches, 1 to 12.
            fanout: children of each switch, 1 to 200.
            shape: of every link, both directions; default: plain.
        """
        whole_number("tree depth", depth, 1, 12)
        whole_number("tree fanout", fanout, 1, 200)
        self._shape, self._hosts, self._switches = shape, 0, 0
        self._grow(depth, fanout)

    def _grow(self, depth: int, fanout: int) -> str:
        """Add the subtree of one node and return its root; numbered depth first, as Mininet's."""
        if depth == 0:
            self._hosts += 1
            return str(self.addHost(f"h{self._hosts}"))
        self._switches += 1
        root = str(self.addSwitch(f"s{self._switches}"))
        for _ in range(fanout):
            self.addLink(root, self._grow(depth - 1, fanout), shape=self._shape)
        return root


topos = {"tree": Tree}
