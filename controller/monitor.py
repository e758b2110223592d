"""A learning switch that asks each switch for its flows' counters and logs the rates."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller import learning_switch
from controller.framework import MAIN_DISPATCHER, ofp_event, on, parser
from controller.learning_switch import LEARNT, LearningSwitch


@dataclass(frozen=True)
class Settings(learning_switch.Settings):
    """Those of the learning switch, and the time between two questions."""

    every_s: float = 1.0


@dataclass
class Rates:
    """Rates from counters that are read again and again."""

    _last: dict[Any, tuple[float, int]] = field(default_factory=dict)

    def feed(self, counters: Mapping[Any, int], now_s: float) -> dict[Any, float]:
        """Rate of each counter since it was read last, per s; of a new or smaller one none."""
        found = {}
        for key, value in counters.items():
            then_s, before = self._last.get(key, (now_s, value))
            if now_s > then_s and value >= before:
                found[key] = (value - before) / (now_s - then_s)
            self._last[key] = (now_s, value)
        return found


class Monitor(LearningSwitch):
    """Logs ``rate`` events: of each flow the bits and packets per second."""

    Settings = Settings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bits, self.pkts = Rates(), Rates()
        self.every(self.settings.every_s, self._ask)

    def _ask(self) -> None:
        for switch in list(self.switches.values()):
            switch.send_msg(
                parser.OFPFlowStatsRequest(switch, cookie=LEARNT, cookie_mask=2**64 - 1)
            )

    @on(ofp_event.EventOFPFlowStatsReply, MAIN_DISPATCHER)
    def _answer(self, event: Any) -> None:
        dpid, now_s = event.msg.datapath.id, time.monotonic()
        flows = {
            (dpid, f.match["in_port"], f.match["eth_src"], f.match["eth_dst"]): f
            for f in event.msg.body
        }
        pkts = self.pkts.feed({k: f.packet_count for k, f in flows.items()}, now_s)
        bits = self.bits.feed({k: 8 * f.byte_count for k, f in flows.items()}, now_s)
        for key in sorted(pkts):
            _, port, src, dst = key
            self.note(
                "rate",
                dpid=dpid,
                port=port,
                src=src,
                dst=dst,
                pkts_per_s=round(pkts[key], 3),
                bits_per_s=round(bits[key], 1),
            )
