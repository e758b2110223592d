"""Links that are what their parameters say: rate, delay, chance and queues against formulae."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import rows, trains
from analysis.plots import fidelity as plots
from testbed import (
    LinkShape,
    MissingDataError,
    Tables,
    Topo,
    Verdict,
    all_of,
    at_least,
    at_most,
    claim,
    param,
    programs,
    with_unjudged,
)
from topologies.dumbbell import BOTTLENECK, Dumbbell
from topologies.parallel import Parallel

from . import passages
from .chance import CHANCE, CHANCE_SIGMAS, Chance, _jitter_cdfs
from .trains import FULL_BYTES, SMALL_BYTES, TARGETS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

RATES_MBPS = {
    "64 kbit/s": 0.064,
    "1 Mbit/s": 1.0,
    "10 Mbit/s": 10.0,
    "100 Mbit/s": 100.0,
    "1 Gbit/s": 1e3,
    "10 Gbit/s": 1e4,
}
RTTS_MS = (0.1, 1.0, 10.0, 100.0, 1000.0)
QUEUE_PKTS = 20

CHANCE_GAP_NS = 20_000_000
"""Interval between datagrams whose delay is measured: longer than jitter can move them."""

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
"""The most that each may take, for the errors on its way (1 µs each) and readings of the clock."""

TRAIN_S, LONGEST_TRAIN_PKTS = 0.1, 1000
"""A train lasts so long, where that takes no more packets: what a late timer costs is then little
of it."""


class Fidelity(Chance):
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
            2500, "datagrams over each lossy or jittery link", unit="packets", low=1000, high=60_000
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

    def run(self, net: RunningNetwork) -> None:
        """Sends the trains of this part."""
        part: dict[str, Callable[[RunningNetwork], None]] = {
            "links": self._run_links,
            "chance": self._run_chance,
            "series": self._run_series,
            "work": self._run_work,
        }
        part[self.params.part](net)

    def _run_links(self, net: RunningNetwork) -> None:
        plan = []
        for i, (name, shape) in enumerate(self._shapes().items()):
            assert shape.rate_mbps is not None
            frame_s = trains.frame_ns(trains.frame_bytes(FULL_BYTES), shape.rate_mbps) / 1e9
            to = {"link": name, "address": _far(net, i), "gap_ns": 0}
            rest_s = (QUEUE_PKTS + 2) * frame_s + shape.delay_ms / 1e3 + 0.1
            # a question and answer of ARP, then the way there
            alone_s = 4 * shape.delay_ms / 1e3 + 4 * frame_s / 10 + 0.1
            alone = {"kind": "alone", "count": 1, "size_bytes": SMALL_BYTES, "then_s": alone_s}
            count = min(
                max(self.params.train_pkts, math.ceil(TRAIN_S / frame_s)), LONGEST_TRAIN_PKTS
            )
            train = {"kind": "train", "count": count, "size_bytes": FULL_BYTES}
            # the first wakes ARP, the second travels alone
            plan += [to | alone | {"kind": "first"}, to | alone, to | train | {"then_s": rest_s}]
        self._send(net, plan)

    def _run_chance(self, net: RunningNetwork) -> None:
        plan = []
        for i, name in enumerate(self._shapes()):
            gap_ns = CHANCE_GAP_NS if name in ("uniform", "normal") else CHANCE_GAP_NS // 10
            to = {
                "link": name,
                "address": _far(net, i),
                "gap_ns": gap_ns,
                "then_s": 1.0,
                "size_bytes": SMALL_BYTES,
            }
            plan += [to | {"kind": "first", "count": 1}]
            plan += [to | {"kind": "train", "count": self.params.chance_pkts}]
        self._send(net, plan)

    def _send(self, net: RunningNetwork, plan: list[dict[str, Any]]) -> None:
        net.capture("tx-any", "rx-any", snaplen_bytes=64, filter="udp")
        net.start("rx", *programs.argv("train", "sink"), log="receiver")
        net.exec("tx", *programs.argv("train", json.dumps(plan)), log="trains", timeout_s=1e5)

    def _run_series(self, net: RunningNetwork) -> None:
        net.capture("tx1-eth0", "r1-eth1", BOTTLENECK, "r2-eth0", snaplen_bytes=64, filter="udp")
        net.start("rx1", *programs.argv("train", "sink"), log="receiver")
        to = {
            "link": "series",
            "address": net.address("rx1"),
            "gap_ns": 0,
            "then_s": 2.0,
            "size_bytes": FULL_BYTES,
        }
        plan = [to | {"kind": "first", "count": 1}, to | {"kind": "train", "count": 80}]
        net.exec("tx1", *programs.argv("train", json.dumps(plan)), log="trains", timeout_s=1e5)

    def _run_work(self, net: RunningNetwork) -> None:
        for name, command in self.work().items():
            began_s = net.time_s
            net.exec("tx", "sh", "-c", command, log=name)
            net.event("work", program=name, took_s=net.time_s - began_s)

    def work(self) -> Mapping[str, str]:
        """Programs that take no time, by name: commands of the shell."""
        return WORK

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and links of this part."""
        part: dict[str, Callable[[ScenarioData], dict[str, pd.DataFrame]]] = {
            "links": self._measure_links,
            "chance": self._measure_chance,
            "series": self._measure_series,
            "work": self._measure_work,
        }
        clock = data.clock_kind
        return part[self.params.part](data) | {"setting": pd.DataFrame([{"clock": clock}])}

    def _measure_links(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        found, packets = [], []
        shapes, stalls = self._shapes(), data.stalls()
        limit_us = TARGETS[data.clock_kind]["delay_us"]
        for train, passed in passages.passages(data, "tx-any", "rx-any"):
            shape, size = shapes[train["link"]], trains.frame_bytes(train["size_bytes"])
            assert shape.rate_mbps is not None
            there = passed["left_ns"].notna()
            ideal_ns = trains.ideal_wire(
                passed["left_ns"][there], [size] * int(there.sum()), shape.rate_mbps, shape.delay_ms
            )
            passed["delay_error_ns"] = passed["arrived_ns"][there].astype("Float64") - ideal_ns
            passed["stall_us"] = passages.stall_us(stalls, passed)
            judged = passed[there & (passed["stall_us"] <= limit_us)]
            # the program notes a datagram's time, then hands it over, then notes the next one's
            handed_ns = passed["sent_ns"].shift(-1).fillna(passed["sent_ns"])
            found.append(
                {
                    "link": train["link"],
                    "kind": train["kind"],
                    "rate_mbps": shape.rate_mbps,
                    "rtt_ms": 2 * shape.delay_ms,
                    "sent_pkts": len(passed),
                    "left_pkts": int(there.sum()),
                    "judged_pkts": len(judged),
                    "wrong_pkts": trains.queue_violations(passed, QUEUE_PKTS, handed_ns),
                    "measured_mbps": trains.rate_mbps(passed["arrived_ns"], size),
                    "worst_delay_error_us": passages.worst_us(judged["delay_error_ns"]),
                    "stall_us": passages.longest_us(passages.met(stalls, passed)),
                    "stalled_us": passages.sum_us(passages.met(stalls, passed), limit_us),
                }
            )
            packets.append(passed.assign(link=train["link"], kind=train["kind"]))
        links = pd.DataFrame(found)
        return {"links": links[links["kind"] != "first"], "packets": pd.concat(packets)}

    def _measure_chance(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        stalls = data.stalls()
        found = [
            passed.assign(
                link=train["link"],
                delay_ms=passages.delay_ms(passed),
                stall_us=trains.stalls_met_us(stalls, passed["left_ns"], passed["arrived_ns"]),
            )
            for train, passed in passages.passages(data, "tx-any", "rx-any")
            if train["kind"] == "train"
        ]
        return {"chance": pd.concat(found)[["link", "number", "delay_ms", "copies", "stall_us"]]}

    def _measure_series(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        first = passages.passage_of_train(data, "tx1-eth0", "r1-eth1")
        second = passages.passage_of_train(data, BOTTLENECK, "r2-eth0")
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
                trains.frame_ns(size, shape.rate_mbps),
                limit_pkts=len(passed),
            )
            times.append(
                pd.DataFrame(
                    {
                        "queue": name,
                        "number": passed["number"],
                        "arriving_ns": passed["sent_ns"].astype("int64"),
                        "ideal_ns": pd.Series(ideal, passed.index[accepted]),
                        "left_ns": passed["left_ns"].astype("Float64"),
                    }
                )
            )
            queues.append(
                {
                    "queue": name,
                    "sent_pkts": len(passed),
                    "left_pkts": int(accepted.sum()),
                    "wrong_pkts": trains.queue_violations(passed, shape.queue_pkts),
                    "stall_us": passages.longest_us(passages.met(data.stalls(), passed)),
                }
            )
        return {"series": pd.concat(times), "queues": pd.DataFrame(queues)}

    def _measure_work(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        return {"work": data.happened("work")[["program", "took_s"]]}

    # ---- claims

    @claim(
        "Two queues in series each act as an ideal queue on what reaches them.",
        source="queueing theory: tandem queues",
        scenarios=("series",),
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
        verdicts = (
            [
                at_most(
                    judged["wrong_pkts"].max(),
                    self._target(tables, "series", "queue_pkts"),
                    unit="packets treated wrongly",
                ),
                at_most(error_us, limit_us, unit="µs from the ideal departure"),
            ]
            if kept.any()
            else []
        )
        if "second" in set(judged["queue"]):
            dropped = float(second["sent_pkts"] - second["left_pkts"])
            verdicts.append(at_least(dropped, 1, unit="packets dropped by the second queue"))
        spoiled = [f"the {name} queue" for name in queues["queue"][~kept]]
        return with_unjudged(verdicts, spoiled, queues["stall_us"].max()).because(
            "the two queues", queues, scenario="series"
        )

    @claim(
        "Work takes no time on the virtual clock, however many system calls it makes.",
        source="the clock moves when all programs wait",
        scenarios=("work",),
    )
    def work_takes_no_time(self, tables: Tables) -> Verdict:
        """What the clock moved while each program ran."""
        if tables.row("setting", scenario="work")["clock"] != "virtual":
            raise MissingDataError("on the real clock work takes its time; not claimed")
        found = tables.of("work", scenario="work")
        return all_of(
            *(at_most(row.took_s, WORK_S, unit=f"s ({row.program})") for row in rows(found))
        ).because("the clock while each program ran", found, scenario="work")

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


def _far(net: RunningNetwork, i: int) -> str:
    """Address of the receiving end of link i."""
    found = [r for r in net.network.addresses if r["interface"] == f"rx-eth{i}"]
    return str(found[0]["ipv4"]).split("/")[0]
