"""The flood experiment with a controller that only watches."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..experiment import SdnFlood


class Careless(SdnFlood):
    """Nobody defends the server in the scenario that says so."""

    def scenarios(self) -> Mapping[str, Any]:
        """The defended one, undefended."""
        return {"defended": replace(self.params, defend=False)}
