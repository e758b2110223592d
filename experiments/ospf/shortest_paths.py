"""Databases, and the shortest paths that routers compute from them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd

from testbed import (
    Experiment,
    Verdict,
    all_of,
    at_least,
    claim,
    holds,
    inconclusive,
    near,
    none_of,
    routing,
)

if TYPE_CHECKING:
    from testbed import Tables


FLOWS_PORT, FLOWS = 7000, 16

MAPS = ("campus", "areas", "square", "triangle", "ospfv3", "ospfv3-campus", "ospfv3-areas")
"""Scenarios whose databases and routes are compared with Dijkstra's."""

AREAS = ("campus", "areas", "ospfv3", "ospfv3-campus", "ospfv3-areas")
"""Scenarios whose routers' databases are compared with each other."""


class ShortestPaths(Experiment):
    """Databases, and the shortest paths that routers compute from them."""

    @claim(
        "Routers that start know every prefix when they have elected, flooded and calculated.",
        source="RFC 2328 §9.4, §13, §16",
        scenarios=MAPS,
        bears_stall_s=1.0,
    )
    def converges(self, tables: Tables) -> Verdict:
        """From the start of the last router, within the budget."""
        found = tables.of("waits")
        return routing.in_time(found[found["scenario"].isin(MAPS)])

    @claim(
        "All routers of an area hold the same link-state database.",
        source="RFC 2328 §2, §13",
        scenarios=AREAS,
    )
    def same_database(self, tables: Tables) -> Verdict:
        """Type, id, origin, sequence number and checksum of every LSA, router by router."""
        verdicts, shown = [], []
        names = ["area", "ls_type", "ls_id", "adv_router", "sequence", "checksum"]
        for scenario in AREAS:
            found = tables.of("databases", scenario=scenario)
            found = found[found["area"] != ""]
            holders = found.groupby("area")["node"].transform("nunique")
            held = found.groupby(names, dropna=False)["node"].transform("nunique")
            what = f"entries in {scenario} are not with every router of the area"
            verdicts.append(none_of(found[held != holders], found, what, "the same everywhere"))
            counted = found.groupby(["scenario", "area", "node"]).size()
            shown.append(counted.rename("LSAs").reset_index())
        return all_of(*verdicts).because("how many LSAs each router holds", pd.concat(shown))

    @claim(
        "Every router's routes are Dijkstra's shortest paths on its database, all equally "
        "short ones at once.",
        source="RFC 2328 §16, RFC 5340 §4.8, Dijkstra 1959",
        scenarios=MAPS,
        own=("own",),
    )
    def equals_dijkstra(self, tables: Tables) -> Verdict:
        """The kernel's next hops compared with those computed from the LSAs in the packets."""
        verdicts, wrong = [], []
        for scenario in (name for name in (*MAPS, "own") if name in tables.scenarios):
            if "nssa" in set(tables.of("lsas", scenario=scenario)["ls_type"]):
                return inconclusive(f"{scenario} has type-7 LSAs (NSSA), which are not computed")
            found = tables.of("routes", scenario=scenario)
            bad = found[found["kernel"] != found["computed"]]
            wrong.append(bad)
            verdicts.append(none_of(bad, found, f"routes in {scenario} differ", "none"))
        return all_of(*verdicts).because("that differ", pd.concat(wrong))

    @claim(
        "A link's cost comes from its bandwidth, so a fast detour beats a slow direct link.",
        source="RFC 2328 §2, appendix C.3",
        scenarios=("triangle",),
    )
    def cost_from_bandwidth(self, tables: Tables) -> Verdict:
        """r1's own LSA tells 100 for 1 Mbit/s and 1 for 100 Mbit/s; its route goes by r2."""
        setting = tables.row("setting", scenario="triangle")
        lsas = tables.of("lsas", scenario="triangle", ls_type="router", adv_router="192.168.0.1")
        lsas = lsas[(lsas["body"] != "") & (lsas["time_s"] < setting["settled_s"])]
        links = json.loads(lsas.iloc[-1]["body"])["links"]
        costs = {x["id"]: x["metric"] for x in links if x["type"] == "point-to-point"}
        route = tables.of("kernel", scenario="triangle", node="r1", destination="10.0.3.0/24")
        return all_of(
            near(float(costs.get("192.168.0.3", -1)), 100, abs=0, unit="for 1 Mbit/s"),
            near(float(costs.get("192.168.0.2", -1)), 1, abs=0, unit="for 100 Mbit/s"),
            holds(
                route["next_hops"].iloc[0] == "r2",
                expected="r2, two fast hops",
                observed=f"r1 reaches r3's LAN by {route['next_hops'].iloc[0]}",
            ),
        ).because("r1's LSA", lsas.tail(1))

    @claim(
        "Several paths of equal cost are all installed, and flows are shared among them.",
        source="RFC 2328 §16.8, RFC 2991",
        scenarios=("square",),
    )
    def equal_cost_paths(self, tables: Tables) -> Verdict:
        """r1's route to the LAN at the opposite corner, and where the flows from h1 to it went."""
        route = tables.of("kernel", scenario="square", node="r1", destination="10.0.2.0/24")
        flows = tables.of("flows", scenario="square")
        by_way = [flows[flows["capture"] == way] for way in ("r1-eth1", "r1-eth2")]
        both = pd.concat(by_way)
        return all_of(
            holds(
                route["next_hops"].iloc[0] == "r2+r3",
                expected="r2 and r3",
                observed=f"next hops {route['next_hops'].iloc[0]}",
            ),
            near(float(both["udp_dport"].nunique()), FLOWS, abs=0, unit="flows"),
            *(at_least(len(way), FLOWS // 8, unit="datagrams on each path") for way in by_way),
        ).because("flows", both)
