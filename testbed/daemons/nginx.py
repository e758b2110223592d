"""nginx: a web server and proxy."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons.base import Daemon, Place, listens
from testbed.programs.media_types import TYPES

if TYPE_CHECKING:
    from testbed.author.process import Process


PROGRAM, PACKAGE = "/usr/sbin/nginx", "nginx"
LOG = "/proc/self/fd/1"
"""nginx's name of its own output, which is its log in the run directory."""

CONNECTIONS = 512
"""nginx's own default."""

_MAIN = """\
daemon off;
user root;
worker_processes 1;
pid {state}/nginx.pid;
error_log {log} notice;
events {{
  worker_connections {connections};
}}
http {{
  access_log {log};
  client_body_temp_path {state}/nginx-body;
  proxy_temp_path {state}/nginx-proxy;
  fastcgi_temp_path {state}/nginx-fastcgi;
  uwsgi_temp_path {state}/nginx-uwsgi;
  scgi_temp_path {state}/nginx-scgi;
  types {{
{types}
  }}
  default_type application/octet-stream;
{http}}}
"""


def main_file(http: str, state: str, log: str = LOG, connections: int = CONNECTIONS) -> str:
    """The whole configuration around the contents of the ``http`` block.

    Args:
        http: these contents.
        state: folder for files that are not kept.
        log: where accesses and errors are logged.
        connections: how many it has at a time at most.
    """
    http = textwrap.indent(http.strip(), "  ") + "\n"
    types = "\n".join(f"    {kind} {suffix[1:]};" for suffix, kind in TYPES.items())
    return _MAIN.format(http=http, state=state, log=log, connections=connections, types=types)


@dataclass(frozen=True)
class Nginx(Daemon):
    """One nginx.

    Attributes:
        http: the contents of its ``http`` block: ``server { listen 80; root /srv; }``.
        others: further files that `http` names by ``{configs}``: name → text. ``{state}`` is the
            node's folder for files that are not kept, ``{log}`` where accesses are logged.
        port: the port that is open when it is ready.
        connections: how many it has at a time at most.
    """

    name: ClassVar[str] = "nginx"
    program: ClassVar[str] = PROGRAM
    package: ClassVar[str] = PACKAGE
    http: str
    others: Mapping[str, str] = field(default_factory=dict)
    port: int = 80
    connections: int = CONNECTIONS

    def files(self, place: Place) -> dict[str, str]:
        """Its configuration."""
        places = {"configs": str(place.configs), "state": str(place.state), "log": LOG}
        http = self.http
        for word, path in places.items():
            http = http.replace(f"{{{word}}}", path)
        main = main_file(http, places["state"], connections=self.connections)
        return {"nginx.conf": main, **self.others}

    def argv(self, place: Place) -> list[str]:
        """In the foreground; accesses and errors are in its log."""
        return [self.program, "-e", LOG, "-c", f"{place.configs}/nginx.conf"]

    def ready(self, place: Place, process: Process) -> bool:
        """Once its port is open."""
        return listens(process, self.port)

    def dry_run(self, place: Place) -> list[str]:
        """nginx's own check of the configuration."""
        return [self.program, "-t", "-e", "/dev/stderr", "-c", f"{place.configs}/nginx.conf"]
