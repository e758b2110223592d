"""The servers: nginx and the web application on h2, three proxies on r2."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons import Daemon, Place, listens
from testbed.daemons.haproxy import Haproxy
from testbed.daemons.nginx import Nginx
from testbed.daemons.web_application import WebApplication

if TYPE_CHECKING:
    from testbed import Process

NGINX, APP, SILENT, HASTY, PATIENT = 80, 8000, 8090, 8091, 8092
"""Ports on h2: nginx, the web application, and three sockets of the experiment's own."""

CARELESS, STRICT, BALANCER = 8080, 8083, 8084
"""Ports of the proxies on r2: ours, nginx and HAProxy."""

SITES = ("a.example.org", "b.example.org")
KEPT_S, LONG_KEPT_S = 15, 75
"""How long nginx keeps an idle connection; with the fault ``long-timeout``."""

SMALL_BYTES, LARGE_BYTES, BIG_BYTES = 100, 50_000, 1_000_000
LARGE = 4
"""Number of large files."""

REFUSAL_BYTES = 20_000
"""The page of 413: more than the first window, so that a part is still to be sent at the close."""

LOGIN = "alice:{PLAIN}rosebud\n"

_SITES = """
server {{
  listen {nginx} default_server;
  server_name {a};
  root /srv/a;
  keepalive_timeout {kept_s}s;
  location /private/ {{
    auth_basic "private";
    auth_basic_user_file {{configs}}/users;
  }}
  location /simple/ {{
    if ($http_expect) {{
      return 417;
    }}
    alias /srv/a/;
  }}
  location /app/ {{
    proxy_pass http://127.0.0.1:{app}/;
  }}
}}
server {{
  listen {nginx};
  server_name {b};
  root /srv/b;
}}
"""

_STRICT = """
server {{
  listen {port};
  location / {{
    proxy_pass http://{server}:{app};
  }}
}}
"""

_BALANCER = """
frontend web
  bind :{port}
  default_backend application
backend application
  server one {server}:{app}
"""


@dataclass(frozen=True)
class CarelessProxy(Daemon):
    """Our proxy that knows no Transfer-Encoding.

    Attributes:
        server: address of the server behind it.
        ports: where it listens; each has its own connection to the server.
    """

    name: ClassVar[str] = "careless-proxy"
    program: ClassVar[str] = "/usr/bin/python3"
    package: ClassVar[str] = "python3-minimal"
    server: str
    ports: Sequence[int] = (CARELESS,)

    def argv(self, place: Place) -> list[str]:
        """In the foreground."""
        path = str(Path(__file__).with_name("careless_proxy.py"))
        target = (self.server, str(APP))
        return [self.program, "-I", "-S", path, *target, *(str(port) for port in self.ports)]

    def ready(self, place: Place, process: Process) -> bool:
        """Once its ports are open."""
        return all(listens(process, port) for port in self.ports)


def of_server(faults: Collection[str]) -> list[Daemon]:
    """What runs on h2."""
    text = _SITES.format(
        nginx=NGINX,
        app=APP,
        a=SITES[0],
        b=SITES[1],
        kept_s=LONG_KEPT_S if "long-timeout" in faults else KEPT_S,
    )
    return [Nginx(text, {"users": LOGIN}), WebApplication(APP)]


def of_proxies(server: str, faults: Collection[str]) -> Sequence[Daemon]:
    """What runs on r2."""
    if "careless-proxies" in faults:
        return [CarelessProxy(server, (CARELESS, STRICT, BALANCER))]
    return (
        CarelessProxy(server),
        Nginx(_STRICT.format(port=STRICT, server=server, app=APP), port=STRICT),
        Haproxy(_BALANCER.format(port=BALANCER, server=server, app=APP), BALANCER),
    )


def write_pages(resources: int) -> None:
    """The files of the two sites; written now, so that their dates are the run's."""
    for folder in ("a/small", "a/large", "a/private", "b"):
        Path("/srv", folder).mkdir(parents=True)
    line = "It was a dark and stormy night. "
    for number in range(1, resources + 1):
        Path(f"/srv/a/small/{number}.txt").write_text((line * SMALL_BYTES)[:SMALL_BYTES])
    for number in range(1, LARGE + 1):
        Path(f"/srv/a/large/{number}.txt").write_text((line * LARGE_BYTES)[:LARGE_BYTES])
    Path("/srv/a/big.txt").write_text((line * BIG_BYTES)[:BIG_BYTES])
    Path("/srv/a/private/index.html").write_text("<h1>Private</h1>\n")
    for site in ("a", "b"):
        Path(f"/srv/{site}/index.html").write_text(f"<h1>Site {site}</h1>\n")
