"""Pings over one link: the smallest experiment that a sweep can vary."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from testbed import (
    Experiment,
    LinkShape,
    RunningNetwork,
    ScenarioData,
    Tables,
    Topo,
    Verdict,
    at_most,
    claim,
    near,
    param,
)


class Pair(Topo):
    """Two hosts."""

    def build(self, delay_ms: float = 10.0, loss_percent: float = 0.0) -> None:
        """One link."""
        shape = LinkShape(delay_ms=delay_ms, loss_percent=loss_percent)
        self.addLink(self.addHost("h1"), self.addHost("h2"), shape=shape)


class Echo(Experiment):
    """Pings over one link."""

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(10.0, "one-way delay", unit="ms", low=0, high=1000)
        loss_percent: float = param(0.0, "loss", unit="%", low=0, high=50)
        count: int = param(5, "pings", low=1, high=1000)
        trap: str = param("", "name of a file: whoever measures ends while it is there")

    params: Parameters
    repeated_tables = ("pings",)

    def topology(self) -> Pair:
        """Two hosts."""
        return Pair(delay_ms=self.params.delay_ms, loss_percent=self.params.loss_percent)

    def run(self, net: RunningNetwork) -> None:
        """Pings."""
        net.capture("h1-eth0")
        argv = ("ping", "-n", "-c", str(self.params.count), "-i", "0.2", net.address("h2"))
        net.start("h1", *argv).wait(600)

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Each ping's round trip."""
        while self.params.trap and Path(self.params.trap).exists():
            if Path(self.params.trap).read_text() == "dies":
                os._exit(9)
            time.sleep(0.05)
        packets = data.packets("h1-eth0", ["icmp_type", "icmp_seq"]).dropna()
        asked, answered = (
            packets[packets["icmp_type"] == kind].set_index("icmp_seq")["time_s"] for kind in (8, 0)
        )
        rtt_ms = (1000 * (answered - asked)).dropna()
        pings = pd.DataFrame({"icmp_seq": rtt_ms.index, "rtt_ms": rtt_ms.to_numpy()})
        return {"pings": pings, "counts": pd.DataFrame([{"lost": len(asked) - len(answered)}])}

    @claim("A ping takes the link's delay twice.", source="RFC 792")
    def twice_the_delay(self, tables: Tables) -> Verdict:
        """The median."""
        rtt_ms = tables["pings"]["rtt_ms"].median()
        return near(rtt_ms, 2 * self.params.delay_ms, rel=0.2, unit="ms")

    @claim("No ping is lost.", source="the question")
    def nothing_lost(self, tables: Tables) -> Verdict:
        """Of those sent."""
        return at_most(float(tables["counts"]["lost"].sum()), 0, unit="pings")
