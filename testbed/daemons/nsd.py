"""NSD: an authoritative name server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons.base import Daemon, Place

if TYPE_CHECKING:
    from testbed.author.process import Process

LARGEST_UDP_BYTES = 1232
"""Maximum size of a UDP answer: as agreed for the DNS flag day of 2020."""


@dataclass(frozen=True)
class Nsd(Daemon):
    """One NSD.

    Attributes:
        zones: zone's name (``.`` for the root) → text of its master file.
        answers_per_s: limit of equal answers to one network (response rate limiting); 0: none.
    """

    name: ClassVar[str] = "nsd"
    program: ClassVar[str] = "/usr/sbin/nsd"
    package: ClassVar[str] = "nsd"
    zones: Mapping[str, str] = field(default_factory=dict)
    answers_per_s: int = 0

    def files(self, place: Place) -> dict[str, str]:
        """The configuration and one master file per zone."""
        lines = [
            "server:",
            '  username: ""',
            '  chroot: ""',
            "  server-count: 1",
            "  do-ip6: no",
            '  database: ""',
            f"  zonesdir: {place.configs}",
            f"  pidfile: {place.state}/nsd.pid",
            f"  xfrdfile: {place.state}/xfrd",
            f"  xfrdir: {place.state}",
            f"  zonelistfile: {place.state}/zones",
            f"  ipv4-edns-size: {LARGEST_UDP_BYTES}",
            f"  rrl-ratelimit: {self.answers_per_s}",
            "  log-only-syslog: no",
            "remote-control:",
            "  control-enable: no",
        ]
        for zone in self.zones:
            lines += ["zone:", f'  name: "{zone}"', f"  zonefile: {zone_file(zone)}"]
        text = {zone_file(zone): records for zone, records in self.zones.items()}
        return {"nsd.conf": "\n".join(lines) + "\n", **text}

    def argv(self, place: Place) -> list[str]:
        """In the foreground."""
        return [self.program, "-d", "-c", f"{place.configs}/nsd.conf"]

    def ready(self, place: Place, process: Process) -> bool:
        """It logs this."""
        return "nsd started" in process.output()

    def dry_run(self, place: Place) -> list[str]:
        """NSD's own check of the configuration."""
        return ["/usr/sbin/nsd-checkconf", f"{place.configs}/nsd.conf"]


def zone_file(zone: str) -> str:
    """Name of a zone's rendered master file."""
    return f"{zone.strip('.') or 'root'}.zone"
