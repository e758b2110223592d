"""Look-ups of names in a run's tables: what client, resolver and servers said to each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed.author import steps
from testbed.author.steps import address, pick

if TYPE_CHECKING:
    import pandas as pd

    from testbed.core.tables import Tables
    from testbed.results.data import ScenarioData

CLIENT, RESOLVER = "h1-eth0", "v1-eth0"
"""Where both are captured; see `topologies.nameservers`."""


def measure(
    data: ScenarioData, thin: Callable[[pd.DataFrame], pd.DataFrame] | None = None
) -> dict[str, pd.DataFrame]:
    """Tables of `steps.measure`, ``dns`` (messages) and ``records`` (by capture and frame)."""
    import pandas as pd

    from analysis import summaries
    from analysis.dissect import dns

    tables = steps.measure(data, ("payload",), {"dns": summaries.dns}, thin=thin)
    tables["records"] = pd.concat(
        dns.records(found).assign(capture=capture)
        for capture, found in tables["packets"].groupby("capture")
    )
    return tables


@dataclass(frozen=True)
class LookUps:
    """The DNS messages of one scenario, step by step."""

    tables: Tables
    scenario: str = "main"

    def asked(self, step: str, **equals: Any) -> pd.DataFrame:
        """Queries that the resolver sent."""
        own = address(self.tables, RESOLVER, scenario=self.scenario)
        return self._pick(step, RESOLVER, response=False, ip_src=own, **equals)

    def told(self, step: str, **equals: Any) -> pd.DataFrame:
        """Answers that the resolver got."""
        own = address(self.tables, RESOLVER, scenario=self.scenario)
        return self._pick(step, RESOLVER, response=True, ip_dst=own, **equals)

    def wanted(self, step: str, **equals: Any) -> pd.DataFrame:
        """The client's questions."""
        return self._pick(step, CLIENT, response=False, **equals)

    def heard(self, step: str, **equals: Any) -> pd.DataFrame:
        """Answers to the client."""
        return self._pick(step, CLIENT, response=True, **equals)

    def records(self, step: str, *kinds: str, section: str = "answer") -> pd.DataFrame:
        """Records in the last answer to the client; all kinds unless some are named."""
        last = self.heard(step).tail(1)
        found = self.tables.of("records", scenario=self.scenario, capture=CLIENT)
        found = found[found["frame"].isin(last["frame"]) & (found["section"] == section)]
        return found[found["type"].isin(kinds)] if kinds else found

    def addresses(self, step: str) -> list[str]:
        """IPv4 addresses that the client was told at last."""
        return [str(data) for data in self.records(step, "A")["data"]]

    def _pick(self, step: str, capture: str, **equals: Any) -> pd.DataFrame:
        return pick(self.tables, step, capture, scenario=self.scenario, table="dns", **equals)
