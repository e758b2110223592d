"""Requests that others pass on: forwarding, redirection, proxies and load balancing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.dissect import http
from testbed import (
    Action,
    LinkShape,
    Tables,
    filter_packets,
    in_order,
    param,
    program,
    programs,
    steps,
)
from testbed.daemons import start
from testbed.daemons.web_application import WebApplication
from topologies.star import Star

from . import exchanges, servers
from .balancing import Balancing
from .failing import Failing
from .proxies import Proxies
from .redirection import Redirection

if TYPE_CHECKING:
    import pandas as pd

    from testbed import RunningNetwork, ScenarioData

FAULTS = (
    *("none", "sent-away", "hidden", "temporary", "stubborn", "unaware"),
    *("silent", "plain", "open", "clean", "believing", "one-sided"),
    *("forgetful", "rigid", "vague", "exposed"),
)

LOGIN = "user=alice&password=rosebud"


class HttpForwarding(Redirection, Proxies, Balancing, Failing):
    """Forwarding and redirection: who passes a request on, and who notices.

    h1 and h2 are clients. h4 is a site (nginx and a web application), h5 a second server with the
    same application. On h3 are the proxies: nginx as a reverse proxy of h4, HAProxy as a load
    balancer of h4 and h5, and Apache as a forward proxy of the clients. At the end the application
    on h4 is stopped.

    `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(5.0, "delay of each link, one way", unit="ms", low=1, high=50)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = ("curl", "nginx", "apache2", "haproxy", "socat")

    # ---- in the network

    def topology(self) -> Star:
        """Clients h1 and h2, proxies h3, servers h4 and h5, each on a link of its own to r1."""
        return Star(5, LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """All steps, one after another."""
        self._start(net)
        net.capture(exchanges.CLIENT, exchanges.PROXY, exchanges.SERVER)
        parts = (self._redirects(), self._proxied(net), self._staff(net), self._failing())
        for part in parts:
            steps.play(net, part, quiet_s=0.5)
        net.sleep(servers.SLOW_S)  # until the slow page is done
        self._visits(net)
        steps.play(net, self._balanced(net), quiet_s=0.5)
        net.sleep(1.0)

    def _start(self, net: RunningNetwork) -> None:
        """The servers and proxies, and what fails on h4."""
        faults = self.params.faults
        servers.write_site()
        one, two = net.address("h4"), net.address("h5")
        running = start(
            net,
            {
                "h3": [
                    servers.reverse(one, faults),
                    servers.balancer(one, two, faults),
                    servers.forward(faults),
                ],
                "h4": [
                    servers.site(net.address("h3"), net.address("h1"), faults),
                    WebApplication(),
                ],
                "h5": [WebApplication()],
            },
        )
        self._first = running["h4", WebApplication.name].process
        net.start("h4", "socat", f"TCP4-LISTEN:{servers.EARLY},fork,reuseaddr", "EXEC:true")
        filter_packets("h4", "input", f"tcp dport {servers.LOST} drop")(net)

    def _redirects(self) -> dict[str, Action]:
        keeps = ("--post301", "--post302", "--post303") * ("stubborn" in self.params.faults)
        return {
            "forwarded": _visit("h1", "h4", "/today", "--location"),
            "inside": _visit("h1", "h4", "/inside/monday.html"),
            "redirected": _visit("h1", "h4", "/found", "--location"),
            **{
                f"move-{code}": _visit(
                    "h1", "h4", f"/move/{code}", "--location", *keeps, "--data", servers.TEXT
                )
                for code in servers.MOVES
            },
        }

    def _proxied(self, net: RunningNetwork) -> dict[str, Action]:
        proxy = ("--proxy", f"http://{net.address('h3')}:{servers.FORWARD}")
        site = f"http://{net.address('h4')}"
        through = () if "plain" in self.params.faults else ("--proxytunnel",)
        page = servers.NEW
        unaware = "unaware" in self.params.faults
        asks = _visit("h1", "h3", page, port=servers.FORWARD)
        return {
            "proxied": asks if unaware else program("h1", *_CURL, *proxy, site + page),
            "tunnel": program("h1", *_CURL, *proxy, *through, f"{site}:{servers.TUNNEL}{page}"),
            "tunnel-refused": program(
                "h1", *_CURL, *proxy, "--proxytunnel", f"{site}:{servers.FORBIDDEN}/"
            ),
            "reversed": _visit("h1", "h3", page, "--location"),
        }

    def _staff(self, net: RunningNetwork) -> dict[str, Action]:
        forged = ("--header", f"X-Forwarded-For: {net.address('h1')}")
        return {
            "member": _visit("h1", "h3", "/staff/"),
            "other": _visit("h2", "h3", "/staff/"),
            "forged": _visit("h2", "h3", "/staff/", *forged),
            "forged-direct": _visit("h2", "h4", "/staff/", *forged),
            "careless-other": _visit("h2", "h3", "/staff-careless/"),
            "careless-forged": _visit("h2", "h3", "/staff-careless/", *forged),
        }

    def _balanced(self, net: RunningNetwork) -> dict[str, Action]:
        jar, first, second = (f"{net.state_folder('h1')}/{name}" for name in "123")
        turns, sticky = servers.TURNS, servers.STICKY
        return {
            "turns": _visit("h1", "h3", "/sessions", port=turns, times=4),
            "turns-login": _login("h1", turns, jar),
            "turns-account": _account("h1", turns, jar),
            "sticky-login": _login("h1", sticky, first),
            "sticky-other": _login("h2", sticky, second),
            "sticky-account": _account("h1", sticky, first, times=3),
            "sticky-account-other": _account("h2", sticky, second),
            "failed": in_order(self._stop_first, _account("h1", sticky, first)),
            "failed-other": _account("h2", sticky, second),
        }

    def _stop_first(self, net: RunningNetwork) -> None:
        self._first.stop()

    def _visits(self, net: RunningNetwork) -> None:
        """Visits of a client that remembers what it may."""
        site = f"http://{net.address('h4')}"
        names = ("moved-first", "moved-again", "found-first", "found-again")
        given = [{"step": name, "url": f"{site}/{name.split('-')[0]}"} for name in names]
        file = net.state_folder("h1") / "visits.json"
        file.write_text(json.dumps(given), encoding="utf-8")
        client = ("/usr/bin/python3", "-I", programs.path("caching_client"))
        net.exec("h1", *client, str(file), log="h1-caching_client")

    def _failing(self) -> dict[str, Action]:
        names = ("refused", "early", "lost", "slow")
        return {name: _visit("h1", "h3", f"/{name}") for name in names}

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and messages by step."""
        found = {"http": exchanges.read}
        return steps.measure(data, http.COLUMNS, found, log="h1-caching_client")

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, str]:
        """Ladders of some of the steps, without ARP.

        Figures:
            1_forwarded: One request; the server takes another page of its own.
            2_redirected: Two requests: the first response says where to ask again.
            3_proxied: The forward proxy gets the whole URL, and asks in its own name.
            4_tunnel: After CONNECT the proxy passes bytes and reads none.
            5_forged: The attacker's entry comes first in X-Forwarded-For, the proxy's last.
            6_sticky: The balancer's cookie leads all requests of a client to one server.
            7_early: The server ends the connection without a response: 502.
            8_lost: The server does not answer at all: 504.
        """
        hosts = ("h1", "h2", "h3", "h4", "h5")
        drawn = {
            "1_forwarded": ("forwarded", exchanges.CLIENT),
            "2_redirected": ("redirected", exchanges.CLIENT),
            "3_proxied": ("proxied", exchanges.PROXY),
            "4_tunnel": ("tunnel", exchanges.PROXY),
            "5_forged": ("careless-forged", exchanges.PROXY),
            "6_sticky": ("sticky-account", exchanges.PROXY),
            "7_early": ("early", exchanges.PROXY),
            "8_lost": ("lost", exchanges.PROXY),
        }
        return {
            name: steps.ladder(tables, step, where, hosts=hosts, ip_version=4)
            for name, (step, where) in drawn.items()
        }


_CURL = ("curl", "--silent", "--show-error")


def _visit(
    node: str, server: str, path: str, *words: str, port: int = 80, times: int = 1
) -> Action:
    """curl, which asks `server` for a page of the site, some times on one connection."""

    def act(net: RunningNetwork) -> None:
        lead = ("--connect-to", f"{servers.NAME}:80:{net.address(server)}:{port}")
        program(node, *_CURL, *lead, *words, *[f"http://{servers.NAME}{path}"] * times)(net)

    return act


def _login(node: str, port: int, jar: str) -> Action:
    return _visit(node, "h3", "/login", "--cookie-jar", jar, "--data", LOGIN, port=port)


def _account(node: str, port: int, jar: str, times: int = 1) -> Action:
    return _visit(node, "h3", "/account", "--cookie", jar, port=port, times=times)
