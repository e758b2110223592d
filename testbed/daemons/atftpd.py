"""atftpd: a TFTP server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons.base import Daemon, Place, listens

if TYPE_CHECKING:
    from testbed.author.process import Process


@dataclass(frozen=True)
class Atftpd(Daemon):
    """One atftpd.

    Attributes:
        folder: the files it gives; everybody may read them.
    """

    name: ClassVar[str] = "atftpd"
    program: ClassVar[str] = "/usr/sbin/atftpd"
    package: ClassVar[str] = "atftpd"
    folder: str = "/srv"

    def argv(self, place: Place) -> list[str]:
        """In the foreground, with all of its messages."""
        who = ["--user", "root.root"]
        log = ["--logfile", "-", "--verbose=7"]
        return [self.program, "--daemon", "--no-fork", *who, *log, "--port", "69", self.folder]

    def ready(self, place: Place, process: Process) -> bool:
        """Once its port is open."""
        return listens(process, 69, "udp")
