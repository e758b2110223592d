"""A ping flood through a slow link: how long a packet waits behind those in front of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from analysis.plots import style
from testbed import (
    ETHERNET_HEADER_BYTES,
    Experiment,
    LinkShape,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    between,
    claim,
    near,
    param,
)
from topologies.dumbbell import BOTTLENECK, Dumbbell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

ECHO_REPLY, ECHO_REQUEST = 0, 8
HEADERS_BYTES = ETHERNET_HEADER_BYTES + 20 + 8
COLUMNS = ("icmp_type", "icmp_seq")


class QueueDelay(Experiment):
    """Round-trip time against the length of the queue, under a ping flood.

    tx1 floods rx1 with pings: many at once, then one more for each answer. The link from r1 to r2
    cannot keep up, so they wait in its queue, and those that find it full are lost.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        rate_mbps: float = param(10.0, "rate of the slow link", unit="Mbit/s", low=0.5, high=100)
        delay_ms: float = param(10.0, "its delay, one way", unit="ms", low=0.1, high=500)
        queue_pkts: int = param(60, "its queue", unit="packets", low=2, high=1000)
        pings: int = param(1000, "how many pings are sent", low=100, high=60_000)
        window: int = param(100, "how many may be under way", low=1, high=1000)
        data_bytes: int = param(1400, "data in a ping", unit="bytes", low=56, high=1472)

    params: Parameters
    programs = ("ping",)

    def topology(self) -> Dumbbell:
        """One sender, one receiver; only the way there is slow."""
        p = self.params
        slow = LinkShape(rate_mbps=p.rate_mbps, delay_ms=p.delay_ms, queue_pkts=p.queue_pkts)
        return Dumbbell(bottleneck=slow, back=LinkShape(delay_ms=p.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """Captures before and behind the queue, and floods."""
        p, receiver = self.params, net.address("rx1")
        net.exec("tx1", "ping", "-c", "1", receiver)  # everybody's ARP is done once this returns
        net.capture("tx1-eth0", BOTTLENECK)
        flood = f"ping -f -q -l {p.window} -c {p.pings} -s {p.data_bytes}"
        net.exec("tx1", *flood.split(), receiver)

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """One row a ping: when it was sent, what was in front of it, when the answer came."""
        sender, behind = data.packets("tx1-eth0", COLUMNS), data.packets(BOTTLENECK, COLUMNS)
        sent = _times(sender, ECHO_REQUEST, "sent_s").to_frame()
        left, answered = (
            _times(behind, ECHO_REQUEST, "left_s"),
            _times(sender, ECHO_REPLY, "answered_s"),
        )
        pings = sent.join([left, answered])
        passed = pings["left_s"].notna()
        gone = np.searchsorted(pings.loc[passed, "left_s"], pings["sent_s"])
        pings["queue_pkts"] = passed.cumsum() - passed.astype(int) - gone
        pings["rtt_ms"] = (pings["answered_s"] - pings["sent_s"]) * 1e3
        return {"pings": pings.reset_index()}

    def _sending_ms(self) -> float:
        """How long the link takes to send one ping."""
        return (self.params.data_bytes + HEADERS_BYTES) * 8 / self.params.rate_mbps / 1e3

    def _empty_ms(self) -> float:
        """Round-trip time in the empty network; the way back is not limited."""
        return 2 * self.params.delay_ms + self._sending_ms()

    @claim(
        "Each packet in the queue adds the time it takes to send it to the round-trip time.",
        source="arithmetic: packet length / rate",
        bears_stall_s=0.002,
    )
    def each_packet_adds_its_time(self, tables: Tables) -> Verdict:
        """Slope of the round-trip time over the queue's length, and where the line begins.

        The rest of the packet that is just being sent comes on top: between none and one.
        """
        pings = tables.of("pings").dropna()
        slope_ms, empty_ms = np.polyfit(pings["queue_pkts"], pings["rtt_ms"], 1)
        own_ms = self._sending_ms()
        return all_of(
            near(slope_ms, own_ms, rel=0.02, unit="ms a packet"),
            between(
                empty_ms,
                self._empty_ms(),
                self._empty_ms() + 1.1 * own_ms,
                unit="ms with nobody in front",
            ),
        )

    @claim("A full queue drops what arrives.", source="RFC 7567 §2, tail drop", bears_stall_s=0.002)
    def full_queue_drops(self, tables: Tables) -> Verdict:
        """The queue in front of those that were dropped, and of those that were not."""
        pings = tables.of("pings")
        dropped = pings[pings["left_s"].isna()]
        if dropped.empty:
            raise MissingDataError("the queue was never full; try a larger --window")
        return all_of(
            near(
                dropped["queue_pkts"].min(),
                self.params.queue_pkts,
                abs=1,
                unit="packets",
                what="shortest queue that dropped",
            ),
            near(
                pings["queue_pkts"].max(),
                self.params.queue_pkts,
                abs=1,
                unit="packets",
                what="longest",
            ),
        )

    def plot(self, tables: Tables) -> dict[str, Figure]:
        """Round-trip time against queue length.

        Figures:
            queue_delay: Each ping over the packets in front of it. Look for where the band begins:
                that is the path without a queue.
        """
        pings = tables.of("pings")
        figure, axes = plt.subplots()
        axes.plot(pings["queue_pkts"], pings["rtt_ms"], ".", label="a ping")
        ahead = np.arange(pings["queue_pkts"].max() + 1)
        low_ms = self._empty_ms() + ahead * self._sending_ms()
        axes.fill_between(
            ahead,
            low_ms,
            low_ms + self._sending_ms(),
            color=style.COLOURS[1],
            alpha=0.3,
            lw=0,
            label="expected: two delays, and the time to send all that is in front",
        )
        axes.set(xlabel="packets in front of it", ylabel="round-trip time (ms)", ylim=(0, None))
        axes.legend()
        return {"queue_delay": figure}


def _times(packets: pd.DataFrame, kind: int, name: str) -> pd.Series[float]:
    """Times of one kind of ICMP message, by sequence number."""
    found = packets[packets["icmp_type"] == kind]
    return pd.Series(found["time_s"].to_numpy(), found["icmp_seq"].to_numpy(), name=name)
