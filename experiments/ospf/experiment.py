"""OSPF on real routers, each textbook sentence checked in packets, databases and kernel routes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import adjacency, ospf, ospf3
from analysis import route_history as recorded
from analysis.dissect import ospf as dissect
from analysis.plots import routing as draw
from testbed import Verdict, all_of, at_least, between, claim, holds, none_of, param, plots, routing
from testbed import programs as own_programs
from testbed.daemons import frr
from testbed.daemons.frr import generate as frr_generate
from topologies import areas, routed

from .failures import Failures
from .neighbours import OspfNeighbours
from .shortest_paths import FLOWS, FLOWS_PORT, ShortestPaths

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData, Tables, Topo

FILTER = f"ip proto 89 or ip6 proto 89 or udp portrange {FLOWS_PORT}-{FLOWS_PORT + FLOWS - 1}"
SETTLED_S = 60.0
"""After the wait for a designated router (40 s) and the flooding behind it."""
LATE_AT_S = 55.0
REFRESH_S = 1800
QUIET_S = 2.0 * REFRESH_S + 200


class Ospf(Failures, ShortestPaths, OspfNeighbours):
    """OSPF: hellos, adjacencies, databases, shortest paths, areas and failures.

    Routers run FRR's zebra and ospfd. On a campus LAN four routers elect a designated one, which
    then falls silent; a square has two equally good ways; a triangle shows cost by bandwidth;
    three areas a stub, a summary and a way to the outside; two routers left alone for an hour how
    little is said when nothing changes. Databases are the routers' own words, routes the kernel's;
    the paths they should be are computed apart from the LSAs in the packets.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment; the scenarios vary them."""

        topology: str = param("campus", "the routers' graph", choices=routed.NAMES)
        size: int = param(2, "routers in a line or ring, rows of a grid", low=2, high=20)
        hello_s: int = param(10, "time between hellos", unit="s", low=1, high=65535)
        dead_s: int = param(40, "silence that means a dead neighbour", unit="s", low=2, high=65535)
        odd_hello_s: int = param(
            0, "time between r2's hellos; 0: like the others", unit="s", low=0, high=65535
        )
        reference_mbps: int = param(
            100, "rate of a link of cost 1", unit="Mbit/s", low=1, high=4_294_967
        )
        priorities: tuple[int, ...] = param(
            (1,), "election priorities of r1, r2, …; the last applies to the rest", low=0, high=255
        )
        late: str = param("", "router that starts when the others have elected; empty: none")
        ipv6: bool = param(False, "OSPFv3 instead of OSPFv2")
        duration_s: float = param(170.0, "length of the run", unit="s", low=20, high=20000)
        fail: str = param("r4-eth0", "interface whose link fails; empty: none")
        fail_at_s: float = param(90.0, "when", unit="s", low=0, high=20000)
        failure: str = param("silence", "how", choices=("cut", "silence"))
        configs: str = param("", "folder with a handwritten frr.conf for each router")

    params: Parameters
    programs = frr.PROGRAMS
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
        plain = replace(p, configs="", fail="", late="", duration_s=75.0)
        cut = replace(plain, failure="cut", fail_at_s=SETTLED_S, duration_s=75.0)
        pair = replace(plain, topology="line", size=2)
        return {
            "quiet": replace(pair, duration_s=QUIET_S),
            "campus": p,
            "areas": replace(plain, topology="areas"),
            "square": replace(cut, topology="square", fail="r1-eth1"),
            "triangle": replace(cut, topology="triangle", fail="r1-eth2"),
            "mismatch": replace(pair, odd_hello_s=p.hello_s // 2),
            "ospfv3": replace(plain, topology="triangle", ipv6=True),
            "ospfv3-campus": replace(p, ipv6=True, configs=""),
            "ospfv3-areas": replace(plain, topology="areas", ipv6=True),
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
        number = plan.routers.index(router)
        options = frr_generate.Ospf(
            p.hello_s,
            p.dead_s,
            reference_mbps=p.reference_mbps,
            priorities={router: p.priorities[min(number, len(p.priorities) - 1)]},
            hellos={"r2": p.odd_hello_s} if p.odd_hello_s else {},
        )
        if p.topology == "areas":
            options = areas.configured(options, ipv6=p.ipv6)
        return (frr_generate.ospf6 if p.ipv6 else frr_generate.ospf)(plan, router, options)

    def run(self, net: RunningNetwork) -> None:
        """Starts all routers at once; keeps their databases when settled; breaks a link."""
        p = self.params
        net.watch("routes", "links")
        net.capture(*routing.capture_points(net.network.plan), filter=FILTER)
        configs = routing.configurations(net.path)
        late = {name: configs.pop(name) for name in list(configs) if name == p.late}
        running = frr.start(net, configs)
        if late:
            net.sleep_until(LATE_AT_S)
            running |= frr.start(net, late)
        before_s = min(p.duration_s, p.fail_at_s if p.fail else 4 * SETTLED_S)
        family = 6 if p.ipv6 else 4
        if p.topology != routed.FROM_CONFIGS:
            routing.settle(net, routing.OSPF_FROM_NOTHING, family, until_s=before_s - 1)
        net.sleep_until(before_s - 1)
        net.event("settled")
        asked = ("ipv6 ospf6", "ospf6d") if p.ipv6 else ("ip ospf", "ospfd")
        questions = [
            f"{asked[1]}: show {asked[0]} {what} json" for what in ("database", "neighbor", "")
        ]
        frr.save(net, running, "settled", questions)
        if p.topology == "square":
            self._send_flows(net)
        net.sleep_until(before_s)
        if p.fail:
            net.event("failure", interface=p.fail, how=p.failure)
            (net.cut if p.failure == "cut" else net.silence)(p.fail)
        net.sleep_until(p.duration_s)

    def _send_flows(self, net: RunningNetwork) -> None:
        """h1 sends to h4, each datagram to a different port, which Linux must be set to hash."""
        net.sysctl("r1", "net.ipv4.fib_multipath_hash_policy", 1)
        send = ("send", "--ports", str(FLOWS), net.address("h4"), str(FLOWS_PORT), "100")
        net.exec("h1", *own_programs.argv("udp", *send))

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets, LSAs, databases, routes and what the routes should be."""
        p = self.params
        history = recorded.history(data, 6 if p.ipv6 else 4)
        daemon = "ospf6d" if p.ipv6 else "ospfd"
        names = {
            json.loads(data.state("settled", router, daemon, 2))["routerId"]: router
            for router in data.stated("settled", daemon)
        }
        sent, told, flows = [], [], []
        for capture in data.captures():
            packets = data.packets(capture, (*ospf.PACKET_COLUMNS, "udp_dport"))
            read = dissect.read(packets)
            read.insert(1, "sender", read["router_id"].map(names).fillna(""))
            sent.append(read.assign(capture=capture))
            lsas = dissect.lsas(packets).merge(read[["frame", "time_s", "sender"]], on="frame")
            told.append(lsas.assign(capture=capture))
            udp = packets[packets["udp_dport"].notna()]
            flows.append(udp[["frame", "time_s", "udp_dport"]].assign(capture=capture))
        lsas = pd.concat(told, ignore_index=True)
        failed = data.events("failure")
        settled_s = data.moment("settled")
        kernel = history.named_table(settled_s)
        version = ospf3.V3 if p.ipv6 else ospf.V2
        states = {
            router: (
                data.state("settled", router, daemon, 0),
                data.state("settled", router, daemon, 1),
            )
            for router in names.values()
        }
        return {
            "packets": pd.concat(sent, ignore_index=True),
            "flows": pd.concat(flows, ignore_index=True),
            "lsas": lsas.assign(body=[json.dumps(b) if b else "" for b in lsas["body"]]),
            "changes": history.named_changes(),
            "kernel": kernel,
            "waits": routing.waits(data),
            "setting": pd.DataFrame(
                [
                    {
                        "failed_s": float(failed["time_s"].iloc[0]) if len(failed) else 0.0,
                        "duration_s": p.duration_s,
                        "hello_s": p.hello_s,
                        "dead_s": p.dead_s,
                        "settled_s": settled_s,
                    }
                ]
            ),
        } | ospf.measured(version, states, lsas, kernel, names)

    # ---- claims

    @claim(
        "When nothing changes nothing is flooded, but for a refresh of each LSA every 30 min.",
        source="RFC 2328 §12.4, appendix B (LSRefreshTime)",
        scenarios=("quiet",),
        bears_stall_s=1.0,
    )
    def refresh(self, tables: Tables) -> Verdict:
        """Updates in a bit more than an hour of two undisturbed routers."""
        lsas = tables.of("lsas", scenario="quiet", carrier="update")
        later = lsas[lsas["time_s"] > 4 * SETTLED_S]
        again = later.groupby(["ls_type", "ls_id", "adv_router"])["time_s"]
        gaps = again.diff().dropna()
        gaps = gaps[gaps > 60]  # not a retransmission
        begin_s = later["time_s"].min()
        return all_of(
            between(begin_s, REFRESH_S * 0.9, REFRESH_S * 1.1, unit="s of silence at first"),
            between(gaps.min(), REFRESH_S * 0.9, REFRESH_S * 1.1, unit="s between refreshes"),
            between(gaps.max(), REFRESH_S * 0.9, REFRESH_S * 1.1, unit="s between refreshes"),
        ).because("refreshes", later.head(6))

    @claim(
        "A stub area hears nothing of the outside: its border router announces a default route.",
        source="RFC 2328 §3.6",
        scenarios=("areas",),
    )
    def stub_area(self, tables: Tables) -> Verdict:
        """r1's database and routes, in the stub; r3's, in the backbone."""
        return self._stub(tables, "areas", "0.0.0.0/0")

    def _stub(self, tables: Tables, scenario: str, anywhere: str) -> Verdict:
        found = tables.of("databases", scenario=scenario)
        inside = found[found["node"] == "r1"]
        outside = found[(found["node"] == "r3") & (found["ls_type"] == "external")]
        routes_of_r1 = tables.of("kernel", scenario=scenario, node="r1")
        default = routes_of_r1[routes_of_r1["destination"] == anywhere]["next_hops"]
        return all_of(
            none_of(inside[inside["ls_type"] == "external"], inside, "are external LSAs", "none"),
            at_least(len(outside), 1, unit="external LSAs in the backbone"),
            holds(
                list(default) == ["r2"],
                expected="by r2",
                observed=f"r1's default route by {', '.join(default) or 'nobody'}",
            ),
        ).because("r1's routes", _as_shown(routes_of_r1), scenario=scenario)

    @claim(
        "An area border router announces a range of its area as one prefix.",
        source="RFC 2328 §12.4.3, appendix C.2",
        scenarios=("areas",),
    )
    def summary(self, tables: Tables) -> Verdict:
        """The two LANs of area 1 as r3, in the backbone, knows them."""
        return self._summary(tables, "areas", areas.STUB_LANS, areas.STUB_RANGE)

    def _summary(self, tables: Tables, scenario: str, lans: tuple[str, ...], span: str) -> Verdict:
        found = tables.of("kernel", scenario=scenario, node="r3")
        told = found[found["destination"].isin([*lans, span])]
        return holds(
            list(told["destination"]) == [span],
            expected=span,
            observed=", ".join(told["destination"]) or "nothing",
        ).because("r3's routes", _as_shown(found), scenario=scenario)

    @claim(
        "OSPFv3 does the same for IPv6, to ff02::5, and also prefers the fast detour.",
        source="RFC 5340 §2",
        scenarios=("ospfv3",),
    )
    def ospfv3(self, tables: Tables) -> Verdict:
        """Version, addresses, and r1's route to r3's LAN."""
        sent = tables.of("packets", scenario="ospfv3")
        hellos = sent[sent["type"] == "hello"]
        route = tables.of("kernel", scenario="ospfv3", node="r1", destination="fd00:0:0:3::/64")
        return all_of(
            none_of(sent[sent["version"] != 3], sent, "of another version", "version 3"),
            none_of(hellos[hellos["ip_dst"] != "ff02::5"], hellos, "to another group", "ff02::5"),
            holds(
                route["next_hops"].iloc[0] == "r2",
                expected="r2, two fast hops",
                observed=f"r1 reaches r3's LAN by {route['next_hops'].iloc[0]}",
            ),
        )

    @claim(
        "OSPFv3 has the same areas: a stub hears nothing of the outside, and a border router "
        "announces a range of its area as one prefix.",
        source="RFC 5340 §4.4.3.4, RFC 2328 §3.6, §12.4.3",
        scenarios=("ospfv3-areas",),
    )
    def ospfv3_areas(self, tables: Tables) -> Verdict:
        """The stub's router and the backbone's, in IPv6."""
        return all_of(
            self._stub(tables, "ospfv3-areas", "::/0"),
            self._summary(tables, "ospfv3-areas", areas.STUB_LANS6, areas.STUB_RANGE6),
        )

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure | str]:
        """Packets over time, the tables, and the adjacency coming up.

        Figures:
            1_messages: Every OSPF packet by its sender. Look for the hellos that never stop, and
                for the updates that come only when something has changed.
            2_tables: The kernels' routes, coloured by next hop. Look for how long after the failure
                they change: a cut is seen at once, a silent router only when the dead interval is
                over.
            3_trees: The shortest-path tree of each router, with the costs to the others: all from
                the same database, and each another one.
            4_adjacency: Two routers become neighbours, from Init to Full; the states stand behind
                what brings them.
        """
        ran = list(tables["setting"]["scenario"])
        drawn: dict[str, Figure | str] = {}
        for scenario in (s for s in ("campus", "square") if s in ran):
            setting = tables.row("setting", scenario=scenario)
            failed_s, end_s = float(setting["failed_s"]), float(setting["duration_s"])
            drawn[f"1_messages_{scenario}"] = plots.timeline(
                tables,
                by="sender",
                kind="type",
                kinds=tuple(dissect.TYPES.values()),
                marks={"failure": failed_s} if failed_s else {},
                scenario=scenario,
            )
            changes = tables.of("changes", scenario=scenario)
            drawn[f"2_tables_{scenario}"] = draw.tables_over_time(changes, "ospf", end_s, failed_s)
            edges = tables.of("edges", scenario=scenario)
            drawn[f"3_trees_{scenario}"] = draw.trees(tables.of("trees", scenario=scenario), edges)
        if "quiet" in ran:
            sent = tables.of("packets", scenario="quiet")
            drawn["4_adjacency"] = adjacency.drawn(sent[sent["time_s"] < SETTLED_S])
        return drawn


def _as_shown(kernel: pd.DataFrame) -> pd.DataFrame:
    """What of a router's kernel routes evidence shows."""
    return kernel[["node", "destination", "next_hops"]]
