"""A machine on the path that passes TLS on, and can change it; see `testbed.programs.tls_relay`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from testbed import programs
from testbed.daemons.base import Daemon, Place, listens

if TYPE_CHECKING:
    from testbed.author.process import Process


@dataclass(frozen=True)
class TlsRelay(Daemon):
    """Passes connections on to a server: unchanged, recorded, replayed, changed.

    Attributes:
        host: the server's address.
        ports: mode (``pass``, ``record``, ``replay``, ``flip``, ``downgrade``) → where it listens.
        port: of the server.
    """

    name: ClassVar[str] = "tls-relay"
    program: ClassVar[str] = "/usr/bin/python3"
    package: ClassVar[str] = "python3"
    host: str
    ports: Mapping[str, int]
    port: int = 443

    def argv(self, place: Place) -> list[str]:
        """In the foreground."""
        modes = [f"{mode}={port}" for mode, port in self.ports.items()]
        return programs.argv("tls_relay", self.host, str(self.port), *modes)

    def ready(self, place: Place, process: Process) -> bool:
        """Once all ports are open."""
        return all(listens(process, port) for port in self.ports.values())
