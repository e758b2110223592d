"""WebSocket: the upgrade, frames, messages from the server, and what they save."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis import summaries
from analysis.dissect import http
from testbed import LinkShape, Tables, own_program, param, steps
from testbed.daemons import start
from testbed.daemons.haproxy import Haproxy
from testbed.daemons.nginx import Nginx
from testbed.daemons.web_application import WebApplication
from testbed.daemons.websocket_server import WebsocketServer
from topologies.line import Line

from . import figures, over_http2, talk
from .framing import PARTS, SIZES_BYTES, Framing
from .news import UPDATES, WAYS, News
from .origins import Origins
from .talk import (
    APPLICATION,
    COOKIE,
    FOREIGN,
    GUARDED,
    KNOWS,
    KNOWS_NOT,
    ORIGIN,
    OVER_HTTP2,
    PLAIN,
    SECURE,
)
from .upgrade import Upgrade

if TYPE_CHECKING:
    import pandas as pd

    from testbed import RunningNetwork, ScenarioData
    from testbed.daemons import Daemon

SERVER_FLAWS = (
    *("wrong-accept", "masked", "long-lengths", "odd-pongs", "no-close", "cut-echo", "lenient"),
    *("padded", "asked", "late", "all-origins"),
)
APPLICATION_FLAWS = ("late-updates",)
SETTINGS = ("no-upgrade", "knows-none", "knows-all", "no-tls", "only-own", "no-connect")
"""Mistakes of the proxies, and of what listens where."""

CLIENT_FLAWS = ("reconnects", "held-polls")
FAULTS = ("none", *SETTINGS, *CLIENT_FLAWS, *SERVER_FLAWS, *APPLICATION_FLAWS)

PASSES_ON = """
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection upgrade;"""

PROXY = """
server {{
  listen {port};
  location / {{
    proxy_pass http://{server};
    proxy_http_version 1.1;{passes_on}
  }}
}}
"""

BALANCER = f"""
frontend web
  bind :{OVER_HTTP2} proto h2
  default_backend server
backend server
  server one {{server}}:{PLAIN}
"""

TLS = """
  ssl_certificate {state}/certificate.pem;
  ssl_certificate_key {state}/key.pem;"""


class WebSocket(Upgrade, Framing, News, Origins, over_http2.OverHttp2):
    """WebSocket: the upgrade, frames, messages from the server, and what they save.

    h1 hears of a number that changes every second in four ways: pushed over WebSocket by h2, as
    server-sent events, by long polling and by short polling. It then opens WebSockets directly,
    through two proxies on r1 (one passes the upgrade on, one does not), inside TLS, with the
    headers that a browser sends for a page of another site, and two at once over HTTP/2.

    The programs are Debian's websockets (Python), nginx, HAProxy, and a web application (Flask
    behind waitress). `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(20.0, "delay of the path, one way", unit="ms", low=5, high=200)
        update_s: float = param(1.0, "time between updates", unit="s", low=0.5, high=5)
        poll_s: float = param(0.7, "interval of short polling", unit="s", low=0.1, high=60)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = ("nginx", "haproxy", "openssl")

    # ---- in the network

    def topology(self) -> Line:
        """h1 and h2 in LANs of their own, two routers between them; the proxies are on r1."""
        return Line(2, LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """Starts servers and proxies, then one client that does all steps."""
        certificate = _make_certificate(net)
        faults, update_s = self.params.faults, self.params.update_s
        flaws = [fault for fault in faults if fault in SERVER_FLAWS]
        guarded = PLAIN if "only-own" in faults else GUARDED
        other = GUARDED if "only-own" in faults else PLAIN
        server = WebsocketServer(other, guarded, (ORIGIN,), update_s, flaws)
        flaws = [fault for fault in faults if fault in APPLICATION_FLAWS]
        application = WebApplication(APPLICATION, flaws, (f"update_s={update_s}",))
        proxies: list[Daemon] = [Nginx(self._sites(net.address("h2")))]
        if not self._has("no-connect"):
            proxies.append(Haproxy(BALANCER.format(server=net.address("h2")), OVER_HTTP2))
        start(net, {"h2": [server, application], "r1": proxies})
        script = net.state_folder("h1") / "steps.json"
        script.write_text(json.dumps(self._steps(net, certificate)))
        net.capture(talk.CLIENT, talk.SERVER)
        own_program("h1", "websocket_client", str(script), packages=True)(net)
        net.sleep(0.5)
        words = ("http2", net.address("r1"), str(OVER_HTTP2), "/echo", over_http2.TEXT)
        own_program("h1", "websocket_http2", *words, packages=True)(net)
        net.sleep(0.5)

    def _sites(self, server: str) -> str:
        """The proxies' configuration."""
        faults = self.params.faults
        sites = {KNOWS: "knows-none" not in faults, KNOWS_NOT: "knows-all" in faults}
        tls = "no-tls" not in faults
        sites_text = [
            PROXY.format(port=port, server=server, passes_on=PASSES_ON * knows)
            for port, knows in sites.items()
        ]
        secure = PROXY.format(
            port=f"{SECURE} ssl" if tls else SECURE, server=server, passes_on=PASSES_ON
        )
        if tls:
            secure = secure.replace(";\n  location", f";{TLS}\n  location", 1)
        plain_http2 = f"{OVER_HTTP2} http2" if self._has("no-connect") else ""
        last = PROXY.format(port=plain_http2, server=server, passes_on=PASSES_ON)
        return "".join([*sites_text, secure, last if plain_http2 else ""])

    def _steps(self, net: RunningNetwork, certificate: str) -> list[dict[str, Any]]:
        """What the client does."""
        here, proxy = net.address("h2"), net.address("r1")
        plain = f"ws://{proxy}:{KNOWS_NOT}" if self._has("no-upgrade") else f"ws://{here}"
        hello = [["send", "hello"], ["receive", 1], ["close", 1000, "bye"]]
        secure = f"{'ws' if self._has('no-tls') else 'wss'}://{proxy}:{SECURE}/echo"
        trust = {} if self._has("no-tls") else {"ca": certificate}
        account = {"cookie": COOKIE, "do": [["receive", 1]]}
        return [
            *self._ways(plain, f"http://{here}:{APPLICATION}/updates"),
            {"step": "frames", "url": f"{plain}/echo", "do": _frames()},
            {"step": "unmasked", "url": f"{plain}/echo", "do": [["raw", "810161"], ["receive", 1]]},
            {"step": "proxy", "url": f"ws://{proxy}:{KNOWS}/echo", "do": hello},
            {"step": "ignorant", "url": f"ws://{proxy}:{KNOWS_NOT}/echo", "do": hello},
            {"step": "secure", "url": secure, "do": hello, **trust},
            {"step": "open", "url": f"{plain}/account", "origin": FOREIGN, **account},
            {"step": "foreign", "url": f"ws://{here}:{GUARDED}/", "origin": FOREIGN, **account},
            {"step": "own", "url": f"ws://{here}:{GUARDED}/account", "origin": ORIGIN, **account},
        ]

    def _ways(self, plain: str, updates: str) -> list[dict[str, Any]]:
        """Four ways to hear of the same updates."""
        p = self.params
        again = [["send", "next"], ["receive", 1]] if self._has("asked") else [["receive", 1]]
        push: dict[str, Any] = {"step": "push", "url": f"{plain}/updates", "do": again * UPDATES}
        if self._has("reconnects"):
            push |= {"do": [["receive", 1]], "times": UPDATES}
        asked = f"{updates}/next" if self._has("held-polls") else updates
        polls = math.ceil((UPDATES + 1) * p.update_s / p.poll_s) + 1
        ways: list[dict[str, Any]] = [
            push,
            {"step": "events", "url": f"{updates}/events", "events": UPDATES},
            {"step": "long", "url": f"{updates}/next", "polls": UPDATES, "every_s": 0},
            {"step": "short", "url": asked, "polls": polls, "every_s": p.poll_s},
        ]
        return [{**way, "update_s": p.update_s} for way in ways]

    def _has(self, fault: str) -> bool:
        return fault in self.params.faults

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets, HTTP messages, WebSocket frames and updates by step."""
        readers = {"http": talk.read_http, "frames": summaries.websocket, "http2": over_http2.read}
        tables = steps.measure(data, http.COLUMNS, readers, log="h1-websocket")
        return tables | {"updates": talk.arrivals(tables["packets"], self.params.update_s)}

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Any]:
        """Ladders of some of the steps, latency and cost.

        Figures:
            1_push: One handshake, then the server sends updates whenever they happen.
            2_long: Long polling: the answer waits for the update, then the next request is sent.
            3_frames: Text, binary data, a message in parts with a ping inside, and the close
                (without large frames and without the segments of TCP alone).
            4_proxy: A proxy that does not know the upgrade: the server sees a plain GET.
            5_latency: How late each update came, by the way it was delivered.
            6_cost: Bytes on the wire for each update, by the way it was delivered.
            7_http2: Two WebSockets on one connection of HTTP/2.
        """
        ladder, hosts = steps.ladder, ("h1", "r1", "h2")
        shown = talk.handshake_and_small_frames(tables, "frames")
        return {
            "1_push": ladder(tables, "push", talk.CLIENT, hosts=hosts),
            "2_long": ladder(tables, "long", talk.CLIENT, hosts=hosts),
            "3_frames": ladder(tables, "frames", talk.CLIENT, hosts=hosts, frame=shown),
            "4_proxy": ladder(tables, "ignorant", talk.SERVER, hosts=hosts),
            "5_latency": figures.latency(tables, WAYS),
            "6_cost": figures.cost(tables, WAYS),
            "7_http2": ladder(tables, "http2", talk.CLIENT, hosts=hosts),
        }


def _frames() -> list[list[Any]]:
    """Messages of all kinds and sizes on one connection."""
    sizes = [[verb, n] for size in SIZES_BYTES for verb, n in (("bytes", size), ("receive", 1))]
    return [
        *(["send", "hello"], ["receive", 1]),
        *sizes,
        *(["parts", list(PARTS)], ["receive", 1]),
        *(["ping", "are you there?"], ["close", 1000, "bye"]),
    ]


def _make_certificate(net: RunningNetwork) -> str:
    """A certificate for the proxy that ends TLS; the client trusts it alone."""
    folder = net.state_folder("r1")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    files = ("-keyout", f"{folder}/key.pem", "-out", f"{folder}/certificate.pem")
    subject = ("-subj", "/CN=r1", "-days", "30")
    net.exec("r1", "openssl", "req", "-x509", *key, *files, *subject)
    return f"{folder}/certificate.pem"
