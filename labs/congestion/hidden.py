"""What students do not see of the congestion lab: the answers' keys."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis import throughput
from labs.congestion.lab import FRAME_BYTES
from labs.congestion.lab import Lab as Public
from testbed import MSS_BYTES, Verdict, claim, share_of

if TYPE_CHECKING:
    from testbed import Tables

MATHIS_C = math.sqrt(3 / 2)


class Hidden(Public):
    """The congestion lab as the grader has it."""

    # ---- keys

    @property
    def bdp_bytes(self) -> float:
        """What is under way when the line is just full."""
        return self.params.rate_mbps * 1e6 * self.params.rtt_ms / 1e3 / 8

    @property
    def queue_pkts(self) -> int:
        """The line's buffer, one bandwidth-delay product."""
        return round(self.bdp_bytes / FRAME_BYTES)

    @property
    def peak_segments(self) -> int:
        """The window that fills line and buffer."""
        return 2 * self.queue_pkts

    @property
    def queue_ms(self) -> float:
        """How long a packet waits in the full buffer."""
        return self.queue_pkts * FRAME_BYTES * 8 / (self.params.rate_mbps * 1e3)

    @property
    def goodput_mbps(self) -> float:
        """What a full line carries of the application's bytes."""
        return self.params.rate_mbps * throughput.goodput_share(MSS_BYTES)

    @property
    def mathis_mbps(self) -> float:
        """Reno's rate on the satellite link."""
        p = self.params
        rtt_s, loss = p.satellite_rtt_ms / 1e3, p.loss_percent / 100
        return MATHIS_C * MSS_BYTES * 8 / (rtt_s * math.sqrt(loss)) / 1e6

    # ---- hidden checks

    @claim(
        "The bandwidth-delay product of the line, in bytes and in full packets.",
        source="RFC 7323 §1.1",
    )
    def product(self, _tables: Tables) -> Verdict:
        """The two answers."""
        return share_of(
            [
                self.answers.number("bdp_bytes", self.bdp_bytes, rel=0.03, unit="bytes"),
                self.answers.number(
                    "bdp_pkts", self.bdp_bytes / FRAME_BYTES, abs=1.0, unit="packets"
                ),
            ]
        )

    @claim(
        "Reno's sawtooth on the line: its peak, its longest wait, its goodput.",
        source="RFC 5681 §3.1",
        bears_stall_s=0.002,
    )
    def sawtooth(self, _tables: Tables) -> Verdict:
        """The three answers."""
        return share_of(
            [
                self.answers.number("peak_segments", self.peak_segments, rel=0.1, unit="segments"),
                self.answers.number("queue_ms", self.queue_ms, rel=0.1, unit="ms"),
                self.answers.number("goodput_mbps", self.goodput_mbps, rel=0.04, unit="Mbit/s"),
            ]
        )

    @claim(
        "Reno's rate on the satellite link, by Mathis' formula.",
        source="Mathis et al. 1997",
        bears_stall_s=0.002,
    )
    def reno_with_losses(self, _tables: Tables) -> Verdict:
        """The answer; the constant may be 1.22 or 1."""
        middle = self.mathis_mbps * (1 + 1 / MATHIS_C) / 2
        return self.answers.number("reno_mbps", middle, rel=0.15, unit="Mbit/s")

    @claim("Why Reno does not fill the satellite link.", source="RFC 5681 §3.1")
    def why_reno_fails(self, _tables: Tables) -> Verdict:
        """Loss is taken for congestion."""
        return self.answers.text(
            "why_reno",
            r"(?=.*(loss|lost|drop|丢))(?=.*(congest|halv|reduc|half|window|cwnd|拥塞|减半|窗口))",
            expected="it takes every loss for congestion, and halves its window",
        )

    @claim("Why a larger buffer makes the line at home worse.", source="RFC 7567 §2")
    def why_not_larger(self, _tables: Tables) -> Verdict:
        """CUBIC fills whatever there is."""
        return self.answers.text(
            "why_buffer",
            r"(?=.*(fill|full|until|grow|填|满))(?=.*(queue|buffer|delay|wait|latency|队列|缓冲|延))",
            expected="a sender that goes by losses fills it, and every packet waits",
        )
