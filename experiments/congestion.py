"""TCP congestion control on a dumbbell, each textbook sentence checked on a real kernel."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis import bottleneck, cwnd, rows, tcp_flow, throughput
from analysis.plots import congestion as plots
from analysis.plots import repetition as repeated
from testbed import bulk
from testbed.claims import (
    MissingDataError,
    Verdict,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    near,
)
from testbed.evidence import in_packets, in_rows
from testbed.experiment import Experiment, Tables
from testbed.parameters import param
from testbed.shape import QDISCS, LinkShape
from testbed.tcp import CONGESTION_CONTROLS, MSS_BYTES
from topologies.dumbbell import BOTTLENECK, BOTTLENECK_FAR, Dumbbell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed.data import ScenarioData
    from testbed.lab import Lab

DATA_PORT = 40_000
SETTLED_S = 5.0
"""From here on a lone flow is past its first loss; rates are measured behind it."""

LOSSES_PERCENT = {"loss-0.25": 0.25, "loss-0.5": 0.5, "loss-1": 1.0, "loss-2": 2.0}
LONE = ("reno", "cubic", "bbr")
CODEL_TARGET_MS = 5.0
"""RFC 8289 §4.4."""

MATHIS_C = 1.22
"""√(3/2): Mathis et al.'s constant where the receiver's delayed ACKs cost no growth (Linux counts
acknowledged segments, RFC 3465)."""

MIN_RTO_S = 0.2
"""Linux's smallest retransmission timeout beyond the smoothed RTT."""

COLUMNS = (
    "frame", "wire_bytes", "ip_src", "ip_dst", "ip_id", "ip_ecn", "tcp_sport", "tcp_dport",
    "tcp_seq", "tcp_ack", "tcp_flags", "tcp_payload_bytes", "tcp_sack_count",
)  # fmt: skip

MOST_TRACE_MB = 400
"""A guest has 1 GB."""


class Congestion(Experiment):
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
        ecn: bool = param(False, "mark instead of drop where the discipline can")
        duration_s: float = param(50.0, "how long the first flow sends", unit="s", low=5, high=3600)
        stagger_s: float = param(
            10.0, "delay of each flow behind the one before", unit="s", low=0, high=600
        )
        loss_percent: float = param(0.0, "random loss on the wire", unit="%", low=0, high=50)
        outage_at_s: float = param(
            0.0, "when the wire goes dark (0: never)", unit="s", low=0, high=3600
        )
        outage_s: float = param(4.0, "for how long", unit="s", low=0.01, high=600)

    params: Parameters
    repeated_tables = ("goodput", "flows")

    def scenarios(self) -> Mapping[str, Parameters]:
        """One network each: those that share and those with loss are the longest, and first."""
        p = self.params
        alone = replace(p, stagger_s=0.0, duration_s=min(p.duration_s, 20.0))
        lone = {cc: replace(alone, cc=(cc,)) for cc in LONE}
        deep = replace(lone["cubic"], queue_bdp=5.0, duration_s=min(p.duration_s, 15.0))
        longer_s = min(p.duration_s, 30.0)  # some 75 losses at 0.25 %
        lossy = replace(lone["reno"], rate_mbps=max(p.rate_mbps, 50.0), duration_s=longer_s)
        return {
            "competing": p,
            "fair": replace(p, cc=("reno", "reno"), stagger_s=5.0),
            **{name: replace(lossy, loss_percent=x) for name, x in LOSSES_PERCENT.items()},
            **lone,
            # not in a recovery
            "outage": replace(lone["reno"], outage_at_s=11.0, duration_s=longer_s),
            "fifo": deep,
            "fq_codel": replace(deep, qdisc="fq_codel"),
            "ecn": replace(deep, qdisc="fq_codel", ecn=True),
        }

    # ---- in the network

    def topology(self) -> Dumbbell:
        """A dumbbell whose bottleneck holds all of the round-trip time."""
        p = self.params
        back = LinkShape(rate_mbps=p.rate_mbps, delay_ms=p.rtt_ms / 2)
        ahead = replace(
            back, loss_percent=p.loss_percent, queue_bdp=p.queue_bdp, qdisc=p.qdisc, ecn=p.ecn
        )
        return Dumbbell(pairs=len(p.cc), bottleneck=ahead, back=back)

    def run(self, lab: Lab) -> None:
        """Starts each flow at its time and waits for the end of all."""
        p = self.params
        numbers = range(1, len(p.cc) + 1)
        lab.trace("tcp_probe", "tcp_cong_state_set", buffer_mb=self._trace_mb())
        lab.capture(BOTTLENECK, BOTTLENECK_FAR, *(f"tx{i}-eth0" for i in numbers), snaplen_bytes=96)
        for i in numbers:
            lab.sysctl(f"tx{i}", "net.ipv4.tcp_ecn", int(p.ecn))
            bulk.receive(lab, f"rx{i}")
        timeline: list[tuple[float, Callable[[], object]]] = [
            ((i - 1) * p.stagger_s, partial(self._start_flow, lab, i)) for i in numbers
        ]
        if p.outage_at_s:
            dark = replace(lab.shape(BOTTLENECK), loss_percent=100.0)
            timeline += [
                (p.outage_at_s, partial(lab.reshape, BOTTLENECK, dark)),
                (
                    p.outage_at_s + p.outage_s,
                    partial(lab.reshape, BOTTLENECK, lab.shape(BOTTLENECK)),
                ),
            ]
        for time_s, action in sorted(timeline, key=lambda entry: entry[0]):
            lab.sleep_until(time_s)
            action()
        lab.sleep_until(p.duration_s)

    def _start_flow(self, lab: Lab, i: int) -> None:
        p = self.params
        sport, seconds = DATA_PORT + i, max(1.0, p.duration_s - lab.time_s)
        bulk.send(
            lab, f"tx{i}", lab.address(f"rx{i}"),
            cc=p.cc[i - 1], seconds=seconds, sport=sport,
        )  # fmt: skip
        lab.event("flow", flow=f"tx{i}", cc=p.cc[i - 1], address=lab.address(f"tx{i}"), sport=sport)

    # ---- from the run directory

    def _trace_mb(self) -> int:
        """Room for the kernel's events: some 120 bytes for each packet, and as much to spare."""
        carried_mb = self.params.rate_mbps * self.params.duration_s / 8
        return min(32 + round(carried_mb * 240 / MSS_BYTES), MOST_TRACE_MB)

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Tables of flows, windows, losses, rates and the bottleneck's queue."""
        p = self.params
        flows = list(rows(data.events("flow")))
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
            "setting": pd.DataFrame([self._setting()]),
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

    def _setting(self) -> dict[str, Any]:
        p = self.params
        shape = self.topology().bottleneck
        return {
            "queue_pkts": shape.queue_limit_pkts, "qdisc": p.qdisc, "rate_mbps": p.rate_mbps,
            "rtt_ms": p.rtt_ms, "loss_percent": p.loss_percent, "duration_s": p.duration_s,
            "outage_at_s": p.outage_at_s, "outage_s": p.outage_s * bool(p.outage_at_s),
        }  # fmt: skip

    # ---- claims

    @claim(
        "Slow start doubles the congestion window every round-trip time, until loss or ssthresh.",
        source="RFC 5681 §3.1",
        scenarios=("reno",),
    )
    def slow_start_doubles(self, tables: Tables) -> Verdict:
        """Every whole round before the first reduction."""
        loss_s = tables.of("reductions", scenario="reno")["time_s"].iloc[0]
        rounds = tables.of("rounds", scenario="reno")
        rounds = rounds[rounds["calm"] & rounds["full"] & (rounds["end_s"] <= loss_s)]
        if len(rounds) < 2:
            raise MissingDataError(f"only {len(rounds)} whole rounds before the first loss")
        factors = rounds["growth_factor"]
        return all_of([near(f, 2.0, rel=0.1, unit="times per RTT") for f in factors]).because(
            in_rows("rounds of slow start", "reno", rounds)
        )

    @claim(
        "In congestion avoidance Reno's window grows by about one segment per round-trip time.",
        source="RFC 5681 §3.1",
        scenarios=("reno",),
    )
    def congestion_avoidance_adds_one(self, tables: Tables) -> Verdict:
        """Mean growth over all calm rounds at or above ssthresh."""
        rounds = tables.of("rounds", scenario="reno")
        rounds = rounds[rounds["calm"] & (rounds["cwnd_segments"] >= rounds["ssthresh_segments"])]
        if len(rounds) < 10:
            raise MissingDataError(f"only {len(rounds)} rounds of congestion avoidance")
        return near(
            rounds["growth_segments"].mean(), 1.0, rel=0.1, unit="segments per RTT"
        ).because(in_rows("rounds of congestion avoidance", "reno", rounds))

    @claim(
        "On loss Reno sets ssthresh to half of the data in flight (at least 2 segments).",
        source="RFC 5681 §3.1 (4)",
        scenarios=("reno",),
    )
    def reno_halves(self, tables: Tables) -> Verdict:
        """Every fast recovery of the lone Reno flow."""
        return self._ssthresh_after_loss(tables, "reno", 0.5)

    @claim(
        "On loss CUBIC sets ssthresh to 0.7 of the congestion window.",
        source="RFC 9438 §4.6",
        scenarios=("cubic",),
    )
    def cubic_keeps_seven_tenths(self, tables: Tables) -> Verdict:
        """Every fast recovery of the lone CUBIC flow."""
        return self._ssthresh_after_loss(tables, "cubic", 0.7)

    def _ssthresh_after_loss(self, tables: Tables, scenario: str, factor: float) -> Verdict:
        losses = tables.of("reductions", scenario=scenario, state="Recovery")
        return all_of(
            [
                near(
                    float(loss.ssthresh_after),
                    max(2.0, factor * loss.cwnd_before),
                    abs=1.0,
                    unit="segments",
                )
                for loss in rows(losses.dropna(subset=["ssthresh_after"]))
            ]
        ).because(in_rows("each fast recovery", scenario, losses))

    @claim(
        "Three duplicate ACKs bring a fast retransmission, well before the timer would.",
        source="RFC 5681 §3.2",
        scenarios=("reno",),
    )
    def three_duplicate_acks(self, tables: Tables) -> Verdict:
        """The first retransmission of each fast recovery, in the sender's capture."""
        losses = tables.of("reductions", scenario="reno", state="Recovery")
        resent = tables.of("retransmissions", scenario="reno", kind="fast")
        firsts = cwnd.first_retransmissions(losses, resent)
        srtt_s = tables.of("cwnd", scenario="reno")["srtt_ms"].max() / 1e3
        return all_of(
            [
                all_of(
                    [
                        at_least(row.duplicate_acks, 3, unit="duplicates of an ACK"),
                        at_most(row.waited_s, srtt_s + MIN_RTO_S, unit="s after it was sent"),
                    ]
                )
                for row in rows(firsts)
            ]
        ).because(in_packets("fast retransmissions", "reno", "tx1-eth0", firsts["frame"]))

    @claim(
        "After fast recovery the sender goes on in congestion avoidance, not in slow start.",
        source="RFC 5681 §3.2 (6)",
        scenarios=("reno",),
    )
    def recovery_ends_in_congestion_avoidance(self, tables: Tables) -> Verdict:
        """The window at the end of each recovery, and its growth in the round behind it."""
        losses = tables.of("reductions", scenario="reno", state="Recovery")
        losses = losses.dropna(subset=["cwnd_after"])
        # never set is infinite: whoever leaves recovery below it is in slow start
        ssthresh = losses["ssthresh_after"].astype("Float64").fillna(math.inf)
        losses = losses.assign(ssthresh_after=ssthresh)
        rounds = tables.of("rounds", scenario="reno")
        windows, growths = [], []
        for loss in rows(losses):
            after = rounds[rounds["calm"] & (rounds["start_s"] >= loss.end_s)].head(1)
            windows += [near(float(loss.cwnd_after), float(loss.ssthresh_after), abs=2.0,
                             unit="segments cwnd")]  # fmt: skip
            growths += [at_most(g, 2, unit="segments more in the next RTT")
                        for g in after["growth_segments"]]  # fmt: skip
        if not growths:
            raise MissingDataError("no calm round-trip time behind a recovery")
        return all_of([*windows, *growths]).because(in_rows("each fast recovery", "reno", losses))

    @claim(
        "A timeout takes the window to one segment and ssthresh to half; slow start begins again.",
        source="RFC 5681 §3.1, RFC 6298 §5",
        scenarios=("outage",),
    )
    def timeout_starts_again(self, tables: Tables) -> Verdict:
        """The blackout's timeout; then each segment acknowledged adds one to the window."""
        losses = tables.of("reductions", scenario="outage", state="Loss")
        loss = losses.iloc[0]
        last = losses[losses["end_s"] == loss["end_s"]]["time_s"].max()  # it expired several times
        series = tables.of("cwnd", scenario="outage")
        behind = series[(series["time_s"] > last) & (series["time_s"] < loss["end_s"])]
        again = behind[behind["cwnd_segments"].between(2, loss["ssthresh_after"] - 1)]
        if len(again) < 2:
            raise MissingDataError("no acknowledgements between the timeout and ssthresh")
        grown = float(again["cwnd_segments"].iloc[-1] - again["cwnd_segments"].iloc[0])
        acked = float(again["una_bytes"].iloc[-1] - again["una_bytes"].iloc[0]) / MSS_BYTES
        return all_of(
            [
                near(loss["cwnd_first"], 1.0, abs=0.0, unit="segment after the timeout"),
                near(
                    float(loss["ssthresh_after"]),
                    max(2.0, loss["cwnd_before"] / 2),
                    abs=1.0,
                    unit="segments ssthresh",
                ),
                near(grown / acked, 1.0, rel=0.1, unit="segments a segment acknowledged"),
            ]
        ).because(
            in_rows("the timeout", "outage", losses),
            in_rows("the window behind it", "outage", again),
        )

    @claim(
        "The retransmission timer doubles each time it expires for the same segment.",
        source="RFC 6298 §5.5",
        scenarios=("outage",),
    )
    def timer_doubles(self, tables: Tables) -> Verdict:
        """Gaps between repeated transmissions of one segment while the wire is dark."""
        repeated = tables.of("retransmissions", scenario="outage", kind="timeout")
        setting = tables.of("setting", scenario="outage").iloc[0]
        dark_until_s = setting["outage_at_s"] + setting["outage_s"]
        first = repeated["seq_bytes"].iloc[0]
        same = repeated[(repeated["seq_bytes"] == first) & (repeated["time_s"] <= dark_until_s + 8)]
        gaps = same["time_s"].diff().dropna()
        if len(gaps) < 2:
            raise MissingDataError(f"only {len(same)} expiries for one segment; longer outage_s")
        return all_of(
            [near(f, 2.0, rel=0.1, unit="times") for f in (gaps / gaps.shift()).dropna()]
        ).because(in_packets("the segment, again and again", "outage", "tx1-eth0", same["frame"]))

    @claim(
        "A lone flow's goodput is the bottleneck's rate less the headers.",
        source="RFC 5681, RFC 9293; 1448 of 1514 bytes",
        scenarios=("reno", "cubic"),
    )
    def lone_flow_fills_the_bottleneck(self, tables: Tables) -> Verdict:
        """Reno and CUBIC, each alone, once settled."""
        verdicts = []
        for scenario in ("reno", "cubic"):
            rate = tables.of("setting", scenario=scenario)["rate_mbps"].iloc[0]
            goodput = tables.of("flows", scenario=scenario)["goodput_mbps"].iloc[0]
            share = throughput.goodput_share(MSS_BYTES)
            verdicts.append(near(goodput, rate * share, rel=0.02, unit=f"Mbit/s {scenario}"))
        return all_of(verdicts)

    @claim(
        "Two flows of the same kind share the bottleneck equally.",
        source="Chiu & Jain 1989",
        scenarios=("fair",),
    )
    def like_flows_share(self, tables: Tables) -> Verdict:
        """Jain's index over the goodputs, once both have settled."""
        flows = tables.of("flows", scenario="fair")
        return at_least(throughput.jain(list(flows["goodput_mbps"])), 0.95, unit="Jain's index")

    @claim(
        "Under random loss p Reno's rate falls as 1/√p.",
        source="Mathis et al. 1997",
        scenarios=tuple(LOSSES_PERCENT),
    )
    def mathis_law(self, tables: Tables) -> Verdict:
        """Slope over the loss rates, and the constant at each of them."""
        points = self._mathis_points(tables)
        slope = np.polyfit(np.log(points["loss"]), np.log(points["goodput_mbps"]), 1)[0]
        ratio = points["goodput_mbps"] / points["mathis_mbps"]
        return all_of(
            [
                near(float(slope), -0.5, abs=0.1, unit="power of p"),
                *[between(r, 0.7, 1.3, unit="of Mathis' rate") for r in ratio],
            ]
        ).because(in_rows("rate at each loss", "", points))

    def _mathis_points(self, tables: Tables) -> pd.DataFrame:
        points = []
        for scenario in LOSSES_PERCENT:
            setting = tables.of("setting", scenario=scenario).iloc[0]
            sent = tables.of("segments", scenario=scenario)
            sent = sent[sent["time_s"] > SETTLED_S]
            loss = sent["retransmission"].mean()
            srtt_s = tables.of("cwnd", scenario=scenario)["srtt_ms"].median() / 1e3
            points.append(
                {
                    "loss": loss,
                    "configured": setting["loss_percent"] / 100,
                    "goodput_mbps": tables.of("flows", scenario=scenario)["goodput_mbps"].iloc[0],
                    "mathis_mbps": MSS_BYTES * 8 / srtt_s * MATHIS_C / np.sqrt(loss) / 1e6,
                }
            )
        return pd.DataFrame(points)

    @claim(
        "BBR's standing queue is shorter than CUBIC's.",
        source="Cardwell et al. 2017; RFC 9438",
        scenarios=("bbr", "cubic"),
    )
    def bbr_queues_less(self, tables: Tables) -> Verdict:
        """Mean queue length of the lone flows, once settled."""
        mean = {s: self._mean_queue_pkts(tables, s) for s in ("bbr", "cubic")}
        return at_most(mean["bbr"], 0.7 * mean["cubic"], unit="packets on average")

    def _mean_queue_pkts(self, tables: Tables, scenario: str) -> float:
        end_s = tables.of("setting", scenario=scenario)["duration_s"].iloc[0]
        queue = tables.of("queue", scenario=scenario)
        return bottleneck.time_average(queue, "length_pkts", SETTLED_S, end_s)

    @claim(
        "FQ-CoDel keeps the delay in the queue near its target where FIFO fills its buffer.",
        source="RFC 8289, RFC 8290",
        scenarios=("fifo", "fq_codel"),
    )
    def fq_codel_keeps_delay_low(self, tables: Tables) -> Verdict:
        """Median delay under FQ-CoDel; longest queue under FIFO."""
        passed = tables.of("passage", scenario="fq_codel")
        delay_ms = passed.loc[passed["time_s"] > SETTLED_S, "delay_s"].median() * 1e3
        limit = tables.of("setting", scenario="fifo")["queue_pkts"].iloc[0]
        longest = tables.of("queue", scenario="fifo")["length_pkts"].max()
        return all_of(
            [
                at_most(delay_ms, 2 * CODEL_TARGET_MS, unit="ms under FQ-CoDel"),
                near(longest, limit, abs=2, unit="packets under FIFO"),
            ]
        )

    @claim(
        "With ECN the queue marks packets instead of dropping them.",
        source="RFC 3168 §5",
        scenarios=("fq_codel", "ecn"),
    )
    def ecn_marks_replace_drops(self, tables: Tables) -> Verdict:
        """The same network with and without ECN."""
        plain = tables.of("passage", scenario="fq_codel")
        marking = tables.of("passage", scenario="ecn")
        marked = marking[marking["marked"]]
        return all_of(
            [
                at_least(plain["dropped"].sum(), 1, unit="drops without ECN"),
                at_most(marking["dropped"].sum(), 0, unit="drops with ECN"),
                at_least(len(marked), 1, unit="marks"),
            ]
        ).because(in_packets("marked on their way", "ecn", BOTTLENECK, marked["out_frame"]))

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure]:
        """The textbook's pictures, of those scenarios that ran.

        Figures:
            1_window: The congestion window, with the retransmissions at the bottom. Look for slow
                start, for Reno's sawtooth, for CUBIC's flat top at the old maximum, and for what a
                single drop costs.
            2_goodput: What each flow gets, and the sum. Look for who gives way when another begins,
                and for whether the shares meet.
            3_queue: The queue before the bottleneck, and above it what was dropped or marked. It
                fills as the window grows; look for how much of a deep buffer FIFO fills and
                FQ-CoDel does not.
            4_delay_in_the_queue: The share of packets that waited no longer than so many ms
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
            phases = tables["phases"]
            if "bbr" in windows:
                windows["bbr"] = "bbr alone (it has no ssthresh; the dips are its ProbeRTT)"
            drawn["1_window"] = plots.window(
                tables["cwnd"],
                phases[phases["scenario"] != "bbr"],
                tables["retransmissions"],
                windows,
            )
        if shared:
            drawn["2_goodput"] = plots.goodput(tables["goodput"], tables["flows"], shared)
        if queues:
            drawn["3_queue"] = plots.queue(
                tables["queue"], tables["passage"], tables["setting"], queues
            )
            drawn["4_delay_in_the_queue"] = plots.delays(tables["passage"], queues, CODEL_TARGET_MS)
        if "cwnd" in tables and lone:
            drawn["5_round-trip_time"] = plots.round_trip(tables["cwnd"], tables["setting"], lone)
        if "outage" in ran:
            drawn["6_time-sequence"] = self._blackout(tables)
        if "cwnd" in tables and set(LOSSES_PERCENT) <= set(ran):
            drawn["7_random_loss"] = plots.mathis(self._mathis_points(tables))
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
                drawn[f"1_goodput_{scenario}"] = repeated.goodput(rates, labels, scenario)
        return drawn

    def _blackout_title(self, tables: Tables) -> dict[str, str]:
        setting = tables["setting"].set_index("scenario")
        if "outage" not in setting.index:
            return {}
        start_s, dark_s = map(float, setting.loc["outage", ["outage_at_s", "outage_s"]])
        return {"outage": f"reno, the wire dark from {start_s:g} s to {start_s + dark_s:g} s"}

    def _blackout(self, tables: Tables) -> Figure:
        start_s = tables.of("setting", scenario="outage")["outage_at_s"].iloc[0]
        acks = tables.of("acks", scenario="outage")
        again_s = acks.loc[acks["time_s"] > start_s + 1, "time_s"].min()
        return plots.time_sequence(
            tables.of("segments", scenario="outage"),
            acks,
            start_s - 0.5,
            start_s + 10 if np.isnan(again_s) else again_s + 1.0,  # NaN: no ACK ever came
            "Blackout: the same segment again and again, twice as late each time",
        )
