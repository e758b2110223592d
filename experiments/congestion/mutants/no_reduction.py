"""The congestion experiment with an algorithm that does not give way in recovery."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..experiment import Congestion


class NoReduction(Congestion):
    """BBR under Reno's name: it leaves recovery with the window it had."""

    def scenarios(self) -> Mapping[str, Any]:
        """Only the scenario that the claim reads."""
        return {"reno": replace(super().scenarios()["reno"], cc=("bbr",))}
