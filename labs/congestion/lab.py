"""The congestion lab: students measure a line, and choose a sender and a queue for two others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import bottleneck, throughput
from testbed import (
    CONGESTION_CONTROLS,
    ETHERNET_HEADER_BYTES,
    MSS_BYTES,
    QDISCS,
    Assignment,
    LinkShape,
    SeededRandom,
    SubmissionError,
    Verdict,
    at_least,
    at_most,
    claim,
    param,
    shown,
)
from topologies.dumbbell import BOTTLENECK, BOTTLENECK_FAR, Dumbbell

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData, Tables

DATA_PORT = 40_001
DURATION_S, SETTLED_S = 15.0, 4.0
"""Rates and delays are taken from the settled flow."""

FRAME_BYTES = 1500 + ETHERNET_HEADER_BYTES
"""A full segment on the wire, as the rate limit counts it."""

SATELLITE_SHARE, HOME_SHARE = 0.8, 0.85
"""Of what the line can carry, so much must arrive."""

HOME_DELAY_MS = 20.0
"""The longest queueing delay, of 95 packets in 100, that a call tolerates during the download."""

HOME_CC = "cubic"
LONGEST_QUEUE_PKTS = 10_000
COLUMNS = (
    "frame",
    "wire_bytes",
    "ip_src",
    "ip_dst",
    "ip_id",
    "ip_ecn",
    "tcp_sport",
    "tcp_dport",
    "tcp_seq",
    "tcp_payload_bytes",
)


class Lab(Assignment):
    """TCP congestion control: measure, explain, choose."""

    @dataclass(frozen=True)
    class Parameters:
        """The variant; `path` is the network of a scenario."""

        rate_mbps: float = param(
            6.0, "rate of the line you measure", unit="Mbit/s", low=1, high=100
        )
        rtt_ms: float = param(50.0, "its round-trip time", unit="ms", low=1, high=1000)
        satellite_mbps: float = param(
            5.0, "rate of the satellite link", unit="Mbit/s", low=1, high=100
        )
        satellite_rtt_ms: float = param(80.0, "its round-trip time", unit="ms", low=1, high=1000)
        loss_percent: float = param(1.0, "its random loss", unit="%", low=0, high=10)
        home_mbps: float = param(5.0, "rate of the line at home", unit="Mbit/s", low=1, high=100)
        home_rtt_ms: float = param(30.0, "its round-trip time", unit="ms", low=1, high=1000)
        path: str = param("satellite", "which of the two to run", choices=("satellite", "home"))

    params: Parameters
    programs = ("iperf3",)

    @classmethod
    def variant(cls, random: SeededRandom) -> dict[str, Any]:
        """Rates, round-trip times and loss."""
        return {
            "rate_mbps": float(random.integer(4, 9)),
            "rtt_ms": float(5 * random.integer(6, 16)),
            "satellite_mbps": float(random.integer(5, 7)),
            "satellite_rtt_ms": float(5 * random.integer(15, 21)),
            "loss_percent": random.choice((1.0, 1.5, 2.0)),
            "home_mbps": float(random.integer(5, 7)),
            "home_rtt_ms": float(2 * random.integer(14, 19)),
        }

    def scenarios(self) -> Mapping[str, Parameters]:
        """The two lines that something is chosen for."""
        return {name: replace(self.params, path=name) for name in ("satellite", "home")}

    # ---- the student's choice

    def _chosen(self, key: str, allowed: tuple[str, ...]) -> str:
        """A word of the answers.

        Raises:
            SubmissionError: missing, or none of those allowed.
        """
        value = self.answers.get(key)
        if value not in allowed:
            said = "is missing" if value is None else f"is '{shown(value)}'"
            raise SubmissionError(f"answers.yaml: {key} {said}; one of {', '.join(allowed)}")
        return str(value)

    def _queue_pkts(self) -> int:
        value = self.answers.get("home.queue_pkts")
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or not (1 <= value <= LONGEST_QUEUE_PKTS)
        ):
            said = "is missing" if value is None else f"is '{shown(value)}'"
            raise SubmissionError(
                f"answers.yaml: home.queue_pkts {said}; a whole number from 1 to "
                f"{LONGEST_QUEUE_PKTS}"
            )
        return value

    # ---- in the network

    def topology(self) -> Dumbbell:
        """One sender, one receiver, and the line between them."""
        p = self.params
        if p.path == "satellite":
            back = LinkShape(rate_mbps=p.satellite_mbps, delay_ms=p.satellite_rtt_ms / 2)
            ahead = replace(back, loss_percent=p.loss_percent, queue_bdp=1.0)
        else:
            qdisc = self._chosen("home.qdisc", QDISCS)
            back = LinkShape(rate_mbps=p.home_mbps, delay_ms=p.home_rtt_ms / 2)
            ahead = replace(back, qdisc=qdisc, queue_pkts=self._queue_pkts())
        return Dumbbell(pairs=1, bottleneck=ahead, back=back)

    def inputs(self) -> Mapping[str, str]:
        """The congestion control that sends."""
        if self.params.path == "home":
            return {"cc": HOME_CC}
        return {"cc": self._chosen("satellite.congestion_control", CONGESTION_CONTROLS)}

    def run(self, net: RunningNetwork) -> None:
        """One flow."""
        cc = (net.path / "cc").read_text()
        net.capture("tx1-eth0", BOTTLENECK, BOTTLENECK_FAR, snaplen_bytes=96)
        net.start("rx1", "iperf3", "--server", "--one-off", "--interval", "0")
        net.sleep(0.5)
        net.start(
            "tx1",
            "iperf3",
            "--client",
            net.address("rx1"),
            "--congestion",
            cc,
            "--time",
            f"{DURATION_S:.0f}",
            "--cport",
            str(DATA_PORT),
            "--interval",
            "0",
        )
        net.sleep(DURATION_S)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """What arrived, and each packet's time in the queue."""
        source = data.address("tx1")
        sent, left, far = (
            data.packets(c, COLUMNS) for c in ("tx1-eth0", BOTTLENECK, BOTTLENECK_FAR)
        )
        return {
            "arrived": throughput.arrivals(far, source, DATA_PORT),
            "passage": bottleneck.passage(
                sent[sent["ip_src"] == source], left[left["ip_src"] == source]
            ),
        }

    # ---- public checks

    @claim(
        "The sender chosen for the satellite link fills it in spite of its losses.",
        source="RFC 5681 §3.1; Mathis et al. 1997; RFC 9438; Cardwell et al. 2016",
        scenarios=("satellite",),
        bears_stall_s=0.002,
    )
    def satellite_is_filled(self, tables: Tables) -> Verdict:
        """Goodput of the settled flow."""
        return self._filled(tables, "satellite", self.params.satellite_mbps, SATELLITE_SHARE)

    @claim(
        "The line at home still carries what it can.",
        source="RFC 7567 §2",
        scenarios=("home",),
        bears_stall_s=0.002,
    )
    def home_is_filled(self, tables: Tables) -> Verdict:
        """Goodput of the settled flow."""
        return self._filled(tables, "home", self.params.home_mbps, HOME_SHARE)

    @claim(
        "Packets of the line at home wait a short time only.",
        source="RFC 7567 §2; RFC 8289 §3",
        scenarios=("home",),
        bears_stall_s=0.002,
    )
    def home_stays_quick(self, tables: Tables) -> Verdict:
        """95 of 100 packets of the settled flow, in the queue."""
        waits = tables.of("passage", scenario="home")
        waits = waits[(waits["time_s"] >= SETTLED_S) & waits["delay_s"].notna()]
        longest = waits.sort_values("delay_s").tail(4)["frame"]
        return at_most(
            float(waits["delay_s"].quantile(0.95) * 1e3), HOME_DELAY_MS, unit="ms in the queue"
        ).because("those that waited longest", longest, scenario="home", capture="tx1-eth0")

    def _filled(self, tables: Tables, scenario: str, rate_mbps: float, share: float) -> Verdict:
        arrived = tables.of("arrived", scenario=scenario)
        goodput = throughput.rate_mbps(arrived, "new_bytes", SETTLED_S, DURATION_S)
        most = rate_mbps * throughput.goodput_share(MSS_BYTES)
        return at_least(goodput, share * most, unit=f"Mbit/s of {most:.3g}")
