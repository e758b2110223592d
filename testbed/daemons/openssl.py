"""OpenSSL's own test server, which can ask clients for certificates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons.base import Daemon, Place, listens

if TYPE_CHECKING:
    from testbed.author.process import Process


@dataclass(frozen=True)
class OpensslServer(Daemon):
    """``openssl s_server``: answers each request with a page about the connection.

    Attributes:
        chain: its certificate and those of the issuers (a file).
        key: the certificate's private key (a file).
        port: where it listens.
        options: further ones, such as ``("-Verify", "2", "-CAfile", FILE)``.
    """

    name: ClassVar[str] = "openssl"
    program: ClassVar[str] = "openssl"
    package: ClassVar[str] = "openssl"
    chain: str
    key: str
    port: int = 443
    options: Sequence[str] = ()

    def argv(self, place: Place) -> list[str]:
        """In the foreground."""
        files = ("-cert", self.chain, "-cert_chain", self.chain, "-key", self.key)
        at = ("-accept", str(self.port))
        return [self.program, "s_server", *at, "-www", "-quiet", *files, *self.options]

    def ready(self, place: Place, process: Process) -> bool:
        """Once its port is open."""
        return listens(process, self.port)
