"""The failover experiment with the two kinds of failure confused."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..experiment import SdnFailover


class Swapped(SdnFailover):
    """Who should be told of the failure is not, and the other way round."""

    def scenarios(self) -> Mapping[str, Any]:
        """All; none waits for longer than its own scenario says."""
        other = {"cut": "silence", "silence": "cut"}
        return {
            name: replace(params, failure=other[params.failure])
            for name, params in super().scenarios().items()
        }
