"""The servers that complete connections and slow requests meet, all on h2."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from testbed.daemons import Daemon
from testbed.daemons.apache import Apache
from testbed.daemons.haproxy import Haproxy
from testbed.daemons.nginx import Nginx

APACHE, CURED, LIMITED, NGINX = 8001, 8002, 8003, 8004
"""Ports: Apache without a limit on time, with one, HAProxy in front of the first, and nginx."""

WORKERS = 8
"""Processes of Apache, each of which serves one connection at a time."""

EVENT_CONNECTIONS = 128
"""What nginx's one process holds at a time."""

HEADER_S = 10
"""Time for a request's header at `CURED`."""

PER_SOURCE = 5
"""Connections that HAProxy lets one address have."""

_APACHE = """\
DocumentRoot /srv
StartServers {workers}
MinSpareServers 1
MaxSpareServers {workers}
ServerLimit {workers}
MaxRequestWorkers {workers}
KeepAlive Off
Timeout 300
RequestReadTimeout header=0 body=0
Listen {cured}
<VirtualHost *:{cured}>
  RequestReadTimeout header={header_s}
</VirtualHost>
"""

_NGINX = """
server {{
  listen {port} default_server;
  root /srv;
}}
"""

_HAPROXY = """
frontend door
  mode tcp
  option tcplog
  bind :{port}
  stick-table type ip size 1k expire 1m store conn_cur
  tcp-request connection track-sc0 src
  tcp-request connection reject if {{ sc0_conn_cur gt {limit} }}
  default_backend apache
backend apache
  mode tcp
  server one 127.0.0.1:{apache}
"""


def of_server(faults: Collection[str]) -> list[Daemon]:
    """What runs on h2."""
    header_s = 0 if "no-timeout" in faults else HEADER_S
    limit = 1000 if "no-limit" in faults else PER_SOURCE
    apache = _APACHE.format(workers=WORKERS, cured=CURED, header_s=header_s)
    return [
        Apache(apache.splitlines(), ("dir", "reqtimeout"), APACHE, "prefork"),
        Nginx(_NGINX.format(port=NGINX), port=NGINX, connections=EVENT_CONNECTIONS),
        Haproxy(_HAPROXY.format(port=LIMITED, limit=limit, apache=APACHE), LIMITED),
    ]


def write_page() -> None:
    """What all of them serve."""
    Path("/srv/index.html").write_text("<h1>Open</h1>\n")
