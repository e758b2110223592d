"""A browser that loads one page again and again: what bench/page_loads.py measures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed import Experiment, LinkShape, Tables, Topo, Verdict, claim, holds, param
from testbed.daemons import start
from testbed.daemons.browser import PROGRAMS, Browser
from testbed.daemons.nginx import Nginx

PICTURES = 6
_PAGE = (
    '<!doctype html><title>A page</title><link rel="stylesheet" href="style.css"><h1>A page</h1>'
)
_SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="90"><circle r="{}"/></svg>'


class Pair(Topo):
    """A browser's host and a server."""

    def build(self) -> None:
        """h1 and h2 on one link."""
        shape = LinkShape(rate_mbps=10, delay_ms=20)
        self.addLink(self.addHost("h1"), self.addHost("h2"), shape=shape)


class PageLoads(Experiment):
    """Chromium loads a page with a style sheet and six pictures, each time as somebody new."""

    @dataclass(frozen=True)
    class Parameters:
        """How much of it."""

        browser: bool = param(True, "start the browser")
        visits: int = param(1, "number of visits", low=0, high=100)

    params: Parameters
    programs = (*PROGRAMS, "nginx")
    extras = ("browser",)

    def topology(self) -> Pair:
        """Two hosts."""
        return Pair()

    def run(self, net: Any) -> None:
        """Starts a server, and a browser if wanted."""
        pictures = [f"{number}.svg" for number in range(PICTURES)]
        images = "".join(f'<img src="{name}">' for name in pictures)
        files = {"index.html": _PAGE + images, "style.css": "h1 { color: teal }"}
        files |= {name: _SVG.format(10 + place) for place, name in enumerate(pictures)}
        for name, text in files.items():
            Path("/srv", name).write_text(text)
        start(net, {"h2": [Nginx("server { listen 80; root /srv; }")]})
        net.capture("h1-eth0")
        if not self.params.browser:
            return
        browser = Browser(net, "h1")
        for number in range(self.params.visits):
            browser.visit(f"visit-{number}", f"http://{net.address('h2')}/").close()
        browser.close()

    def measure(self, data: Any) -> dict[str, Any]:
        """Nothing: the wall clock is what counts."""
        return {}

    @claim("All pages were loaded.", source="bench/page_loads.py")
    def ended(self, tables: Tables) -> Verdict:
        """A run in which one was not would have raised."""
        return holds(True, observed="they were", expected="they were")
