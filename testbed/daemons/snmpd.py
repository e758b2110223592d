"""snmpd: an agent that tells over SNMP about its system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons.base import Daemon, Place, listens

if TYPE_CHECKING:
    from testbed.author.process import Process


@dataclass(frozen=True)
class Snmpd(Daemon):
    """Net-SNMP's agent, for versions 1 and 2c.

    Attributes:
        community: the word that lets a client read everything.
        options: further lines of its configuration, as ``sysLocation Rack 3``.
    """

    name: ClassVar[str] = "snmpd"
    program: ClassVar[str] = "/usr/sbin/snmpd"
    package: ClassVar[str] = "snmpd"
    environment: ClassVar[Mapping[str, str]] = {"MIBS": ""}  # no descriptions of the machine's own
    community: str = "public"
    options: Sequence[str] = ()

    def files(self, place: Place) -> dict[str, str]:
        """Its configuration."""
        own = ("agentaddress udp:161", f"rocommunity {self.community}")
        persistent = f"[snmp] persistentDir {place.state}/snmp"
        return {"snmpd.conf": "\n".join((*own, *self.options, persistent)) + "\n"}

    def argv(self, place: Place) -> list[str]:
        """In the foreground, with its own configuration alone."""
        return [self.program, "-f", "-Lo", "-C", "-c", f"{place.configs}/snmpd.conf"]

    def ready(self, place: Place, process: Process) -> bool:
        """Once its port is open."""
        return listens(process, 161, "udp")
