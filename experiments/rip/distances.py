"""Distances: how routers learn them, and what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analysis import routes
from testbed import (
    Experiment,
    Verdict,
    all_of,
    at_least,
    at_most,
    claim,
    holds,
    near,
    none_of,
    routing,
)
from topologies.line import FAR_LAN

from .messages import DIRECT_LAN, both

if TYPE_CHECKING:
    from testbed import Tables


class Distances(Experiment):
    """Distances: how routers learn them, and what they are."""

    @claim(
        "Routers that start know every prefix after a few messages, at the latest after updates "
        "from all over the network.",
        source="RFC 2453 §3.9.1",
        scenarios=("triangle", "campus"),
        bears_stall_s=1.0,
    )
    def converges(self, tables: Tables) -> Verdict:
        """From the start of the last router, within the budget."""
        return routing.in_time(tables.of("waits"))

    @claim(
        "The metric counts hops, and the fewest hops win, even where they are far slower.",
        source="RFC 2453 §3.5",
        scenarios=("triangle",),
    )
    def fewest_hops_win(self, tables: Tables) -> Verdict:
        """r1's route to r3's LAN, and where the pings from h1 to h3 went."""
        verdicts = []
        for scenario in both(tables):
            lan = DIRECT_LAN[scenario]
            route = tables.of("kernel", scenario=scenario, node="r1", destination=lan)
            rib = tables.of("rib", scenario=scenario, node="r1", prefix=lan)
            verdicts += [
                holds(
                    route["next_hops"].iloc[0] == "r3",
                    observed=f"r1 reaches {lan} by {route['next_hops'].iloc[0]}",
                    expected="r3, over the slow direct link",
                ),
                near(float(rib["metric"].iloc[0]), 2, abs=0, unit="hops"),
            ]
        setting = tables.row("setting", scenario="triangle")
        pings = tables.of("pings", scenario="triangle")
        pings = pings[pings["time_s"] < setting["settled_s"]]
        on_slow = pings[pings["capture"] == "r1-eth1"]
        verdicts += [
            at_least(len(on_slow), 6, unit="echo packets on the slow link"),
            at_most(len(pings) - len(on_slow), 0, unit="echo packets on the detour"),
        ]
        return all_of(*verdicts).because("pings on the slow link", on_slow)

    @claim(
        "The routers' tables are those of Bellman and Ford on the graph.",
        source="RFC 2453 §3.3, Bellman 1957",
        scenarios=("triangle", "campus"),
        own=("own",),
    )
    def equals_bellman_ford(self, tables: Tables) -> Verdict:
        """Metric of every prefix at every router, computed apart on the graph."""
        verdicts, wrong = [], []
        ran = [name for name in ("campus", "own") if name in tables.scenarios]
        for scenario in (*both(tables), *ran):
            found = tables.of("rib", scenario=scenario)
            bad = found[found["metric"] != found["expected"]]
            wrong.append(bad)
            what = f"routes in {scenario} differ"
            verdicts.append(none_of(bad, found, what, "every metric as computed"))
        return all_of(*verdicts).because("routes that differ", pd.concat(wrong))

    @claim(
        "A metric of 16 means unreachable: such a route leaves the kernel, none has more.",
        source="RFC 2453 §3.6",
        scenarios=("off",),
    )
    def sixteen_is_unreachable(self, tables: Tables) -> Verdict:
        """The lost LAN at r1 and r2 while they count."""
        told = tables.of("entries", scenario="off")
        changes = tables.of("changes", scenario="off", destination=FAR_LAN)
        ends = changes[changes["protocol"] == "rip"].groupby("node")["action"].last()
        last = [f"{router} {action}" for router, action in ends.items()]
        reached = told[(told["prefix"] == FAR_LAN) & (told["metric"] == routes.INFINITY)]
        return all_of(
            at_most(told["metric"].max(), 16, unit="highest metric advertised"),
            at_least(len(reached), 1, unit="messages with metric 16"),
            holds(
                set(ends) == {"del"},
                observed=f"last change of the route: {', '.join(last)}",
                expected="deleted everywhere",
            ),
        ).because("advertised as unreachable", reached.head(6))
