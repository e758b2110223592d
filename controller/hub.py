"""A hub: every packet comes to the controller and is flooded; no flow is ever installed.

What a network is like without learning; the worst case to compare others with.
"""

from __future__ import annotations

from typing import Any

from controller.app import FLOOD, App
from controller.frames import LLDP, Frame


class Hub(App):
    """Floods."""

    def packet(self, switch: Any, port: int, frame: Frame, data: bytes) -> None:
        """Out of all other ports, always."""
        if frame.ethertype != LLDP:
            self.send(switch, [FLOOD], data, port)
