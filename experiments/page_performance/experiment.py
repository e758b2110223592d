"""Page performance: paint and load over rate, round-trip time, loss and versions of HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.browser import last_attempts
from testbed import CONGESTION_CONTROLS, LinkShape, Tables, param, steps
from testbed.daemons import certificates, start
from testbed.daemons.browser import PROGRAMS, Browser
from topologies.line import FAR_ROUTER, Line

from . import figures, grid, loads, servers, site
from .grid import Point
from .latency import Latency
from .losses import Losses

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

FAULTS = ("none", "one-window", "old-tls", "retry", "one-control", "clean-path")
QUEUE_PKTS = 100


class PagePerformance(Latency, Losses):
    """Page performance: paint and load over rate, round-trip time, loss and versions of HTTP.

    Chromium on h1 loads one page of h3 again and again, each time as somebody who has never been
    there: over HTTP/1.1, HTTP/2 and HTTP/3 (a scenario each), at all rates, round-trip times,
    losses and congestion controls of a grid. Further visits change the server's first window and
    the version of TLS.

    The page is made for the purpose, or the user's own: `--site` takes a folder with an
    `index.html`, or a HAR that a browser saved with content. Each host of a HAR gets an address of
    its own at h3. `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        site: str = param("", "folder or .har file of another page; empty: the one made here")
        resources: int = param(24, "pictures of the page", low=1, high=200)
        resource_kb: float = param(10.0, "size of each", unit="kB", low=0.1, high=1000)
        rates_mbps: tuple[float, ...] = param(
            (1.0, 4.0, 20.0), "rates of the grid", unit="Mbit/s", low=0.1, high=1000
        )
        rtts_ms: tuple[float, ...] = param(
            (20.0, 60.0, 200.0), "round-trip times of the grid", unit="ms", low=1, high=2000
        )
        losses_percent: tuple[float, ...] = param(
            (0.0, 3.0), "losses of the grid, on the way to the client", unit="%", low=0, high=20
        )
        cc: tuple[str, ...] = param(
            ("reno", "bbr"),
            "congestion controls of TCP; the first one everywhere",
            choices=CONGESTION_CONTROLS,
        )
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = (*PROGRAMS, "nginx", "openssl", "ip", "ping")
    extras = ("browser", "quic")

    def scenarios(self) -> dict[str, Any]:
        """One per version of HTTP."""
        grid.check(self.params)
        return dict.fromkeys(grid.SCENARIOS, self.params)

    # ---- on the host

    def inputs(self) -> Mapping[str, str]:
        """The user's site."""
        return {site.FILE: site.read(self.params.site).text()} if self.params.site else {}

    # ---- in the network

    def topology(self) -> Line:
        """h1 and h3 with three routers between them: the shape is at one link, loss at another."""
        return Line(3, LinkShape(queue_pkts=QUEUE_PKTS))

    def run(self, net: RunningNetwork) -> None:
        """Starts server and browser, then does all visits."""
        version, faults = grid.SCENARIOS[net.scenario], self.params.faults
        shown = self._site(net)
        shown.write(Path(servers.ROOT))
        hosts = servers.addresses(net, shown.hosts)
        made = certificates.make(net, servers.NODE, servers.certificates(shown.hosts))
        start(net, {servers.NODE: servers.daemons(net, version, hosts, made["site"], faults)})
        net.sysctl(servers.NODE, "net.ipv4.tcp_no_metrics_save", 1)  # each visitor is new to it
        net.capture(loads.CLIENT, snaplen_bytes=loads.HEADER_BYTES)
        for address in hosts.values():  # else the first visit would find out who has them
            net.exec("h1", "ping", "-c", "1", address)
        browser = Browser(
            net,
            "h1",
            trusted=made["root"].certificate,
            quic=version == "3",
            flags=servers.flags(hosts, _public_key(net, made["site"].key), quic=version == "3"),
        )
        before: Point | None = None
        for point in grid.points(self.params, version):
            self._set(net, point, before)
            begin = partial(steps.step, net, quiet_s=0.5, **vars(point))
            browser.visit(point.name, servers.url(shown.page, point), begin).close()
            before = point
        browser.close()

    def _site(self, net: RunningNetwork) -> site.Site:
        given = net.path / site.FILE
        if given.is_file():
            return site.parse(given.read_text(encoding="utf-8"))
        p = self.params
        return site.made(p.resources, round(p.resource_kb * 1000))

    def _set(self, net: RunningNetwork, point: Point, before: Point | None) -> None:
        """The path, and the server's kernel; what is the same as before stays as it is."""
        faults = self.params.faults
        spared = "clean-path" in faults and net.scenario != grid.scenario("1.1")
        lost_percent = 0.0 if spared else point.loss_percent
        lossy = LinkShape(queue_pkts=QUEUE_PKTS, loss_percent=lost_percent)
        if before is None or before.loss_percent != point.loss_percent:
            net.reshape("r3-eth0", lossy)
        shape = LinkShape(
            queue_pkts=QUEUE_PKTS, rate_mbps=point.rate_mbps, delay_ms=point.rtt_ms / 2
        )
        for name in ("r1-eth1", "r2-eth0"):
            if net.shape(name) != shape:
                net.reshape(name, shape)
        cc, segments = point.cc, point.window_segments
        if "one-control" in faults:
            cc = self.params.cc[0]
        if "one-window" in faults:
            segments = grid.INITIAL_SEGMENTS
        if before is None or before.cc != point.cc:
            net.sysctl(servers.NODE, "net.ipv4.tcp_congestion_control", cc)
        if before is None or before.window_segments != point.window_segments:
            via = ("via", FAR_ROUTER.partition("/")[0], "initcwnd", str(segments))
            net.exec(servers.NODE, "ip", "route", "change", "default", *via)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, Any]:
        """Packets by visit, the browser's requests, and the times of each visit."""
        found = last_attempts({**steps.measure(data, ()), **data.browser()})
        visits = found.pop("visits")
        kept = {name: found[name] for name in ("steps", "packets", "addresses", "requests")}
        return {**kept, "loads": loads.table(found["steps"], visits, found["requests"])}

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure | str]:
        """Surfaces, and cuts through them.

        Figures:
            1_load: When the page has loaded, without loss, over rate and round-trip time. Lighter
                is sooner.
            2_first_paint: The same for the first paint.
            3_cuts: Cuts through both surfaces along their edges; over the rate for the farthest
                visitors, over the round-trip time at the highest rate.
            4_loss: What loss does to the load time; one dot per visit, a bar at the geometric mean.
            5_windows: What the server's first window does to the load time of HTTP/2.
        """
        found = loads.undisturbed(tables.of("loads"))
        return {
            "1_load": figures.surfaces(found, "load_ms"),
            "2_first_paint": figures.surfaces(found, "paint_ms"),
            "3_cuts": figures.cuts(found),
            "4_loss": figures.losses(found),
            "5_windows": figures.windows(found),
        }


def _public_key(net: RunningNetwork, key: Path) -> bytes:
    """The public part of a key (DER)."""
    file = net.state_folder("h1") / "public.der"
    words = ("-in", str(key), "-pubout", "-outform", "DER", "-out", str(file))
    net.exec("h1", "openssl", "pkey", *words)
    return file.read_bytes()
