"""The fidelity experiment on links that are not what their parameters say."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from testbed import LinkShape
from topologies.dumbbell import Dumbbell
from topologies.parallel import Parallel

from ..experiment import SERIES_FIRST, SERIES_SECOND, Fidelity


def wrong(shape: LinkShape) -> LinkShape:
    """Each property a little off."""
    return replace(
        shape,
        rate_mbps=shape.rate_mbps and 1.002 * shape.rate_mbps,
        delay_ms=shape.delay_ms + 0.002,
        jitter_ms=1.2 * shape.jitter_ms,
        loss_percent=1.4 * shape.loss_percent,
        duplicate_percent=2 * shape.duplicate_percent,
        reorder_percent=1.5 * shape.reorder_percent,
        queue_pkts=shape.queue_pkts and shape.queue_pkts + 1,
    )


POLLS = """python3 -c 'import select
for _ in range(40000):
    select.select([], [], [], 0)'"""


class Wrong(Fidelity):
    """All properties a little off, while the claims expect the right ones."""

    def topology(self) -> Any:
        """The same graph with other shapes."""
        if self.params.part == "series":
            return Dumbbell(pairs=1, bottleneck=wrong(SERIES_SECOND), access=SERIES_FIRST)
        if self.params.part == "work":
            return Parallel()
        return Parallel(links={name: wrong(s) for name, s in self._shapes().items()})

    def work(self) -> Mapping[str, str]:
        """One of the programs polls instead."""
        return {**super().work(), "poll": POLLS}
