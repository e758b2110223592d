"""HAProxy: a proxy and load balancer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons.base import Daemon, Place, listens

if TYPE_CHECKING:
    from testbed.author.process import Process

_BEGIN = """\
global
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  timeout connect 5s
  timeout client 30s
  timeout server 30s
"""


@dataclass(frozen=True)
class Haproxy(Daemon):
    """One HAProxy.

    Attributes:
        sections: of its configuration: frontends and backends.
        port: the port that is open when it is ready.
    """

    name: ClassVar[str] = "haproxy"
    program: ClassVar[str] = "/usr/sbin/haproxy"
    package: ClassVar[str] = "haproxy"
    sections: str
    port: int = 80

    def files(self, place: Place) -> dict[str, str]:
        """Its configuration."""
        return {"haproxy.cfg": _BEGIN + self.sections.strip() + "\n"}

    def argv(self, place: Place) -> list[str]:
        """In the foreground."""
        return [self.program, "-db", "-f", self._conf(place)]

    def ready(self, place: Place, process: Process) -> bool:
        """Once its port is open."""
        return listens(process, self.port)

    def dry_run(self, place: Place) -> list[str]:
        """HAProxy's own check of the configuration."""
        return [self.program, "-c", "-f", self._conf(place)]

    def _conf(self, place: Place) -> str:
        return f"{place.configs}/haproxy.cfg"
