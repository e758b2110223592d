"""The load balancer's experiment with policies that change places, and a server that is dead."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..experiment import SERVERS, SdnBalance


class Wrong(SdnBalance):
    """In turn where the source's address should decide, and the other way round."""

    def scenarios(self) -> Mapping[str, Any]:
        """Both, each with the other one's policy."""
        return {
            "in_turn": replace(self.params, policy="source_hash"),
            "by_source": replace(self.params, policy="round_robin"),
        }

    def run(self, net: Any) -> None:
        """As the experiment does; nobody looks whether a server still lives."""
        net.silence(f"{SERVERS[0]}-eth0")
        super().run(net)
