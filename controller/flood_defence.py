"""A learning switch that isolates the source of a flood, and lets it back when it is calm.

It reads the counters of all edge ports. A port that receives more packets per second than allowed
is cut off: one flow of high priority drops what comes in there, before anything else happens to
it. The port's counter goes on counting, so the end of the flood shows; then the flow is deleted.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller import learning_switch
from controller.app import BARRED
from controller.discovery import DiscoveringApp, End
from controller.framework import MAIN_DISPATCHER, ofp_event, ofproto, on, parser
from controller.learning_switch import LearningSwitch
from controller.monitor import Rates


@dataclass(frozen=True)
class Settings(learning_switch.Settings):
    """Limits.

    Attributes:
        every_s: time between two looks at the counters.
        limit_pps: packets per second a host may send.
        calm_s: how long a port must keep to it before it is let back.
        defend: no: only watches and logs.
    """

    every_s: float = 1.0
    limit_pps: float = 500.0
    calm_s: float = 3.0
    defend: bool = True


@dataclass
class Guard:
    """Who is cut off, by the rates at the edge.

    Attributes:
        limit_pps: more than this is a flood.
        calm_s: time below the limit after which a port is let back.
    """

    limit_pps: float
    calm_s: float
    _barred: dict[End, float] = field(default_factory=dict)  # port → when it flooded last

    def judge(self, rates_pps: Mapping[End, float], now_s: float) -> tuple[list[End], list[End]]:
        """Ports to cut off now, and ports to let back."""
        loud = {port for port, rate in rates_pps.items() if rate > self.limit_pps}
        new = sorted(loud - set(self._barred))
        self._barred.update(dict.fromkeys(loud, now_s))
        calm = sorted(p for p, last_s in self._barred.items() if now_s - last_s >= self.calm_s)
        for port in calm:
            del self._barred[port]
        return new, calm


class FloodDefence(DiscoveringApp, LearningSwitch):
    """Watches, isolates, recovers."""

    Settings = Settings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rates = Rates()
        self.guard = Guard(self.settings.limit_pps, self.settings.calm_s)
        self.every(self.settings.every_s, self._ask)

    def _ask(self) -> None:
        for switch in list(self.switches.values()):
            switch.send_msg(parser.OFPPortStatsRequest(switch, 0, ofproto.OFPP_ANY))

    @on(ofp_event.EventOFPPortStatsReply, MAIN_DISPATCHER)
    def _answer(self, event: Any) -> None:
        switch, now_s = event.msg.datapath, time.monotonic()
        edge = set(self.edge_ports().get(switch.id, []))
        counters = {(switch.id, s.port_no): s.rx_packets for s in event.msg.body}
        rates = self.rates.feed({k: n for k, n in counters.items() if k[1] in edge}, now_s)
        for (dpid, port), rate in rates.items():
            self.note("port-rate", dpid=dpid, port=port, pkts_per_s=round(rate, 3))
        loud, calm = self.guard.judge(rates, now_s)
        for _, port in loud:
            self.note("isolated", dpid=switch.id, port=port, defended=self.settings.defend)
            if self.settings.defend:
                self.install(switch, BARRED, {"in_port": port}, [])
        for dpid, port in calm:
            self.note("let-back", dpid=dpid, port=port)
            if dpid in self.switches and self.settings.defend:
                self.delete(self.switches[dpid], {"in_port": port}, priority=BARRED)
