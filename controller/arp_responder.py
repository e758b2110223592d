"""A learning switch that answers ARP requests itself: they are not flooded once it knows.

Who has which address is learnt from the ARP packets that pass (RFC 826's own rule for hosts).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from controller import frames
from controller.frames import Arp, Frame
from controller.learning_switch import LearningSwitch

AGE_S = 300.0
"""Entries that were not heard of for this long are asked for again."""


@dataclass
class ArpTable:
    """MAC addresses by IPv4 address."""

    age_s: float = AGE_S
    _known: dict[str, tuple[str, float]] = field(default_factory=dict)

    def learn(self, arp: Arp, now_s: float) -> None:
        """Notes the sender; one without an address (RFC 5227's probe) tells nothing."""
        if arp.sender_ip != "0.0.0.0":
            self._known[arp.sender_ip] = (arp.sender_mac, now_s)

    def answer(self, arp: Arp, now_s: float) -> str | None:
        """The MAC address a request asks for, if it is known and not the asker's own."""
        mac, seen_s = self._known.get(arp.target_ip, ("", 0.0))
        fresh = mac and now_s - seen_s <= self.age_s and mac != arp.sender_mac
        return mac if fresh and arp.op == frames.ARP_REQUEST else None


class ArpResponder(LearningSwitch):
    """Answers what it knows."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.arp = ArpTable()

    def packet(self, switch: Any, port: int, frame: Frame, data: bytes) -> None:
        """ARP first, the rest as a learning switch."""
        now_s = time.monotonic()
        if frame.arp and frame.is_group:
            self.arp.learn(frame.arp, now_s)
            mac = self.arp.answer(frame.arp, now_s)
            if mac:
                self.learn(switch, port, frame, now_s)
                self.note("arp-answered", dpid=switch.id, port=port, asked=frame.arp.target_ip)
                self.send(switch, [port], frames.arp_reply(frame.arp, mac))
                return
        elif frame.arp:
            self.arp.learn(frame.arp, now_s)
        super().packet(switch, port, frame, data)
