"""The congestion experiment with another algorithm or queue than each claim speaks of."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..experiment import Congestion
from ..rates import LOSSES_PERCENT


class WrongAlgorithm(Congestion):
    """Every scenario under the right name, with the wrong thing in it."""

    def scenarios(self) -> Mapping[str, Any]:
        """CUBIC for Reno, Reno for CUBIC, BBR under loss, FIFO for FQ-CoDel, no ECN."""
        right = super().scenarios()
        return {
            "reno": replace(right["reno"], cc=("cubic",)),
            "cubic": replace(right["cubic"], cc=("reno",)),
            "bbr": replace(right["bbr"], cc=("cubic",)),
            "outage": replace(right["outage"], cc=("cubic",)),
            "fair": replace(right["fair"], cc=("reno", "bbr")),
            "fifo": right["fifo"],
            "fq_codel": replace(right["fq_codel"], qdisc="fifo"),
            "ecn": replace(right["ecn"], ecn=False),
            **{n: replace(right[n], cc=("bbr",), rate_mbps=20.0) for n in LOSSES_PERCENT},
        }
