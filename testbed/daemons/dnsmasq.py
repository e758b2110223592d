"""dnsmasq: DHCP server, DHCP relay and small name server in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons.base import Daemon, Place

if TYPE_CHECKING:
    from testbed.author.process import Process

CONFIG = "dnsmasq.conf"
"""Name of its rendered configuration; begins with the options, one per line."""

_ALWAYS = (
    "no-resolv",  # nothing of the machine's own
    "no-hosts",
    "log-facility=-",
    "log-dhcp",
    "bind-interfaces",
    "user=root",
    "group=root",
)


@dataclass(frozen=True)
class Dnsmasq(Daemon):
    """One dnsmasq.

    Attributes:
        options: lines of its configuration, as ``dhcp-range=10.0.1.100,10.0.1.120,2m``.
    """

    name: ClassVar[str] = "dnsmasq"
    program: ClassVar[str] = "/usr/sbin/dnsmasq"
    package: ClassVar[str] = "dnsmasq-base"
    options: Sequence[str] = ()

    def files(self, place: Place) -> dict[str, str]:
        """Its configuration."""
        own = (f"pid-file={place.state}/dnsmasq.pid", f"dhcp-leasefile={place.state}/leases")
        # `options` come first, so that dnsmasq's messages have their line numbers
        return {CONFIG: "\n".join((*self.options, *own, *_ALWAYS)) + "\n"}

    def argv(self, place: Place) -> list[str]:
        """In the foreground."""
        return [self.program, "--keep-in-foreground", self._conf(place)]

    def ready(self, place: Place, process: Process) -> bool:
        """It logs this."""
        return "started" in process.output()

    def dry_run(self, place: Place) -> list[str]:
        """dnsmasq's own check of the syntax."""
        return [self.program, "--test", self._conf(place)]

    def _conf(self, place: Place) -> str:
        return f"--conf-file={place.configs}/{CONFIG}"
