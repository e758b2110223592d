"""Shortest paths on the discovered topology: no flooding between switches, no loops to break.

Hosts are learnt at the edge. Every switch has one flow for each host, towards it; when a link
fails, only the flows that change are installed again. Broadcasts go out of all edge ports directly.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from controller.app import FORWARDING, output
from controller.discovery import DiscoveringApp, End, distances, neighbours
from controller.frames import LLDP, Frame

Tables = dict[tuple[int, str], int]
"""(datapath id, host's MAC address) → port."""


def tables(links: Mapping[End, End], hosts: Mapping[str, End]) -> Tables:
    """The port for each host at each switch that can reach it.

    Of several shortest paths one is chosen by the host's address, so that hosts share them.
    """
    near = neighbours(links)
    found: Tables = {}
    trees = {dpid: distances(links, dpid) for dpid in {dpid for dpid, _ in hosts.values()}}
    for mac, (home, home_port) in hosts.items():
        found[home, mac] = home_port
        for dpid, hops in trees[home].items():
            closer = [p for p, other in near.get(dpid, []) if trees[home][other] < hops]
            if closer:
                found[dpid, mac] = closer[zlib.crc32(mac.encode()) % len(closer)]
    return found


class ShortestPath(DiscoveringApp):
    """Keeps every switch's flows on shortest paths."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hosts: dict[str, End] = {}
        self.installed: Tables = {}

    def topology_changed(self) -> None:
        """Hosts 'seen' between switches are none; all others get their paths."""
        inner = self.links.ends()
        self.hosts = {mac: end for mac, end in self.hosts.items() if end not in inner}
        self._update()

    def joined(self, switch: Any) -> None:
        """A switch that (re)joins has lost its flows."""
        self.installed = {k: p for k, p in self.installed.items() if k[0] != switch.id}
        super().joined(switch)

    def packet_here(self, switch: Any, port: int, frame: Frame, data: bytes) -> None:
        """Learns a host; brings the packet to its destination by hand."""
        here = (switch.id, port)
        if here in self.links.ends():
            home = self.hosts.get(frame.dst)
            if home and home[0] in self.switches:  # caught between old and new flows
                self.send(self.switches[home[0]], [home[1]], data)
            return
        if self.hosts.get(frame.src) != here:
            self.hosts[frame.src] = here
            self.note("host", mac=frame.src, dpid=switch.id, port=port)
            self._update()
        home = None if frame.is_group else self.hosts.get(frame.dst)
        places = {home[0]: [home[1]]} if home else self.edge_ports()
        for dpid, ports in places.items():
            others = [p for p in ports if (dpid, p) != here]
            if others and dpid in self.switches:
                self.send(self.switches[dpid], others, data)

    def packet(self, switch: Any, port: int, frame: Frame, data: bytes) -> None:
        """LLDP is discovery's, the rest ours."""
        if frame.ethertype == LLDP:
            super().packet(switch, port, frame, data)
        else:
            self.packet_here(switch, port, frame, data)

    def _update(self) -> None:
        """Tells switches what differs from what they have."""
        wanted = tables(self.links.both_ways(), self.hosts)
        new = {k: p for k, p in wanted.items() if self.installed.get(k) != p}
        gone = [k for k in self.installed if k not in wanted]
        for (dpid, mac), port in new.items():
            if dpid in self.switches:
                self.install(self.switches[dpid], FORWARDING, {"eth_dst": mac}, output(port))
        for dpid, mac in gone:
            if dpid in self.switches:
                self.delete(self.switches[dpid], {"eth_dst": mac}, priority=FORWARDING)
        if new or gone:
            self.note("paths", installed=len(new), deleted=len(gone))
        self.installed = {k: p for k, p in wanted.items() if k[0] in self.switches}
