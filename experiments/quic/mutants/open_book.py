"""A path on which somebody has the keys of both ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..experiment import Quic

if TYPE_CHECKING:
    import pandas as pd

    from testbed import ScenarioData


class OpenBook(Quic):
    """The path reads everything."""

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """What the ends know is what the path reads."""
        found = super().measure(data)
        return found | {"quic_on_path": found["quic"]}
