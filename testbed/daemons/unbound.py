"""Unbound: a recursive, caching resolver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons.base import Daemon, Place

if TYPE_CHECKING:
    from testbed.author.process import Process

ONE_PORT = ("outgoing-range: 1", "outgoing-port-avoid: 0-65535", "outgoing-port-permit: 5353")
"""Options of a resolver that always asks from the same port, as all did before 2008."""


@dataclass(frozen=True)
class Unbound(Daemon):
    """A resolver that iterates from the root, as in textbooks.

    Attributes:
        root: address of the root server.
        options: further lines of the server clause, as ``cache-max-ttl: 60``.
        clauses: further complete clauses.
    """

    name: ClassVar[str] = "unbound"
    program: ClassVar[str] = "/usr/sbin/unbound"
    package: ClassVar[str] = "unbound"
    root: str = "127.0.0.1"
    options: Sequence[str] = ()
    clauses: Sequence[str] = ()

    def files(self, place: Place) -> dict[str, str]:
        """The configuration and the root hints."""
        server = [
            "interface: 0.0.0.0",
            "access-control: 0.0.0.0/0 allow",
            "do-ip6: no",
            'username: ""',
            'chroot: ""',
            f"directory: {place.state}",
            f"pidfile: {place.state}/unbound.pid",
            "do-daemonize: no",
            "use-syslog: no",
            'logfile: ""',
            "verbosity: 1",
            "num-threads: 1",
            f"root-hints: {place.configs}/hints",
            'module-config: "iterator"',
            "edns-buffer-size: 1232",
            # one complete question after the other: the iteration as in textbooks
            "qname-minimisation: no",
            'target-fetch-policy: "0 0 0 0 0"',
            "prefetch: no",
            "minimal-responses: no",
            "serve-expired: no",
            "aggressive-nsec: no",
            *self.options,
        ]
        conf = "".join(f"  {line}\n" for line in server)
        clauses = "".join(f"{clause}\n" for clause in (*self.clauses, _NO_CONTROL))
        hints = f". 3600000 NS a.root.\na.root. 3600000 A {self.root}\n"
        return {"unbound.conf": f"server:\n{conf}{clauses}", "hints": hints}

    def argv(self, place: Place) -> list[str]:
        """In the foreground."""
        return [self.program, "-d", "-p", "-c", f"{place.configs}/unbound.conf"]

    def ready(self, place: Place, process: Process) -> bool:
        """It logs this."""
        return "start of service" in process.output()

    def dry_run(self, place: Place) -> list[str]:
        """Unbound's own check of the configuration."""
        return ["/usr/sbin/unbound-checkconf", f"{place.configs}/unbound.conf"]


_NO_CONTROL = "remote-control:\n  control-enable: no"
