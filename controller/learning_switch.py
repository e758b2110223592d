"""A learning switch: where a host is, is learnt from what it sends (IEEE 802.1D §7.8).

The first packet of each pair of hosts comes to the controller; a flow then carries the rest, until
it idles out. Unknown destinations and groups are flooded. Only for networks without loops: a
flooded frame would circulate forever (see `spanning_tree`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from controller.app import FLOOD, FORWARDING, App, output
from controller.frames import LLDP, Frame

LEARNT = 1
"""Cookie of the flows that forward."""


@dataclass(frozen=True)
class Settings:
    """How long flows and what was learnt live, in s."""

    idle_s: int = 10
    hard_s: int = 0
    age_s: float = 300.0


@dataclass
class MacTable:
    """Ports by MAC address, of one switch.

    Attributes:
        age_s: an address not seen for so long is forgotten (802.1D §7.9.2: 300 s).
    """

    age_s: float = 300.0
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def learn(self, mac: str, port: int, now_s: float) -> int | None:
        """Notes where an address is; returns the port where it was, if it moved."""
        old = self.port_of(mac, now_s)
        self._seen[mac] = (port, now_s)
        return old if old not in (None, port) else None

    def port_of(self, mac: str, now_s: float) -> int | None:
        """The port of an address; None if it is unknown or too old."""
        port, seen_s = self._seen.get(mac, (None, now_s))
        return port if now_s - seen_s <= self.age_s else None

    def decide(self, frame: Frame, in_port: int, now_s: float) -> int | None:
        """The port for a frame: `FLOOD`, or None where it came from there."""
        port = None if frame.is_group else self.port_of(frame.dst, now_s)
        if port is None:
            return int(FLOOD)
        return None if port == in_port else port


class LearningSwitch(App):
    """Learns, installs a flow for each pair of hosts, floods what it does not know."""

    Settings = Settings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tables: dict[int, MacTable] = {}

    def left(self, dpid: int) -> None:
        """What was learnt there is void."""
        super().left(dpid)
        self.tables.pop(dpid, None)

    def delete_learnt(self, switch: Any) -> None:
        """Deletes all flows that forward; the table's miss stays."""
        self.delete(switch, cookie=LEARNT, table=self.miss_table)

    def packet(self, switch: Any, port: int, frame: Frame, data: bytes) -> None:
        """Learns from the source, then forwards."""
        if frame.ethertype == LLDP:
            return
        now_s = time.monotonic()
        table = self.learn(switch, port, frame, now_s)
        out = table.decide(frame, port, now_s)
        self.note("packet-in", dpid=switch.id, port=port, src=frame.src, dst=frame.dst, out=out)
        if out == FLOOD:
            self.flood(switch, data, port)
        elif out is not None:
            match = {"in_port": port, "eth_src": frame.src, "eth_dst": frame.dst}
            self.install(
                switch,
                FORWARDING,
                match,
                output(out),
                idle_s=self.settings.idle_s,
                hard_s=self.settings.hard_s,
                table=self.miss_table,
                cookie=LEARNT,
            )
            self.send(switch, [out], data, port)

    def learn(self, switch: Any, port: int, frame: Frame, now_s: float) -> MacTable:
        """Notes where the sender is; flows to where it was are deleted. Returns the table."""
        table = self.tables.setdefault(switch.id, MacTable(self.settings.age_s))
        if table.learn(frame.src, port, now_s) is not None:
            self.delete(switch, {"eth_dst": frame.src}, table=self.miss_table)
        return table

    def flood(self, switch: Any, data: bytes, in_port: int | None = None) -> None:
        """Sends out of all ports but the one it came in by."""
        self.send(switch, [FLOOD], data, in_port)
