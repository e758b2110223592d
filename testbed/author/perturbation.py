"""`--perturb P%`: a little chance in networks that have none, decided by the seed.

A lone flow on a link without losses does the same whatever the seed: its repetitions would have an
interval of no width, and phase effects between flows would be those of one accident. As simulators
do, each delay of a link and each wait of `run` becomes up to P % longer or shorter, and each
program in a node starts up to P % of a second later. Nothing else changes: not rates, queues or
losses.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.author.running_network import RunningNetwork
from testbed.net.tclink import SHAPING, shape_of

if TYPE_CHECKING:
    from testbed.author.process import Process
    from testbed.net import Network
    from testbed.net.shape import LinkShape

_START_S = 1.0
"""Programs start later by up to P % of this."""


def move_delays(topo: Any, percent: float, seed: int) -> None:
    """Changes the delays of a topology's links; those of the two directions differ.

    Args:
        topo: the topology; it is changed.
        percent: largest change of a delay.
        seed: decides the changes.
    """
    for node1, node2, info in topo.links(withInfo=True):
        shapes = {
            f"shape{side}": _with_moved_delay(
                shape_of(info, side), percent, f"{seed} {node}-eth{info[f'port{side}']}"
            )
            for side, node in ((1, node1), (2, node2))
        }
        for options in (info, info.get("params1") or {}, info.get("params2") or {}):
            for name in (*SHAPING, "shape", *shapes):
                options.pop(name, None)
        info.update(shapes)


def _with_moved_delay(shape: LinkShape, percent: float, seed: str) -> LinkShape:
    """The shape with another delay; a queue in bandwidth-delay products stays as long as it is."""
    if not shape.delay_ms:
        return shape
    rtt_ms = shape.rtt_ms or (2 * shape.delay_ms if shape.queue_bdp else None)
    delay_ms = _moved(shape.delay_ms, percent, random.Random(seed))
    return replace(shape, delay_ms=delay_ms, rtt_ms=rtt_ms)


def _moved(value: float, percent: float, chance: random.Random) -> float:
    return value * (1 + percent / 100 * chance.uniform(-1, 1))


class PerturbedNetwork(RunningNetwork):
    """A running network with waits and starts that the seed moves.

    Args:
        net, path, scenario: as of `RunningNetwork`.
        percent: how far.
        seed: decides the moves.
    """

    def __init__(
        self, net: Network, path: Path, scenario: str, *, percent: float, seed: int
    ) -> None:
        super().__init__(net, path, scenario)
        self._percent, self._chance = percent, random.Random(f"{seed} start times")

    def sleep(self, seconds: float) -> None:
        """See `RunningNetwork.sleep`."""
        super().sleep(_moved(seconds, self._percent, self._chance))

    def start(self, node: str, *argv: str, **options: Any) -> Process:
        """See `RunningNetwork.start`."""
        super().sleep(_START_S * self._percent / 100 * self._chance.random())
        return super().start(node, *argv, **options)
