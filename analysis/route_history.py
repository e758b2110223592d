"""One run's routes: the network, every change in a kernel's table, and the tables at any moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from analysis import routes


class Recorded(Protocol):
    """What a run has recorded; `testbed.results.data.ScenarioData` is that."""

    @property
    def network(self) -> Mapping[str, Any]:
        """``network.json``."""

    @property
    def topology(self) -> Mapping[str, Any]:
        """``topology.json``."""

    def notices(self, kind: str) -> pd.DataFrame:
        """The kernel's notifications of ``routes`` or ``links``."""


@dataclass(frozen=True)
class History:
    """The kernels' notifications of their routes.

    Attributes:
        net: who is on which prefix.
        changes: of routes of both families, those the kernel makes without a word included.
        family: 4 or 6: what the tables below are of.
    """

    net: routes.Network
    changes: pd.DataFrame
    family: int

    def table(self, time_s: float) -> pd.DataFrame:
        """The tables of all nodes at a moment, with ``hops``."""
        return routes.table_at(self.changes, time_s, self.family)

    def named_table(self, time_s: float) -> pd.DataFrame:
        """The tables of routers at a moment, next hops by name."""
        return routes.by_name(self.table(time_s), self.net)

    def named_changes(self) -> pd.DataFrame:
        """All changes at routers, next hops by name."""
        return routes.by_name(self.changes[self.changes["family"] == self.family], self.net)


def history(data: Recorded, family: int = 4) -> History:
    """The history of a run that watched ``routes`` and ``links``."""
    net = routes.network(data.network["addresses"], data.topology, family)
    changes = routes.with_silent_losses(data.notices("routes"), data.notices("links"))
    return History(net, changes, family)
