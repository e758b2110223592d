"""TCP congestion control on a dumbbell, each textbook sentence checked on a real kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis import bottleneck, rows, tcp_flow, throughput
from analysis.plots import congestion as draw
from analysis.plots import repetition as repeated
from testbed import (
    CONGESTION_CONTROLS,
    MSS_BYTES,
    QDISCS,
    LinkShape,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    bulk_flows,
    claim,
    near,
    param,
    plots,
)
from topologies.dumbbell import BOTTLENECK, BOTTLENECK_FAR, Dumbbell

from .rates import LOSSES_PERCENT, SETTLED_S, Rates
from .recovery import Recovery
from .window import Window

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

DATA_PORT = 40_000

LOSSY_MBPS = 50.0
"""Rate of the scenarios with random loss: what limits them is loss, and not the link."""

DURATION_S = 50.0
BEHIND_OUTAGE_S = 15.0
"""How long the sender goes on after an outage: its timer has doubled for a while."""

LONE = ("reno", "cubic", "bbr")
CODEL_TARGET_MS = 5.0
"""RFC 8289 §4.4."""


COLUMNS = tuple(
    (
        "frame wire_bytes ip_src ip_dst ip_id ip_ecn tcp_sport tcp_dport tcp_seq "
        "tcp_ack tcp_flags tcp_payload_bytes tcp_sack_count"
    ).split()
)

MOST_TRACE_MB = 400
"""A guest has 1 GB."""


class Congestion(Rates, Recovery, Window):
    """TCP congestion control: slow start, AIMD, recovery, fairness and the queue it builds.

    Senders tx1, tx2, … send to receivers rx1, rx2, … through one bottleneck between the routers
    r1 and r2. Lone flows show each algorithm at work; competing ones how they share; a blackout,
    random loss and active queue management show what happens when the path changes. The
    congestion window comes from the kernel's own event at every ACK, all else from packets.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment; the scenarios vary them."""

        cc: tuple[str, ...] = param(
            LONE, "congestion controls that compete, one flow each", choices=CONGESTION_CONTROLS
        )
        rate_mbps: float = param(10.0, "rate of the bottleneck", unit="Mbit/s", low=0.1, high=1000)
        rtt_ms: float = param(40.0, "round-trip time without queueing", unit="ms", low=1, high=2000)
        queue_bdp: float = param(
            1.0, "bottleneck buffer in bandwidth-delay products", low=0.05, high=20
        )
        qdisc: str = param("fifo", "queue discipline of the bottleneck", choices=QDISCS)
        ecn: bool = param(False, "mark instead of dropping, where the discipline supports it")
        duration_s: float = param(
            DURATION_S, "how long the first flow sends", unit="s", low=5, high=3600
        )
        stagger_s: float = param(
            10.0, "delay between the starts of consecutive flows", unit="s", low=0, high=600
        )
        loss_percent: float = param(0.0, "random loss on the wire", unit="%", low=0, high=50)
        outage_at_s: float = param(
            0.0, "when the wire goes dark (0: never)", unit="s", low=0, high=3600
        )
        outage_s: float = param(4.0, "for how long", unit="s", low=0.01, high=600)

    params: Parameters
    repeated_tables = ("goodput", "flows", "setting")

    def scenarios(self) -> Mapping[str, Parameters]:
        """One network each: those that share and those with loss are the longest, and first."""
        p = replace(self.params, outage_at_s=0.0)
        alone = replace(p, stagger_s=0.0, duration_s=self._shorter(20.0))
        lone = {cc: replace(alone, cc=(cc,)) for cc in LONE}
        some_75_losses_s = self._shorter(30.0)  # at 0.25 %
        lossy = replace(lone["reno"], rate_mbps=LOSSY_MBPS, duration_s=some_75_losses_s)
        dark_at_s = self.params.outage_at_s or 11.0  # not in a recovery
        outage = replace(
            lone["reno"],
            outage_at_s=dark_at_s,
            duration_s=max(self._shorter(30.0), dark_at_s + p.outage_s + BEHIND_OUTAGE_S),
        )
        deep = replace(lone["cubic"], queue_bdp=5.0, duration_s=self._shorter(15.0))
        return {
            "competing": self.params,
            "fair": replace(p, cc=("reno", "reno"), stagger_s=5.0),
            **{name: replace(lossy, loss_percent=x) for name, x in LOSSES_PERCENT.items()},
            **lone,
            "outage": outage,
            "fifo": replace(deep, qdisc="fifo", ecn=False),
            "fq_codel": replace(deep, qdisc="fq_codel", ecn=False),
            "ecn": replace(deep, qdisc="fq_codel", ecn=True),
        }

    def _shorter(self, usual_s: float) -> float:
        """How long a scenario lasts that is `usual_s` long with the default duration."""
        given_s = self.params.duration_s
        return min(given_s, max(usual_s, usual_s * given_s / DURATION_S))

    # ---- in the network

    def topology(self) -> Dumbbell:
        """A dumbbell whose bottleneck holds all of the round-trip time."""
        p = self.params
        back = LinkShape(rate_mbps=p.rate_mbps, delay_ms=p.rtt_ms / 2)
        ahead = replace(
            back, loss_percent=p.loss_percent, queue_bdp=p.queue_bdp, qdisc=p.qdisc, ecn=p.ecn
        )
        return Dumbbell(pairs=len(p.cc), bottleneck=ahead, back=back)

    def run(self, net: RunningNetwork) -> None:
        """Starts each flow at its time and waits for the end of all."""
        p = self.params
        numbers = range(1, len(p.cc) + 1)
        net.trace("tcp_probe", "tcp_cong_state_set", buffer_mb=self._trace_mb())
        net.capture(BOTTLENECK, BOTTLENECK_FAR, *(f"tx{i}-eth0" for i in numbers), snaplen_bytes=96)
        for i in numbers:
            net.sysctl(f"tx{i}", "net.ipv4.tcp_ecn", int(p.ecn))
            bulk_flows.receive(net, f"rx{i}")
        timeline: list[tuple[float, Callable[[], object]]] = [
            ((i - 1) * p.stagger_s, partial(self._start_flow, net, i)) for i in numbers
        ]
        if p.outage_at_s:
            dark = replace(net.shape(BOTTLENECK), loss_percent=100.0)
            timeline += [
                (p.outage_at_s, partial(net.reshape, BOTTLENECK, dark)),
                (
                    p.outage_at_s + p.outage_s,
                    partial(net.reshape, BOTTLENECK, net.shape(BOTTLENECK)),
                ),
            ]
        for time_s, action in sorted(timeline, key=lambda entry: entry[0]):
            net.sleep_until(time_s)
            action()
        net.sleep_until(p.duration_s)

    def _start_flow(self, net: RunningNetwork, i: int) -> None:
        p = self.params
        sport, seconds = DATA_PORT + i, max(1.0, p.duration_s - net.time_s)
        bulk_flows.send(
            net, f"tx{i}", net.address(f"rx{i}"), cc=p.cc[i - 1], seconds=seconds, sport=sport
        )
        net.event("flow", flow=f"tx{i}", cc=p.cc[i - 1], address=net.address(f"tx{i}"), sport=sport)

    # ---- from the run directory

    def _trace_mb(self) -> int:
        """Room for the kernel's events: some 120 bytes for each packet, and as much to spare."""
        carried_mb = self.params.rate_mbps * self.params.duration_s / 8
        return min(32 + round(carried_mb * 240 / MSS_BYTES), MOST_TRACE_MB)

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Tables of flows, windows, losses, rates and the bottleneck's queue."""
        p = self.params
        flows = list(rows(data.happened("flow")))
        leaving, far = (data.packets(c, COLUMNS) for c in (BOTTLENECK, BOTTLENECK_FAR))
        sent = {flow.flow: data.packets(f"{flow.flow}-eth0", COLUMNS) for flow in flows}
        events = (data.trace("tcp_probe"), data.trace("tcp_cong_state_set")) * data.traced
        tables = tcp_flow.collect(
            tcp_flow.measure(
                tcp_flow.Flow(f.flow, f.address, f.sport, MSS_BYTES, sent[f.flow], far, *events),
                end_s=p.duration_s,
            )
            for f in flows
        )
        sources = [f.address for f in flows]
        arriving = pd.concat(packets[packets["ip_src"].isin(sources)] for packets in sent.values())
        passed = bottleneck.passage(arriving, leaving[leaving["ip_src"].isin(sources)])
        return tables | {
            "passage": passed,
            "queue": bottleneck.queue_length(passed),
            "flows": self._flows(flows, tables["arrived"]),
            "setting": pd.DataFrame([self._setting(data.shape(BOTTLENECK))]),
        }

    def _flows(self, flows: list[Any], arrived: pd.DataFrame) -> pd.DataFrame:
        """One row a flow, with its rate once all flows run and have settled."""
        end_s = self.params.duration_s
        begin_s = max(f.time_s for f in flows) + SETTLED_S * len(flows)
        return pd.DataFrame(
            {
                "flow": f.flow,
                "cc": f.cc,
                "label": f"{f.flow} {f.cc}",
                "start_s": f.time_s,
                "goodput_mbps": throughput.rate_mbps(
                    arrived[arrived["flow"] == f.flow], "new_bytes", begin_s, end_s
                ),
            }
            for f in flows
        )

    def _setting(self, shape: LinkShape) -> dict[str, Any]:
        p = self.params
        return {
            "queue_pkts": shape.queue_limit_pkts,
            "qdisc": p.qdisc,
            "rate_mbps": p.rate_mbps,
            "rtt_ms": p.rtt_ms,
            "loss_percent": p.loss_percent,
            "duration_s": p.duration_s,
            "outage_at_s": p.outage_at_s,
            "outage_s": p.outage_s * bool(p.outage_at_s),
        }

    # ---- claims

    @claim(
        "BBR's standing queue is shorter than CUBIC's.",
        source="Cardwell et al. 2017; RFC 9438",
        scenarios=("bbr", "cubic"),
        bears_stall_s=0.002,
    )
    def bbr_queues_less(self, tables: Tables) -> Verdict:
        """Mean queue length of the lone flows, once settled."""
        mean = {s: self._mean_queue_pkts(tables, s) for s in ("bbr", "cubic")}
        return at_most(mean["bbr"], 0.7 * mean["cubic"], unit="packets on average")

    def _mean_queue_pkts(self, tables: Tables, scenario: str) -> float:
        end_s = tables.row("setting", scenario=scenario)["duration_s"]
        queue = tables.of("queue", scenario=scenario)
        return bottleneck.time_average(queue, "length_pkts", SETTLED_S, end_s)

    @claim(
        "FQ-CoDel keeps the delay in the queue near its target where FIFO fills its buffer.",
        source="RFC 8289, RFC 8290",
        scenarios=("fifo", "fq_codel"),
        bears_stall_s=0.002,
    )
    def fq_codel_keeps_delay_low(self, tables: Tables) -> Verdict:
        """Median delay under FQ-CoDel; longest queue under FIFO."""
        passed = tables.of("passage", scenario="fq_codel")
        delay_ms = passed.loc[passed["time_s"] > SETTLED_S, "delay_s"].median() * 1e3
        limit = tables.row("setting", scenario="fifo")["queue_pkts"]
        longest = tables.of("queue", scenario="fifo")["length_pkts"].max()
        return all_of(
            at_most(delay_ms, 2 * CODEL_TARGET_MS, unit="ms under FQ-CoDel"),
            near(longest, limit, abs=2, unit="packets under FIFO"),
        ).because("the longest waits under FQ-CoDel", passed.nlargest(4, "delay_s"))

    @claim(
        "With ECN the queue marks packets instead of dropping them.",
        source="RFC 3168 §5",
        scenarios=("fq_codel", "ecn"),
        bears_stall_s=0.002,
    )
    def ecn_marks_replace_drops(self, tables: Tables) -> Verdict:
        """The same network with and without ECN."""
        plain = tables.of("passage", scenario="fq_codel")
        marking = tables.of("passage", scenario="ecn")
        marked = marking[marking["marked"]]
        return all_of(
            at_least(plain["dropped"].sum(), 1, unit="drops without ECN"),
            at_most(marking["dropped"].sum(), 0, unit="drops with ECN"),
            at_least(len(marked), 1, unit="marks"),
        ).because("marked on their way", marked["out_frame"], scenario="ecn", capture=BOTTLENECK)

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure]:
        """The textbook's pictures, of those scenarios that ran.

        Figures:
            1_window: The congestion window, with the retransmissions at the bottom. Look for slow
                start, for Reno's sawtooth, for CUBIC's flat top at the old maximum, and for what a
                single drop costs.
            2_goodput: What each flow gets, their sum, and the rate of the link. Look for who gives
                way when another begins, and for whether the shares meet.
            3_queue: The queue before the bottleneck, and above it what was dropped or marked. It
                fills as the window grows; look for how much of a deep buffer FIFO fills and
                FQ-CoDel does not.
            4_delay_in_the_queue: The share of packets that waited no longer than a given time
                (logarithmic). The farther right a curve, the more of the round-trip time is
                waiting.
            5_round-trip_time: The round-trip time as TCP smooths it (srtt). The line at the bottom
                is the path without a queue: all above it is waiting.
            6_time-sequence: The blackout, segment by segment: the crosses are one segment, sent
                again after twice the time each; what climbs steeply behind it is slow start.
            7_random_loss: Goodput at four rates of random loss, both axes logarithmic. Along
                Mathis' line four times the loss halves the rate.
        """
        ran = list(tables["setting"]["scenario"])
        lone = {s: f"{s} alone" for s in LONE if s in ran}
        shared = {s: s for s in ("competing", "fair") if s in ran}
        queues = {s: s for s in (*LONE, "fifo", "fq_codel", "ecn") if s in ran}
        drawn: dict[str, Figure] = {}
        if "cwnd" in tables and (windows := lone | self._blackout_title(tables)):
            if "bbr" in windows:
                windows["bbr"] = "bbr alone (it has no ssthresh; the dips are its ProbeRTT)"
            drawn["1_window"] = plots.window(tables, windows, without_phases=("bbr",))
        if shared:
            drawn["2_goodput"] = plots.throughput(tables, shared)
        if queues:
            drawn["3_queue"] = draw.queue(
                tables["queue"], tables["passage"], tables["setting"], queues
            )
            drawn["4_delay_in_the_queue"] = draw.delays(tables["passage"], queues, CODEL_TARGET_MS)
        if "cwnd" in tables and lone:
            drawn["5_round-trip_time"] = draw.round_trip(tables["cwnd"], tables["setting"], lone)
        if "outage" in ran:
            drawn["6_time-sequence"] = self._blackout(tables)
        if "cwnd" in tables and set(LOSSES_PERCENT) <= set(ran):
            drawn["7_random_loss"] = draw.mathis(self._mathis_points(tables))
        return drawn

    def plot_repeated(self, tables: Tables) -> dict[str, Figure]:
        """Goodput of the flows that share the bottleneck, with its band over the seeds.

        Figures:
            1_goodput: The mean goodput of each flow over all seeds; the band is its 95 % confidence
                interval. Where bands stay apart, the difference is more than chance.
        """
        drawn: dict[str, Figure] = {}
        if not set(self.repeated_tables) <= set(tables):
            return drawn
        for scenario in ("competing", "fair"):
            rates = tables["goodput"][tables["goodput"]["scenario"] == scenario]
            flows = tables["flows"][tables["flows"]["scenario"] == scenario]
            if len(rates):
                labels = dict(zip(flows["flow"], flows["label"], strict=True))
                rate_mbps = tables.row("setting", scenario=scenario)["rate_mbps"]
                drawn[f"1_goodput_{scenario}"] = repeated.goodput(
                    rates, labels, scenario, rate_mbps
                )
        return drawn

    def _blackout_title(self, tables: Tables) -> dict[str, str]:
        setting = tables["setting"].set_index("scenario")
        if "outage" not in setting.index:
            return {}
        start_s, dark_s = map(float, setting.loc["outage", ["outage_at_s", "outage_s"]])
        return {"outage": f"reno, the wire dark from {start_s:g} s to {start_s + dark_s:g} s"}

    def _blackout(self, tables: Tables) -> Figure:
        start_s = tables.row("setting", scenario="outage")["outage_at_s"]
        acks = tables.of("acks", scenario="outage")
        again_s = acks.loc[acks["time_s"] > start_s + 1, "time_s"].min()
        return draw.time_sequence(
            tables.of("segments", scenario="outage"),
            acks,
            start_s - 0.5,
            start_s + 10 if np.isnan(again_s) else again_s + 1.0,  # NaN: no ACK ever came
            "Blackout: the same segment again and again, twice as late each time",
        )
