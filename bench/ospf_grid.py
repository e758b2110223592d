"""A grid of OSPF routers from nothing to converged: run by ``bench/routing.py``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from analysis import routes
from testbed import Experiment, Tables, Verdict, claim, none_of, param, routing
from testbed.daemons import frr
from testbed.daemons.frr import generate as frr_generate
from testbed.net.plan import Plan
from topologies.grid import Grid

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData


class OspfGrid(Experiment):
    """OSPF on a grid: from nothing until every router has a route to every prefix."""

    @dataclass(frozen=True)
    class Parameters:
        """Options."""

        side: int = param(7, "routers in a row, and rows", low=2, high=15)
        r5_cost: int = param(0, "cost of r5's links; 0: as all others, else the claim fails", low=0)

    params: Parameters
    routing = None
    memory_mb = 4096

    def topology(self) -> Grid:
        """The grid."""
        return Grid(side=self.params.side)

    def inputs(self) -> Mapping[str, str]:
        """OSPF on every link."""

        def config(plan: Plan, router: str) -> str:
            text = frr_generate.ospf(plan, router, frr_generate.Ospf())
            dear = f"dead-interval 40\n ip ospf cost {self.params.r5_cost}"
            wanted = router == "r5" and self.params.r5_cost
            return text.replace("dead-interval 40", dear) if wanted else text

        return routing.config_files(self.topo, config)

    def run(self, net: RunningNetwork) -> None:
        """Starts all daemons and waits for all routes."""
        net.watch("routes")
        net.event("memory", available_kb=_available_kb())
        frr.start(net, routing.configurations(net.path))
        net.event("memory", available_kb=_available_kb())
        routing.wait_for_routes(net, routing.OSPF_FROM_NOTHING)
        net.event("converged")
        net.event("memory", available_kb=_available_kb())

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Every router's path to every prefix, the shortest ones, and the events."""
        net = routes.network(data.network["addresses"], data.topology)
        changes = data.notices("routes")
        events = data.events()
        end_s = float(events[events["event"] == "converged"]["time_s"].iloc[0])
        found = routes.by_name(routes.table_at(changes, end_s), net)
        return {
            "events": events,
            "routes": routes.compare_with_fewest_hops(found[found["protocol"] == "ospf"], net),
            "result": pd.DataFrame(
                [
                    {
                        "routers": len(net.routers),
                        "changes": len(changes),
                        "converged_s": routes.convergence_s(changes, ["ospf"], 0.0, end_s),
                    }
                ]
            ),
        }

    @claim("Every router learns every prefix, by all of the shortest ways.", source="RFC 2328 §16")
    def converges(self, tables: Tables) -> Verdict:
        """The kernel's next hops, and those on the graph, where each link costs the same."""
        found = tables.of("routes")
        bad = found[found["kernel"] != found["computed"]]
        return none_of(bad, found, "routes differ from the graph's", "all as on the graph").because(
            "that differ", bad, scenario="main"
        )


def _available_kb() -> int:
    text = Path("/proc/meminfo").read_text()
    found = re.search(r"MemAvailable: +(\d+)", text)
    assert found
    return int(found[1])
