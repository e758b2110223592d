"""nghttpd: a server of HTTP/2 that follows its clients' priorities (RFC 9218)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons.base import Daemon, Place, listens

if TYPE_CHECKING:
    from testbed.author.process import Process
    from testbed.daemons.certificates import Files


@dataclass(frozen=True)
class Nghttpd(Daemon):
    """One nghttpd, which serves files. It reads no configuration, so it has no dry run.

    Attributes:
        made: its certificate; it speaks TLS.
        port: where it listens.
        root: the folder of its files.
        options: further words of its command line.
    """

    name: ClassVar[str] = "nghttpd"
    program: ClassVar[str] = "/usr/sbin/nghttpd"
    package: ClassVar[str] = "nghttp2-server"
    made: Files
    port: int = 443
    root: str = "/srv"
    options: tuple[str, ...] = ("--no-rfc7540-pri",)

    def argv(self, place: Place) -> list[str]:
        """In the foreground."""
        files = [str(self.made.key), str(self.made.chain)]
        return [self.program, *self.options, "--htdocs", self.root, str(self.port), *files]

    def ready(self, place: Place, process: Process) -> bool:
        """Once its port is open."""
        return listens(process, self.port)
