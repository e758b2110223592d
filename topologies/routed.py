"""The graphs that routing experiments choose from, by name."""

from __future__ import annotations

from collections.abc import Callable

from testbed import Topo
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


def make(name: str, size: int) -> Topo:
    """The topology of this name."""
    return TOPOLOGIES[name](size)
