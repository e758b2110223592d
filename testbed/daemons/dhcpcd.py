"""dhcpcd: a DHCP client that probes its address (RFC 5227) and falls back to 169.254/16."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons.base import Daemon, Place

if TYPE_CHECKING:
    from testbed.author.process import Process

HOOK = Path(__file__).resolve().parent.parent / "programs" / "dhcp_hook.sh"

_ALWAYS = (
    "ipv4only",
    "option domain_name_servers, broadcast_address",
    "option subnet_mask",
    "option routers, dhcp_lease_time",
    "require dhcp_server_identifier",
)


@dataclass(frozen=True)
class Dhcpcd(Daemon):
    """The client of a node's first interface.

    Attributes:
        options: further lines of its configuration, as ``noarp`` or ``noipv4ll``.
    """

    name: ClassVar[str] = "dhcpcd"
    program: ClassVar[str] = "/usr/sbin/dhcpcd"
    package: ClassVar[str] = "dhcpcd-base"
    options: Sequence[str] = ()

    def files(self, place: Place) -> dict[str, str]:
        """Its configuration, without anything of the machine's own."""
        return {"dhcpcd.conf": "\n".join((*_ALWAYS, *self.options)) + "\n"}

    def argv(self, place: Place) -> list[str]:
        """In the foreground, logging what it does.

        A run's ``/etc/passwd`` has no user for it, so it stays a single process. Version 10's
        processes wait for each other at the end by asking over and over: that takes no time.
        """
        return [
            self.program,
            "--nobackground",
            "--debug",
            "--config",
            f"{place.configs}/dhcpcd.conf",
            "--script",
            str(HOOK),
            interface(place.node),
        ]

    def ready(self, place: Place, process: Process) -> bool:
        """It logs as soon as it has its interface."""
        return interface(place.node) in process.output()


def interface(node: str) -> str:
    """The interface it configures."""
    return f"{node}-eth0"


def lease_file(node: str) -> Path:
    """What it stored about its last lease."""
    return Path("/var/lib/dhcpcd") / f"{interface(node)}.lease"


def resolv_conf(node: str) -> str:
    """The name server it was given, as a resolver reads it."""
    return f"/run/dhcp/{interface(node)}"
