"""A learning switch that limits what hosts send, by meters (OpenFlow 1.3 §5.7).

``limits=10.0.0.1:5,10.0.0.2:1.5`` gives addresses and Mbit/s. Table 0 has a flow for each limited
sender, through its meter; forwarding is in table 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from controller import learning_switch
from controller.app import FORWARDING
from controller.frames import IPV4
from controller.framework import ofproto, parser
from controller.learning_switch import LearningSwitch
from controller.settings import SettingsError

LIMITS, FORWARDING_TABLE = 0, 1


@dataclass(frozen=True)
class Settings(learning_switch.Settings):
    """Those of the learning switch, and the limits; the burst is as long as `burst_ms`."""

    limits: str = ""
    burst_ms: int = 100


def parse_limits(text: str) -> dict[str, int]:
    """Sender's address → kbit/s.

    Raises:
        SettingsError: names the entry.
    """
    found = {}
    for entry in filter(None, text.split(",")):
        address, _, rate = entry.partition(":")
        try:
            kbps = round(float(rate) * 1000)
            found[str(IPv4Address(address))] = kbps
        except ValueError:
            kbps = 0
        if kbps <= 0:
            raise SettingsError(f"setting limits: '{entry}' is not ADDRESS:MBPS")
    return found


def check(settings: Settings) -> None:
    """Raises SettingsError if a limit is none."""
    parse_limits(settings.limits)


class RateLimit(LearningSwitch):
    """Puts a meter for each limited sender into each switch."""

    Settings = Settings
    miss_table = FORWARDING_TABLE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits = parse_limits(self.settings.limits)

    def prepare(self, switch: Any) -> None:
        """Meters, flows through them, and the way on for all others."""
        self._meter(switch, ofproto.OFPMC_DELETE, ofproto.OFPM_ALL, [])
        for number, (address, kbps) in enumerate(self.limits.items(), 1):
            burst_kbits = max(1, kbps * self.settings.burst_ms // 1000)
            bands = [parser.OFPMeterBandDrop(rate=kbps, burst_size=burst_kbits)]
            self._meter(switch, ofproto.OFPMC_ADD, number, bands)
            match = {"eth_type": IPV4, "ipv4_src": address}
            self.install(switch, FORWARDING, match, [], meter=number, goto=FORWARDING_TABLE)
        self.install(switch, 0, {}, [], goto=FORWARDING_TABLE)

    def _meter(self, switch: Any, command: int, number: int, bands: list[Any]) -> None:
        flags = ofproto.OFPMF_KBPS | ofproto.OFPMF_BURST
        switch.send_msg(parser.OFPMeterMod(switch, command, flags, number, bands))
