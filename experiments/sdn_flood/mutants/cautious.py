"""The flood experiment with a defence that forgives late."""

from collections.abc import Mapping
from typing import Any

from .. import experiment as sdn_flood

PATIENCE_S = 9.0


class Cautious(sdn_flood.SdnFlood):
    """The ban lasts three times as long as the experiment says."""

    def scenarios(self) -> Mapping[str, Any]:
        """The defended one."""
        return {"defended": self.params}

    def run(self, net: Any) -> None:
        """As the experiment does, in a process where the constant has another value."""
        sdn_flood.CALM_S = PATIENCE_S
        super().run(net)
