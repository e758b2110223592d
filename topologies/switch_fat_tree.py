"""A fat tree of OpenFlow switches (Al-Fares et al., SIGCOMM 2008)."""

from __future__ import annotations

from testbed import ConfigError, LinkShape, Topo, whole_number


class SwitchFatTree(Topo):
    """k pods of k/2 aggregation and k/2 edge switches, (k/2)^2 core switches, k^3/4 hosts.

    ::

        core         s1     s2     s3     s4             k = 4
                      │ \\  / │      │ \\  / │
        aggregation  s5  s6   s9  s10  s13 s14  s17 s18
                      │ X │    │ X │    │ X │    │ X │
        edge         s7  s8   s11 s12  s15 s16  s19 s20
                     /\\  /\\   /\\  /\\   /\\  /\\   /\\  /\\
        hosts       h1 .............................. h16

    Aggregation switch i of a pod is linked to the core switches (i-1)·k/2+1 … i·k/2. Host h<i>
    has 10.0.0.<i>/8.
    """

    def build(self, k: int = 4, shape: LinkShape | None = None) -> None:
        """Builds the graph.

        Args:
            k: ports of each switch; even, 2 to 8.
            shape: of every link between switches; default: plain.

        Raises:
            ConfigError: `k` is odd or out of range.
        """
        whole_number("switch_fat_tree k", k, 2, 8)
        if k % 2:
            raise ConfigError(f"switch_fat_tree k: {k} is odd; allowed: even numbers from 2 to 8")
        half = k // 2
        core = [self._switch(n, (n - 0.5) * k, 0.0) for n in range(1, half * half + 1)]
        number, host = half * half, 0
        for p in range(k):
            places = [(p * half + i + 0.5) * half for i in range(half)]
            spots = [(x, y) for y in (2.0, 4.0) for x in places]
            pod = [self._switch(number + n, x, y) for n, (x, y) in enumerate(spots, 1)]
            number += k
            for i, upper in enumerate(pod[:half]):
                for top in core[i * half : (i + 1) * half]:
                    self.addLink(top, upper, shape=shape)
                for lower in pod[half:]:
                    self.addLink(upper, lower, shape=shape)
            for lower in pod[half:]:
                for _ in range(half):
                    host += 1
                    self.addLink(lower, self.addHost(f"h{host}", x=host - 0.5, y=5.5))

    def _switch(self, number: int, x: float, y: float) -> str:
        return self.addOpenFlowSwitch(f"s{number}", x=x, y=y)


topos = {"switch_fat_tree": SwitchFatTree}
