"""TCP over links from 64 kbit/s to 10 Gbit/s: goodput and acknowledgements against formulae."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import rows, throughput, trains
from analysis.plots import fidelity as plots
from testbed import (
    JUDGED_SHARE,
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
    with_unjudged,
)
from topologies.parallel import Parallel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

TCP_LINKS = {
    "64 kbit/s, 100 ms": (0.064, 100.0, 100),
    "1 Mbit/s, 50 ms": (1.0, 50.0, 400),
    "10 Mbit/s, 200 ms": (10.0, 200.0, 6000),
    "100 Mbit/s, 10 ms": (100.0, 10.0, 4000),
    "1 Gbit/s, 1 ms": (1e3, 1.0, 4000),
    "10 Gbit/s, 0.1 ms": (1e4, 0.1, 16_000),
}
"""Rate in Mbit/s, round-trip time in ms, segments to send."""

TCP_PORT = 5201
TCP_COLUMNS = tuple(
    (
        "ip_src ip_id ip_bytes tcp_sport tcp_dport tcp_seq tcp_ack tcp_payload_bytes "
        "tcp_flags wire_bytes"
    ).split()
)

FAT = LinkShape(rate_mbps=10_000, delay_ms=50, queue_bdp=2)
FAT_BYTES = 330_000_000
FAT_BUFFER_BYTES = 1 << 30

TARGETS = {
    "virtual": {"ack_us": 1.0, "goodput": 0.001, "fat goodput": 0.01, "top_mbps": 1e4},
    "real": {"ack_us": 2e3, "goodput": 0.05, "top_mbps": 100.0},
}
"""How exact TCP must be, by the clock, and up to which rate: no guest carries 1 Gbit/s in real
time."""

DOUBLING_SHARE = 0.9
"""Slow start is judged up to this share of the rate."""


class FidelityTcp(Experiment):
    """TCP over links from 64 kbit/s to 10 Gbit/s: goodput and acknowledgements against formulae.

    One flow fills each of six links in turn; every acknowledgement is followed on its way back.
    Then one flow opens its window on a path of 10 Gbit/s and 100 ms, where 83,000 packets are in
    flight: no laptop carries that in real time, and on the virtual clock it need not.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment; `part` tells the scenarios apart."""

        part: str = param("links", "what is measured", choices=("links", "fat"))
        fat_bytes: int = param(
            FAT_BYTES,
            "sent over the longest, fastest path",
            unit="bytes",
            low=1_000_000,
            high=10_000_000_000,
        )

    params: Parameters
    memory_mb = 8192

    def scenarios(self) -> Mapping[str, Parameters]:
        """One network for each part, the longest first."""
        return {p: replace(self.params, part=p) for p in ("fat", "links")}

    def topology(self) -> Parallel:
        """Parallel links, one for each flow."""
        return Parallel(links=self._shapes())

    def _shapes(self) -> dict[str, LinkShape]:
        if self.params.part == "fat":
            return {"fat": FAT}
        return {
            name: LinkShape(rate_mbps=rate, delay_ms=rtt / 2, queue_pkts=_queue_pkts(rate, rtt))
            for name, (rate, rtt, _) in TCP_LINKS.items()
        }

    def run(self, net: RunningNetwork) -> None:
        """Sends the flows of this part."""
        if self.params.part == "fat":
            self._run_fat(net)
        else:
            self._run_links(net)

    def _run_links(self, net: RunningNetwork) -> None:
        net.capture("tx-any", "rx-any", snaplen_bytes=96, filter="tcp")
        for i, (name, (_, _, segments)) in enumerate(TCP_LINKS.items()):
            self._flow(net, i, name, segments * MSS_BYTES)

    def _run_fat(self, net: RunningNetwork) -> None:
        for node in ("tx", "rx"):
            for which in ("rmem", "wmem"):
                sizes = f"4096 {FAT_BUFFER_BYTES >> 2} {FAT_BUFFER_BYTES}"
                net.sysctl(node, f"net.ipv4.tcp_{which}", sizes)
        net.capture("rx-eth0", snaplen_bytes=80, filter="tcp and dst port 5201")
        self._flow(net, 0, "fat", self.params.fat_bytes)

    def _flow(self, net: RunningNetwork, i: int, name: str, size_bytes: int) -> None:
        port = TCP_PORT + i
        receiver = bulk_flows.receive(net, "rx", port)
        net.event("flow", link=name, port=port, bytes=size_bytes)
        bulk_flows.send(net, "tx", _far(net, i), port, size_bytes=size_bytes, cc="reno").check(1e5)
        receiver.check(1e5)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Flows and acknowledgements of this part."""
        fat = self.params.part == "fat"
        tables = self._measure_fat(data) if fat else self._measure_links(data)
        clock = data.clock_kind
        return tables | {"setting": pd.DataFrame([{"clock": clock}])}

    def _measure_links(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        sent, arrived = (data.packets(c, TCP_COLUMNS) for c in ("tx-any", "rx-any"))
        found, acks = [], []
        for flow in rows(data.happened("flow")):
            rate, rtt, _ = TCP_LINKS[flow.link]
            came = _new_bytes(arrived, flow.port)
            found.append(
                {
                    "link": flow.link,
                    "rate_mbps": rate,
                    "rtt_ms": rtt,
                    "goodput_mbps": _settled_mbps(came),
                    "expected_mbps": rate * throughput.goodput_share(MSS_BYTES),
                }
            )
            came_back = _ack_delays(arrived, sent, flow.port, rate, rtt)
            since_ns = [came_back[c] - data.t0_ns for c in ("left_ns", "came_ns")]
            came_back["stall_us"] = trains.stalls_met_us(data.stalls(), *since_ns)
            acks.append(came_back[["error_us", "stall_us"]].assign(link=flow.link))
        largest = max(int(p["ip_bytes"].max()) for p in (sent, arrived))
        return {
            "tcp": pd.DataFrame(found).assign(largest_ip_bytes=largest),
            "acks": pd.concat(acks),
        }

    def _measure_fat(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        columns = tuple(
            ("ip_src ip_dst tcp_sport tcp_dport tcp_seq tcp_payload_bytes wire_bytes").split()
        )
        came = _new_bytes(data.packets("rx-eth0", columns), TCP_PORT)
        rtt_s = 2 * FAT.delay_ms / 1e3
        start_s = float(came["time_s"].iloc[0])
        rounds = ((came["time_s"] - start_s + rtt_s / 100) // rtt_s).astype(int)
        per_round = came.groupby(rounds)["new_bytes"].sum()
        return {
            "fat": pd.DataFrame(
                {
                    "round": per_round.index,
                    "bytes": per_round.to_numpy(),
                    "mbps": per_round.to_numpy() * 8 / rtt_s / 1e6,
                }
            ),
            "fat_flow": pd.DataFrame(
                [
                    {
                        "bytes": int(came["new_bytes"].sum()),
                        "full_mbps": _full_rate_mbps(came, rtt_s),
                        "seconds": float(came["time_s"].iloc[-1]) - start_s,
                        "expected_s": _transfer_s(int(came["new_bytes"].sum()), FAT),
                    }
                ]
            ),
        }

    # ---- claims

    def _target(self, tables: Tables, scenario: str, what: str) -> float:
        return TARGETS[tables.row("setting", scenario=scenario)["clock"]][what]

    @claim(
        "No packet is larger than the MTU: segmentation offload hides no queueing.",
        source="RFC 9293 §3.7.1",
        scenarios=("links",),
    )
    def no_super_packets(self, tables: Tables) -> Verdict:
        """The largest IP packet at either end of all TCP flows."""
        flows = tables.of("tcp", scenario="links")
        verdict = near(float(flows["largest_ip_bytes"].max()), 1500, abs=0, unit="bytes at most")
        return verdict.because("the flows", flows[["scenario", "link", "largest_ip_bytes"]])

    @claim(
        "A TCP flow that fills a link has the link's rate less the headers.",
        source="RFC 9293; 1448 of 1514 bytes",
        scenarios=("links",),
        bears_stall_s=0.002,
    )
    def tcp_goodput_is_exact(self, tables: Tables) -> Verdict:
        """The settled part of each flow."""
        flows = tables.of("tcp", scenario="links")
        flows = flows[flows["rate_mbps"] <= self._target(tables, "links", "top_mbps")]
        return all_of(
            *(
                near(
                    f.goodput_mbps,
                    f.expected_mbps,
                    unit="Mbit/s",
                    rel=self._target(tables, "links", "goodput"),
                )
                for f in rows(flows)
            )
        ).because("flows", flows, scenario="links")

    @claim(
        "Acknowledgements take the way back as any packet: transmission time and delay.",
        source="Kurose & Ross §1.4",
        scenarios=("links",),
    )
    def ack_path_is_exact(self, tables: Tables) -> Verdict:
        """Every acknowledgement of all flows."""
        top_mbps = self._target(tables, "links", "top_mbps")
        limit_us = self._target(tables, "links", "ack_us")
        verdicts, spoiled, worst_us = [], [], 0.0
        for link, (rate, _, _) in TCP_LINKS.items():
            if rate > top_mbps:
                continue
            acks = tables.of("acks", scenario="links", link=link)
            mine = acks[acks["stall_us"] <= limit_us]
            worst_us = max(worst_us, acks["stall_us"].max())
            if len(mine) < JUDGED_SHARE * len(acks):
                spoiled.append(f"the acknowledgements over {link}")
                continue
            unit = f"µs off ({len(mine)} packets, {link})"
            verdicts.append(at_most(mine["error_us"].abs().max(), limit_us, unit=unit))
        return with_unjudged(verdicts, spoiled, worst_us)

    @claim(
        "TCP fills 10 Gbit/s over 100 ms once slow start has opened the window.",
        source="RFC 5681 §3.1, RFC 7323",
        scenarios=("fat",),
        bears_stall_s=0.002,
    )
    def fat_path_is_filled(self, tables: Tables) -> Verdict:
        """The fastest whole round-trip time, the doubling on the way there, and the whole time."""
        if (FAT.rate_mbps or 0.0) > self._target(tables, "fat", "top_mbps"):
            raise MissingDataError("no kernel carries 10 Gbit/s on the real clock; not claimed")
        rounds = tables.of("fat", scenario="fat")
        flow = tables.row("fat_flow", scenario="fat")
        expected = FAT.rate_mbps * throughput.goodput_share(MSS_BYTES) if FAT.rate_mbps else 0.0
        slow = rounds["mbps"] < DOUBLING_SHARE * expected
        growing = rounds[slow.cummin() & (rounds["round"] >= 1)]["bytes"]
        factors = (growing / growing.shift()).dropna().iloc[1:]
        limit = self._target(tables, "fat", "fat goodput")
        return all_of(
            *(
                [
                    near(flow["full_mbps"], expected, rel=limit, unit="Mbit/s"),
                    near(flow["seconds"], flow["expected_s"], rel=limit, unit="s in all"),
                ]
                + [near(f, 2.0, rel=0.05, unit="times per RTT") for f in factors]
            )
        ).because("bytes that arrived in each round-trip time", rounds, scenario="fat")

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure]:
        """Measured against set, of those parts that ran.

        Figures:
            1_goodput: How far TCP's goodput is off the rate that headers leave it, over five powers
                of ten of link rates.
            2_ten_gigabit: What arrives in each round-trip time over 10 Gbit/s and 100 ms: it
                doubles each time (dotted) until the link is full.
        """
        drawn: dict[str, Figure] = {}
        if "tcp" in tables:
            drawn["1_goodput"] = plots.tcp(tables["tcp"])
        if "fat" in tables:
            drawn["2_ten_gigabit"] = plots.fat(tables["fat"], FAT.rate_mbps or 0.0)
        return drawn


# ---- helpers


def _queue_pkts(rate_mbps: float, rtt_ms: float) -> int:
    """A buffer of one bandwidth-delay product, and room for a burst of slow start."""
    bdp_pkts = rate_mbps * 1e3 * rtt_ms / 8 / 1514
    return max(20, round(1.5 * bdp_pkts))


def _far(net: RunningNetwork, i: int) -> str:
    """Address of the receiving end of link i."""
    found = [r for r in net.network.addresses if r["interface"] == f"rx-eth{i}"]
    return str(found[0]["ipv4"]).split("/")[0]


def _new_bytes(packets: pd.DataFrame, port: int) -> pd.DataFrame:
    """Data of the flow to a port as it arrived."""
    mine = packets[(packets["tcp_dport"] == port) & (packets["tcp_payload_bytes"] > 0)]
    if mine.empty:
        raise MissingDataError(f"no data to port {port}")
    return throughput.arrivals(mine, mine["ip_src"].iloc[0], mine["tcp_sport"].iloc[0])


def _settled_mbps(came: pd.DataFrame) -> float:
    """Goodput between half and 95 % of the bytes: behind slow start, before the end."""
    done = came["new_bytes"].cumsum() / came["new_bytes"].sum()
    start_s, end_s = (float(came["time_s"][done >= share].iloc[0]) for share in (0.5, 0.95))
    return throughput.rate_mbps(came, "new_bytes", start_s, end_s)


def _full_rate_mbps(came: pd.DataFrame, window_s: float) -> float:
    """The highest goodput over any window, sought in steps of a tenth of it."""
    starts = np.arange(came["time_s"].iloc[0], came["time_s"].iloc[-1] - window_s, window_s / 10)
    rates = [throughput.rate_mbps(came, "new_bytes", s, s + window_s) for s in starts]
    return max(rates, default=float("nan"))


def _transfer_s(size_bytes: int, shape: LinkShape) -> float:
    """First to last byte: whole rounds of slow start from 10 segments, then the full rate."""
    rtt_s, rate = 2 * shape.delay_ms / 1e3, (shape.rate_mbps or 0.0) * 1e6 / 8
    rate *= throughput.goodput_share(MSS_BYTES)
    window, sent, rounds = 10 * MSS_BYTES, 0, 0
    while window < rate * rtt_s and sent + window < size_bytes:
        sent, window, rounds = sent + window, 2 * window, rounds + 1
    return rounds * rtt_s + (size_bytes - sent) / rate


def _ack_delays(
    leaving: pd.DataFrame, arriving: pd.DataFrame, port: int, rate_mbps: float, rtt_ms: float
) -> pd.DataFrame:
    """Each packet that came back: left_ns, came_ns, and error_us compared with an ideal wire."""
    key = ["tcp_dport", "ip_id", "tcp_seq", "tcp_ack", "tcp_flags"]
    mine = [p[p["tcp_sport"] == port].drop_duplicates(key) for p in (leaving, arriving)]
    both = mine[0].merge(mine[1], on=key, suffixes=("_left", "_came"))
    t0_ns = int(both["time_ns_left"].iloc[0])
    left_ns, came_ns = (both[f"time_ns_{end}"] - t0_ns for end in ("left", "came"))
    frames = both["ip_bytes_left"].astype(int) + trains.ETHERNET_BYTES
    ideal_ns = trains.ideal_wire(left_ns, frames, rate_mbps, rtt_ms / 2)
    return pd.DataFrame(
        {
            "error_us": (came_ns.to_numpy(float) - ideal_ns) / 1e3,
            "left_ns": both["time_ns_left"],
            "came_ns": both["time_ns_came"],
        }
    )
