"""HTTP messages: methods, status codes and bodies, each by its cause."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from analysis.dissect import http
from testbed import LinkShape, Tables, own_program, param
from testbed import steps as exchange
from testbed.daemons import start
from testbed.daemons.apache import Apache
from testbed.daemons.haproxy import Haproxy
from testbed.daemons.nginx import Nginx
from testbed.daemons.web_application import WebApplication
from topologies.line import Line

from . import exchanges, messages
from .bodies import Bodies
from .codes import Codes
from .exchanges import APACHE, APP, HAPROXY, LIMIT_BYTES, LONGEST_URI_BYTES, NGINX, PAGE_BYTES
from .methods import Methods

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData

FLAWS = ("empty-get", "unsafe-get", "put-adds", "post-once", "no-patch", "no-delete")
"""Mistakes of the web application."""

SITE = f"""
limit_req_zone $binary_remote_addr zone=each:1m rate=1r/m;
server {{
  listen {NGINX};
  root /srv;
  gzip on;
  gzip_types text/plain;
  client_max_body_size {LIMIT_BYTES};
  large_client_header_buffers 4 {LONGEST_URI_BYTES};
  location /private/ {{
    auth_basic "private";
    auth_basic_user_file {{configs}}/users;
  }}
  location /secret/ {{
    deny all;
  }}
  location /limited/ {{
    limit_req zone=each;
    limit_req_status 429;
  }}
  location /app/ {{
    proxy_pass http://127.0.0.1:{APP}/;
    proxy_read_timeout 2s;
  }}
  location /dead/ {{
    proxy_pass http://127.0.0.1:9/;
  }}
}}
"""

BALANCER = f"""
frontend web
  bind :{HAPROXY}
  use_backend dead if {{ path_beg /dead/ }}
  default_backend application
backend application
  server one 127.0.0.1:{APP}
backend dead
  server none 127.0.0.1:9 disabled
"""


class HttpMessages(Bodies, Methods, Codes):
    """HTTP messages: what requests ask for, and what responses say.

    h1 sends about a hundred requests to four servers on h2: nginx with a site of files, a web
    application (Flask behind waitress) with notes that can be read, added, replaced, changed and
    removed, Apache, and HAProxy. Each status code is caused once, and the same request is sent
    without the cause. A capture at r1 shows what anyone on the path can read.

    `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(5.0, "delay of the path, one way", unit="ms", low=0, high=1000)
        faults: tuple[str, ...] = param(
            ("none",),
            "break something on purpose and see which claims fail",
            choices=("none", "no-cause", *FLAWS),
        )

    params: Parameters
    programs = ("nginx", "apache2", "haproxy")
    tables_type = messages.StepMessages

    # ---- in the network

    def topology(self) -> Line:
        """h1 and h2 in LANs of their own, two routers between them."""
        return Line(2, LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """Starts the servers, then one client that does all steps."""
        _write_pages()
        flaws = [fault for fault in self.params.faults if fault in FLAWS]
        apache = ("DocumentRoot /srv", "TraceEnable On")
        servers = [
            Nginx(SITE, {"users": "alice:{PLAIN}rosebud\n"}),
            WebApplication(APP, flaws),
            Apache(apache, port=APACHE),
            Haproxy(BALANCER, HAPROXY),
        ]
        start(net, {"h2": servers})
        first = '{"text": "the first note"}'
        given = [{"step": "before", "send": [exchanges.note("POST", "/notes", first)], "port": APP}]
        for step in exchanges.steps():
            careless = "no-cause" in self.params.faults and step.otherwise
            send = step.otherwise if careless else step.send
            given.append({"step": step.name, "port": step.port, "send": send})
        script = net.state_folder("h1") / "steps.json"
        script.write_text(json.dumps([{"host": net.address("h2"), **one} for one in given]))
        net.capture(messages.CLIENT, messages.PATH)
        own_program("h1", "http_client", str(script))(net)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and messages by step, as the client's log announces them."""
        return exchange.measure(data, http.COLUMNS, {"http": messages.read}, log="h1-http_client")

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, str]:
        """Ladders of some of the steps.

        Figures:
            1_parts: One request and its response: the connection comes first, and ends after it.
            2_expect: The client sends the headers alone, waits for 100, and then sends the body.
            3_chunked: A response whose length nobody knows when it begins.
            4_gateway: The proxy waits for two seconds, then answers for the server behind it.
        """
        return {
            "1_parts": exchange.ladder(tables, "parts", messages.CLIENT, hosts=("h1", "h2")),
            "2_expect": exchange.ladder(tables, "100", messages.CLIENT, hosts=("h1", "h2")),
            "3_chunked": exchange.ladder(tables, "chunked", messages.CLIENT, hosts=("h1", "h2")),
            "4_gateway": exchange.ladder(tables, "504", messages.CLIENT, hosts=("h1", "h2")),
        }


def _write_pages() -> None:
    """The site of files; written now, so that its dates are the run's."""
    folder = Path("/srv")
    for name in ("private", "secret", "limited"):
        (folder / name).mkdir()
        (folder / name / "index.html").write_text("<h1>Here it is</h1>\n")
    (folder / "index.html").write_text("<h1>Welcome</h1>\n")
    line = "It was a dark and stormy night. "
    (folder / "long.txt").write_text((line * PAGE_BYTES)[:PAGE_BYTES])
