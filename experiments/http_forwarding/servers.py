"""The servers, and what stands in front of them: nginx, HAProxy and Apache as proxies."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from testbed.daemons.apache import Apache
from testbed.daemons.haproxy import Haproxy
from testbed.daemons.nginx import Nginx

REVERSE, TURNS, STICKY, FORWARD = 80, 82, 83, 3128
"""Ports of the proxies on h3: nginx, HAProxy's two frontends, and Apache."""

APP, TUNNEL, CARELESS, FORBIDDEN = 8000, 443, 8080, 25
"""Ports on h4: the application, the tunnels' end, the server that believes everybody, and mail."""

REFUSED, EARLY, LOST = 9, 7000, 7002
"""Ports on h4 that nobody listens at, that close at once, and whose packets are dropped."""

TIMEOUT_S = 3
"""How long nginx waits for a connection, and for a response."""

SLOW_S = 5
"""How long the application takes for its slow page."""

SITE = Path("/srv")
MOVES = (301, 302, 303, 307, 308)
NAME = "www.example.org"
NEW, BOARD, TEXT = "/pages/new.html", "/notes", "text=a line"
"""Where redirects lead to: a page, and the application's list, which takes a text by POST."""


def write_site() -> None:
    """Pages of the site on h4."""
    for name in ("pages", "inside", "staff", "staff-careless"):
        (SITE / name).mkdir()
    (SITE / "pages" / "new.html").write_text("the page at its new place\n")
    (SITE / "inside" / "monday.html").write_text("a page for Monday\n")
    for name in ("staff", "staff-careless"):
        (SITE / name / "index.html").write_text("for h1 alone\n")


def site(proxy: str, member: str, faults: Collection[str]) -> Nginx:
    """The site on h4: pages, redirects, and a folder for one client."""
    moves = []
    for code in MOVES:
        said = {301: 302, 307: 302, 308: 302}.get(code, code) if "temporary" in faults else code
        moves.append(f"location = /move/{code} {{ return {said} {BOARD}; }}")
    old = 302 if "temporary" in faults else 301
    today = "return 302 /inside/monday.html;" if "sent-away" in faults else ""
    found = f"rewrite ^ {NEW} last;" if "hidden" in faults else f"return 302 {NEW};"
    trusted = "0.0.0.0/0" if "believing" in faults else proxy
    return Nginx(
        f"""
absolute_redirect off;
server {{
  listen 80;
  listen {TUNNEL};
  root {SITE};
  set_real_ip_from {trusted};
  real_ip_header X-Forwarded-For;
  real_ip_recursive on;
  location = /today {{
    {today}
    rewrite ^ /inside/monday.html last;
  }}
  location /inside/ {{
    {"" if "sent-away" in faults else "internal;"}
  }}
  location = /moved {{
    return {old} {NEW};
  }}
  location = /found {{
    {found}
  }}
  {" ".join(moves)}
  location = {BOARD} {{
    proxy_pass http://127.0.0.1:{APP};
  }}
  location /staff/ {{
    allow {member};
    deny all;
  }}
}}
server {{
  listen {CARELESS};
  root {SITE};
  set_real_ip_from 0.0.0.0/0;
  real_ip_header X-Forwarded-For;
  real_ip_recursive on;
  location /staff-careless/ {{
    allow {member};
    deny all;
  }}
}}
"""
    )


def reverse(target: str, faults: Collection[str]) -> Nginx:
    """The reverse proxy on h3."""
    chain = "$remote_addr" if "clean" in faults else "$proxy_add_x_forwarded_for"
    tells = f"proxy_set_header X-Forwarded-For {chain};" * ("silent" not in faults)
    vague = "error_page 502 504 =500 @failed;" * ("vague" in faults)
    return Nginx(
        f"""
server {{
  listen {REVERSE};
  proxy_set_header Host $host;
  {tells}
  {vague}
  proxy_connect_timeout {TIMEOUT_S}s;
  proxy_read_timeout {TIMEOUT_S}s;
  location / {{
    proxy_pass http://{target};
  }}
  location /staff-careless/ {{
    proxy_pass http://{target}:{CARELESS};
  }}
  location = {NEW} {{
    {f"return 307 http://{target}{NEW};" if "exposed" in faults else f"proxy_pass http://{target};"}
  }}
  location = /refused {{
    proxy_pass http://{target}:{REFUSED}/;
  }}
  location = /early {{
    proxy_pass http://{target}:{EARLY}/;
  }}
  location = /slow {{
    proxy_pass http://{target}:{APP}/slow?s={SLOW_S};
  }}
  location = /lost {{
    proxy_pass http://{target}:{LOST}/;
  }}
  location @failed {{
    return 500;
  }}
}}
"""
    )


def balancer(one: str, two: str, faults: Collection[str]) -> Haproxy:
    """The load balancer on h3: one frontend takes turns, one remembers by a cookie."""
    sticks = "" if "forgetful" in faults else "cookie SERVER insert indirect nocache"
    order = "first" if "one-sided" in faults else "roundrobin"
    both = f"  server one {one}:{APP} cookie one\n  server two {two}:{APP} cookie two"
    return Haproxy(
        f"""
frontend turns
  bind :{TURNS}
  default_backend turning
frontend sticky
  bind :{STICKY}
  default_backend sticking
backend turning
  balance {order}
{both}
backend sticking
  balance roundrobin
  {sticks}
  {"" if "rigid" in faults else "option redispatch 1"}
{both}
""",
        port=STICKY,
    )


def forward(faults: Collection[str]) -> Apache:
    """The forward proxy on h3."""
    ports = f"{TUNNEL} {FORBIDDEN}" if "open" in faults else f"{TUNNEL}"
    options = [
        "ProxyRequests on",
        f"ProxyVia {'off' if 'silent' in faults else 'on'}",
        f"AllowCONNECT {ports}",
    ]
    return Apache(options, modules=("proxy", "proxy_http", "proxy_connect"), port=FORWARD)
