"""A grid of OSPF routers from nothing to converged: run by ``bench/routing.py``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import routing
from testbed.claims import Verdict, claim, holds
from testbed.daemons import frr
from testbed.experiment import Experiment, Tables
from testbed.frr import generate as frr_generate
from testbed.monitor import RTM_GETROUTE, RTM_NEWROUTE
from testbed.parameters import param
from topologies.grid import Grid

if TYPE_CHECKING:
    import pandas as pd

    from testbed.data import ScenarioData
    from testbed.lab import Lab

OSPF = 188
CONVERGED_BUDGET_S = 120.0


class OspfGrid(Experiment):
    """OSPF on a grid: from nothing until every router has a route to every prefix."""

    @dataclass(frozen=True)
    class Parameters:
        """Options."""

        side: int = param(7, "routers in a row, and rows", low=2, high=15)

    params: Parameters
    routing = None
    memory_mb = 4096

    def topology(self) -> Grid:
        """The grid."""
        return Grid(side=self.params.side)

    def inputs(self) -> Mapping[str, str]:
        """OSPF on every link."""
        options = frr_generate.Ospf()
        return routing.config_files(
            self.topology(), lambda plan, router: frr_generate.ospf(plan, router, options)
        )

    def run(self, lab: Lab) -> None:
        """Starts all daemons and waits for all routes."""
        lab.event("memory", available_kb=_available_kb())
        frr.start(lab, routing.configurations(lab.path))
        lab.event("memory", available_kb=_available_kb())
        plan = lab.net.plan
        assert plan is not None
        prefixes = len([s for s in plan.segments if s.ports]) + len(plan.routers)
        wanted = {r: prefixes - len(plan.ports[r]) - 1 for r in plan.routers}
        lab.wait_until(
            "routes to every prefix at every router",
            lambda: all(_ospf_routes(lab, router) >= wanted[router] for router in wanted),
            CONVERGED_BUDGET_S, every_s=2.0,
        )  # fmt: skip
        lab.event("converged", routes=sum(wanted.values()))
        lab.event("memory", available_kb=_available_kb())

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """The events."""
        return {"events": data.events()}

    @claim("Every router learns every prefix.", source="RFC 2328 §16")
    def converges(self, tables: Tables) -> Verdict:
        """The run waited for it."""
        times = tables.of("events", event="converged")["time_s"]
        return holds(True, observed=f"after {times.iloc[0]:.1f} virtual s", expected="converged")


def _available_kb() -> int:
    text = Path("/proc/meminfo").read_text()
    found = re.search(r"MemAvailable: +(\d+)", text)
    assert found
    return int(found[1])


def _ospf_routes(lab: Lab, router: str) -> int:
    """Routes of ospfd in a router's kernel."""
    node = lab.net[router]
    body = bytes([2]) + bytes(11)
    return int(
        lab.net.engine.ask(
            node.namespace,
            lambda s: sum(
                1
                for kind, row in s.dump(RTM_GETROUTE, body)
                if kind == RTM_NEWROUTE and row[5] == OSPF
            ),
        )
    )
