"""telnetd: remote login over TCP, behind socat, which listens for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons.base import Daemon, Place, listens

if TYPE_CHECKING:
    from testbed.author.process import Process


class Telnetd(Daemon):
    """inetutils' telnetd and login(1), one pair for each connection to port 23."""

    name, program, package = "telnetd", "/usr/sbin/telnetd", "inetutils-telnetd"
    also: ClassVar[Mapping[str, str]] = {"socat": "socat", "/bin/login": "login"}

    def argv(self, place: Place) -> list[str]:
        """telnetd itself expects a connection on its standard input."""
        server = f'EXEC:"{self.program} -h -E /bin/login",nofork'
        return ["socat", "TCP4-LISTEN:23,fork,reuseaddr", server]

    def ready(self, place: Place, process: Process) -> bool:
        """Once its port is open."""
        return listens(process, 23)
