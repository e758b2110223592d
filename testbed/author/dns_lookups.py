"""Look-ups of names in a run's tables: the messages between client, resolver and servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from testbed.author import steps
from testbed.author.steps import address, pick
from testbed.core.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

    from testbed.results.data import ScenarioData

CLIENT, RESOLVER = "h1-eth0", "v1-eth0"
"""Where the two are captured; see `topologies.nameservers`."""


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


class LookUps(Tables):
    """The tables of `measure`, and the DNS messages of a step: as needed by claims on look-ups.

    An experiment names it in `Experiment.tables_type`.
    """

    def resolver_queries(self, step: str, *, scenario: str = "main", **equals: Any) -> pd.DataFrame:
        """Queries that the resolver sent."""
        own = address(self, RESOLVER, scenario=scenario)
        return self._pick(step, RESOLVER, scenario, response=False, ip_src=own, **equals)

    def resolver_answers(self, step: str, *, scenario: str = "main", **equals: Any) -> pd.DataFrame:
        """Answers that the resolver got."""
        own = address(self, RESOLVER, scenario=scenario)
        return self._pick(step, RESOLVER, scenario, response=True, ip_dst=own, **equals)

    def client_queries(self, step: str, *, scenario: str = "main", **equals: Any) -> pd.DataFrame:
        """The client's questions."""
        return self._pick(step, CLIENT, scenario, response=False, **equals)

    def client_answers(self, step: str, *, scenario: str = "main", **equals: Any) -> pd.DataFrame:
        """Answers to the client."""
        return self._pick(step, CLIENT, scenario, response=True, **equals)

    def records(
        self, step: str, *kinds: str, section: str = "answer", scenario: str = "main"
    ) -> pd.DataFrame:
        """Records in the last answer to the client; all types by default."""
        last = self.client_answers(step, scenario=scenario).tail(1)
        found = self.of("records", scenario=scenario, capture=CLIENT)
        found = found[found["frame"].isin(last["frame"]) & (found["section"] == section)]
        return found[found["type"].isin(kinds)] if kinds else found

    def addresses(self, step: str, *, scenario: str = "main") -> list[str]:
        """IPv4 addresses in the last answer to the client."""
        return [str(data) for data in self.records(step, "A", scenario=scenario)["data"]]

    def _pick(self, step: str, capture: str, scenario: str, **equals: Any) -> pd.DataFrame:
        return pick(self, step, capture, scenario=scenario, table="dns", **equals)
