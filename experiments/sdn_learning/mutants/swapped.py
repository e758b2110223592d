"""The learning experiment with the switches' fail modes confused."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..experiment import SdnLearning


class Swapped(SdnLearning):
    """Each switch does without its controller what the other one should."""

    def scenarios(self) -> Mapping[str, Any]:
        """Those that lose their controller."""
        sound = super().scenarios()
        return {
            "secure": replace(sound["secure"], fail_mode="standalone"),
            "standalone": replace(sound["standalone"], fail_mode="secure"),
        }
