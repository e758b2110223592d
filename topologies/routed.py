"""The graphs that routing experiments choose from, by name."""

from __future__ import annotations

from collections.abc import Callable

from testbed import Topo, routing
from topologies.areas import Areas
from topologies.campus import Campus
from topologies.grid import Grid
from topologies.line import Line
from topologies.router_ring import RouterRing
from topologies.square import Square
from topologies.triangle import FAST, Triangle

TOPOLOGIES: dict[str, Callable[[int], Topo]] = {
    "triangle": lambda _: Triangle(),
    "even-triangle": lambda _: Triangle(slow=FAST),
    "line": lambda size: Line(routers=size),
    "square": lambda _: Square(),
    "ring": lambda size: RouterRing(routers=size),
    "campus": lambda _: Campus(),
    "areas": lambda _: Areas(),
    "grid": lambda size: Grid(side=size),
}
"""Name → what makes it of the number of routers (line, ring) or rows (grid)."""


FROM_CONFIGS = "from-configs"
"""The name of the topology that a folder of configurations describes."""

NAMES = (*TOPOLOGIES, FROM_CONFIGS)
"""All names that `make` takes."""


def make(name: str, size: int, configs: str = "") -> Topo:
    """The topology of this name.

    Args:
        name: of `NAMES`.
        size: number of routers or rows, where the topology has one.
        configs: folder of configurations, for `FROM_CONFIGS`.
    """
    return routing.from_configs(configs) if name == FROM_CONFIGS else TOPOLOGIES[name](size)


def of_configs(name: str, size: int, configs: str) -> str:
    """`FROM_CONFIGS` if a folder's configurations are of another network than this topology."""
    if name == FROM_CONFIGS or not configs:
        return name
    if not routing.has_own_network(configs, TOPOLOGIES[name](size)):
        return name
    return FROM_CONFIGS
