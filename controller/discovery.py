"""Which switch is linked to which: each port sends LLDP, and where it arrives is the other end.

A link is gone as soon as a switch reports its port down, or when three LLDP frames in a row did
not arrive (IEEE 802.1AB §9.2.5.22 counts to four): the wire may be dead and the port not know.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller import frames
from controller.app import App
from controller.framework import MAIN_DISPATCHER, ofp_event, ofproto, on, parser

LLDP_INTERVAL_S = 1.0
LINK_LIFE_S = 3.2
"""Three intervals, and some slack for the way."""

End = tuple[int, int]
"""(datapath id, port)."""


@dataclass
class LinkTable:
    """Links as they were heard of, each direction by itself: sender → receiver."""

    life_s: float = LINK_LIFE_S
    _heard: dict[End, tuple[End, float]] = field(default_factory=dict)

    def heard(self, sender: End, receiver: End, now_s: float) -> bool:
        """Notes that LLDP came through; True if that link is new."""
        old = self._heard.get(sender)
        self._heard[sender] = (receiver, now_s)
        return old is None or old[0] != receiver

    def expire(self, now_s: float) -> list[End]:
        """Forgets links not heard of for too long; returns their senders."""
        gone = [end for end, (_, seen_s) in self._heard.items() if now_s - seen_s > self.life_s]
        for end in gone:
            del self._heard[end]
        return gone

    def drop(self, port: End) -> bool:
        """Forgets a port's link, both ways; True if there was one."""
        gone = [s for s, (r, _) in self._heard.items() if port in (s, r)]
        for end in gone:
            del self._heard[end]
        return bool(gone)

    def drop_switch(self, dpid: int) -> None:
        """Forgets all links of a switch."""
        self._heard = {s: (r, t) for s, (r, t) in self._heard.items() if dpid not in (s[0], r[0])}

    def both_ways(self) -> dict[End, End]:
        """Links that work in both directions, end → other end; each stands here twice."""
        links = {s: r for s, (r, _) in self._heard.items()}
        return {s: r for s, r in links.items() if links.get(r) == s}

    def ends(self) -> set[End]:
        """All ports known to lead to a switch."""
        return set(self._heard) | {r for r, _ in self._heard.values()}


def neighbours(links: Mapping[End, End]) -> dict[int, list[tuple[int, int]]]:
    """Of each switch: (own port, switch there), by port."""
    found: dict[int, list[tuple[int, int]]] = {}
    for (dpid, port), (other, _) in sorted(links.items()):
        found.setdefault(dpid, []).append((port, other))
    return found


def distances(links: Mapping[End, End], root: int) -> dict[int, int]:
    """Hops from each switch that can be reached to `root`."""
    near, found, wave = neighbours(links), {root: 0}, [root]
    for dpid in wave:
        for _, other in near.get(dpid, []):
            if other not in found:
                found[other] = found[dpid] + 1
                wave.append(other)
    return found


class DiscoveringApp(App):
    """An application that knows the links between its switches.

    Attributes:
        links: as discovered.
        ports: of each switch, those that are up.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.links = LinkTable()
        self.ports: dict[int, dict[int, str]] = {}
        self.every(LLDP_INTERVAL_S, self._tick)

    def topology_changed(self) -> None:
        """A link or port came or went."""

    def edge_ports(self) -> dict[int, list[int]]:
        """Of each switch, the ports that lead to no other switch."""
        inner = self.links.ends()
        return {
            dpid: [p for p in sorted(ports) if (dpid, p) not in inner]
            for dpid, ports in sorted(self.ports.items())
        }

    def _tick(self) -> None:
        for switch in list(self.switches.values()):
            self._probe(switch, self.ports.get(switch.id, {}))
        if gone := self.links.expire(time.monotonic()):
            for dpid, port in gone:
                self.note("link-lost", dpid=dpid, port=port, why="silent")
            self.topology_changed()

    def _probe(self, switch: Any, ports: Mapping[int, str]) -> None:
        for port, mac in list(ports.items()):
            self.send(switch, [port], frames.lldp_frame(switch.id, port, mac))

    # ---- what switches tell

    def joined(self, switch: Any) -> None:
        """Asks a new switch for its ports."""
        super().joined(switch)
        self.ports[switch.id] = {}
        switch.send_msg(parser.OFPPortDescStatsRequest(switch, 0))

    def left(self, dpid: int) -> None:
        """A switch without a connection forwards as before, but cannot be changed."""
        super().left(dpid)
        self.ports.pop(dpid, None)
        self.links.drop_switch(dpid)
        self.topology_changed()

    @on(ofp_event.EventOFPPortDescStatsReply, MAIN_DISPATCHER)
    def _port_list(self, event: Any) -> None:
        self._take_ports(event.msg.datapath, event.msg.body)

    @on(ofp_event.EventOFPPortStatus, MAIN_DISPATCHER)
    def _port_status(self, event: Any) -> None:
        message = event.msg
        switch, port = message.datapath, message.desc
        gone = message.reason == ofproto.OFPPR_DELETE
        if not gone and _is_up(port):
            self._take_ports(switch, [port])
            return
        known = self.ports.get(switch.id, {}).pop(port.port_no, None)
        if self.links.drop((switch.id, port.port_no)) or known:
            self.note("link-lost", dpid=switch.id, port=port.port_no, why="port down")
            self.topology_changed()

    def _take_ports(self, switch: Any, found: Iterable[Any]) -> None:
        new = {p.port_no: str(p.hw_addr) for p in found if p.port_no < ofproto.OFPP_MAX}
        up = {p.port_no for p in found if _is_up(p)}
        new = {number: mac for number, mac in new.items() if number in up}
        self.ports.setdefault(switch.id, {}).update(new)
        self._probe(switch, new)
        self.topology_changed()

    def packet(self, switch: Any, port: int, frame: frames.Frame, data: bytes) -> None:
        """Takes LLDP; hands on the rest."""
        sender = frames.lldp_sender(frame)
        if sender is None:
            super().packet(switch, port, frame, data)
        elif self.links.heard(sender, (switch.id, port), time.monotonic()):
            self.note("link", sender=sender, receiver=(switch.id, port))
            self.topology_changed()


def _is_up(port: Any) -> bool:
    return not (port.state & ofproto.OFPPS_LINK_DOWN or port.config & ofproto.OFPPC_PORT_DOWN)
