"""Caches of HTTP: one that many clients share, and one of a client's own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.dissect import http
from testbed import Action, LinkShape, Tables, in_order, param, program, programs, steps, wait
from testbed.daemons import start
from testbed.daemons.web_application import CacheablePages
from topologies.star import Star

from . import exchanges, servers
from .freshness import Freshness
from .keys import Keys
from .servers import FRESH_S, LONG_S, NEW_TEXT, OLD_S, SITE
from .sharing import Sharing
from .validation import Validation

if TYPE_CHECKING:
    import pandas as pd

    from testbed import RunningNetwork, ScenarioData

FAULTS = (
    *("none", "uncached", "careless", "no-validators", "no-vary", "reloading", "deaf", "no-stale"),
    *("unlocked", "all-posts", "around", "keyed", "uncured", "redated", "any-login"),
)

NAME = "www.example.org"
_URL = f"http://{NAME}"
CROWD = 5
"""Clients that ask for the same page at the same time."""

LOGIN = ("--user", "alice:rosebud")
EVIL = ("--header", "X-Forwarded-Host: evil.example.net")
TELLS = ("--header", "Prefer: return=representation")


class HttpCaching(Freshness, Validation, Sharing, Keys):
    """Caches of HTTP: what is kept, for how long, for whom, and how it is validated.

    h1 and h2 are clients, h3 is a cache that they share, h4 is the origin: nginx with a site whose
    folders differ in Cache-Control, and a web application. The cache is Apache; nginx, at port
    81, keeps responses to POST and is poisoned. One client on h1 has a cache of its own, as a
    browser has one. At the end the origin's nginx is stopped.

    `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(
            5.0, "delay of each link, one way; h1 is two links away", unit="ms", low=0, high=20
        )
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = ("curl", "nginx", "apache2")

    # ---- in the network

    def topology(self) -> Star:
        """Clients h1 and h2, cache h3, origin h4, each on a link of its own to r1."""
        return Star(4, LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """All steps, one after another; the cache's memory lives across them."""
        faults = self.params.faults
        servers.write_site()
        target = net.address("h4")
        application = CacheablePages(flaws=[flaw for flaw in ("no-vary",) if flaw in faults])
        caches = [servers.apache(target, faults), servers.nginx(target, faults)]
        running = start(net, {"h3": caches, "h4": [servers.origin(faults), application]})
        self._origin = running["h4", "nginx"].process
        net.capture(exchanges.CLIENT, exchanges.CACHE)
        parts = (self._fresh(), self._asked(), self._shared(), self._posts(), self._poisoned())
        for part in parts:
            steps.play(net, part, quiet_s=0.5)
        self._visits(net)
        steps.play(net, self._offline(), quiet_s=0.5)
        net.sleep(1.0)

    def _fresh(self) -> dict[str, Action]:
        page, shared, guessed = (Page(f"/{name}/page.html") for name in _FRESH)
        news = Page("/fresh/news.html")
        guess_s = OLD_S * servers.GUESSED_SHARE
        return {
            "first": page("h1"),
            "again": page("h2"),
            "almost-stale": wait(FRESH_S - 3, page("h1")),
            "stale": wait(3, page("h2")),
            "renewed": page("h1"),
            "shared-first": shared("h1"),
            "shared-later": wait(FRESH_S / 2, shared("h2")),
            "expired-first": Page("/expired/page.html")("h1"),
            "expired-again": Page("/expired/page.html")("h2"),
            "guessed-first": guessed("h1"),
            "guessed-fresh": wait(guess_s - 20, guessed("h2")),
            "guessed-stale": wait(40, guessed("h2")),
            "news-first": news("h1"),
            "news-fresh": in_order(_change, news("h1")),
            "news-stale": wait(FRESH_S + 1, news("h1")),
        }

    def _asked(self) -> dict[str, Action]:
        checked, dated, must = (Page(f"/{name}/page.html") for name in ("checked", "dated", "must"))
        return {
            "dated-first": dated("h1"),
            "dated-stale": wait(FRESH_S + 1, dated("h2")),
            "checked-first": checked("h1"),
            "checked-again": checked("h2"),
            "reload-first": Page("/public/page.html")("h1"),
            "reload": Page("/public/page.html")("h1", "--header", "Cache-Control: no-cache"),
            "must-first": must("h1"),
            "must-again": must("h2"),
        }

    def _shared(self) -> dict[str, Action]:
        unstored, private = (Page(f"/{name}/page.html") for name in ("unstored", "private"))
        ignorant = "any-login" in self.params.faults  # nginx does not look at Authorization
        secret, greeting = Page("/secret/page.html", 81 if ignorant else 80), Page("/greeting")
        english, german = (("--header", f"Accept-Language: {name}") for name in ("en", "de"))
        return {
            "crowd": _crowd("/fresh/crowd.html"),
            "unstored-first": unstored("h1"),
            "unstored-again": unstored("h2"),
            "private-first": private("h1"),
            "private-other": private("h2"),
            "secret-first": secret("h1", *LOGIN),
            "secret-other": secret("h2", *LOGIN),
            "english": greeting("h1", *english),
            "english-again": greeting("h2", *english),
            "german": greeting("h2", *german),
            "german-again": greeting("h1", *german),
        }

    def _posts(self) -> dict[str, Action]:
        board, other = Page("/board"), Page("/board", 81)
        around = Page("/board", 8000, "h4") if "around" in self.params.faults else board
        return {
            "board-first": board("h1"),
            "board-again": board("h2"),
            "board-post": around("h1", "--data", "one"),
            "board-after-post": board("h2"),
            "board-put": around("h1", "--request", "PUT", "--data", "two"),
            "board-after-put": board("h2"),
            "silent-post": other("h1", "--data", "+three"),
            "silent-get": other("h2"),
            "telling-post": other("h1", "--data", "+four", *TELLS),
            "telling-get": other("h2"),
            "telling-again": other("h1", "--data", "+five", *TELLS),
        }

    def _poisoned(self) -> dict[str, Action]:
        found: dict[str, Action] = {}
        for name, path in {"": "/home", "-keyed": "/keyed/home", "-clean": "/clean/home"}.items():
            page = Page(path, 81)
            found[f"attack{name}"] = page("h2", *EVIL)
            found[f"victim{name}"] = page("h1")
        return found

    def _visits(self, net: RunningNetwork) -> None:
        """Visits of the client that has a cache of its own."""
        steps.step(net, "aged-first", quiet_s=0.5)
        Page("/fresh/aged.html", 81)("h2")(net)
        headers = {"Host": NAME}
        if "reloading" in self.params.faults:
            headers["Cache-Control"] = "no-cache"
        site = f"http://{net.address('h3')}"
        given = [{"step": n, "url": site + u, "wait_s": s, "headers": headers} for n, u, s in _OWN]
        file = net.state_folder("h1") / "visits.json"
        file.write_text(json.dumps(given), encoding="utf-8")
        client = ("/usr/bin/python3", "-I", programs.path("caching_client"))
        net.exec("h1", *client, str(file), log="h1-caching_client")

    def _offline(self) -> dict[str, Action]:
        return {
            "offline": in_order(self._stop_origin, Page("/fresh/page.html")("h1")),
            "offline-must": Page("/must/page.html")("h1"),
            "offline-unknown": Page("/fresh/unknown.html")("h1"),
        }

    def _stop_origin(self, net: RunningNetwork) -> None:
        self._origin.stop()

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and messages by step, and what the client with a cache logged."""
        log = "h1-caching_client"
        found = steps.measure(data, http.COLUMNS, {"http": exchanges.read}, log=log)
        columns = ["time_s", "step", "status", "cached", "text"]
        visits = steps.json_logs(data, found["steps"], log).reindex(columns=columns)
        return {**found, "visits": visits.dropna(subset="status")}

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, str]:
        """Ladders of some of the steps.

        Figures:
            1_miss: A miss: the cache asks the origin, and keeps what it says.
            2_hit: A hit: the cache answers alone, and says how old the response is.
            3_validation: A stale response: the cache asks whether it has changed, and has not.
            4_crowd: Five clients ask at the same time, and the cache asks once (segments with data
                alone).
            5_offline: The origin refuses connections, and the cache hands out what it has.
            6_poison: An attacker's header becomes part of the page that the cache keeps.
        """
        drawn = {
            "1_miss": "news-first",
            "2_hit": "almost-stale",
            "3_validation": "stale",
            "5_offline": "offline",
            "6_poison": "attack",
        }
        hosts = ("h1", "h2", "h3", "h4")
        figures = {
            name: steps.ladder(tables, step, exchanges.CACHE, hosts=hosts)
            for name, step in drawn.items()
        }
        figures["4_crowd"] = steps.ladder(
            tables, "crowd", exchanges.CACHE, hosts=hosts, tcp_flags=_WITH_DATA
        )
        return dict(sorted(figures.items()))


_WITH_DATA = 0x18
"""PSH and ACK."""

_FRESH = ("fresh", "shared", "guessed")

_OWN = (
    ("own-aged", ":81/fresh/aged.html", FRESH_S / 2),
    ("own-aged-later", ":81/fresh/aged.html", FRESH_S / 2 + 1),
    ("own-first", "/shared/page.html?own", 0.5),
    ("own-again", "/shared/page.html?own", 0.5),
    ("own-stale", "/shared/page.html?own", FRESH_S / 2 + 1),
    ("own-private-first", "/private/page.html", 0.5),
    ("own-private-again", "/private/page.html", LONG_S / 2),
    ("own-unstored-first", "/unstored/page.html", 0.5),
    ("own-unstored-again", "/unstored/page.html", 0.5),
)
"""Step, what follows the host in the URL, and how long to wait first, in s."""


@dataclass(frozen=True)
class Page:
    """A page, to be asked for by a client with options of curl.

    Attributes:
        path: of its URL.
        port, server: where the request goes.
    """

    path: str
    port: int = 80
    server: str = "h3"

    def __call__(self, node: str, *words: str) -> Action:
        """One request of `node`."""

        def act(net: RunningNetwork) -> None:
            program(node, *_curl(net, self.server, self.port), *words, _URL + self.path)(net)

        return act


def _crowd(path: str) -> Action:
    """All clients at the same time, at the other cache."""

    def act(net: RunningNetwork) -> None:
        words = (*_curl(net, "h3", 81), _URL + path)
        asking = [net.start(f"h{1 + number % 2}", *words) for number in range(CROWD)]
        for one in asking:
            one.wait(60)

    return act


def _curl(net: RunningNetwork, server: str, port: int) -> tuple[str, ...]:
    """curl, which asks `server` whatever the URL says."""
    lead = f"::{net.address(server)}:{port}"
    return ("curl", "--silent", "--show-error", "--connect-to", lead)


def _change(net: RunningNetwork) -> None:
    (SITE / "fresh" / "news.html").write_text(NEW_TEXT + "\n")
