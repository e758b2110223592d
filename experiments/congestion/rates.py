"""Rates: alone, shared, and under random loss."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import throughput
from testbed import MSS_BYTES, Experiment, Tables, Verdict, all_of, at_least, between, claim, near

SETTLED_S = 5.0
"""From here on a lone flow is past its first loss; rates are measured behind it."""

LOSSES_PERCENT = {"loss-0.25": 0.25, "loss-0.5": 0.5, "loss-1": 1.0, "loss-2": 2.0}

MATHIS_C = 1.22
"""√(3/2): Mathis et al.'s constant where the receiver's delayed ACKs cost no growth (Linux counts
acknowledged segments, RFC 3465)."""


class Rates(Experiment):
    """Rates: alone, shared, and under random loss."""

    @claim(
        "A lone flow's goodput is the bottleneck's rate less the headers.",
        source="RFC 5681, RFC 9293; 1448 of 1514 bytes",
        scenarios=("reno", "cubic"),
        bears_stall_s=0.002,
    )
    def lone_flow_fills_the_bottleneck(self, tables: Tables) -> Verdict:
        """Reno and CUBIC, each alone, once settled."""
        verdicts = []
        for scenario in ("reno", "cubic"):
            rate = tables.row("setting", scenario=scenario)["rate_mbps"]
            goodput = tables.row("flows", scenario=scenario)["goodput_mbps"]
            share = throughput.goodput_share(MSS_BYTES)
            verdicts.append(near(goodput, rate * share, rel=0.02, unit=f"Mbit/s {scenario}"))
        flows = tables.of("flows")
        lone = flows[flows["scenario"].isin(["reno", "cubic"])]
        return all_of(*verdicts).because("the flows", lone)

    @claim(
        "Two flows of the same kind share the bottleneck equally.",
        source="Chiu & Jain 1989",
        scenarios=("fair",),
        bears_stall_s=0.002,
    )
    def like_flows_share(self, tables: Tables) -> Verdict:
        """Jain's index over the goodputs, once both have settled."""
        flows = tables.of("flows", scenario="fair")
        index = throughput.jain(list(flows["goodput_mbps"]))
        return at_least(index, 0.95, unit="Jain's index").because("the flows", flows)

    @claim(
        "Under random loss p Reno's rate falls as 1/√p.",
        source="Mathis et al. 1997",
        scenarios=tuple(LOSSES_PERCENT),
        bears_stall_s=0.002,
    )
    def mathis_law(self, tables: Tables) -> Verdict:
        """Slope over the loss rates, and the constant at each of them."""
        points = self._mathis_points(tables)
        slope = np.polyfit(np.log(points["loss"]), np.log(points["goodput_mbps"]), 1)[0]
        ratio = points["goodput_mbps"] / points["mathis_mbps"]
        return all_of(
            near(float(slope), -0.5, abs=0.1, unit="power of p"),
            *[between(r, 0.7, 1.3, unit="of Mathis' rate") for r in ratio],
        ).because("rate at each loss", points)

    def _mathis_points(self, tables: Tables) -> pd.DataFrame:
        points = []
        for scenario in LOSSES_PERCENT:
            setting = tables.row("setting", scenario=scenario)
            sent = tables.of("segments", scenario=scenario)
            sent = sent[sent["time_s"] > SETTLED_S]
            loss = sent["retransmission"].mean()
            srtt_s = tables.of("cwnd", scenario=scenario)["srtt_ms"].median() / 1e3
            points.append(
                {
                    "loss": loss,
                    "configured": setting["loss_percent"] / 100,
                    "goodput_mbps": tables.row("flows", scenario=scenario)["goodput_mbps"],
                    "mathis_mbps": MSS_BYTES * 8 / srtt_s * MATHIS_C / np.sqrt(loss) / 1e6,
                }
            )
        return pd.DataFrame(points)
