"""A router in the middle, a LAN on each of its arms."""

from __future__ import annotations

from testbed import LinkShape, Topo, whole_number


class Star(Topo):
    """One router r1 with n arms; on each arm a host of its own network.

    ::

            h1
            │
        h4 ─ r1 ─ h2
            │
            h3

    | link | IPv4 (router, host) | IPv6 |
    | --- | --- | --- |
    | r1 hi | 10.0.i.1/24, 10.0.i.11/24 | fd00:0:0:i::1/64, fd00:0:0:i::b/64 |
    """

    def build(self, arms: int = 4, shape: LinkShape | None = None) -> None:
        """Build it.

        Args:
            arms: how many, 1 to 500.
            shape: of every arm, both directions; default: plain.
        """
        whole_number("star arms", arms, 1, 500)
        router = self.addRouter("r1")
        for i in range(1, arms + 1):
            self.addLink(router, self.addHost(f"h{i}"), shape=shape)


topos = {"star": Star}
