"""A queue delays only those behind it: every kind of node between, every kind of link."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import rows, tcp_flow, trains
from analysis.plots import fidelity as plots
from testbed import (
    MSS_BYTES,
    Experiment,
    LinkShape,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_most,
    bulk_flows,
    claim,
    near,
    param,
    programs,
)
from topologies.middle import KINDS, Middle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

RATE_MBPS, QUEUE_PKTS = 10.0, 100
QUEUED = LinkShape(rate_mbps=RATE_MBPS, queue_pkts=QUEUE_PKTS)
FIRST = {"plain": LinkShape(), "shaped": LinkShape(rate_mbps=100, delay_ms=1)}
OWN = "own"
"""The scenario whose queue is at the sender's own interface."""

FULL_BYTES = 1472
"""UDP payload of a full frame."""

FRAME_NS = trains.frame_ns(trains.frame_bytes(FULL_BYTES), RATE_MBPS)
UDP_PKTS = 600
UDP_GAP_NS = round(FRAME_NS / 2)
"""The sender offers twice the queue's rate."""

SPORT = 40_000
TCP_S = 8.0
"""Slow start overflows the queue at once; congestion avoidance fills it again within 5 s."""

TCP_COLUMNS = tuple(
    (
        "frame wire_bytes ip_src ip_dst ip_id tcp_sport tcp_dport tcp_seq tcp_ack tcp_flags "
        "tcp_payload_bytes tcp_sack_count"
    ).split()
)

TARGETS = {
    "virtual": {"lost_pkts": 2.0, "delay_ms": 1.3, "segments": 4.0},
    "real": {"lost_pkts": 12.0, "delay_ms": 6.0, "segments": 8.0},
}
"""How far from the formula a run may be, by the clock: on the virtual one, a frame and a round."""

_BEARS_S = {
    "lost_pkts": TARGETS["real"]["lost_pkts"] * FRAME_NS / 1e9,
    "delay_ms": TARGETS["real"]["delay_ms"] / 1e3,
    "segments": TARGETS["real"]["segments"] * FRAME_NS / 1e9,
}
"""The stall of the real clock's host that moves each as far: the queue sends nothing meanwhile."""

OWN_DELAY_SHARE = 0.2
"""TCP Small Queues keep some milliseconds of data in the sender's own queue, whatever its room."""


class FidelityNodes(Experiment):
    """A queue delays only those behind it: every kind of node between, every kind of link.

    A sender, a node and a receiver; the node's link to the receiver has 10 Mbit/s and a queue of
    100 packets. The node is a router, a Linux bridge or Open vSwitch, the sender's link to it plain
    or shaped: what UDP loses, and how TCP's round-trip time and window grow, must follow the queue,
    not the kind of node. At last the same queue is at the sender's own interface, where it must
    hold the sender back, as on any host.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment; the scenarios vary them."""

        kind: str = param("router", "node between sender and receiver", choices=KINDS)
        first: str = param("plain", "the sender's link", choices=(*FIRST, OWN))

    params: Parameters

    def scenarios(self) -> Mapping[str, Parameters]:
        """One network for each kind of node and of first link."""
        found = {
            f"{kind}-{first}": replace(self.params, kind=kind, first=first)
            for kind in KINDS
            for first in FIRST
        }
        return found | {OWN: replace(self.params, first=OWN)}

    # ---- in the network

    def topology(self) -> Middle:
        """Sender, node and receiver."""
        if self.params.first == OWN:
            return Middle(kind=self.params.kind, first=QUEUED, second=LinkShape())
        return Middle(kind=self.params.kind, first=FIRST[self.params.first], second=QUEUED)

    def run(self, net: RunningNetwork) -> None:
        """Datagrams at twice the queue's rate, then one TCP flow."""
        net.trace("tcp_probe", "tcp_cong_state_set")
        net.capture("tx-eth0", "rx-eth0", snaplen_bytes=96, filter="udp or tcp or arp")
        address = net.address("rx")
        sink = net.start("rx", *programs.argv("train", "sink"), log="sink")
        to = {"address": address, "size_bytes": FULL_BYTES, "buffer_bytes": 0, "then_s": 1.0}
        plan = [to | {"count": 1, "gap_ns": 0}, to | {"count": UDP_PKTS, "gap_ns": UDP_GAP_NS}]
        net.exec("tx", *programs.argv("train", json.dumps(plan)), log="trains")
        sink.stop()
        receiver = bulk_flows.receive(net, "rx")
        net.event("flow", address=net.address("tx"), sport=SPORT)
        bulk_flows.send(net, "tx", address, cc="reno", seconds=TCP_S, sport=SPORT).check(60)
        receiver.check(60)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """The train's and the flow's packets, and one row of what counts."""
        train, flow = self._train(data), self._flow(data)
        lone = flow["reductions"].iloc[1:]  # the first ends slow start, which overshoots
        held = lone["flight_before"] if len(lone) else flow["cwnd"]["flight_segments"]
        node = {
            "kind": self.params.kind,
            "first": self.params.first,
            "clock": data.clock_kind,
            "lost_pkts": int(train["arrived_ns"].isna().sum()),
            "delay_ms": self._longest_delay_ms(data),
            "segments": float(held.max()),
            "srtt_ms": float(flow["cwnd"]["srtt_ms"].max()),
        }
        return {"train": train, "cwnd": flow["cwnd"], "nodes": pd.DataFrame([node])}

    def _train(self, data: ScenarioData) -> pd.DataFrame:
        """Datagrams with the time at which the program was to send each."""
        *_, line = ["", *data.log("trains").splitlines()]
        if not line:
            raise MissingDataError("the program reported no train")
        row = json.loads(line)
        left, arrived = (data.packets(c, trains.COLUMNS) for c in ("tx-eth0", "rx-eth0"))
        first = trains.first_id(left, row["sport"])
        if first is None:
            raise MissingDataError("no packet of the train left the sender")
        seen = [trains.seen(c, row["sport"], first, data.t0_ns) for c in (left, arrived)]
        due_ns = row["sent_ns"][0] - data.t0_ns + UDP_GAP_NS * np.arange(UDP_PKTS)
        return trains.passage(due_ns, *seen)

    def _flow(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        [flow] = rows(data.happened("flow"))
        left, arrived = (data.packets(c, TCP_COLUMNS) for c in ("tx-eth0", "rx-eth0"))
        events = data.trace("tcp_probe"), data.trace("tcp_cong_state_set")
        return tcp_flow.measure(
            tcp_flow.Flow("tx", flow.address, flow.sport, MSS_BYTES, left, arrived, *events),
            end_s=float(left["time_s"].max()),
        )

    def _longest_delay_ms(self, data: ScenarioData) -> float:
        """Of the TCP packets between the two hosts' interfaces; NaN if each met a long stall."""
        key = ["tcp_seq", "ip_id"]
        left, arrived = (data.packets(c, TCP_COLUMNS) for c in ("tx-eth0", "rx-eth0"))
        sent = left[(left["tcp_sport"] == SPORT) & (left["tcp_payload_bytes"] > 0)]
        both = sent.merge(arrived[arrived["tcp_sport"] == SPORT], on=key, suffixes=("", "_there"))
        since_ns = [both[c] - data.t0_ns for c in ("time_ns", "time_ns_there")]
        kept = trains.stalls_met_us(data.stalls(), *since_ns) <= _BEARS_S["delay_ms"] * 1e6
        return float((since_ns[1] - since_ns[0])[kept].astype(float).max()) / 1e6

    # ---- claims

    def _nodes(self, tables: Tables) -> pd.DataFrame:
        """The scenarios whose queue is the node's."""
        found = tables.of("nodes")
        return found[found["first"] != OWN]

    @claim(
        "At twice a queue's rate UDP loses what the queue cannot hold, whatever node it is in.",
        source="queueing theory: a drop-tail queue",
        bears_stall_s=_BEARS_S["lost_pkts"],
    )
    def udp_loss_is_the_queues(self, tables: Tables) -> Verdict:
        """Datagrams lost of those a program was to send, against an ideal queue."""
        return self._each_node(tables, "lost_pkts", lambda _: _expected_lost_pkts(), "packets lost")

    @claim(
        "TCP fills a queue to its end, whatever node it is in: the longest delay is that of a full "
        "queue.",
        source="RFC 5681; Kurose & Ross §1.4",
        bears_stall_s=_BEARS_S["delay_ms"],
    )
    def tcp_delay_is_the_queues(self, tables: Tables) -> Verdict:
        """The longest way of a data packet that met no long stall of the host."""
        return self._each_node(tables, "delay_ms", _expected_delay_ms, "ms at most")

    @claim(
        "TCP's window grows to what path and queue hold, whatever node the queue is in.",
        source="RFC 5681 §3.1",
        bears_stall_s=_BEARS_S["segments"],
    )
    def tcp_window_is_the_queues(self, tables: Tables) -> Verdict:
        """Most data in flight at a loss in congestion avoidance."""
        return self._each_node(tables, "segments", _expected_segments, "segments")

    @claim(
        "The queue at a sender's own interface holds it back: UDP waits, TCP keeps it short.",
        source="Linux: SO_SNDBUF, TCP Small Queues",
        scenarios=(OWN,),
        bears_stall_s=_BEARS_S["delay_ms"],
    )
    def own_queue_pushes_back(self, tables: Tables) -> Verdict:
        """Nothing is lost at twice the rate; TCP's round-trip time is far from a full queue's."""
        found = tables.of("nodes", scenario=OWN)
        row, full_ms = found.iloc[0], QUEUE_PKTS * FRAME_NS / 1e6
        return all_of(
            near(row["lost_pkts"], 0, abs=0, unit="packets lost"),
            at_most(row["srtt_ms"], OWN_DELAY_SHARE * full_ms, unit="ms of round-trip time"),
        ).because("the sender", found, scenario=OWN)

    def _each_node(
        self, tables: Tables, column: str, expected: Callable[[str], float], unit: str
    ) -> Verdict:
        """What was measured with each node and link, against the formula for that first link."""
        found = self._nodes(tables)
        verdict = all_of(
            *(
                near(
                    getattr(row, column),
                    expected(row.first),
                    abs=TARGETS[row.clock][column],
                    unit=f"{unit} ({row.scenario})",
                )
                for row in rows(found)
            )
        )
        for scenario, mine in found.groupby("scenario", sort=False):
            verdict = verdict.because("node and link", mine, scenario=str(scenario))
        return verdict

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure]:
        """What TCP's window does behind each kind of node.

        Figures:
            1_windows: TCP's window behind a router, a bridge and Open vSwitch, and the most that
                path and queue hold (dashed). The three must look alike.
        """
        return {"1_windows": plots.windows(tables["cwnd"], _expected_segments("plain"))}


# ---- helpers


def _expected_lost_pkts() -> int:
    """Of an ideal queue that is offered the train."""
    arriving = [i * UDP_GAP_NS for i in range(UDP_PKTS)]
    return int(np.isnan(trains.ideal_fifo(arriving, FRAME_NS, QUEUE_PKTS)).sum())


def _way_ms(first: str) -> float:
    """Of a frame over the first link, without waiting."""
    shape = FIRST[first]
    frame = trains.frame_bytes(FULL_BYTES)
    return shape.delay_ms + (
        trains.frame_ns(frame, shape.rate_mbps) / 1e6 if shape.rate_mbps else 0
    )


def _expected_delay_ms(first: str) -> float:
    """One packet in transmission and a full queue before the last one's own transmission."""
    return _way_ms(first) + (QUEUE_PKTS + 1) * FRAME_NS / 1e6


def _expected_segments(first: str) -> float:
    """A full queue, one in transmission, and what the first link holds of the rate."""
    return QUEUE_PKTS + 1 + _way_ms(first) * 1e6 / FRAME_NS
