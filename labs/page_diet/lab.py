"""The page diet lab: a slow page, a student's variant of it, and a browser on three networks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from analysis.browser import last_attempts
from testbed import (
    Assignment,
    LinkShape,
    SeededRandom,
    SubmissionError,
    Tables,
    TestbedError,
    Verdict,
    claim,
    holds,
    param,
    share_of,
    shown,
    steps,
)
from testbed.daemons import certificates
from testbed.daemons.browser import PROGRAMS, Browser, Page
from testbed.daemons.certificates import Certificate
from topologies.line import Line

from . import looking, slow_page

if TYPE_CHECKING:
    import pandas as pd

    from testbed import RunningNetwork, ScenarioData

CLIENT, SERVER = "h1", "h2"
NAMES = ("www.lakeside.example", "shop.orchard.example", "www.mill.example", "www.bridge.example")
QUIET_S = 1.0
"""Before a visit, so that packets of the one before have come."""

QUEUE_PKTS = 200
HEADER_BYTES = 128
"""Kept of each packet, up to the random value of a client's hello, by which key logs name it."""


class Network(NamedTuple):
    """Where a visitor is.

    Attributes:
        rate_mbps, rtt_ms: of the way to the server.
        good_ms, fair_ms: when the page must be there for all of the points, and for half of them.
    """

    rate_mbps: float
    rtt_ms: float
    good_ms: int
    fair_ms: int


GOOD_TRIPS, FAIR_TRIPS = 6.5, 9.0
PICTURE_GOOD_KB, PICTURE_FAIR_KB = 20, 40
"""Round trips, and bytes per picture, for which there are all of the points, and half of them."""

GOODBYE_BYTES = 1000
"""With so little left, all of a page has come: the rest may be connections that end."""

PAINT_MS = 40
"""What the browser needs besides."""


class Lab(Assignment):
    """A page on a diet."""

    @dataclass(frozen=True)
    class Parameters:
        """The variant."""

        name: str = param(NAMES[0], "the site's name", choices=NAMES)
        pictures: int = param(7, "number of pictures", low=4, high=10)
        pattern: int = param(1, "what the pictures and texts are", low=0, high=10_000)
        fibre_ms: int = param(30, "round-trip time at home", unit="ms", low=20, high=50)
        mobile_ms: int = param(100, "round-trip time on the train", unit="ms", low=60, high=200)
        satellite_ms: int = param(550, "round-trip time at sea", unit="ms", low=400, high=700)

    params: Parameters
    memory_mb = 1024
    programs = (*PROGRAMS, "nginx", "python3", "ping")
    extras = ("browser",)

    @classmethod
    def variant(cls, random: SeededRandom) -> Mapping[str, Any]:
        """A page and networks of their own for each student."""
        return {
            "name": random.choice(NAMES),
            "pictures": random.integer(6, 9),
            "pattern": random.integer(0, 10_000),
            "fibre_ms": random.integer(24, 36),  # of less, a frame of 17 ms is too large a part
            "mobile_ms": random.integer(80, 130),
            "satellite_ms": random.integer(500, 600),
        }

    # ---- the variant

    @property
    def page(self) -> slow_page.SlowPage:
        """The page that the student gets."""
        return slow_page.SlowPage(self.params.name, self.params.pictures, self.params.pattern)

    @property
    def good_kb(self) -> int:
        """What somebody new may get for all of the points."""
        return PICTURE_GOOD_KB * self.params.pictures

    @property
    def fair_kb(self) -> int:
        """What somebody new may get for half of them."""
        return PICTURE_FAIR_KB * self.params.pictures

    @property
    def networks(self) -> dict[str, Network]:
        """Name → where a visitor is."""
        p = self.params
        ways = {"fibre": (50.0, p.fibre_ms), "mobile": (4.0, p.mobile_ms)}
        ways["satellite"] = (20.0, p.satellite_ms)
        return {
            name: Network(
                rate,
                rtt,
                round(GOOD_TRIPS * rtt + self.good_kb * 8 / rate + PAINT_MS),
                round(FAIR_TRIPS * rtt + self.fair_kb * 8 / rate + PAINT_MS),
            )
            for name, (rate, rtt) in ways.items()
        }

    # ---- in the network

    def topology(self) -> Line:
        """A visitor and a server, and a link between their routers."""
        return Line(2, LinkShape(queue_pkts=QUEUE_PKTS))

    def run(self, net: RunningNetwork) -> None:
        """Starts the student's server, then visits the page."""
        made = certificates.make(
            net,
            SERVER,
            [
                Certificate("root", "Example Root", ca=True, key="p256"),
                Certificate("site", issuer="root", names=(self.params.name,), key="p256"),
            ],
        )
        given = self._given(net, made["site"])
        self.submission.start_nginx(net, SERVER, "site.conf", script="install.sh", given=given)
        net.sysctl(SERVER, "net.ipv4.tcp_no_metrics_save", 1)  # each visitor is new to it
        net.capture(f"{CLIENT}-eth0", snaplen_bytes=HEADER_BYTES)
        net.exec(CLIENT, "ping", "-c", "1", net.address(SERVER))  # routers find their neighbours
        rules = f"MAP {self.params.name} {net.address(SERVER)},MAP * ~NOTFOUND"
        flags = [f"--host-resolver-rules={rules}"]
        root = made["root"].certificate
        browser = Browser(net, CLIENT, trusted=root, untrusted=True, flags=flags)
        self.visits(net, browser)
        browser.close()

    def _given(self, net: RunningNetwork, made: certificates.Files) -> Path:
        """The folder that the student's script gets: the page, certificate and key."""
        given = net.state_folder(SERVER) / "given"
        self.page.write(given / "page")
        shutil.copyfile(made.chain, given / "site.pem")
        shutil.copyfile(made.key, given / "site.key")
        return given

    def visits(self, net: RunningNetwork, browser: Browser) -> None:
        """The visits of the public part."""
        self.visit(net, browser, "mobile")

    def visit(self, net: RunningNetwork, browser: Browser, network: str) -> Page:
        """A visit by somebody new, made again if the browser paused; then looks at the page."""
        where = self.networks[network]
        shape = LinkShape(
            queue_pkts=QUEUE_PKTS, rate_mbps=where.rate_mbps, delay_ms=where.rtt_ms / 2
        )
        for interface in ("r1-eth1", "r2-eth0"):
            net.reshape(interface, shape)
        with self.loading():
            page = browser.visit(network, self.url, partial(steps.step, net, quiet_s=QUIET_S))
        net.event("looked", network=network, found=looking.look(page, self.page))
        return page

    @property
    def url(self) -> str:
        """Of the page."""
        return f"https://{self.params.name}/"

    @contextmanager
    def loading(self) -> Iterator[None]:
        """For a visit.

        Raises:
            SubmissionError: the page does not load.
        """
        try:
            yield
        except TestbedError as error:  # or it hangs, or leaves at once
            raise SubmissionError(f"{self.url} does not load: {error}") from error

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """What the browser fetched and when; what was found on the page."""
        found = last_attempts({**steps.measure(data, ()), **data.browser()})
        looked = data.events("looked").reindex(columns=["network", "found"])
        kept = {name: found[name] for name in ("steps", "packets", "addresses")}
        return {**kept, "visits": found["visits"], "requests": found["requests"], "looked": looked}

    def found(self, tables: Tables, network: str = "mobile") -> Mapping[str, Any]:
        """What was on the page: see `looking`."""
        return dict(tables.row("looked", network=network)["found"])

    def received(self, tables: Tables, visit: str) -> pd.DataFrame:
        """The packets with data that a visitor got, also while looking at what had loaded."""
        server = steps.address(tables, f"{SERVER}-eth0")
        seen = steps.pick(tables, visit, f"{CLIENT}-eth0", ip_src=server)
        return seen[seen["tcp_payload_bytes"] > 0]

    def kilobytes(self, tables: Tables, visit: str) -> float:
        """What a visitor got, in kB."""
        return float(self.received(tables, visit)["tcp_payload_bytes"].sum()) / 1e3

    def page_ms(self, tables: Tables, network: str) -> float | None:
        """When all of a page was there: its load event, and all data; None: never."""
        visit = tables.row("visits", visit=network)
        asked = tables.rows("requests", visit=network)
        page = asked[asked["type"] == "Document"]
        if page.empty or page["status"].iloc[-1] != 200 or visit.isna()["loaded_ns"]:
            return None
        came = self.received(tables, network)
        to_come = came["tcp_payload_bytes"][::-1].cumsum()[::-1]
        times_ms = 1e3 * came["time_s"][to_come > GOODBYE_BYTES] - visit["began_ns"] / 1e6
        return max([float(visit["loaded_ns"]) / 1e6, *map(float, times_ms)])

    # ---- public checks

    @claim("All texts of the page are still there.", source="the handout")
    def text(self, tables: Tables) -> Verdict:
        """What the browser shows, paragraph by paragraph."""
        return share_of(self.texts_in(self.found(tables)))

    def texts_in(self, found: Mapping[str, Any]) -> list[Verdict]:
        """One per paragraph."""
        return [_there(words, str(found["text"])) for words in self.page.texts]

    @claim(
        "All pictures of the page are still there, large enough and alike.", source="the handout"
    )
    def pictures(self, tables: Tables) -> Verdict:
        """What the browser shows, picture by picture."""
        return share_of(self.pictures_in(self.found(tables)))

    def pictures_in(self, found: Mapping[str, Any]) -> list[Verdict]:
        """One per picture."""
        seen = {str(one.get("alt")): one for one in found["pictures"]}
        return [
            looking.judge(name, seen.get(name), pixels) for name, pixels in self.page.pictures()
        ]

    @claim("All functions of the page still work.", source="the handout")
    def functions(self, tables: Tables) -> Verdict:
        """What happens when somebody clicks and types."""
        return share_of(self.functions_in(self.found(tables)))

    def functions_in(self, found: Mapping[str, Any]) -> list[Verdict]:
        """One per function."""
        did = dict(found["did"])
        cases = []
        for name, expected in self.page.functions.items():
            observed = did.get(name)
            said = shown(json.dumps(observed, ensure_ascii=False))
            cases.append(
                holds(
                    observed == expected,
                    observed=f"{name}: {said}",
                    expected=f"{name}: {json.dumps(expected, ensure_ascii=False)}",
                )
            )
        return cases

    @claim("The page needs few bytes.", source="RFC 9110 §8.4.1.3; the handout")
    def bytes(self, tables: Tables) -> Verdict:
        """What somebody new gets from the server."""
        got = self.kilobytes(tables, "mobile")
        cases = [
            holds(
                got <= most and self.page_ms(tables, "mobile") is not None,
                observed=f"{got:.0f} kB",
                expected=f"at most {most} kB",
            )
            for most in (self.good_kb, self.fair_kb)
        ]
        return share_of(cases)

    @claim("The page is there soon on a train.", source="the handout")
    def mobile(self, tables: Tables) -> Verdict:
        """All that it asked for."""
        return self.soon(tables, "mobile")

    def soon(self, tables: Tables, network: str) -> Verdict:
        """Half of the points for a fair time, all of them for a good one."""
        took = self.page_ms(tables, network)
        where = self.networks[network]
        said = "never loaded" if took is None else f"{took:.0f} ms"
        cases = [
            holds(
                took is not None and took <= most,
                observed=f"{network}: {said}",
                expected=f"{network}: at most {most} ms",
            )
            for most in (where.good_ms, where.fair_ms)
        ]
        return share_of(cases)


def _there(words: str, seen: str) -> Verdict:
    found = " ".join(words.split()) in " ".join(seen.split())
    start = shown(words[:50])
    return holds(found, observed=f"{start}…: {'there' if found else 'missing'}", expected=start)
