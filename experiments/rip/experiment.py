"""RIP on real routers, each textbook sentence checked in the packets and the kernel's tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import rip, routes
from analysis import route_history as recorded
from analysis.plots import routing as draw
from testbed import Verdict, all_of, at_least, claim, holds, near, none_of, param, plots, routing
from testbed.daemons import frr
from testbed.daemons.frr import generate as frr_generate
from topologies import routed

from .distances import Distances
from .messages import RipMessages, both, calm, failed_s
from .timers import LOST_LAN, Timers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData, Tables, Topo

FILTER = "udp port 520 or udp port 521 or icmp or icmp6"
LATE_AT_S = 10.0
HORIZONS = {
    "off": "no split horizon (v1)",
    "next-hop": "v2: next hops advertised",
    "simple": "split horizon",
    "poisoned": "poisoned reverse",
}


class Rip(Timers, Distances, RipMessages):
    """RIP: distance vectors, hops, timers, split horizon and counting to infinity.

    Routers run FRR's zebra and ripd. Most of it happens on a triangle whose direct link is a
    hundred times slower than the detour over r2; a line shows a router that falls silent and, with
    one update lost at the wrong moment, how two routers count to infinity. Metrics come from the
    messages and from ripd's own table, routes and their times from the kernel.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment; the scenarios vary them."""

        topology: str = param("triangle", "the routers' graph", choices=routed.NAMES)
        size: int = param(3, "routers in a line or ring, rows of a grid", low=2, high=20)
        split_horizon: str = param(
            "simple",
            "what is sent back to the neighbour a route came from",
            choices=("simple", "poisoned-reverse", "off"),
        )
        version: int = param(2, "RIP's version", low=1, high=2)
        ipv6: bool = param(False, "RIPng instead of RIP")
        update_s: int = param(30, "time between updates", unit="s", low=5, high=3600)
        timeout_s: int = param(
            180, "lifetime of a route that is no longer advertised", unit="s", low=5, high=3600
        )
        garbage_s: int = param(
            120, "how long it is advertised as unreachable", unit="s", low=5, high=3600
        )
        duration_s: float = param(240.0, "length of the run", unit="s", low=20, high=7200)
        fail: str = param("r1-eth1", "interface whose link fails; empty: none")
        fail_at_s: float = param(180.0, "when", unit="s", low=0, high=7200)
        failure: str = param("cut", "how", choices=("cut", "silence", "lost-update"))
        configs: str = param("", "folder with a handwritten frr.conf for each router")

    params: Parameters
    programs = ("ping", *frr.PROGRAMS)
    routing = None
    memory_mb = 512

    def scenarios(self) -> Mapping[str, Parameters]:
        """The longest first."""
        p, usual = self.params, self.Parameters()
        if routed.of_configs(p.topology, p.size, p.configs) == routed.FROM_CONFIGS:
            p = replace(p, topology=routed.FROM_CONFIGS, fail="")
        own = {} if p.topology == usual.topology and not p.ipv6 else {"own": p}
        if p.topology != usual.topology:  # interfaces and files are those of the other graph
            p = replace(p, topology=usual.topology, fail=usual.fail, configs="")
        p = replace(p, ipv6=False)
        line = replace(p, topology="line", size=3, configs="")
        silent = replace(
            line,
            fail="r2-eth1",
            failure="silence",
            fail_at_s=60.0,
            duration_s=60.0 + p.timeout_s + p.garbage_s + 2 * p.update_s,
        )
        count = replace(
            line, version=1, fail="r2-eth1", failure="lost-update", fail_at_s=70.0, duration_s=200.0
        )
        return {
            "triangle": p,
            "silent": silent,
            "campus": replace(p, topology="campus", fail="", duration_s=60.0, configs=""),
            "off": replace(count, split_horizon="off"),
            "next-hop": replace(count, version=2, split_horizon="off"),
            "simple": replace(count, split_horizon="simple"),
            "poisoned": replace(count, split_horizon="poisoned-reverse"),
            "ripng": replace(p, ipv6=True, configs=""),
            "ripng-silent": replace(silent, ipv6=True),
            "ripng-off": replace(count, ipv6=True, split_horizon="off"),
            "ripng-poisoned": replace(count, ipv6=True, split_horizon="poisoned-reverse"),
        } | own

    # ---- in the network

    def topology(self) -> Topo:
        """The graph asked for."""
        p = self.params
        return routed.make(p.topology, p.size, p.configs)

    def inputs(self) -> Mapping[str, str]:
        """The routers' configurations: made from the topology, or handwritten."""
        return routing.config_files(self.topo, self._generate, self.params.configs)

    def _generate(self, plan: Any, router: str) -> str:
        p = self.params
        options = frr_generate.Rip(p.version, p.split_horizon, p.update_s, p.timeout_s, p.garbage_s)
        make = frr_generate.ripng if p.ipv6 else frr_generate.rip
        return make(plan, router, options)

    def run(self, net: RunningNetwork) -> None:
        """Starts r1 a little later than the others; breaks a link; asks for tables before."""
        p = self.params
        configs = routing.configurations(net.path)
        net.watch("routes", "links")
        net.capture(*routing.capture_points(net.network.plan), filter=FILTER)
        first = next(iter(configs))
        late = {first: configs.pop(first)}
        running = frr.start(net, configs)
        net.sleep_until(LATE_AT_S)
        running |= frr.start(net, late)
        end_s = (p.fail_at_s if p.fail else p.duration_s) - 0.5
        if p.topology != routed.FROM_CONFIGS and (
            p.ipv6 or p.version == 2
        ):  # version 1 cannot tell a loopback's mask
            family = 6 if p.ipv6 else 4
            routing.settle(net, routing.RIP_FROM_NOTHING, family, until_s=end_s)
        if p.topology == "triangle" and not p.ipv6:
            net.exec("h1", "ping", "-c", "3", "-i", "0.5", net.address("h3"))
        net.sleep_until(end_s)
        command = "ripngd: show ipv6 ripng" if p.ipv6 else "ripd: show ip rip"
        frr.save(net, running, "settled", [command])
        if p.fail:
            net.sleep_until(p.fail_at_s)
            self._break(net)
        net.sleep_until(p.duration_s)

    def _break(self, net: RunningNetwork) -> None:
        p = self.params
        if p.failure == "cut":
            net.cut(p.fail)
        elif p.failure == "silence":
            net.silence(p.fail)
        else:  # r2 loses its way to the far LAN, and for a time r1 hears nothing of it
            net.silence("r2-eth0", both_ways=False)
            whole = replace(net.shape("r2-eth0"), loss_percent=0.0)
            net.cut(p.fail)
            net.sleep(p.update_s * 1.6)
            net.reshape("r2-eth0", whole)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Messages, entries, updates, routes and tables."""
        p = self.params
        history = recorded.history(data, 6 if p.ipv6 else 4)
        captures = {c: data.packets(c, (*rip.PACKET_COLUMNS, "icmp_type")) for c in data.captures()}
        messages, entries = rip.traffic(captures, history.net)
        pings = [c[c["icmp_type"].isin([0, 8])].assign(capture=n) for n, c in captures.items()]
        settled_s = data.moment("state")
        links = data.events("link")
        failed_s = links["time_s"].iloc[0] if len(links) else p.fail_at_s * bool(p.fail)
        daemon = "ripngd" if p.ipv6 else "ripd"
        rib = pd.concat(
            rip.rib(data.state("settled", router, daemon)).assign(node=router)
            for router in data.stated("settled", daemon)
        )
        graph = history.net
        if p.topology == routed.FROM_CONFIGS:
            graph = graph.only(rib[rib["metric"] == 1]["prefix"])
            rib = rib[rib["prefix"].isin(graph.members)]  # not what comes from elsewhere
        return {
            "messages": messages,
            "entries": entries,
            "updates": rip.updates(messages),
            "pings": pd.concat(pings, ignore_index=True).drop(columns="payload"),
            "changes": history.named_changes(),
            "kernel": history.named_table(settled_s),
            "rib": rip.compare_with_bellman_ford(rib, routes.bellman_ford(graph)),
            "learned": rip.learned(history.table(settled_s), history.net),
            "waits": routing.waits(data),
            "setting": pd.DataFrame(
                [
                    {
                        "settled_s": settled_s,
                        "failed_s": failed_s,
                        "duration_s": p.duration_s,
                        "update_s": p.update_s,
                        "timeout_s": p.timeout_s,
                        "garbage_s": p.garbage_s,
                    }
                ]
            ),
        }

    # ---- claims

    @claim(
        "Split horizon: a route is never advertised on the link it was learned from.",
        source="RFC 2453 §3.4.3, RFC 2080 §2.6",
        scenarios=("triangle",),
    )
    def split_horizon(self, tables: Tables) -> Verdict:
        """Multicast updates of the settled triangle."""
        found = [self._told_back(tables, scenario) for scenario in both(tables)]
        return all_of(*(none_of(back, told, "entries sent back", "none") for back, told in found))

    @claim(
        "Poisoned reverse: it is advertised there with metric 16.",
        source="RFC 2453 §3.4.3",
        scenarios=("poisoned",),
    )
    def poisoned_reverse(self, tables: Tables) -> Verdict:
        """The same, between two routers that poison."""
        return self._poisons(tables, "poisoned")

    def _poisons(self, tables: Tables, scenario: str) -> Verdict:
        back, _ = self._told_back(tables, scenario)
        if back.empty:
            return holds(False, observed="none sent back", expected="sent back with metric 16")
        return all_of(
            at_least(len(back), 1, unit="entries sent back"),
            none_of(back[back["metric"] != routes.INFINITY], back, "have another metric", "all 16"),
        ).because("sent back as unreachable", back.head(6))

    def _told_back(self, tables: Tables, scenario: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Entries sent over the link they were learned from, and all entries, once settled."""
        told = calm(tables, scenario, "entries")
        settled_s = tables.row("setting", scenario=scenario)["settled_s"]
        told = told[told["to_all"] & (told["command"] == "response")]
        told = told[told["time_s"] > settled_s / 2]
        return rip.told_back(told, tables.of("learned", scenario=scenario)), told

    @claim(
        "Without split horizon, one lost update lets routers (version 1) count to infinity.",
        source="RFC 2453 §3.4.3, §3.5",
        scenarios=("off",),
        bears_stall_s=1.0,
    )
    def counts_to_infinity(self, tables: Tables) -> Verdict:
        """The metrics of the far LAN, told in turns by r1 and r2, up to 16."""
        return self._counts(tables, "off")

    def _counts(self, tables: Tables, scenario: str) -> Verdict:
        climb = self._climb(tables, scenario)
        values = climb["metric"].unique()
        return all_of(
            at_least(len([m for m in values if m < routes.INFINITY]), 8, unit="finite metrics"),
            near(float(climb["metric"].max()), 16, abs=0, unit="at last"),
        ).because("the metric climbs", climb.drop_duplicates("metric"))

    @claim(
        "Version 2's next hop field alone also stops it: a router sees its own address there.",
        source="RFC 2453 §4.4",
        scenarios=("next-hop",),
        bears_stall_s=1.0,
    )
    def next_hop_stops_it(self, tables: Tables) -> Verdict:
        """No split horizon, the same failure: r1 offers the far LAN, by r2, and r2 declines."""
        climb = self._climb(tables, "next-hop")
        offered = climb[(climb["sender"] == "r1") & (climb["metric"] < routes.INFINITY)]
        taken = climb[(climb["sender"] == "r2") & (climb["metric"] < routes.INFINITY)]
        return all_of(
            at_least(len(offered), 1, unit="offers of r1"),
            holds(
                bool(offered["next_hop"].notna().all()),
                expected="each names r2",
                observed=f"next hops {', '.join(map(str, offered['next_hop'].unique()))}",
            ),
            none_of(taken, climb, "taken up by r2", "none"),
        ).because("offers", offered)

    @claim(
        "With split horizon, plain or with poisoned reverse, two routers never count.",
        source="RFC 2453 §3.4.3",
        scenarios=("simple", "poisoned"),
        bears_stall_s=1.0,
    )
    def never_counts(self, tables: Tables) -> Verdict:
        """The same failure: after it the LAN is only ever advertised as unreachable."""
        return all_of(*(self._stays_lost(tables, scenario) for scenario in ("simple", "poisoned")))

    def _stays_lost(self, tables: Tables, scenario: str) -> Verdict:
        climb = self._climb(tables, scenario)
        finite = climb[(climb["metric"] < routes.INFINITY) & (climb["sender"] == "r1")]
        told = climb[climb["sender"] == "r2"]
        return all_of(
            at_least(len(told), 1, unit=f"messages of r2 on the lost LAN ({scenario})"),
            none_of(finite, climb, "entries of r1 offer the lost LAN", "none"),
            near(float(told["metric"].min()), 16, abs=0, unit=f"lowest of r2 ({scenario})"),
        )

    @claim(
        "RIPng forgets as RIP does: 180 s behind a neighbour's last word its routes expire, "
        "for 120 s more they are advertised with metric 16.",
        source="RFC 2080 §2.3",
        scenarios=("ripng-silent",),
        bears_stall_s=0.15,
    )
    def ripng_forgets(self, tables: Tables) -> Verdict:
        """The same line in IPv6; FRR's ripngd takes up to half of 30 s off or on."""
        return all_of(
            self._expires(tables, "ripng-silent"),
            self._told_as_gone(tables, "ripng-silent", jitter=1.0),
        )

    @claim(
        "Without split horizon RIPng counts to infinity as well.",
        source="RFC 2080 §2.6",
        scenarios=("ripng-off",),
        bears_stall_s=1.0,
    )
    def ripng_counts(self, tables: Tables) -> Verdict:
        """One lost update, in IPv6; no next hop is advertised that could stop it."""
        return self._counts(tables, "ripng-off")

    @claim(
        "With poisoned reverse RIPng sends a route back with metric 16, and never counts.",
        source="RFC 2080 §2.6",
        scenarios=("ripng-poisoned",),
        bears_stall_s=1.0,
    )
    def ripng_poisons(self, tables: Tables) -> Verdict:
        """What is sent back before the failure; after it the LAN is advertised as unreachable."""
        return all_of(
            self._poisons(tables, "ripng-poisoned"), self._stays_lost(tables, "ripng-poisoned")
        )

    def _climb(self, tables: Tables, scenario: str) -> pd.DataFrame:
        """What is advertised of the lost LAN after the failure."""
        told = tables.of("entries", scenario=scenario, prefix=LOST_LAN[scenario])
        later: pd.DataFrame = told[told["time_s"] > failed_s(tables, scenario)]
        return later

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure]:
        """Messages over time, the climb to infinity, and a silent neighbour's routes.

        Figures:
            1_messages: Every RIP message by its sender. Look for the responses about every 30 s,
                whether anything has changed or not, and for the triggered ones right after the
                failure.
            2_counting_to_infinity: The metric of a network that is gone, in each update that tells
                of it. Without split horizon two routers lead each other up to 16; with it 16 comes
                at once.
            3_tables: The kernels' routes, coloured by next hop. Look for how long a route outlives
                the failure: a silent neighbour's lasts until its timeout.
        """
        ran = list(tables["setting"]["scenario"])
        drawn: dict[str, Figure] = {}
        if "triangle" in ran:
            failed_at_s = float(tables.row("setting", scenario="triangle")["failed_s"])
            drawn["1_messages"] = plots.timeline(
                tables,
                "messages",
                by="sender",
                kind="command",
                kinds=("request", "response"),
                marks={"failure": failed_at_s},
                scenario="triangle",
            )
        climbs = {s: self._climb(tables, s) for s in HORIZONS if s in ran}
        climbs = {HORIZONS[s]: climb for s, climb in climbs.items()}
        if climbs:
            drawn["2_counting_to_infinity"] = draw.climbs(climbs)
        for scenario in (s for s in ("silent", "triangle") if s in ran):
            setting = tables.row("setting", scenario=scenario)
            drawn[f"3_tables_{scenario}"] = draw.tables_over_time(
                tables.of("changes", scenario=scenario),
                "rip",
                float(setting["duration_s"]),
                float(setting["failed_s"]),
            )
        return drawn
