"""RIP compared with OSPF: the same graph, the same failure, the same pings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import echo, routes
from analysis.plots import routing as plots
from testbed import (
    Experiment,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    holds,
    none_of,
    param,
    routing,
)
from testbed.daemons import frr
from testbed.daemons.frr import generate as frr_generate
from topologies import routed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData, Topo

FILTER = "udp port 520 or ip proto 89 or icmp"
COLUMNS = tuple(
    ("frame wire_bytes ip_src ip_dst ip_proto udp_dport icmp_type icmp_id icmp_seq").split()
)
PROTOCOLS = ("rip", "ospf")
FAILURES = ("cut", "silence")
LEAD_S = 5.0
"""How long before the failure the pings begin."""
LATE_AT_S = 10.0
"""When the last router starts, as routers never start all at once. (FRR's ripd keeps what changed
in a common start marked as changed, and would tell it again with the first triggered update.)"""
RTT_S = 0.05
"""What was under way at the failure may be lost, or not."""
RIP_TIMEOUT_S, RIP_UPDATE_S, RIP_JITTER_S = 180.0, 30.0, 5.0
OSPF_DEAD_S, OSPF_HELLO_S = 40.0, 10.0
OSPF_CALCULATION_S = 6.0
"""FRR's delays: flooding at most once in 5 s, calculation shortly behind."""


class RoutingComparison(Experiment):
    """RIP and OSPF compared: how soon each finds another path.

    A host pings another over the direct link of a triangle of equal links. Then that link fails:
    once so that its ends see it (a cut), once without a sign (silence). The scenarios differ in
    protocol and failure alone.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment; the scenarios vary protocol and failure."""

        topology: str = param("even-triangle", "the routers' graph", choices=routed.TOPOLOGIES)
        size: int = param(5, "routers in a ring or line, rows of a grid", low=2, high=20)
        protocol: str = param("rip", "what computes the routes", choices=PROTOCOLS)
        fail: str = param("r1-eth1", "interface whose link fails")
        fail_at_s: float = param(75.0, "when", unit="s", low=20, high=7200)
        failure: str = param("cut", "how", choices=FAILURES)
        source: str = param("h1", "host that sends the pings")
        target: str = param("h3", "host that answers")
        ping_every_s: float = param(0.2, "time between pings", unit="s", low=0.01, high=10)
        watch_s: float = param(
            60.0, "how long to keep recording after a cut", unit="s", low=10, high=3600
        )

    params: Parameters
    programs = ("ping", *frr.PROGRAMS)
    routing = None
    memory_mb = 512

    def scenarios(self) -> Mapping[str, Parameters]:
        """Each protocol with each failure."""
        return {
            f"{protocol}-{failure}": replace(self.params, protocol=protocol, failure=failure)
            for failure in reversed(FAILURES)
            for protocol in PROTOCOLS
        }

    @property
    def end_s(self) -> float:
        """When to stop: behind a silent failure RIP needs its timeout and an update more."""
        p = self.params
        silent_s = RIP_TIMEOUT_S + 2 * RIP_UPDATE_S if p.failure == "silence" else 0.0
        return p.fail_at_s + max(p.watch_s, silent_s)

    # ---- in the network

    def topology(self) -> Topo:
        """The graph asked for."""
        return routed.make(self.params.topology, self.params.size)

    def inputs(self) -> Mapping[str, str]:
        """The routers' configurations, made from the topology."""
        return routing.config_files(self.topo, self._generate)

    def _generate(self, plan: Any, router: str) -> str:
        if self.params.protocol == "rip":
            return frr_generate.rip(plan, router, frr_generate.Rip())
        return frr_generate.ospf(plan, router, frr_generate.Ospf())

    def run(self, net: RunningNetwork) -> None:
        """Pings all the while; breaks the link."""
        p = self.params
        net.watch("routes", "links")
        points = routing.capture_points(net.network.plan)
        net.capture(*points, f"{p.source}-eth0", filter=FILTER, snaplen_bytes=64)
        configs = routing.configurations(net.path)
        last = configs.pop("r1")
        frr.start(net, configs)
        net.sleep_until(LATE_AT_S)
        frr.start(net, {"r1": last})
        budget = routing.RIP_FROM_NOTHING if p.protocol == "rip" else routing.OSPF_FROM_NOTHING
        routing.settle(net, budget, until_s=p.fail_at_s - LEAD_S)
        net.sleep_until(p.fail_at_s - LEAD_S)
        count = int((self.end_s - net.time_s) / p.ping_every_s)
        pinging = net.start(
            p.source,
            "ping",
            "-n",
            "-q",
            "-i",
            str(p.ping_every_s),
            "-c",
            str(count),
            "-W",
            "1",
            net.address(p.target),
        )
        net.sleep_until(p.fail_at_s)
        net.event("failure", interface=p.fail, how=p.failure)
        (net.cut if p.failure == "cut" else net.silence)(p.fail)
        net.sleep_until(self.end_s)
        pinging.wait(timeout_s=5.0)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Traffic of the protocol, pings, routes, paths before and after."""
        p = self.params
        net = routes.network(data.network["addresses"], data.topology)
        changes = routes.with_silent_losses(data.notices("routes"), data.notices("links"))
        failed_s = data.moment("failure")
        near = f"{p.source}-eth0"
        pings = echo.pings(data.packets(near, COLUMNS), data.address(p.source))
        links = [c for c in data.captures() if c != near]
        sent = pd.concat(
            [data.packets(c, COLUMNS).assign(capture=c) for c in links], ignore_index=True
        )
        target = data.address(p.target)
        paths = {
            when: routes.path(routes.table_at(changes, at_s), net, p.source, target)
            for when, at_s in (("before", failed_s - 0.5), ("after", self.end_s - 0.5))
        }
        broken = [
            (link["node1"], link["node2"])
            for link in data.topology["links"]
            if p.fail in (link["interface1"], link["interface2"])
        ]
        mended_s = routes.mended_s(changes, net, (p.source, p.target), broken[0], failed_s)
        return {
            "traffic": sent[(sent["udp_dport"] == 520) | (sent["ip_proto"] == 89)],
            "pings": pings,
            "changes": routes.by_name(changes[changes["family"] == 4], net),
            "paths": pd.DataFrame(
                {"when": when, "hop": range(len(path)), "node": path}
                for when, path in paths.items()
            )
            .explode(["hop", "node"], ignore_index=True)
            .astype({"hop": int}),
            "waits": routing.waits(data),
            "links": pd.DataFrame(data.topology["links"])[["node1", "node2"]],
            "result": pd.DataFrame(
                [
                    {
                        "protocol": p.protocol,
                        "failure": p.failure,
                        "failed_s": failed_s,
                        "end_s": self.end_s,
                        "mended_s": mended_s,
                        "converged_s": routes.convergence_s(changes, ["rip", "ospf"], failed_s),
                        "outage_s": echo.outage_s(pings, failed_s),
                        "lost": int(pings["lost"].sum()),
                        "sent": len(pings),
                    }
                ]
            ),
        }

    # ---- claims

    @claim(
        "Before the failure every router knows every prefix, with either protocol.",
        source="RFC 2453 §3.9.1, RFC 2328 §16",
        scenarios=("rip-cut", "ospf-cut", "rip-silence", "ospf-silence"),
        bears_stall_s=1.0,
    )
    def converges(self, tables: Tables) -> Verdict:
        """From the start of the last router, within the budget of each."""
        return routing.in_time(tables.of("waits"))

    @claim(
        "Where all links are equal, RIP and OSPF choose the same path, before and after.",
        source="RFC 2453 §3.5, RFC 2328 §16",
        scenarios=("rip-cut", "ospf-cut", "rip-silence", "ospf-silence"),
    )
    def same_paths(self, tables: Tables) -> Verdict:
        """The kernel's tables, followed from source to target."""
        found = {
            when: {
                s: " ".join(tables.of("paths", scenario=s, when=when)["node"])
                for s in self.scenarios()
            }
            for when in ("before", "after")
        }
        verdicts = [
            holds(
                len(set(paths.values())) == 1 and paths["rip-cut"].endswith(self.params.target),
                observed=f"{when}: {'; '.join(sorted(set(paths.values())))}",
                expected=f"one path to {self.params.target}",
            )
            for when, paths in found.items()
        ]
        moved = found["before"]["rip-cut"] != found["after"]["rip-cut"]
        return all_of(*verdicts, holds(moved, observed="", expected="another path after")).because(
            "the paths", tables.of("paths")
        )

    @claim(
        "Behind a cut its ends see, OSPF reroutes within seconds, RIP only with an update "
        "of a neighbour: up to half a minute.",
        source="RFC 2328 §13; RFC 2453 §3.8",
        scenarios=("rip-cut", "ospf-cut"),
        bears_stall_s=0.1,
    )
    def cut(self, tables: Tables) -> Verdict:
        """How long the pings went unanswered."""
        outage = self._outages(tables, "cut")
        return all_of(
            at_most(outage["ospf"], OSPF_CALCULATION_S, unit="s (OSPF)"),
            at_most(outage["rip"], RIP_UPDATE_S + RIP_JITTER_S + 5, unit="s (RIP)"),
            at_least(outage["rip"] - outage["ospf"], 1.0, unit="s longer with RIP"),
        ).because("the outages", self._results(tables, "cut"))

    @claim(
        "A silent failure costs OSPF its dead interval, RIP its timeout.",
        source="RFC 2328 §9.5 (40 s); RFC 2453 §3.8 (180 s)",
        scenarios=("rip-silence", "ospf-silence"),
        bears_stall_s=0.1,
    )
    def silence(self, tables: Tables) -> Verdict:
        """How long the pings went unanswered, with the time since the last message heard."""
        outage = self._outages(tables, "silence")
        slack_s = RIP_UPDATE_S + RIP_JITTER_S
        return all_of(
            between(
                outage["ospf"],
                OSPF_DEAD_S - OSPF_HELLO_S - 1,
                OSPF_DEAD_S + OSPF_CALCULATION_S,
                unit="s (OSPF)",
            ),
            between(
                outage["rip"], RIP_TIMEOUT_S - slack_s, RIP_TIMEOUT_S + slack_s, unit="s (RIP)"
            ),
        ).because("the outages", self._results(tables, "silence"))

    def _results(self, tables: Tables, failure: str) -> pd.DataFrame:
        columns = ["scenario", "failed_s", "mended_s", "outage_s", "lost", "sent"]
        return tables.of("result", failure=failure)[columns]

    def _outages(self, tables: Tables, failure: str) -> dict[str, float]:
        return {
            protocol: float(tables.row("result", scenario=f"{protocol}-{failure}")["outage_s"])
            for protocol in PROTOCOLS
        }

    @claim(
        "Packets are lost exactly while the routes are wrong.",
        source="RFC 1812 §5.2.1",
        scenarios=("rip-cut", "ospf-cut"),
        bears_stall_s=0.005,
    )
    def losses_match_routes(self, tables: Tables) -> Verdict:
        """Requests sent between the failure and the change that mended the routes, both ways."""
        verdicts = []
        for scenario in ("rip-cut", "ospf-cut"):
            row = tables.row("result", scenario=scenario)
            asked = tables.of("pings", scenario=scenario)
            during = (asked["time_s"] > row["failed_s"]) & (asked["time_s"] < row["mended_s"])
            lost = asked["lost"]
            odd = asked[(during != lost) & ((asked["time_s"] - row["failed_s"]).abs() > RTT_S)]
            what = f"pings of {scenario} are lost while routes are right, or answered while wrong"
            verdicts += [none_of(odd, asked, what, "none"), at_least(lost.sum(), 1, unit="lost")]
        return all_of(*verdicts).because("the failures", self._results(tables, "cut"))

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure]:
        """Traffic and pings over time, a summary, and the paths on the topology.

        Figures:
            1_summary: How long pings stay without an answer (logarithmic). Compare the pairs:
                the ratio between RIP and OSPF is largest where the link is seen to fail.
            2_traffic: Above what routing itself has sent so far, below the pings: coloured while
                they are lost. The faster repair has its price in messages.
            3_paths: The way from h1 to h3 before and after the failure: both protocols find the
                same detour.
        """
        ran = list(tables["result"]["scenario"])
        drawn: dict[str, Figure] = {"1_summary": plots.summary(tables["result"])}
        for failure in FAILURES:
            shown = [s for s in ran if s.endswith(failure)]
            if shown:
                drawn[f"2_traffic_{failure}"] = plots.traffic(
                    tables["traffic"], tables["pings"], tables["result"], shown
                )
        drawn["3_paths"] = plots.paths(tables["links"], tables["paths"], ran)
        return drawn
