"""SYN floods, complete connections and slow requests: what fills up, and what each cure costs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from analysis import segment_words
from analysis.plots import floods as plots
from testbed import LinkShape, MissingDataError, Tables, address, crafted, param, sockets, steps
from testbed.daemons import start
from topologies.star import Star

from . import servers
from .crowd_steps import CrowdSteps
from .flooding import ROUTER, SERVER, SILENT
from .observations import ATTACKER_SIDE, CLIENT_SIDE, CROWDS, FLOODS, SERVER_SIDE
from .outcomes import Outcomes
from .source_steps import SENT, SourceSteps
from .sources import BYSTANDER_SIDE
from .stage import SHORT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

QUIET_S = 1.0
MOST_FLOOD_S = 25.0
MOST_PPS = int(crafted.MOST_PACKETS / MOST_FLOOD_S)

QUEUES = {"held": "less than half full", "pruned": "full", "few-retries": "tcp_synack_retries = 1"}
LADDERS = {
    "3_lost_acks": ("acks-lost", CLIENT_SIDE, CLIENT_SIDE),
    "4_lost_acks_cookie": ("cookies-acks-lost", CLIENT_SIDE, CLIENT_SIDE),
    "5_live": ("live", SERVER_SIDE, BYSTANDER_SIDE),
}
"""Figure → step, capture, and the other end."""

FAULTS = (
    "none",
    "answering",
    "roomy",
    "few-retries",
    "many-retries",
    "no-resets",
    "no-flood",
    "forgetful",
    "mute",
    "no-filter",
    "few-connections",
    "no-limit",
    "no-timeout",
)

_RESPONSE = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


class SynFlood(Outcomes):
    """SYN floods: what fills up, what each setting does against it, and what it costs.

    In `half-open` h3 sends SYNs to the server h2 and completes no handshake; most come from
    addresses where nobody answers. Each step has a listener of its own: the queue's length and
    how long places are held, the kernel's settings one by one, cookies, a client that the server
    knows, senders that exist, and filters. In `complete` h3 completes its handshakes, and says
    nothing or says it slowly, to Apache with a process for each connection, to nginx, and to
    HAProxy.

    All packets are counted beforehand, and stay in a guest without any way out. `faults` break
    things on purpose: see which claims fall with each.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(5.0, "one-way delay of each arm", unit="ms", low=1, high=50)
        flood_pps: int = param(200, "SYNs of the long flood", unit="1/s", low=50, high=MOST_PPS)
        flood_s: float = param(20.0, "how long it lasts", unit="s", low=10, high=MOST_FLOOD_S)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = ("nft", "ip", "curl", "apache2", "nginx", "haproxy", "setsid")
    guest_only = True

    def scenarios(self) -> Mapping[str, Parameters]:
        """Handshakes that are never completed, and connections that are."""
        return dict.fromkeys((FLOODS, CROWDS), self.params)

    # ---- in the network

    def topology(self) -> Star:
        """The client h1, the server h2, the attacker h3 and a bystander h4 around a router."""
        return Star(4, LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """All steps, one after another."""
        p = self.params
        net.exec(ROUTER, "ip", "route", "add", "blackhole", str(SILENT))
        net.capture(CLIENT_SIDE, SERVER_SIDE)
        if net.scenario == FLOODS:
            net.capture(ATTACKER_SIDE, filter=SENT)
            floods = SourceSteps(net, p.faults)
            every = floods.queue_steps(p.flood_pps, p.flood_s)
            every |= floods.cure_steps() | floods.source_steps()
        else:
            servers.write_page()
            start(net, {SERVER: servers.of_server(p.faults)})
            net.sysctl(SERVER, "net.ipv4.tcp_syncookies", 2)  # a cookie for every SYN
            every = CrowdSteps(net, p.faults).steps()
        steps.play(net, every, quiet_s=QUIET_S)
        net.sleep(QUIET_S)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets by step, results of calls, queues."""
        tables = steps.measure(data, (*sockets.SEGMENT_COLUMNS, "payload"))
        seen = segment_words.described(tables["packets"])
        seen["status"] = [_status(payload) for payload in seen.pop("payload")]
        tables["packets"] = seen
        found = {"calls": sockets.calls(data), "queue": sockets.queues(data)}
        more = {name: table for name, table in found.items() if len(table)}
        for table in more.values():
            table.insert(1, "step", steps.step_at(tables["steps"], table["time_s"]))
        return tables | more

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, str | Figure]:
        """The service in the flood, queues over time, and some exchanges as ladders.

        Figures:
            1_service: Above, the queue of half-open connections; below, a client every half second,
                with one SYN. In the flood Linux gives entries up after 7 s, and the flood takes
                their places at once; now and then a client is faster. Then half of the places are
                free, which is enough.
            2_queues: A queue that is less than half full keeps every entry for 63 s. A full one is
                pruned to half after 7 s. With one retry all are gone after 3 s.
            3_lost_acks: Without cookies: the client's acknowledgements are lost for 4 s. The server
                remembers, repeats its SYN+ACK, and greets the client in the end.
            4_lost_acks_cookie: The same with cookies in a flood: the server remembers nothing,
                repeats nothing, and the client waits in vain.
            5_live: SYNs in the name of h4, which exists: it refuses each SYN+ACK by RST.
        """
        if FLOODS not in tables.scenarios:
            return {}
        ladders: dict[str, str | Figure] = {
            name: self._ladder(tables, step, capture, others)
            for name, (step, capture, others) in LADDERS.items()
        }
        try:
            service, queues = self._service(tables), self._queues(tables)
        except MissingDataError:  # the kernel's lists are missing
            return ladders
        return {"1_service": service, "2_queues": queues, **ladders}

    def _ladder(self, tables: Tables, step: str, capture: str, other: str) -> str:
        """A step between the server and one other end."""
        ends = {address(tables, side, scenario=FLOODS) for side in (SERVER_SIDE, other)}
        return steps.ladder(tables, step, capture, scenario=FLOODS, ip_src=ends, ip_dst=ends)

    def _service(self, tables: Tables) -> Figure:
        queue, visits = self._queue(tables, "service"), self._visits(tables)
        return plots.service(queue, visits, self._flood_s(tables), SHORT + 1)

    def _queues(self, tables: Tables) -> Figure:
        return plots.queues({words: self._queue(tables, step) for step, words in QUEUES.items()})


def _status(payload: object) -> int:
    """The status of a response that begins with this segment; 0 for others."""
    found = _RESPONSE.match(payload) if isinstance(payload, bytes) else None
    return int(found[1]) if found else 0
