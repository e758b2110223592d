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


@dataclass(frozen=True)
class Fault:
    """One header that is wrong.

    Attributes:
        header: its name.
        value: what is wrong in it, as sent.
        sender: the node that sends it so.
        path: of the request that it belongs to.
    """

    header: str
    value: str
    sender: str
    path: str


class Lab(Assignment):
    """Which header is wrong?"""

    @dataclass(frozen=True)
    class Parameters:
        """The variant."""

        cookie: str = param(
            "path", "what is wrong with the cookie", choices=("path", "domain", "secure", "age")
        )
        cache: str = param(
            "basket", "what is wrong for the cache", choices=("basket", "vary", "store")
        )
        proxy: str = param(
            "host", "what the proxy does wrong", choices=("host", "forwarded", "location")
        )
        session: str = param("a1b2c3", "the session's id")
        fresh_s: int = param(60, "how long responses are fresh", unit="s", low=30, high=600)
        port: int = param(8080, "a port inside the site", low=8000, high=8999)

    params: Parameters
    programs = ("nginx", "curl")

    @classmethod
    def variant(cls, random: SeededRandom) -> Mapping[str, Any]:
        """A fault of each kind, and values."""
        return {
            "cookie": random.choice(("path", "domain", "secure", "age")),
            "cache": random.choice(("basket", "vary", "store")),
            "proxy": random.choice(("host", "forwarded", "location")),
            "session": f"{random.integer(0x100000, 0xFFFFFF):06x}",
            "fresh_s": 10 * random.integer(6, 60),
            "port": random.integer(8001, 8999),
        }

    # ---- the variant

    @property
    def inside(self) -> str:
        """A name that only the site's own network knows."""
        return f"backend.internal:{self.params.port}"

    @property
    def faults(self) -> dict[str, Fault]:
        """What is wrong, by subject."""
        p = self.params
        cookie = {
            "path": "Path=/login",
            "domain": "Domain=shop.example",
            "secure": "Secure",
            "age": "Max-Age=0",
        }
        cache = {
            "basket": Fault("Cache-Control", f"public, max-age={p.fresh_s}", "h2", "/basket"),
            "vary": Fault("Vary", "Accept-Encoding", "h2", "/news"),
            "store": Fault("Cache-Control", "no-store", "h2", "/news"),
        }
        proxy = {
            "host": Fault("Host", self.inside, "r1", "/old"),
            "forwarded": Fault("X-Forwarded-For", "127.0.0.1", "r1", "/who"),
            "location": Fault("Location", f"http://{self.inside}/new", "r1", "/old"),
        }
        return {
            "cookie": Fault("Set-Cookie", cookie[p.cookie], "h2", "/login"),
            "cache": cache[p.cache],
            "proxy": proxy[p.proxy],
        }

    def request_number(self, path: str, capture: str) -> int:
        """The first request for a path, counted from 1 in a capture, as the cache lets them by."""
        p = self.params
        hits = {"bob": p.cache == "basket", "english": p.cache == "vary"}
        hits |= {"german-again": p.cache != "store"}
        seen = [step for step in PATHS if capture == CLIENT or not hits.get(step)]
        return 1 + [PATHS[step] for step in seen].index(path)

    def capture_of(self, fault: Fault) -> str:
        """Where a fault shows: what the proxy says to the server, behind it."""
        return SERVER if fault.header in ("Host", "X-Forwarded-For") else CLIENT

    # ---- in the network

    def topology(self) -> Line:
        """A client, the proxy r1, a router, and the server."""
        return Line(2)

    def run(self, net: RunningNetwork) -> None:
        """Everything that users complain about."""
        p, faults = self.params, self.faults
        fresh = f"max-age={p.fresh_s}"
        origin = ORIGIN.format(
            session=p.session,
            cookie=f"{faults['cookie'].value}; ",
            basket=faults["cache"].value if p.cache == "basket" else "private",
            news=faults["cache"].value if p.cache == "store" else fresh,
            vary=faults["cache"].value if p.cache == "vary" else "Accept-Language",
        )
        proxy = PROXY.format(
            server=net.address("h2"),
            host=self.inside if p.proxy == "host" else "$host",
            forwarded="127.0.0.1" if p.proxy == "forwarded" else "$remote_addr",
            redirect=f"http://{SITE}/ http://{self.inside}/" if p.proxy == "location" else "off",
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
