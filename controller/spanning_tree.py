"""A learning switch for networks with loops: it floods along a spanning tree only.

The tree is computed on the discovered topology, from the switch with the lowest datapath id (IEEE
802.1D has the bridges find it among themselves). What comes in by a port off the tree is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from controller.discovery import DiscoveringApp, End, distances, neighbours
from controller.frames import LLDP, Frame
from controller.learning_switch import LearningSwitch


def tree_ports(links: Mapping[End, End], switches: Iterable[int]) -> set[End]:
    """Both ends of each link in the tree; one tree for each part of a divided network."""
    near, rest, found = neighbours(links), set(switches), set()
    while rest:
        hops = distances(links, min(rest))
        for dpid in sorted(hops, key=lambda d: (hops[d], d))[1:]:
            port = next(p for p, other in near[dpid] if hops[other] == hops[dpid] - 1)
            found |= {(dpid, port), links[dpid, port]}
        rest -= set(hops)
    return found


class SpanningTree(DiscoveringApp, LearningSwitch):
    """Learns and forwards on the tree."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tree: set[End] = set()

    def topology_changed(self) -> None:
        """A new tree voids what was learnt on the old one."""
        tree = tree_ports(self.links.both_ways(), self.switches)
        if tree != self.tree:
            self.tree = tree
            self.tables.clear()
            self.note("tree", ports=sorted(tree))
            for switch in list(self.switches.values()):
                self.delete_learnt(switch)

    def packet(self, switch: Any, port: int, frame: Frame, data: bytes) -> None:
        """Off the tree nothing but LLDP counts."""
        here = (switch.id, port)
        if frame.ethertype == LLDP or here in self.tree or here not in self.links.ends():
            super().packet(switch, port, frame, data)

    def flood(self, switch: Any, data: bytes, in_port: int | None = None) -> None:
        """Out of the tree's ports and the edge's, but where it came from."""
        inner = self.links.ends()
        ports = [
            p
            for p in sorted(self.ports.get(switch.id, {}))
            if p != in_port and ((switch.id, p) in self.tree or (switch.id, p) not in inner)
        ]
        if ports:
            self.send(switch, ports, data, in_port)
