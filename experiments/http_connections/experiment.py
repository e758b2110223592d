"""Connections of HTTP/1: short and kept, idle and pipelined, closed, reset and abused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from analysis.dissect import http
from analysis.plots import exchanges
from testbed import (
    Action,
    LinkShape,
    Tables,
    filter_packets,
    in_order,
    nothing,
    param,
    sockets,
    steps,
    sysctl,
)
from testbed.daemons import start
from topologies.line import Line

from . import servers, talk
from .acts import Clients
from .asking import Asking
from .clients import prepare
from .crowds import MEMORY
from .lives import Lives
from .pages import Pages

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

WAYS = ("short", "kept", "parallel", "pipelined")

BREAKS: dict[str, Action] = {
    "none": nothing,
    "keep": nothing,  # see `acts`, and so on
    "close": nothing,
    "one-by-one": nothing,
    "fast-open": in_order(
        sysctl("h1", "net.ipv4.tcp_fastopen", 0x005), sysctl("h2", "net.ipv4.tcp_fastopen", 0x602)
    ),
    "long-timeout": nothing,
    "no-resets": filter_packets("r2", "forward", "tcp flags rst drop"),
    "full-close": nothing,
    "lingering": nothing,
    "few-idle": nothing,
    "with-host": nothing,
    "one-site": nothing,
    "no-expect": nothing,
    "own-connection": nothing,
    "one-length": nothing,
    "careless-proxies": nothing,
}


class HttpConnections(Pages, Lives, Asking):
    """Connections of HTTP/1: what they cost, how long they live, how they end.

    h1 fetches a page of small files from nginx on h2 over short connections, over one that is
    kept, over six at a time, and pipelined; then some large files. Other connections idle, are
    half-closed or reset, carry requests without Host, wait for 100, or have a slow request in
    front. Two hundred idle ones show what they cost the server. Three proxies on r2 get a request
    with two lengths.

    Clients: curl, and sockets for what no ordinary client does. Servers: nginx, and a web
    application (Flask behind waitress). `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(20.0, "delay of the path, one way", unit="ms", low=5, high=200)
        resources: int = param(10, "small resources of the page", low=2, high=10)
        faults: tuple[str, ...] = param(
            ("none",),
            "break something on purpose and see which claims fail",
            choices=tuple(BREAKS),
        )

    params: Parameters
    programs = ("nginx", "haproxy", "curl", "nft")

    # ---- in the network

    def topology(self) -> Line:
        """h1 and h2 in LANs of their own, two routers between them."""
        return Line(2, LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """Starts the servers, then the clients, one step after another."""
        p = self.params
        servers.write_pages(p.resources)
        for fault in p.faults:
            BREAKS[fault](net)
        start(
            net,
            {
                "h2": servers.of_server(p.faults),
                "r2": servers.of_proxies(net.address("h2"), p.faults),
            },
        )
        clients = Clients(net, p.faults, p.delay_ms)
        prepare(clients)
        net.capture(talk.CLIENT, talk.SERVER)
        all_steps = {
            **clients.pages(p.resources),
            **clients.lives(),
            **clients.requests(),
            **clients.crowds(),
            **clients.smuggling(),
        }
        steps.play(net, all_steps, quiet_s=0.5)
        net.sleep(1.0)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and messages by step; the kernel's sockets and memory."""
        tables = steps.measure(data, http.COLUMNS, {"http": talk.read})
        seen = tables["packets"]
        bare = (seen["tcp_payload_bytes"] == 0) & (seen["tcp_flags"] == talk.ACK)
        resets = (seen["tcp_flags"].fillna(0).astype(int) & talk.RST) > 0
        again = resets & seen.duplicated(["capture", "step", "tcp_sport", "tcp_dport", "tcp_flags"])
        seen["speaks"] = ~(bare.fillna(False).astype(bool) | again)
        delay_ms = data.shape("r1-eth1").delay_ms
        setting = {"rtt_s": [2 * delay_ms / 1000], "resources": [data.params.resources]}
        return {
            **tables,
            "sockets": sockets.observed(data),
            "memory": steps.json_logs(data, tables["steps"], MEMORY),
            "setting": pd.DataFrame(setting),
        }

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, str | Figure]:
        """The four ways in numbers, and ladders of some of the steps, without mere
        acknowledgements and repeated resets.

        Figures:
            1_ways: Round trips until the page is there, in each of the four ways.
            2_short: A connection for each resource; every one begins with a handshake.
            3_kept: One connection, one request after another.
            4_pipelined: All requests leave together; the responses follow each other.
            5_crossing: The request and the server's FIN cross; the server answers with a reset.
            6_hasty: The server refuses the body and closes at once; the response is cut off.
            7_expect: Headers, then 100, then the body.
            8_blocked: The quick response waits for the slow one in front of it.
            9_smuggled: What the server gets from the proxy: one request of the attacker's, then
                another one that has swallowed the victim's.
        """
        trips = {way: round(talk.round_trips(tables, way) or 0.0, 1) for way in WAYS}
        title = f"A page with {int(talk.setting(tables, 'resources'))} resources"
        found: dict[str, str | Figure] = {
            "1_ways": exchanges.bars(trips, title, "round trips"),
        }
        ladders = {
            "2_short": "short",
            "3_kept": "kept",
            "4_pipelined": "pipelined",
            "5_crossing": "crossing",
            "6_hasty": "hasty",
            "7_expect": "expect-100",
            "8_blocked": "blocked",
        }
        for name, step in ladders.items():
            found[name] = _ladder(tables, step, talk.CLIENT, "h1")
        found["9_smuggled"] = _ladder(tables, "smuggled", talk.SERVER, "r2")
        return found


def _ladder(tables: Tables, step: str, capture: str, client: str) -> str:
    return steps.ladder(
        tables, step, capture, hosts=(client, "h2"), keep=10, ip_proto=6, speaks=True
    )
