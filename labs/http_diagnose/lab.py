"""The diagnosis lab: a site behind a proxy with a cache, and three headers that are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.dissect import http
from testbed import (
    Action,
    Assignment,
    SeededRandom,
    Tables,
    Verdict,
    claim,
    holds,
    param,
    program,
    share_of,
    steps,
)
from testbed.daemons import start
from testbed.daemons.nginx import Nginx
from topologies.line import Line

if TYPE_CHECKING:
    import pandas as pd

    from testbed import RunningNetwork, ScenarioData

CLIENT, SERVER = "h1-eth0", "h2-eth0"
"""Where packets are captured: before the proxy and behind it."""

SITE = "www.example.org"
SUBJECTS = ("cookie", "cache", "proxy")
PATHS = {
    "login": "/login",
    "account": "/account",
    "alice": "/basket",
    "bob": "/basket",
    "german": "/news",
    "german-again": "/news",
    "english": "/news",
    "old": "/old",
    "who": "/who",
}
"""What the client does, step by step."""

ORIGIN = """
server {{
  listen 80;
  default_type text/plain;
  location = /login {{
    add_header Set-Cookie "session={session}; {cookie}HttpOnly";
    return 200 "welcome\\n";
  }}
  location = /account {{
    if ($cookie_session = "") {{
      return 401 "log in first\\n";
    }}
    return 200 "your account\\n";
  }}
  location = /basket {{
    add_header Cache-Control "{basket}";
    return 200 "the basket of $cookie_user\\n";
  }}
  location = /news {{
    add_header Cache-Control "{news}";
    add_header Vary "{vary}";
    return 200 "news in $http_accept_language\\n";
  }}
  location = /old {{
    return 301 http://$http_host/new;
  }}
  location = /new {{
    return 200 "the new page\\n";
  }}
  location = /who {{
    return 200 "you come from $http_x_forwarded_for\\n";
  }}
}}
"""

PROXY = """
proxy_cache_path {{state}}/cache keys_zone=shared:1m;
server {{
  listen 80;
  location / {{
    proxy_pass http://{server};
    proxy_set_header Host {host};
    proxy_set_header X-Forwarded-For {forwarded};
    proxy_redirect {redirect};
    proxy_cache shared;
  }}
}}
"""


class Lab(Assignment):
    """Which header is wrong?"""

    @dataclass(frozen=True)
    class Parameters:
        """The variant."""

        cookie_attribute: str = param("Path=/login", "an attribute of the session's cookie")
        session: str = param("a1b2c3", "the session's id")
        basket_rule: str = param("public, max-age=60", "Cache-Control of the basket")
        news_rule: str = param("max-age=60", "Cache-Control of the news")
        news_varies: str = param("Accept-Language", "Vary of the news")
        fresh_s: int = param(60, "how old news may be", unit="s", low=30, high=600)
        host_sent: str = param("backend.internal:8080", "Host, as r1 sends it on")
        client_sent: str = param("$remote_addr", "X-Forwarded-For, as r1 sends it on")
        links_to: str = param(SITE, "the host in links, as r1 passes them back")

    params: Parameters
    programs = ("nginx", "curl")

    @classmethod
    def variant(cls, random: SeededRandom) -> Mapping[str, Any]:
        """A fault of each kind, and values.

        Each part has a value in every variant: which are wrong is known where they are judged.
        """
        fresh_s = 10 * random.integer(6, 60)
        inside = f"backend.internal:{random.integer(8001, 8999)}"
        right = {
            "basket_rule": "private",
            "news_rule": f"max-age={fresh_s}",
            "news_varies": "Accept-Language",
            "host_sent": "$host",
            "client_sent": "$remote_addr",
            "links_to": SITE,
        }
        cached = random.choice(
            (
                {"basket_rule": f"public, max-age={fresh_s}"},
                {"news_varies": "Accept-Encoding"},
                {"news_rule": "no-store"},
            )
        )
        passed_on = random.choice(
            ({"host_sent": inside}, {"client_sent": "127.0.0.1"}, {"links_to": inside})
        )
        return {
            "cookie_attribute": random.choice(
                ("Path=/login", "Domain=shop.example", "Secure", "Max-Age=0")
            ),
            "session": f"{random.integer(0x100000, 0xFFFFFF):06x}",
            "fresh_s": fresh_s,
            **right,
            **cached,
            **passed_on,
        }

    # ---- in the network

    def topology(self) -> Line:
        """A client, the proxy r1, a router, and the server."""
        return Line(2)

    def run(self, net: RunningNetwork) -> None:
        """Everything that users complain about."""
        p = self.params
        origin = ORIGIN.format(
            session=p.session,
            cookie=f"{p.cookie_attribute}; ",
            basket=p.basket_rule,
            news=p.news_rule,
            vary=p.news_varies,
        )
        same = p.links_to == SITE
        proxy = PROXY.format(
            server=net.address("h2"),
            host=p.host_sent,
            forwarded=p.client_sent,
            redirect="off" if same else f"http://{SITE}/ http://{p.links_to}/",
        )
        start(net, {"h2": [Nginx(origin)], "r1": [Nginx(proxy)]})
        net.capture(CLIENT, SERVER)
        steps.play(net, self._visits(net.address("r1")), quiet_s=0.5)
        net.sleep(0.5)

    def _visits(self, proxy: str) -> dict[str, Action]:
        jar = ("--cookie", "/tmp/jar", "--cookie-jar", "/tmp/jar")
        german = ("--header", "Accept-Language: de")
        words: dict[str, tuple[str, ...]] = {
            "login": jar,
            "account": jar,
            "alice": ("--cookie", "user=alice"),
            "bob": ("--cookie", "user=bob"),
            "german": german,
            "german-again": german,
            "english": ("--header", "Accept-Language: en"),
        }
        lead = ("--silent", "--show-error", "--connect-to", f"::{proxy}:80")
        return {
            step: program("h1", "curl", *lead, f"http://{SITE}{path}", *words.get(step, ()))
            for step, path in PATHS.items()
        }

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """HTTP messages by step."""
        tables = steps.measure(data, http.COLUMNS, {"http": _messages})
        tables["packets"] = tables["packets"].drop(columns="payload")
        return tables

    # ---- public checks

    @claim("Each answer has its parts.", source="the handout")
    def answered(self, _tables: Tables) -> Verdict:
        """Of the format alone, since a verdict shows what it expects."""
        cases = []
        for subject in SUBJECTS:
            given = {name: self.answers.get(f"{subject}.{name}") for name in PARTS}
            empty = [name for name, value in given.items() if value in (None, "")]
            known = given["capture"] in (CLIENT, SERVER) and given["sender"] in ("h2", "r1")
            number = str(given["request"]).strip().isdecimal()
            cases.append(
                holds(
                    not empty and known and number,
                    observed=f"{subject}: {', '.join(empty) or 'all'} "
                    f"{'missing' if empty else 'given'}"
                    + ("" if known else ", an unknown sender or capture")
                    + ("" if number else ", a request that is no number"),
                    expected=f"{subject}: header, value, sender (h2, r1), capture "
                    f"({CLIENT}, {SERVER}), request (a number)",
                )
            )
        return share_of(cases)


PARTS = ("header", "value", "sender", "capture", "request")
"""Of each answer."""


def _messages(packets: pd.DataFrame) -> pd.DataFrame:
    found = http.read(packets)
    found["info"] = [
        f"{r['method']} {r['target']}" if r["kind"] == "request" else f"{r['status']} {r['reason']}"
        for r in found.to_dict("records")
    ]
    return found.drop_duplicates("frame", keep="last")
