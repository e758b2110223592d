"""A fat tree of routers (Al-Fares et al., SIGCOMM 2008): the data centre's topology."""

from __future__ import annotations

from testbed import ConfigError, LinkShape, Topo, whole_number


class FatTree(Topo):
    """k pods of k/2 aggregation and k/2 edge routers, (k/2)^2 core routers, k^3/4 hosts.

    ::

        core          c1     c2     c3     c4            k = 4
                       │ \\  / │      │ \\  / │
        aggregation  a1  a2   a3  a4   a5  a6   a7  a8
                      │ X │    │ X │    │ X │    │ X │
        edge         e1  e2   e3  e4   e5  e6   e7  e8
                     /\\  /\\   /\\  /\\   /\\  /\\   /\\  /\\
        hosts       h1 .............................. h16

    Aggregation router i of a pod is linked to the core routers (i-1)·k/2+1 ... i·k/2.

    | link | IPv4 | IPv6 |
    | --- | --- | --- |
    | edge router and its j-th host, the i-th of all | 10.0.i.1/24, 10.0.i.11/24 | fd00:0:0:i::/64 |
    | k-th link between routers | k-th /30 of 172.16.0.0/12 | fd00:0:1:k::/64 |
    """

    def build(self, k: int = 4, shape: LinkShape | None = None) -> None:
        """Build it.

        Args:
            k: ports of each router; even, 2 to 16.
            shape: of every link between routers, both directions; default: plain.

        Raises:
            ConfigError: `k` is odd or out of range.
        """
        whole_number("fat_tree k", k, 2, 16)
        if k % 2:
            raise ConfigError(f"fat_tree k: {k} is odd; allowed: even numbers from 2 to 16")
        half = k // 2
        width = k * half * half
        for c in range(1, half * half + 1):
            self.addRouter(f"c{c}", x=(c - 0.5) * width / half**2, y=0.0)
        for pod in range(k):
            aggregation = [f"a{pod * half + i}" for i in range(1, half + 1)]
            edge = [f"e{pod * half + i}" for i in range(1, half + 1)]
            for i, (upper, lower) in enumerate(zip(aggregation, edge, strict=True)):
                x = (pod * half + i + 0.5) * half
                self.addRouter(upper, x=x, y=2.0)
                self.addRouter(lower, x=x, y=4.0)
            self._link_pod(pod, aggregation, edge, shape)

    def _link_pod(
        self, pod: int, aggregation: list[str], edge: list[str], shape: LinkShape | None
    ) -> None:
        half = len(edge)
        for i, router in enumerate(aggregation):
            for core in range(i * half + 1, (i + 1) * half + 1):
                self.addLink(f"c{core}", router, shape=shape)
            for lower in edge:
                self.addLink(router, lower, shape=shape)
        for i, lower in enumerate(edge):
            for j in range(1, half + 1):
                number = (pod * half + i) * half + j
                self.addHost(f"h{number}", x=number - 0.5, y=5.5)
                self.addLink(lower, f"h{number}")


topos = {"fat_tree": FatTree}
