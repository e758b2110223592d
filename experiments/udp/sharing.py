"""A sender without congestion control on the same link as two that have it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from analysis import throughput
from testbed import (
    MSS_BYTES,
    Experiment,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    bulk_flows,
    claim,
    first,
    last,
    near,
    own_program,
    presuming,
    programs,
)
from topologies.dumbbell import BOTTLENECK_FAR

if TYPE_CHECKING:
    import pandas as pd

    from testbed import RunningNetwork, ScenarioData

TCP_FLOWS, UDP_FLOW = ("TCP 1", "TCP 2"), "UDP"
TCP_PORTS = dict(zip(TCP_FLOWS, (40_001, 40_002), strict=True))
"""Source ports."""

SETTLED_S, ALONE_S, BOTH_S, AFTER_S = 2.0, 6.0, 5.0, 5.0
"""TCP's start, which is not counted; how long TCP has the link, shares it, and has it again."""

DATAGRAM_BYTES, FRAME_BYTES, TRAIN_PORT = 1472, 1514, 5001
POLITE_PERCENT = 5.0
"""Rate of a UDP sender that slows down half-way, of the bottleneck's."""

BIN_S = 0.25


def compete(params: Any, net: RunningNetwork) -> None:
    """TCP from tx1 and tx2; meanwhile UDP from tx3, at a constant rate."""
    later_percent = POLITE_PERCENT if "polite" in params.faults else params.udp_percent
    percents = (params.udp_percent, later_percent)
    trains = [_constant(net, params.rate_mbps * p / 100, BOTH_S / len(percents)) for p in percents]
    net.start("rx3", *programs.argv("train", "sink"))
    for number, port in enumerate(TCP_PORTS.values(), 1):
        bulk_flows.receive(net, f"rx{number}")
        target, seconds = net.address(f"rx{number}"), ALONE_S + BOTH_S + AFTER_S
        bulk_flows.send(net, f"tx{number}", target, cc="reno", seconds=seconds, sport=port)
    net.sleep(ALONE_S)
    net.event("udp-begins")
    own_program("tx3", "train", json.dumps(trains))(net)
    net.event("udp-ends")
    net.sleep(AFTER_S)


def _constant(net: RunningNetwork, rate_mbps: float, seconds: float) -> dict[str, Any]:
    """Datagrams to rx3 at a constant rate, for `train.py`."""
    return {
        "address": net.address("rx3"),
        "count": round(rate_mbps * 1e6 * seconds / 8 / FRAME_BYTES),
        "size_bytes": DATAGRAM_BYTES,
        "gap_ns": round(FRAME_BYTES * 8e3 / rate_mbps),
        "then_s": 0,
    }


def measure(data: ScenarioData, began_s: float, params: Any) -> dict[str, pd.DataFrame]:
    """Rates of the last step.

    Args:
        data: the scenario's artefacts.
        began_s: when the step began.
        params: of the experiment.

    Returns:
        ``rates`` (`flow`, `time_s` since the step began, `mbps`), ``flows`` (`flow`, `label`),
        ``shares`` (`phase`, `flow`, `mbps`), ``udp_sent`` (`half`, `mbps`, `sent`, `arrived`).
    """
    import pandas as pd

    columns = ("ip_src", "ip_proto", "wire_bytes", "udp_dport", "udp_bytes")
    tcp = ("tcp_sport", "tcp_seq", "tcp_payload_bytes")
    far = data.packets(BOTTLENECK_FAR, (*columns, *tcp))
    flows = {
        flow: throughput.arrivals(far, data.address(f"tx{number}"), port)
        for number, (flow, port) in enumerate(TCP_PORTS.items(), 1)
    }
    flows[UDP_FLOW] = _train(far)
    sent = _train(data.packets("tx3-eth0", columns))
    ends = [data.moment(event) for event in ("udp-begins", "udp-ends")]
    phases = {
        "before": (began_s + SETTLED_S, ends[0]),
        "during": (ends[0] + SETTLED_S, ends[1]),
        "after": (ends[1] + SETTLED_S, ends[1] + AFTER_S),
    }
    shares = [
        {"phase": phase, "flow": flow, "mbps": throughput.rate_mbps(seen, "new_bytes", *window)}
        for phase, window in phases.items()
        for flow, seen in flows.items()
    ]
    rates = []
    for flow, seen in flows.items():
        shifted = seen.assign(time_s=seen["time_s"] - began_s)
        shifted = shifted[shifted["time_s"] >= 0]
        total_s = ALONE_S + BOTH_S + AFTER_S
        binned = throughput.binned_mbps(shifted, "new_bytes", BIN_S, total_s)
        rates.append(binned.assign(flow=flow))
    first_s, last_s = (float(end(sent, "UDP sent")["time_s"]) for end in (first, last))
    middle_s = (first_s + last_s) / 2
    halves = {"first": (first_s, middle_s), "second": (middle_s, last_s)}
    return {
        "rates": pd.concat(rates, ignore_index=True),
        "flows": pd.DataFrame([{"flow": flow, "label": flow} for flow in flows]),
        "shares": pd.DataFrame(shares),
        "udp_sent": pd.DataFrame(
            {
                "half": half,
                "mbps": throughput.rate_mbps(sent, "wire_bytes", *window),
                "sent": len(sent),
                "arrived": len(flows[UDP_FLOW]),
            }
            for half, window in halves.items()
        ),
    }


def _train(packets: pd.DataFrame) -> pd.DataFrame:
    """The UDP flow's datagrams: time_s, new_bytes (of data), wire_bytes."""
    mine = packets[packets["udp_dport"] == TRAIN_PORT]
    new_bytes = mine["udp_bytes"].astype(int) - 8
    return mine[["time_s", "wire_bytes"]].assign(new_bytes=new_bytes).reset_index(drop=True)


class Sharing(Experiment):
    """A sender without congestion control on the same link as two that have it."""

    @claim(
        "UDP has no congestion control: the sender keeps its rate while the bottleneck drops its "
        "datagrams.",
        source="RFC 8085 §3.1; RFC 2914 §3",
        bears_stall_s=0.1,
    )
    def sender_does_not_slow_down(self, tables: Tables) -> Verdict:
        """Rate of sending in both halves of the flow, and datagrams lost."""
        halves = tables.of("udp_sent")
        early, late = (float(tables.row("udp_sent", half=h)["mbps"]) for h in ("first", "second"))
        lost = int(halves["sent"].iloc[0] - halves["arrived"].iloc[0])
        return presuming(
            at_least(lost, 10, unit="datagrams lost"),
            near(late, early, rel=0.01, unit="Mbit/s in the second half"),
        ).because("the UDP flow", halves, scenario="main")

    @claim(
        "TCP on the same link starves: it takes losses for congestion and slows down, until little "
        "more is left to it than what UDP does not take.",
        source="RFC 2914 §3.1, §3.2; RFC 8085 §3.1",
        bears_stall_s=0.1,
    )
    def tcp_beside_it_starves(self, tables: Tables) -> Verdict:
        """Goodput of the two TCP flows before, during and after UDP's."""
        p = self.params
        share = throughput.goodput_share(MSS_BYTES)
        left_mbps = p.rate_mbps * max(0.0, 1 - p.udp_percent / 100) * share
        fair_mbps = 2 / 3 * p.rate_mbps * share
        tcp = {phase: self._tcp_mbps(tables, phase) for phase in ("before", "during", "after")}
        udp_mbps = float(tables.row("shares", phase="during", flow=UDP_FLOW)["mbps"])
        return all_of(
            at_least(tcp["before"], 0.9 * p.rate_mbps * share, unit="Mbit/s of TCP before"),
            at_most(
                tcp["during"],
                min(left_mbps + 0.1 * p.rate_mbps, fair_mbps / 2),
                unit="Mbit/s of TCP with UDP",
            ),
            at_least(udp_mbps, p.rate_mbps / 3, unit="Mbit/s of UDP, a fair share or more"),
            at_least(tcp["after"], 0.8 * p.rate_mbps * share, unit="Mbit/s of TCP after"),
        ).because("goodput in Mbit/s", tables.of("shares"), scenario="main")

    def _tcp_mbps(self, tables: Tables, phase: str) -> float:
        return sum(
            float(tables.row("shares", phase=phase, flow=flow)["mbps"]) for flow in TCP_FLOWS
        )
