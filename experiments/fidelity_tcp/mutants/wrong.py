"""The fidelity of TCP on links that are not what their parameters say."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from topologies.parallel import Parallel

from ..experiment import FidelityTcp


class Wrong(FidelityTcp):
    """Rate, delay and MTU are off; the long path's transfer ends before it is filled."""

    def scenarios(self) -> Mapping[str, Any]:
        """The same parts, with too short a transfer."""
        return {n: replace(p, fat_bytes=20_000_000) for n, p in super().scenarios().items()}

    def topology(self) -> Parallel:
        """The same links with other shapes."""
        shapes = {
            name: replace(
                shape,
                rate_mbps=1.03 * (shape.rate_mbps or 0),
                delay_ms=shape.delay_ms + 0.002,
                mtu_bytes=1400,
            )
            for name, shape in self._shapes().items()
        }
        return Parallel(links=shapes)
