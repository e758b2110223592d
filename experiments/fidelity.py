"""Links that are what their parameters say: rate, delay, chance and queues against formulae."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis import rows, statistics, trains
from analysis.plots import fidelity as plots
from experiments._judged import JUDGED_SHARE, with_unjudged
from testbed import programs
from testbed.claims import (
    ANY_STALL,
    MissingDataError,
    Verdict,
    all_of,
    at_least,
    at_most,
    claim,
    inconclusive,
    near,
)
from testbed.evidence import in_rows
from testbed.experiment import Experiment, Tables
from testbed.parameters import param
from testbed.rundir import SCENARIO, read_json
from testbed.shape import LinkShape
from testbed.topo import Topo
from topologies.dumbbell import BOTTLENECK, Dumbbell
from topologies.parallel import Parallel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed.data import ScenarioData
    from testbed.lab import Lab

RATES_MBPS = {
    "64 kbit/s": 0.064, "1 Mbit/s": 1.0, "10 Mbit/s": 10.0, "100 Mbit/s": 100.0,
    "1 Gbit/s": 1e3, "10 Gbit/s": 1e4,
}  # fmt: skip
RTTS_MS = (0.1, 1.0, 10.0, 100.0, 1000.0)
QUEUE_PKTS = 20
FULL_BYTES, SMALL_BYTES = 1472, 18
"""Payload of the largest and the smallest frame."""

CHANCE = {
    "uniform": LinkShape(delay_ms=20, jitter_ms=5),
    "normal": LinkShape(delay_ms=20, jitter_ms=2, jitter_distribution="normal"),
    "loss 0.1 %": LinkShape(delay_ms=5, loss_percent=0.1),
    "loss 1 %": LinkShape(delay_ms=5, loss_percent=1),
    "loss 10 %": LinkShape(delay_ms=5, loss_percent=10),
    "duplicate 2 %": LinkShape(delay_ms=5, duplicate_percent=2),
    "reorder 5 %": LinkShape(delay_ms=10, reorder_percent=5),
}
CHANCE_GAP_NS = 20_000_000
"""Between datagrams whose delay is measured: more than jitter can move them."""

SERIES_FIRST = LinkShape(rate_mbps=10, delay_ms=3, queue_pkts=60)
SERIES_SECOND = LinkShape(rate_mbps=4, delay_ms=7, queue_pkts=15)

WORK = {
    "dd": "dd if=/dev/zero of=/dev/null bs=1 count=100000",
    "sort": "seq 200000 | sort -r | tail -n 1",
    "gzip": "seq 200000 | gzip -9 | gzip -d | cksum",
    "grep": "seq 200000 | grep -c 7",
    "python": 'python3 -c \'import os\nz = os.open("/dev/zero", 0)\nfor _ in range(100000):\n'
    " os.read(z, 1)'",
}
"""Programs that work: bytes one by one, pipes between processes, an interpreter's start."""

WORK_S = 0.005
"""So long may each take, for the errors on its way (1 µs each) and readings of the clock."""

TARGETS = {
    "virtual": {"delay_us": 1.0, "rate": 0.001, "queue_pkts": 0.0, "top_mbps": 1e4},
    "real": {"delay_us": 2000.0, "rate": 0.02, "queue_pkts": 3.0, "top_mbps": 100.0},
}
"""How exact a link must be, by the clock, and up to which rate. A timer of the real clock fires
late, the virtual clock's never does; and no guest carries 1 Gbit/s in real time."""

TRAIN_S, LONGEST_TRAIN_PKTS = 0.1, 1000
"""A train lasts so long, where that takes no more packets: what a late timer costs is then little
of it."""

CHANCE_SIGMAS = 4.0
"""So far from its mean a binomial count lies once in 16,000 times."""


class Fidelity(Experiment):
    """Links that are what their parameters say: rate, delay, chance and queues against formulae.

    Thirty links from 64 kbit/s to 10 Gbit/s and from 0.1 ms to 1 s of round-trip time carry UDP
    packet trains that overflow their queues; seven links with jitter, loss, duplication and
    reordering carry thousands of datagrams; a train crosses two queues in series. Every packet is
    compared with what the parameters say, to the nanosecond of the capture. TCP over such links
    is the experiment `fidelity_tcp`.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment; `part` tells the scenarios apart."""

        part: str = param(
            "links", "what is measured", choices=("links", "chance", "series", "work")
        )
        train_pkts: int = param(60, "datagrams of a train", unit="packets", low=30, high=1000)
        chance_pkts: int = param(
            2500, "datagrams over each link of chance", unit="packets", low=1000, high=60_000
        )

    params: Parameters

    def scenarios(self) -> Mapping[str, Parameters]:
        """One network for each part, the longest first."""
        return {p: replace(self.params, part=p) for p in ("chance", "links", "series", "work")}

    # ---- in the network

    def topology(self) -> Topo:
        """Parallel links; for the series a dumbbell whose access link is the first queue."""
        if self.params.part == "series":
            return Dumbbell(pairs=1, bottleneck=SERIES_SECOND, access=SERIES_FIRST)
        if self.params.part == "work":
            return Parallel()
        return Parallel(links=self._shapes())

    def _shapes(self) -> dict[str, LinkShape]:
        if self.params.part == "chance":
            return CHANCE
        return {
            f"{name}, {rtt:g} ms": LinkShape(
                rate_mbps=rate, delay_ms=rtt / 2, queue_pkts=QUEUE_PKTS
            )
            for name, rate in RATES_MBPS.items()
            for rtt in RTTS_MS
        }

    def run(self, lab: Lab) -> None:
        """Sends the trains of this part."""
        part: dict[str, Callable[[Lab], None]] = {
            "links": self._run_links, "chance": self._run_chance, "series": self._run_series,
            "work": self._run_work,
        }  # fmt: skip
        part[self.params.part](lab)

    def _run_links(self, lab: Lab) -> None:
        plan = []
        for i, (name, shape) in enumerate(self._shapes().items()):
            assert shape.rate_mbps is not None
            frame_s = trains.frame_ns(trains.frame_bytes(FULL_BYTES), shape.rate_mbps) / 1e9
            to = {"link": name, "address": _far(lab, i), "gap_ns": 0}
            rest_s = (QUEUE_PKTS + 2) * frame_s + shape.delay_ms / 1e3 + 0.1
            # a question and answer of ARP, then the way there
            alone_s = 4 * shape.delay_ms / 1e3 + 4 * frame_s / 10 + 0.1
            alone = {"kind": "alone", "count": 1, "size_bytes": SMALL_BYTES, "then_s": alone_s}
            count = min(max(self.params.train_pkts, math.ceil(TRAIN_S / frame_s)),
                        LONGEST_TRAIN_PKTS)  # fmt: skip
            train = {"kind": "train", "count": count, "size_bytes": FULL_BYTES}
            # the first wakes ARP, the second travels alone
            plan += [to | alone | {"kind": "first"}, to | alone, to | train | {"then_s": rest_s}]
        self._send(lab, plan)

    def _run_chance(self, lab: Lab) -> None:
        plan = []
        for i, name in enumerate(self._shapes()):
            gap_ns = CHANCE_GAP_NS if name in ("uniform", "normal") else CHANCE_GAP_NS // 10
            to = {"link": name, "address": _far(lab, i), "gap_ns": gap_ns, "then_s": 1.0,
                  "size_bytes": SMALL_BYTES}  # fmt: skip
            plan += [to | {"kind": "first", "count": 1}]
            plan += [to | {"kind": "train", "count": self.params.chance_pkts}]
        self._send(lab, plan)

    def _send(self, lab: Lab, plan: list[dict[str, Any]]) -> None:
        lab.capture("tx-any", "rx-any", snaplen_bytes=64, filter="udp")
        lab.start("rx", *programs.argv("train", "sink"), log="receiver")
        lab.exec("tx", *programs.argv("train", json.dumps(plan)), log="trains", timeout_s=1e5)

    def _run_series(self, lab: Lab) -> None:
        lab.capture("tx1-eth0", "r1-eth1", BOTTLENECK, "r2-eth0", snaplen_bytes=64, filter="udp")
        lab.start("rx1", *programs.argv("train", "sink"), log="receiver")
        to = {"link": "series", "address": lab.address("rx1"), "gap_ns": 0, "then_s": 2.0,
              "size_bytes": FULL_BYTES}  # fmt: skip
        plan = [to | {"kind": "first", "count": 1}, to | {"kind": "train", "count": 80}]
        lab.exec("tx1", *programs.argv("train", json.dumps(plan)), log="trains", timeout_s=1e5)

    def _run_work(self, lab: Lab) -> None:
        for name, command in self.work().items():
            began_s = lab.time_s
            lab.exec("tx", "sh", "-c", command, log=name)
            lab.event("work", program=name, took_s=lab.time_s - began_s)

    def work(self) -> Mapping[str, str]:
        """Programs that take no time, by name: commands of the shell."""
        return WORK

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and links of this part."""
        part: dict[str, Callable[[ScenarioData], dict[str, pd.DataFrame]]] = {
            "links": self._measure_links, "chance": self._measure_chance,
            "series": self._measure_series, "work": self._measure_work,
        }  # fmt: skip
        clock = read_json(data.path / SCENARIO)["clock"]
        return part[self.params.part](data) | {"setting": pd.DataFrame([{"clock": clock}])}

    def _measure_links(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        found, packets = [], []
        shapes, stalls = self._shapes(), data.stalls()
        limit_us = TARGETS[read_json(data.path / SCENARIO)["clock"]]["delay_us"]
        for train, passed in _passages(data, "tx-any", "rx-any"):
            shape, size = shapes[train["link"]], trains.frame_bytes(train["size_bytes"])
            assert shape.rate_mbps is not None
            there = passed["left_ns"].notna()
            ideal_ns = trains.ideal_wire(
                passed["left_ns"][there], [size] * int(there.sum()), shape.rate_mbps, shape.delay_ms
            )
            passed["delay_error_ns"] = passed["arrived_ns"][there].astype("Float64") - ideal_ns
            passed["stall_us"] = _stall_us(stalls, passed)
            judged = passed[there & (passed["stall_us"] <= limit_us)]
            # the program notes a datagram's time, then hands it over, then notes the next one's
            handed_ns = passed["sent_ns"].shift(-1).fillna(passed["sent_ns"])
            found.append(
                {
                    "link": train["link"], "kind": train["kind"], "rate_mbps": shape.rate_mbps,
                    "rtt_ms": 2 * shape.delay_ms, "sent_pkts": len(passed),
                    "left_pkts": int(there.sum()), "judged_pkts": len(judged),
                    "wrong_pkts": trains.queue_violations(passed, QUEUE_PKTS, handed_ns),
                    "measured_mbps": trains.rate_mbps(passed["arrived_ns"], size),
                    "worst_delay_error_us": _worst_us(judged["delay_error_ns"]),
                    "stall_us": _longest_us(_met(stalls, passed)),
                    "stalled_us": _sum_us(_met(stalls, passed), limit_us),
                }
            )  # fmt: skip
            packets.append(passed.assign(link=train["link"], kind=train["kind"]))
        links = pd.DataFrame(found)
        return {"links": links[links["kind"] != "first"], "packets": pd.concat(packets)}

    def _measure_chance(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        stalls = data.stalls()
        found = [
            passed.assign(
                link=train["link"], delay_ms=_delay_ms(passed),
                stall_us=trains.stalls_met_us(stalls, passed["left_ns"], passed["arrived_ns"]),
            )
            for train, passed in _passages(data, "tx-any", "rx-any")
            if train["kind"] == "train"
        ]  # fmt: skip
        return {"chance": pd.concat(found)[["link", "number", "delay_ms", "copies", "stall_us"]]}

    def _measure_series(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        first = _passage_of_train(data, "tx1-eth0", "r1-eth1")
        second = _passage_of_train(data, BOTTLENECK, "r2-eth0")
        second["sent_ns"] = first["arrived_ns"]
        size = trains.frame_bytes(FULL_BYTES)
        times, queues = [], []
        for name, shape, passed in (
            ("first", SERIES_FIRST, first),
            ("second", SERIES_SECOND, second.dropna(subset=["sent_ns"])),
        ):
            assert shape.rate_mbps is not None and shape.queue_pkts is not None
            accepted = passed["left_ns"].notna()
            ideal = trains.ideal_fifo(
                passed["sent_ns"][accepted].astype("int64"),
                trains.frame_ns(size, shape.rate_mbps), limit_pkts=len(passed),
            )  # fmt: skip
            times.append(
                pd.DataFrame({"queue": name, "number": passed["number"],
                              "arriving_ns": passed["sent_ns"].astype("int64"),
                              "ideal_ns": pd.Series(ideal, passed.index[accepted]),
                              "left_ns": passed["left_ns"].astype("Float64")})
            )  # fmt: skip
            queues.append(
                {"queue": name, "sent_pkts": len(passed), "left_pkts": int(accepted.sum()),
                 "wrong_pkts": trains.queue_violations(passed, shape.queue_pkts),
                 "stall_us": _longest_us(_met(data.stalls(), passed))}
            )  # fmt: skip
        return {"series": pd.concat(times), "queues": pd.DataFrame(queues)}

    def _measure_work(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        return {"work": data.events("work")[["program", "took_s"]]}

    # ---- claims

    def _target(self, tables: Tables, scenario: str, what: str) -> float:
        return TARGETS[tables.of("setting", scenario=scenario)["clock"].iloc[0]][what]

    @claim(
        "Every packet takes its transmission time and the propagation delay, to 1 µs.",
        source="Kurose & Ross §1.4",
        scenarios=("links",),
        bears_stall_s=ANY_STALL,
    )
    def delay_is_exact(self, tables: Tables) -> Verdict:
        """Each packet of each train and each lone packet, 64 kbit/s to 10 Gbit/s."""
        links = self._links(tables, ("alone", "train"))
        kept = links["judged_pkts"] >= JUDGED_SHARE * links["left_pkts"]
        worst = links[kept].sort_values("worst_delay_error_us", ascending=False)
        limit = self._target(tables, "links", "delay_us")
        error_us = worst["worst_delay_error_us"].max(skipna=False)
        return _judged(at_most(error_us, limit, unit="µs from the formula"), links, kept).because(
            in_rows("links, the worst first", "links", worst)
        )

    @claim(
        "A packet train leaves a link at the link's rate, to 0.1 %.",
        source="Kurose & Ross §1.4",
        scenarios=("links",),
        bears_stall_s=ANY_STALL,
    )
    def rate_is_exact(self, tables: Tables) -> Verdict:
        """The spacing of each overflowing train, of each link."""
        links = self._links(tables, ("train",))
        limit = self._target(tables, "links", "rate")
        # shorter stalls the rate limit makes good; longer ones must be little of the train
        kept = links["stalled_us"] <= limit * links["left_pkts"] * _frame_us(links)
        error = (links["measured_mbps"] / links["rate_mbps"] - 1).abs()[kept]
        worst = links.loc[error.sort_values()[::-1].index]
        return _judged(
            at_most(100 * error.max(skipna=False), 100 * limit, unit="% off the rate"), links, kept
        ).because(in_rows("links, the worst first", "links", worst))

    @claim(
        "A drop-tail queue holds as many packets as its length says, and drops all beyond.",
        source="RFC 2309 §2",
        scenarios=("links",),
        bears_stall_s=ANY_STALL,
    )
    def queue_is_exact(self, tables: Tables) -> Verdict:
        """Each packet dropped although there was room, or accepted although there was none."""
        links = self._links(tables, ("train",))
        if (links["left_pkts"] == links["sent_pkts"]).any():
            raise MissingDataError("a train did not overflow its queue; raise train_pkts")
        limit = self._target(tables, "links", "queue_pkts")
        # a stall makes as many packets late as would have left in it
        bears_us = (limit * _frame_us(links)).clip(lower=self._target(tables, "links", "delay_us"))
        kept = links["stall_us"] <= bears_us
        return _judged(
            at_most(links["wrong_pkts"][kept].max(), limit, unit="packets treated wrongly"),
            links, kept,
        ).because(in_rows("links", "links", links[kept]))  # fmt: skip

    def _links(self, tables: Tables, kinds: tuple[str, ...]) -> pd.DataFrame:
        """The trains of links that the clock's target is for."""
        links = tables.of("links", scenario="links")
        wanted = links["kind"].isin(kinds)
        wanted &= links["rate_mbps"] <= self._target(tables, "links", "top_mbps")
        return links[wanted]

    @claim(
        "Jitter has the distribution it is set to.",
        source="Kolmogorov & Smirnov's test, p = 0.001",
        scenarios=("chance",),
        bears_stall_s=ANY_STALL,
    )
    def jitter_is_distributed(self, tables: Tables) -> Verdict:
        """Distance of the measured delays from the uniform and from the normal distribution."""
        verdicts = []
        for link, cdf in _jitter_cdfs().items():
            try:
                delays = self._chance(tables, link)["delay_ms"].dropna()
            except MissingDataError as spoiled:
                verdicts.append(inconclusive(str(spoiled)))
                continue
            limit = statistics.kolmogorov_critical(len(delays))
            distance = statistics.kolmogorov_distance(delays, cdf)
            verdicts.append(at_most(distance, limit, unit=f"distance ({link})"))
        return all_of(verdicts)

    def _chance(self, tables: Tables, link: str) -> pd.DataFrame:
        """The datagrams over a link that no stall fell on which is longer than the delay's target.

        Raises:
            MissingDataError: there are too few of them.
        """
        found = tables.of("chance", scenario="chance", link=link)
        kept = found[found["stall_us"] <= self._target(tables, "chance", "delay_us")]
        if len(kept) < JUDGED_SHARE * len(found):
            raise MissingDataError(
                f"the host disturbed {len(found) - len(kept)} of {len(found)} datagrams over the "
                f"link '{link}' (stalls of up to {found['stall_us'].max() / 1e3:.1f} ms)"
            )
        return kept

    @claim(
        "Packets are lost as independent trials with the probability set.",
        source="binomial distribution",
        scenarios=("chance",),
        bears_stall_s=ANY_STALL,
    )
    def loss_is_binomial(self, tables: Tables) -> Verdict:
        """Number lost at each loss rate, and pairs lost in a row, in standard deviations."""
        verdicts = []
        for link in (name for name in CHANCE if name.startswith("loss")):
            lost = tables.of("chance", scenario="chance", link=link)["copies"] == 0
            p = CHANCE[link].loss_percent / 100
            count = statistics.binomial_z(int(lost.sum()), len(lost), p)
            pairs = int((lost & lost.shift(fill_value=False)).sum())
            runs = statistics.binomial_z(pairs, len(lost) - 1, p * p)
            verdicts.append(at_most(abs(count), CHANCE_SIGMAS, unit=f"σ lost ({link})"))
            if len(lost) * p * p > 5:
                verdicts.append(at_most(abs(runs), 2 * CHANCE_SIGMAS, unit=f"σ pairs ({link})"))
        return all_of(verdicts)

    @claim(
        "Packets are duplicated with the probability set.",
        source="binomial distribution",
        scenarios=("chance",),
        bears_stall_s=ANY_STALL,
    )
    def duplication_is_binomial(self, tables: Tables) -> Verdict:
        """Datagrams that arrived twice; none more often, none lost."""
        copies = tables.of("chance", scenario="chance", link="duplicate 2 %")["copies"]
        p = CHANCE["duplicate 2 %"].duplicate_percent / 100
        twice = statistics.binomial_z(int((copies == 2).sum()), len(copies), p)
        return all_of(
            [
                at_most(abs(twice), CHANCE_SIGMAS, unit="σ from the mean"),
                near(float(((copies < 1) | (copies > 2)).sum()), 0, abs=0, unit="others"),
            ]
        )

    @claim(
        "Reordered packets overtake the others by the whole delay, with the probability set.",
        source="binomial distribution",
        scenarios=("chance",),
        bears_stall_s=ANY_STALL,
    )
    def reordering_is_binomial(self, tables: Tables) -> Verdict:
        """Datagrams that skipped the delay; the others kept it."""
        delays = self._chance(tables, "reorder 5 %")["delay_ms"]
        shape = CHANCE["reorder 5 %"]
        limit_ms = self._target(tables, "chance", "delay_us") / 1e3
        early, late = delays <= limit_ms, (delays - shape.delay_ms).abs() <= limit_ms
        sigmas = statistics.binomial_z(int(early.sum()), len(delays), shape.reorder_percent / 100)
        return all_of(
            [
                at_most(abs(sigmas), CHANCE_SIGMAS, unit="σ from the mean"),
                near(float((~early & ~late).sum()), 0, abs=0, unit="others"),
            ]
        )

    @claim(
        "Two queues in series each act as an ideal queue on what reaches them.",
        source="queueing theory: tandem queues",
        scenarios=("series",),
        bears_stall_s=ANY_STALL,
    )
    def series_is_exact(self, tables: Tables) -> Verdict:
        """What each queue drops, and each departure against an ideal server of the rest."""
        queues = tables.of("queues", scenario="series")
        series = tables.of("series", scenario="series")
        limit_us = self._target(tables, "series", "delay_us")
        kept = queues["stall_us"] <= limit_us
        judged, series = queues[kept], series[series["queue"].isin(queues["queue"][kept])]
        error_us = (series["left_ns"] - series["ideal_ns"]).abs().max() / 1e3
        second = queues[queues["queue"] == "second"].iloc[0]
        verdicts = [
            at_most(judged["wrong_pkts"].max(), self._target(tables, "series", "queue_pkts"),
                    unit="packets treated wrongly"),
            at_most(error_us, limit_us, unit="µs from the ideal departure"),
        ] if kept.any() else []  # fmt: skip
        if "second" in set(judged["queue"]):
            dropped = float(second["sent_pkts"] - second["left_pkts"])
            verdicts.append(at_least(dropped, 1, unit="packets dropped by the second queue"))
        spoiled = [f"the {name} queue" for name in queues["queue"][~kept]]
        return with_unjudged(verdicts, spoiled, queues["stall_us"].max()).because(
            in_rows("the two queues", "series", queues)
        )

    @claim(
        "Work takes no time on the virtual clock, however many system calls it makes.",
        source="the clock moves when all programs wait",
        scenarios=("work",),
    )
    def work_takes_no_time(self, tables: Tables) -> Verdict:
        """What the clock moved while each program ran."""
        if tables.of("setting", scenario="work")["clock"].iloc[0] != "virtual":
            raise MissingDataError("on the real clock work takes its time; not claimed")
        found = tables.of("work", scenario="work")
        return all_of(
            [at_most(row.took_s, WORK_S, unit=f"s ({row.program})") for row in rows(found)]
        ).because(in_rows("the clock while each program ran", "work", found))

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure]:
        """Measured against set, of those parts that ran.

        Figures:
            1_rate_and_delay: How far each link is off its formula: left the rate of a packet train,
                right the delay of the worst packet. Look at the units of the axes.
            2_jitter: The share of packets with no more than so much delay: as measured, and as the
                distribution has it that was set. The two should cover each other.
            3_chance: Loss, duplicates and reordering: measured, and as set with what chance alone
                explains. A dot beyond its bar's ends would be an error of the emulation.
            4_two_queues: A train of packets through two queues in a row, on top of what an ideal
                queue would do, calculated apart. Look for a packet off the bands.
        """
        drawn: dict[str, Figure] = {}
        if "links" in tables:
            drawn["1_rate_and_delay"] = plots.links(tables["links"], TARGETS["virtual"])
        if "chance" in tables:
            drawn["2_jitter"] = plots.jitter(tables["chance"], _jitter_cdfs())
            shapes = {n: CHANCE[n] for n in CHANCE if n not in _jitter_cdfs()}
            expected = {
                n: s.loss_percent or s.duplicate_percent or s.reorder_percent
                for n, s in shapes.items()
            }
            drawn["3_chance"] = plots.chance(tables["chance"], expected, CHANCE_SIGMAS)
        if "series" in tables:
            drawn["4_two_queues"] = plots.series(tables["series"])
        return drawn


# ---- helpers


def _far(lab: Lab, i: int) -> str:
    """Address of the receiving end of link i."""
    found = [r for r in lab.net.addresses if r["interface"] == f"rx-eth{i}"]
    return str(found[0]["ipv4"]).split("/")[0]


def _passages(
    data: ScenarioData, leaving: str, arriving: str
) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Each train with the passage of its datagrams between two captures."""
    plan = [json.loads(line) for line in data.log("trains").splitlines()]
    left, arrived = (data.packets(c, trains.COLUMNS) for c in (leaving, arriving))
    found = []
    for train in plan:
        first = trains.first_id(left, train["sport"])
        if first is None:
            raise MissingDataError(f"no packet of the train over '{train['link']}' left")
        seen = [trains.seen(c, train["sport"], first, data.t0_ns) for c in (left, arrived)]
        sent_ns = [t - data.t0_ns for t in train["sent_ns"]]
        found.append((train, trains.passage(sent_ns, *seen)))
    return found


def _passage_of_train(data: ScenarioData, leaving: str, arriving: str) -> pd.DataFrame:
    found = {train["kind"]: passed for train, passed in _passages(data, leaving, arriving)}
    return found["train"]


def _stall_us(stalls: pd.DataFrame, passed: pd.DataFrame) -> np.ndarray:
    """For each packet, the longest stall that may have made it late.

    That is one while it was on the wire, or one at the very time a packet before it left: what then
    comes late to the wire holds up all behind it.
    """
    leaving = trains.stalls_met_us(stalls, passed["left_ns"], passed["left_ns"])
    on_the_wire = trains.stalls_met_us(stalls, passed["left_ns"], passed["arrived_ns"])
    worst: np.ndarray = np.maximum(np.maximum.accumulate(leaving), on_the_wire)
    return worst


def _worst_us(errors_ns: pd.Series) -> float:
    """The largest of either sign; NaN if there is none."""
    return float(errors_ns.dropna().astype(float).abs().max()) / 1e3


def _met(stalls: pd.DataFrame, passed: pd.DataFrame) -> pd.DataFrame:
    """Those of the host that fell on a train, from its first packet's start on."""
    began_ns, ended_ns = passed["sent_ns"].min(), passed["arrived_ns"].max()
    met: pd.DataFrame = stalls[(stalls["ended_ns"] > began_ns) & (stalls["began_ns"] < ended_ns)]
    return met


def _longest_us(stalls: pd.DataFrame) -> float:
    return float(stalls["longest_ns"].max()) / 1e3 if len(stalls) else 0.0


def _sum_us(stalls: pd.DataFrame, above_us: float) -> float:
    """Of those stalls that are longer than `above_us`."""
    longest_us = stalls["longest_ns"] / 1e3
    return float(longest_us[longest_us > above_us].sum())


def _frame_us(links: pd.DataFrame) -> pd.Series:
    """Transmission time of a full frame on each link."""
    return trains.frame_bytes(FULL_BYTES) * 8 / links["rate_mbps"]


def _judged(verdict: Verdict, links: pd.DataFrame, kept: pd.Series) -> Verdict:
    """The verdict on those links that are `kept`, and what is to be said of the others."""
    named = {"alone": "the lone packet", "train": "the train"}
    spoiled = [f"{named[row.kind]} over {row.link}" for row in rows(links[~kept])]
    return with_unjudged([verdict] * bool(kept.any()), spoiled, links["stall_us"].max())


def _delay_ms(passed: pd.DataFrame) -> np.ndarray:
    delay_ns = passed["arrived_ns"] - passed["left_ns"]
    return delay_ns.astype("Float64").to_numpy(float, na_value=np.nan) / 1e6


def _jitter_cdfs() -> dict[str, Callable[[float], float]]:
    uniform, normal = CHANCE["uniform"], CHANCE["normal"]
    low_ms, width_ms = uniform.delay_ms - uniform.jitter_ms, 2 * uniform.jitter_ms
    return {
        "uniform": partial(_uniform_cdf, low_ms, width_ms),
        "normal": NormalDist(normal.delay_ms, normal.jitter_ms).cdf,
    }


def _uniform_cdf(low_ms: float, width_ms: float, x_ms: float) -> float:
    return min(1.0, max(0.0, (x_ms - low_ms) / width_ms))
