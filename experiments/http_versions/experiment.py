"""HTTP from 1.0 to 3: the same page, and what each version sends for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from analysis import messages
from analysis.dissect import http, http2, http3, quic, tls
from testbed import (
    Action,
    LinkShape,
    Tables,
    filter_packets,
    in_order,
    ip,
    param,
    ping,
    program,
    steps,
    unfilter,
)
from testbed.daemons import certificates, start
from testbed.daemons.apache import Apache
from testbed.daemons.certificates import Certificate, key_log
from testbed.daemons.http3 import Door, Http3Client, Http3Server
from testbed.daemons.nghttpd import Nghttpd
from testbed.daemons.nginx import Nginx
from topologies.line import FAR_ROUTER, Line

from . import figures, pages
from .frames import WINDOW_BITS, Frames
from .loss import LOST_3, LOST_NUMBER, Loss
from .pages import (
    APACHE,
    H2C,
    LARGE,
    LOSS_PERCENT,
    OLD,
    RATE_MBPS,
    REPEATS,
    RTTS_MS,
    SMALL,
    TLS,
    TLS_OLD,
    WAYS,
    Page,
    Pages,
    Way,
    step_of,
)
from .priorities import OPENING, PRIORITIES, URGENT_BYTES, Priorities
from .start import Start

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

FAULTS = (
    "none",
    "one-by-one",
    "no-table",
    "wide-window",
    "no-push",
    "no-hints",
    "no-upgrade",
    "no-alpn",
    "equal",
    "old-client",
    "other-client",
)

NAME = "www.example.org"
CERTIFICATES = (
    Certificate("root", "Example Root", ca=True, key="p256"),
    Certificate("www", NAME, issuer="root", names=(NAME,), key="p256"),
)

SITE = f"""
server {{
  listen {OLD};
  root /srv;
}}
server {{
  listen {H2C} http2;
  root /srv;
  http2_max_concurrent_streams STREAMS;
}}
server {{
  listen {TLS} ssl http2;
  root /srv;
  ssl_certificate CHAIN;
  ssl_certificate_key KEY;
}}
server {{
  listen {TLS_OLD} ssl;
  root /srv;
  ssl_certificate CHAIN;
  ssl_certificate_key KEY;
}}
"""


class HttpVersions(Pages, Frames, Priorities, Loss, Start):
    """HTTP from 1.0 to 3: the same page over each version.

    h1 fetches a page of twelve small files and one of twelve larger ones from h2, over HTTP/1.0,
    over HTTP/1.1 on one connection and on six, over HTTP/2 and over HTTP/3, with a near and a far
    server, with and without loss. Further steps look into HTTP/2: its frames, its header table,
    flow control, priorities, server push, 103 Early Hints, and how a connection comes to speak
    HTTP/2.

    Clients are curl and nghttp, servers nginx, Apache and nghttpd; HTTP/3 is aioquic's on both
    sides.
    `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = ("curl", "nghttp", "nghttpd", "nft", "ping", "ip")
    extras = ("quic", "tls")

    # ---- in the network

    def topology(self) -> Line:
        """h1 and h2 in LANs of their own, two routers between them."""
        return Line(2, LinkShape(delay_ms=RTTS_MS[0] / 2, rate_mbps=RATE_MBPS))

    def run(self, net: RunningNetwork) -> None:
        """Starts the servers, then all steps."""
        for page in (SMALL, LARGE):
            for number in range(page.files):
                Path(f"/srv/{page.name}{number}.txt").write_text("x" * page.size_bytes)
        for name in (OPENING, *(name for names in PRIORITIES.values() for name in names)):
            Path(f"/srv/{name}.txt").write_text("x" * URGENT_BYTES)
        Path("/srv/pushing.html").write_text("<h1>A page</h1>\n")
        made = certificates.make(net, "h2", CERTIFICATES)
        www = made["www"]
        streams = "1" if "one-by-one" in self.params.faults else "128"
        site = SITE.replace("CHAIN", str(www.chain)).replace("KEY", str(www.key))
        nginx = Nginx(site.replace("STREAMS", streams))
        http3_server = Http3Server(net, "h2", [Door(www, pages.H3)])
        self._http3 = Http3Client(net, "h1", net.address("h2"), NAME, made["root"].certificate)
        nghttpd = Nghttpd(www, pages.NGHTTPD)
        servers = [nginx, self._apache(), nghttpd, http3_server]
        start(net, {"h2": servers, "h1": [self._http3]})
        self._keys = key_log(net, "h1")
        net.capture(pages.CLIENT)
        self._server = net.address("h2")
        steps.play(net, dict(self._steps()), quiet_s=0.5)
        net.sleep(1.0)

    def _apache(self) -> Apache:
        """A server that upgrades, pushes and hints."""
        faults = self.params.faults

        def switch(option: str, fault: str) -> str:
            return f"{option} {'off' if fault in faults else 'on'}"

        return Apache(
            (
                "DocumentRoot /srv",
                "Protocols h2c http/1.1",
                switch("H2Upgrade", "no-upgrade"),
                switch("H2EarlyHints", "no-hints"),
                switch("H2Push", "no-push"),
                "<Location /pushing.html>",
                f"H2PushResource /{SMALL.name}1.txt",
                "</Location>",
            ),
            modules=("http2",),
            port=APACHE,
        )

    def _steps(self) -> Iterator[tuple[str, Action]]:
        yield "first", ping("h1", self._server)
        yield from self._without_loss()
        yield "curl", self._one_file()
        yield "table", self._nghttp(H2C, *_names(SMALL))
        yield "mix", self._fetch(LARGE, WAYS[3], window=True)
        yield "window", self._nghttp(H2C, f"{LARGE.name}0.txt", window=True)
        yield "priorities", self._by_priority
        yield "push", self._nghttp(APACHE, "pushing.html")
        yield "push-refused", self._nghttp(APACHE, "pushing.html", push=False)
        yield "upgrade", self._curl("--http2", self._url(APACHE, "small0.txt"))
        yield "upgrade-ignored", self._curl("--http2", self._url(OLD, "small0.txt"))
        alpn = ("--no-alpn",) if "no-alpn" in self.params.faults else ()
        for name, port in (("alpn", TLS), ("alpn-old", TLS_OLD)):
            url = self._url(port, "small0.txt")
            yield name, self._curl("--http2", "--insecure", "--tls-max", "1.2", *alpn, url)
        for way in WAYS[2:]:
            yield f"lost-{way.name}", self._losing(way)
        yield from self._with_loss()

    def _without_loss(self) -> Iterator[tuple[str, Action]]:
        for page, segments in ((SMALL, FITTING_SEGMENTS), (LARGE, INITIAL_SEGMENTS)):
            window = ("initcwnd", str(segments))
            yield f"window-{page.name}", ip("h2", "route", "change", "default", *_VIA, *window)
            for rtt_ms in RTTS_MS:
                far = _shaped(rtt_ms)
                for way in WAYS:
                    yield step_of(page, way.name, rtt_ms), in_order(far, self._fetch(page, way))
        yield "near", _shaped(RTTS_MS[0])

    def _with_loss(self) -> Iterator[tuple[str, Action]]:
        for rtt_ms in RTTS_MS:
            yield (
                f"lossy-{rtt_ms:g}",
                _shaped(rtt_ms, LOSS_PERCENT),
            )  # once: the loss begins anew with it
            for way in WAYS[1:]:
                for repeat in range(REPEATS):
                    yield step_of(LARGE, way.name, rtt_ms, repeat), self._fetch(LARGE, way)

    def _url(self, port: int, name: str) -> str:
        scheme = "https" if port in (TLS, TLS_OLD, pages.NGHTTPD) else "http"
        return f"{scheme}://{self._server}:{port}/{name}"

    def _fetch(self, page: Page, way: Way, *, window: bool = False) -> Action:
        """A page, all its files at once; with HTTP/2 perhaps with a narrow window per stream."""
        if way.name == "3":
            paths = [f"/{name}" for name in _names(page)]
            alone = "one-by-one" in self.params.faults
            return self._http3.do(paths=[[path] for path in paths] if alone else [paths])
        options, port = way.options, way.port
        if "old-client" in self.params.faults:
            options, port = ("--http1.1",), OLD
        elif "one-by-one" in self.params.faults:
            options = options[:1]
        if not options:
            return self._nghttp(port, *_names(page), window=window)
        return self._curl(*options, *(self._url(port, name) for name in _names(page)))

    def _by_priority(self, net: RunningNetwork) -> None:
        """Files on one connection, each with its priority.

        Nagle's algorithm lets all requests leave together; else the server answers the first one
        before it knows of the others.
        """
        fields = {name: said for said, names in PRIORITIES.items() for name in names}
        argv = ["curl", "--parallel"]
        for name in (OPENING, *sorted(fields)):
            argv += ["--silent", "--show-error", "--insecure", "--http2", "--no-tcp-nodelay"]
            argv += _OUT
            if name in fields and "equal" not in self.params.faults:
                argv += ["--header", f"priority: {fields[name]}"]
            argv += [self._url(pages.NGHTTPD, f"{name}.txt"), "--next"]
        keys = {"SSLKEYLOGFILE": self._keys}
        net.start("h1", *argv[:-1], environment=keys, log="h1-curl").wait(60)

    def _curl(self, *words: str) -> Action:
        options = [w for word in words for w in ((*_OUT, word) if "://" in word else (word,))]
        return program("h1", "curl", "--silent", "--show-error", *options)

    def _nghttp(self, port: int, *names: str, window: bool = False, push: bool = True) -> Action:
        """nghttp asks for all files at once, on one connection."""
        faults = self.params.faults
        narrow = window and "wide-window" not in faults
        bits = str(WINDOW_BITS if narrow else WIDE_BITS)
        options = ["--null-out", "--no-dep", "--window-bits", bits]
        options += ["--connection-window-bits", str(WIDE_BITS)]
        options += [] if push else ["--no-push"]
        options += ["--peer-max-concurrent-streams", "1"] if "one-by-one" in faults else []
        options += ["--encoder-header-table-size", "0"] if "no-table" in faults else []
        return program("h1", "nghttp", *options, *(self._url(port, name) for name in names))

    def _one_file(self) -> Action:
        """A file over HTTP/2, whose client knows that the server speaks it."""
        if "other-client" in self.params.faults:
            return self._nghttp(H2C, "small0.txt")
        version = "--http1.1" if "old-client" in self.params.faults else "--http2-prior-knowledge"
        return self._curl(version, self._url(H2C, "small0.txt"))

    def _losing(self, way: Way) -> Action:
        """The large page, without one packet."""
        fetch = self._fetch(LARGE, way)
        protocol = "udp" if way.name == "3" else "tcp"
        ours = f"{protocol} sport {way.port} ip length > 1000"
        rule = f"{ours} numgen inc mod 65536 {{ {LOST_NUMBER} }} drop"
        return in_order(filter_packets("r1", "forward", rule), fetch, unfilter("r1"))

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets, frames of HTTP/2 and hellos of TLS by step."""
        columns = dict.fromkeys([*http2.COLUMNS, *tls.COLUMNS, *http3.COLUMNS])
        read = {"http": _http, "frames": _frames, "http3": _http3, "hellos": _hellos}
        found = steps.measure(data, columns, {**read, "quic": _quic})
        found["packets"] = found["packets"].drop(columns="payload")
        told = steps.json_logs(data, found["steps"], "h1-http3-client")
        told = told.reindex(columns=["time_s", "step", "stream", "bytes"])
        return {**found, "delivered": told[told["bytes"].notna()]}

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure | str]:
        """What pages cost, and ladders of some of the steps.

        Figures:
            1_pages: What the pages cost over each version, near and far, without and with loss:
                time, in seconds and in round trips, bytes on the wire, and connections.
            2_frames: One connection of HTTP/2: requests leave together, and the frames of the
                responses mix.
            3_push: The server hints (103), promises a file, and sends it without a request.
            4_window: The server sends as much as the client's window allows, and waits for more.
            5_upgrade: A connection that begins with HTTP/1.1 goes on with HTTP/2.
        """
        ladder, hosts = steps.ladder, ("h1", "h2")
        return {
            "1_pages": figures.page_costs(pages.costs(tables)),
            "2_frames": ladder(tables, "mix", pages.CLIENT, hosts=hosts),
            "3_push": ladder(tables, "push", pages.CLIENT, hosts=hosts),
            "4_window": ladder(tables, "window", pages.CLIENT, hosts=hosts),
            "5_upgrade": ladder(tables, "upgrade", pages.CLIENT, hosts=hosts),
        }


WIDE_BITS = 20
"""A window of 2²⁰ − 1 bytes, in which a whole page fits."""

INITIAL_SEGMENTS, FITTING_SEGMENTS = 10, 60
"""A connection's first window: that of RFC 6928, and one in which the small page fits."""

_VIA = ("via", FAR_ROUTER.partition("/")[0])
_OUT = ("--output", "/dev/null")


def _names(page: Page) -> list[str]:
    return [f"{page.name}{number}.txt" for number in range(page.files)]


def _shaped(rtt_ms: float, loss_percent: float = 0.0) -> Action:
    """Delay of the path, and loss on the way to the client."""

    def act(net: RunningNetwork) -> None:
        for name, loss in (("r1-eth1", 0.0), ("r2-eth0", loss_percent)):
            shape = replace(net.shape(name), delay_ms=rtt_ms / 2, loss_percent=loss)
            net.reshape(name, shape)

    return act


def _http(packets: pd.DataFrame) -> pd.DataFrame:
    """Messages as `analysis.dissect.http.read` gives them, and `info`."""
    return _in_words(packets, http.read(packets).drop(columns="body"))


def _frames(packets: pd.DataFrame) -> pd.DataFrame:
    """Frames as `analysis.dissect.http2.read` gives them, and `info`."""
    return _in_words(packets, http2.read(packets))


def _in_words(packets: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """With what each packet says, in HTTP/1 and HTTP/2, as `info`."""
    said = messages.by_frame(messages.find(packets, frozenset({"http", "http2"})))
    return found.assign(info=[said[frame][1] if frame in said else "" for frame in found["frame"]])


def _http3(packets: pd.DataFrame) -> pd.DataFrame:
    """Frames as `analysis.dissect.http3.read` gives them, and `info`."""
    return http3.read(packets).assign(info=None)


def _quic(packets: pd.DataFrame) -> pd.DataFrame:
    """Frames of QUIC as `analysis.dissect.quic.read` gives them, where a packet is lost."""
    return quic.read(packets[packets["step"] == LOST_3]).assign(info=None)


def _hellos(packets: pd.DataFrame) -> pd.DataFrame:
    """Hellos as `analysis.dissect.tls.read` gives them, and `info`."""
    found = tls.read(packets)
    found["info"] = [
        f"TLS {row['kind']} hello, ALPN {row['alpn']}" for row in found.to_dict("records")
    ]
    return found
