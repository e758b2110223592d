"""The testbed's WebSocket server: Debian's websockets; see `testbed.programs.websocket_server`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from testbed import programs
from testbed.daemons.base import Daemon, Place, listens

if TYPE_CHECKING:
    from testbed.author.process import Process


@dataclass(frozen=True)
class WebsocketServer(Daemon):
    """Echoes messages, sends updates without being asked, and says whose session a cookie is.

    Attributes:
        port: where it listens, for pages of all origins.
        guarded: a second port, for pages of `origins` alone; 0: none.
        origins: as browsers send them: ``http://www.example.org``.
        update_s: seconds between updates.
        flaws: mistakes that it makes on purpose, by the names in its own list.
    """

    name: ClassVar[str] = "websocket-server"
    program: ClassVar[str] = "/usr/bin/python3"
    package: ClassVar[str] = "python3-websockets"
    port: int = 80
    guarded: int = 0
    origins: Sequence[str] = ()
    update_s: float = 1.0
    flaws: Sequence[str] = ()

    def argv(self, place: Place) -> list[str]:
        """In the foreground, with Debian's Python packages."""
        options = {
            "port": self.port,
            "guarded": self.guarded,
            "origins": ",".join(self.origins),
            "update_s": self.update_s,
            "flaws": ",".join(self.flaws),
        }
        given = [f"{name}={value}" for name, value in options.items()]
        return programs.argv("websocket_server", *given, packages=True)

    def ready(self, place: Place, process: Process) -> bool:
        """Once its ports are open."""
        return all(listens(process, port) for port in (self.port, self.guarded) if port)

    def dry_run(self, place: Place) -> list[str]:
        """Its own check of the settings."""
        return [*self.argv(place), "check"]
