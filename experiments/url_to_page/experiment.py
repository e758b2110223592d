"""From URL to page: what a real browser sends until a page is on the screen, and what it saves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from analysis.browser import last_attempts
from analysis.plots import page_loads
from testbed import LookUps, Tables, dns_lookups, name_service, param, steps
from testbed.daemons import Daemon, certificates, start
from testbed.daemons.browser import NAMES_S, PROGRAMS, Browser, Page
from topologies.website import DELAYS_MS, Website

from . import site
from .journey import Journey
from .pages import Pages
from .visits import CACHES, PAGES
from .waits import Waits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

FAULTS = (
    *("none", "forewarned", "detour", "forwarding", "no-hsts", "uncached", "no-tickets"),
    *("amnesia", "newcomers", "telemetry", "plain"),
)
DETOUR_MS = 15.0
_QUIET_S = 0.5
"""Before each visit, so that packets of the one before have come."""


class UrlToPage(Journey, Waits, Pages):
    """From URL to page: what a real browser sends until a page is on the screen.

    Chromium on h1 opens a page of w1, as if somebody had typed its address. Its resolver v1 walks
    from the root (n1) by the top-level domain (n2) to the zone's own server (n3). In the scenario
    `caches` the same person comes back again and again, each time with one memory less. In `pages`
    each page is visited by somebody new; pairs of pages differ in one word. Some take a file from
    a slow third party, w2.

    `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        site_ms: float = param(
            DELAYS_MS["w1"], "one-way delay to the site", unit="ms", low=5, high=40
        )
        third_ms: float = param(
            DELAYS_MS["w2"], "one-way delay to the third party", unit="ms", low=60, high=100
        )
        rate_mbps: float = param(20.0, "rate of the links to both", unit="Mbit/s", low=1, high=1000)
        ttl_s: int = param(300, "time to live of the addresses", unit="s", low=200, high=3600)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    tables_type = LookUps
    programs = (*PROGRAMS, "apache2", "nginx", "nsd", "unbound", "ping", "kdig", "curl", "unshare")
    extras = ("browser",)

    def scenarios(self) -> dict[str, Any]:
        """One person's visits, and the pages."""
        return {CACHES: self.params, PAGES: self.params}

    # ---- in the network

    def topology(self) -> Website:
        """Client and resolver at home, servers at their distances."""
        p = self.params
        delays = {**DELAYS_MS, "w1": p.site_ms, "w2": p.third_ms}
        return Website(delays_ms=delays, rate_mbps=p.rate_mbps)

    def run(self, net: RunningNetwork) -> None:
        """Starts servers and browser, then does all visits."""
        faults = self.params.faults
        site.write_files(faults)
        made = certificates.make(net, "w1", site.CERTIFICATES)
        servers: dict[str, list[Daemon]] = {
            node: [site.nginx(name, folder, made["site"], faults)]
            for node, name, folder in (("w1", site.WWW, "site"), ("w2", site.CDN, "third"))
        }
        servers["w1"].append(site.apache(made["site"]))
        names = site.name_servers(net, self.params.ttl_s)
        start(net, {**servers, **names, "v1": [site.resolver(net, faults)]})
        name_service.reach(net, "v1", "h1", "n1", "n2", "n3")
        name_service.reach(net, "h1", "w1", "w2")
        if "forwarding" not in faults:  # a resolver that is new looks for the root's servers first
            name_service.ask("h1", net.address("v1"), ".", "NS")(net)
        if "detour" in faults:
            for end in ("r1-eth4", "w1-eth0"):
                slow_ms = self.params.site_ms + DETOUR_MS
                net.reshape(end, replace(net.shape(end), delay_ms=slow_ms))
        root, resolver = made["root"].certificate, net.address("v1")
        net.capture("h1-eth0", "v1-eth0")
        self._browser = Browser(net, "h1", trusted=root, resolver=resolver)
        if "telemetry" in faults:
            net.exec("h1", "curl", "--silent", "--insecure", f"https://{net.address('w2')}/")
        if net.scenario == CACHES:
            self._visit_again(net)
        else:
            self._visit_pages(net)
        self._browser.close()

    def _visit_again(self, net: RunningNetwork) -> None:
        """One person's visits; each waits until one more memory has gone."""
        faults = self.params.faults
        page, url = self._browser.page(), f"http://{site.WWW}/"
        if "forewarned" in faults:
            page.visit("before", url)
        idle_s = site.KEEP_ALIVE_S + 3
        steps.step(net, "typed", quiet_s=_QUIET_S)
        page.visit("typed", url)
        waits: dict[str, tuple[float, Callable[[Page], None]]] = {
            "again": (1, lambda page: None),
            "no-http-cache": (1, _without_cache),
            "no-connection": (idle_s, _with_cache),
            "no-session": (site.SESSION_S + 3, lambda page: None),
            "no-name": (NAMES_S + 5, lambda page: None),
            "no-resolver": (self.params.ttl_s + 5, lambda page: None),
        }
        for name, (wait_s, prepare) in waits.items():
            if "newcomers" in faults:
                page = self._browser.page()
            net.sleep(wait_s)
            prepare(page)
            steps.step(net, name, quiet_s=_QUIET_S)
            page.visit(name, url)
        self._browser.visit("newcomer", url, partial(steps.step, net, quiet_s=_QUIET_S))

    def _visit_pages(self, net: RunningNetwork) -> None:
        """Each page by somebody new; the resolver knows the names."""
        plain = "plain" in self.params.faults
        for name in (site.WWW, site.CDN):
            name_service.ask("h1", net.address("v1"), name)(net)
        for name in (*site.PAGES, *site.BASELINES, "old"):
            shown = site.BASELINES.get(name, name) if plain else name
            url = f"{site.SITE}/{shown}.html"
            if name in site.MADE:
                url = f"{site.SITE}:{site.MADE_PORT}/{shown}.cgi"
            elif name == "old":
                url = f"{site.SITE}{'' if plain else f':{site.OLD_PORT}'}/many.html"
            self._browser.visit(name, url, partial(steps.step, net, quiet_s=_QUIET_S)).close()

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, Any]:
        """Packets and DNS messages by visit, and what the browser says of its visits."""
        found = dns_lookups.measure(data)
        found["packets"] = found["packets"].drop(columns="payload")
        return last_attempts({**found, **data.browser()})

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure | str]:
        """Waterfalls of visits, with the filmstrip above and the packets below.

        Figures:
            1_typed: From the typed address to the page, with nothing remembered. Above: what the
                screen shows. In the middle: one bar per request, with the packets that carried it.
                Below: the packets at h1.
            2_again: The same address again. The browser goes to HTTPS by itself, asks on the open
                connection whether the page has changed, and takes all else from its cache.
            3_memories: How long the page takes with each memory less.
            4_blocking: A script of the slow third party in the page's head. Nothing is painted
                before it has come.
            5_async: The same script with `async`. The page is painted without it.
            6_one_connection: Twelve images over HTTP/2: one connection.
            7_six_connections: The same over HTTP/1.1: six connections, two images each.
            8_pages: First paint and load of all pages.
        """
        drawn = {
            "1_typed": (CACHES, "typed"),
            "2_again": (CACHES, "again"),
            "4_blocking": (PAGES, "blocking"),
            "5_async": (PAGES, "async"),
            "6_one_connection": (PAGES, "many"),
            "7_six_connections": (PAGES, "old"),
        }
        figures = {
            name: page_loads.waterfall(tables, scenario, visit, "h1-eth0")
            for name, (scenario, visit) in drawn.items()
            if len(tables.rows("visits", scenario=scenario, visit=visit))
        }
        for name, scenario in (("3_memories", CACHES), ("8_pages", PAGES)):
            visits = tables.rows("visits", scenario=scenario)
            if len(visits):
                figures[name] = page_loads.times(visits)
        return dict(sorted(figures.items()))


def _without_cache(page: Page) -> None:
    page.call("Network.setCacheDisabled", cacheDisabled=True)


def _with_cache(page: Page) -> None:
    page.call("Network.setCacheDisabled", cacheDisabled=False)
