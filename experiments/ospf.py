"""OSPF on real routers, each textbook sentence checked in packets, databases and kernel routes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import ladder, ospf, routes
from analysis.dissect import ospf as dissect
from analysis.plots import routing as plots
from testbed import routing
from testbed.claims import (
    Verdict,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    holds,
    near,
)
from testbed.daemons import frr
from testbed.evidence import in_rows, none_of, of_packets
from testbed.experiment import Experiment, Tables
from testbed.frr import generate as frr_generate
from testbed.parameters import param
from topologies import areas, routed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed.data import ScenarioData
    from testbed.lab import Lab
    from testbed.topo import Topo

FILTER = "ip proto 89 or ip6 proto 89"
ALL_ROUTERS, ALL_DESIGNATED = "224.0.0.5", "224.0.0.6"
SETTLED_S = 60.0
"""After the wait for a designated router (40 s) and the flooding behind it."""
LATE_AT_S = 55.0
REFRESH_S = 1800
QUIET_S = 2.0 * REFRESH_S + 200


class Ospf(Experiment):
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

        topology: str = param("campus", "the routers' graph", choices=routed.TOPOLOGIES)
        size: int = param(2, "routers in a line or ring, rows of a grid", low=2, high=20)
        hello_s: int = param(10, "time between hellos", unit="s", low=1, high=65535)
        dead_s: int = param(40, "silence that means a dead neighbour", unit="s", low=2, high=65535)
        odd_hello_s: int = param(0, "r2's own time between hellos; 0: as all", unit="s", low=0)
        reference_mbps: int = param(100, "rate of a link of cost 1", unit="Mbit/s", low=1)
        priorities: tuple[int, ...] = param(
            (1,), "priority in elections of r1, r2, …; the last holds for the rest", low=0, high=255
        )
        late: str = param("", "router that starts when the others have elected; empty: none")
        ipv6: bool = param(False, "OSPFv3 in place of OSPFv2")
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
        p = self.params
        plain = replace(p, configs="", fail="", duration_s=75.0)
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
        }

    # ---- in the network

    def topology(self) -> Topo:
        """The graph asked for."""
        return routed.make(self.params.topology, self.params.size)

    def inputs(self) -> Mapping[str, str]:
        """The routers' configurations: made from the topology, or handwritten."""
        return routing.config_files(self.topology(), self._generate, self.params.configs)

    def _generate(self, plan: Any, router: str) -> str:
        p = self.params
        number = plan.routers.index(router)
        options = frr_generate.Ospf(
            p.hello_s, p.dead_s, reference_mbps=p.reference_mbps,
            priorities={router: p.priorities[min(number, len(p.priorities) - 1)]},
            hellos={"r2": p.odd_hello_s} if p.odd_hello_s else {},
        )  # fmt: skip
        if p.topology == "areas":
            options = replace(
                options, areas=areas.AREA_OF, stub=(areas.STUB,),
                ranges=((areas.STUB, areas.STUB_RANGE),),
                redistribute={areas.OUTSIDE_ROUTER: ("static",)},
                static={areas.OUTSIDE_ROUTER: (areas.OUTSIDE_PREFIX,)},
            )  # fmt: skip
        return (frr_generate.ospf6 if p.ipv6 else frr_generate.ospf)(plan, router, options)

    def run(self, lab: Lab) -> None:
        """Starts all routers at once; keeps their databases when settled; breaks a link."""
        p = self.params
        lab.watch("routes", "links")
        lab.capture(*routing.capture_points(lab.net.plan), filter=FILTER)
        configs = routing.configurations(lab.path)
        late = {name: configs.pop(name) for name in list(configs) if name == p.late}
        running = frr.start(lab, configs)
        if late:
            lab.sleep_until(LATE_AT_S)
            running |= frr.start(lab, late)
        before_s = min(p.duration_s, p.fail_at_s if p.fail else 4 * SETTLED_S)
        lab.sleep_until(before_s - 1)
        lab.event("settled")
        if not p.ipv6:
            asked = ("ospfd: show ip ospf database json", "ospfd: show ip ospf neighbor json")
            frr.save(lab, running, "settled", asked)
        lab.sleep_until(before_s)
        if p.fail:
            lab.event("failure", interface=p.fail, how=p.failure)
            (lab.cut if p.failure == "cut" else lab.silence)(p.fail)
        lab.sleep_until(p.duration_s)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets, LSAs, databases, routes and what the routes should be."""
        p = self.params
        family = 6 if p.ipv6 else 4
        net = routes.network(data.network["addresses"], data.topology, family)
        names = {
            row["ipv4"].split("/")[0]: row["node"]
            for row in data.network["addresses"]
            if row["interface"] == "lo"
        }
        sent, told = [], []
        for capture in data.captures():
            packets = data.packets(capture, ospf.PACKET_COLUMNS)
            read = dissect.read(packets)
            read.insert(1, "sender", read["router_id"].map(names).fillna(""))
            sent.append(read.assign(capture=capture))
            lsas = dissect.lsas(packets).merge(read[["frame", "time_s", "sender"]], on="frame")
            told.append(lsas.assign(capture=capture))
        lsas = pd.concat(told, ignore_index=True)
        failed = data.events("failure")
        failed_s = float(failed["time_s"].iloc[0]) if len(failed) else 0.0
        settled_s = float(data.events("settled")["time_s"].iloc[0])
        changes = routes.with_silent_losses(data.notices("routes"), data.notices("links"))
        kernel = routes.by_name(routes.table_at(changes, settled_s, family), net)
        tables = {
            "packets": pd.concat(sent, ignore_index=True),
            "lsas": lsas.assign(body=[json.dumps(b) if b else "" for b in lsas["body"]]),
            "changes": routes.by_name(changes[changes["family"] == family], net),
            "kernel": kernel,
            "setting": pd.DataFrame([{
                "failed_s": failed_s, "duration_s": p.duration_s, "hello_s": p.hello_s,
                "dead_s": p.dead_s, "settled_s": settled_s,
            }]),
        }  # fmt: skip
        return tables | ({} if p.ipv6 else self._databases(data, lsas, kernel, names))

    def _databases(
        self, data: ScenarioData, lsas: pd.DataFrame, kernel: pd.DataFrame, names: dict[str, str]
    ) -> dict[str, pd.DataFrame]:
        """Every router's database, the routes it entails, and its neighbours."""
        databases, expected, neighbours, trees = [], {}, [], []
        backbone: Any = None
        contents = ospf.bodies(lsas)
        for router_id, router in names.items():
            headers = ospf.database(data.state("settled", router, "ospfd", 0))
            databases.append(headers.assign(node=router))
            backbone = ospf.area_graph(headers[headers["area"] == ospf.BACKBONE], contents)
            trees.append(ospf.tree(backbone, router_id).assign(root=router))
            expected[router] = ospf.expected_routes(headers, contents, router_id)
            found = json.loads(data.state("settled", router, "ospfd", 1))["neighbors"]
            neighbours += [
                {"node": router, "neighbour": names[i], "state": entry["state"].split("/")[0],
                 "interface": entry["ifaceName"].split(":")[0]}
                for i, entries in found.items() for entry in entries
            ]  # fmt: skip
        columns = ["node", "neighbour", "state", "interface"]
        edges = [(one, two, data["cost"]) for one, two, data in backbone.edges(data=True)]
        return {
            "trees": pd.concat(trees, ignore_index=True).replace(names),
            "edges": pd.DataFrame(edges, columns=["one", "two", "cost"]).replace(names),
            "databases": pd.concat(databases, ignore_index=True),
            "routes": ospf.compare_routes(kernel, expected, names),
            "neighbours": pd.DataFrame(neighbours, columns=columns),
        }

    # ---- claims

    @claim("OSPF runs directly over IP as protocol 89, to 224.0.0.5 and, for the designated "
           "routers of a LAN, 224.0.0.6, and never leaves its link.",
           source="RFC 2328 §8.1, appendix A.1", scenarios=("campus",))  # fmt: skip
    def protocol_89(self, tables: Tables) -> Verdict:
        """Addresses and TTL of all packets; who speaks to 224.0.0.6."""
        sent = tables.of("packets", scenario="campus")
        group = sent[sent["ip_dst"].astype(str).str.startswith("224.")]
        groups = set(group["ip_dst"].astype(str))
        return all_of([
            none_of(sent[sent["ip_proto"] != 89], sent, "of another protocol", "protocol 89"),
            none_of(group[group["ip_ttl"] != 1], group, "with a TTL above 1", "TTL 1"),
            holds(groups == {ALL_ROUTERS, ALL_DESIGNATED}, expected="both groups, no other",
                  observed=", ".join(sorted(groups))),
        ]).because(*of_packets("to the designated routers",
                               group[group["ip_dst"] == ALL_DESIGNATED].head(3)))  # fmt: skip

    @claim("A router says hello every 10 s; the hello tells a dead interval of 40 s.",
           source="RFC 2328 §9.5, appendix C.3", scenarios=("quiet",))  # fmt: skip
    def hellos(self, tables: Tables) -> Verdict:
        """Gaps between each router's hellos."""
        sent = tables.of("packets", scenario="quiet", type="hello")
        setting = tables.of("setting", scenario="quiet").iloc[0]
        gaps = sent.groupby(["capture", "sender"])["time_s"].diff().dropna()
        dead = sent["dead_interval_s"].dropna()
        return all_of([
            near(gaps.mean(), float(setting["hello_s"]), rel=0.02, unit="s on average"),
            at_most(gaps.max(), float(setting["hello_s"]) + 1.0, unit="s at most"),
            near(float(dead.min()), float(setting["dead_s"]), abs=0, unit="s told"),
            near(float(dead.max()), float(setting["dead_s"]), abs=0, unit="s told"),
        ])  # fmt: skip

    @claim("Two neighbours come up step by step: Init, 2-Way, ExStart, Exchange, Loading, Full.",
           source="RFC 2328 §10.1", scenarios=("quiet",))  # fmt: skip
    def adjacency_steps(self, tables: Tables) -> Verdict:
        """What is on the wire when each step is taken, in this order; the higher id is master."""
        sent = tables.of("packets", scenario="quiet")
        steps = ospf.adjacency(sent)
        seen = list(steps["step"])
        first = sent[(sent["type"] == "description") & ~sent["dd_flags"].str.contains("I", na=True)]
        masters = set(first[first["dd_flags"].str.contains("MS", na=False)]["router_id"])
        return all_of([
            holds(seen == list(ospf.STEPS), observed=" → ".join(seen) or "nothing",
                  expected=" → ".join(ospf.STEPS)),
            holds(masters == {sent["router_id"].max()}, expected="the higher router id",
                  observed=f"master: {', '.join(sorted(masters)) or 'nobody'}"),
        ]).because(*of_packets("the steps", steps))  # fmt: skip

    @claim("All neighbours on point-to-point links become fully adjacent.",
           source="RFC 2328 §10.4", scenarios=("square", "triangle"))  # fmt: skip
    def adjacent(self, tables: Tables) -> Verdict:
        """States the routers tell; where one is missing, what their hellos disagree in."""
        verdicts = []
        for scenario in ("square", "triangle"):
            found = tables.of("neighbours", scenario=scenario)
            hellos = tables.of("packets", scenario=scenario, type="hello")
            links = hellos["capture"].nunique()
            apart = ospf.disagreements(hellos)
            why = "; ".join(
                f"{r.routers} differ in {r.field}: {r.values}" for r in apart.itertuples()
            )
            full = found[found["state"] == "Full"]
            verdicts.append(
                holds(len(full) == 2 * links, expected=f"{2 * links} in {scenario}",
                      observed=f"{len(full)} of {2 * links} in {scenario} are Full {why}".strip())
            )  # fmt: skip
        return all_of(verdicts)

    @claim("Routers whose hello intervals differ never become neighbours.",
           source="RFC 2328 §10.5", scenarios=("mismatch",))  # fmt: skip
    def mismatch_is_refused(self, tables: Tables) -> Verdict:
        """Hellos of two routers that disagree: neither ever lists the other."""
        sent = tables.of("packets", scenario="mismatch")
        hellos = sent[sent["type"] == "hello"]
        apart = ospf.disagreements(hellos)
        listed = hellos[hellos["neighbours"].fillna("") != ""]
        return all_of([
            at_least(len(apart), 1, unit="contradictions in the hellos"),
            none_of(listed, hellos, "hellos list a neighbour", "none"),
            none_of(sent[sent["type"] != "hello"], sent, "are more than hellos", "hellos alone"),
        ]).because(in_rows("who disagrees in what", "mismatch", apart))  # fmt: skip

    @claim("On a LAN the router of highest priority, then id, is designated, the next its backup; "
           "the others are adjacent to these two only.",
           source="RFC 2328 §9.4, §10.4", scenarios=("campus",))  # fmt: skip
    def election(self, tables: Tables) -> Verdict:
        """What the last hellos before the failure say, and the rules on what they said first."""
        setting = tables.of("setting", scenario="campus").iloc[0]
        hellos = tables.of("packets", scenario="campus", type="hello", capture="r1-eth0")
        before = hellos[hellos["time_s"] < setting["failed_s"]]
        last = before.groupby("sender").last()
        first = before.groupby("sender").first()
        ids = dict(zip(first.index, first["router_id"], strict=True))
        at = dict(zip(first["ip_src"].astype(str), first["router_id"], strict=True))
        wanted = ospf.elected(zip(first["priority"], first["router_id"], strict=True))
        chosen = {
            (at.get(d, d), at.get(b, b)) for d, b in zip(last["dr"], last["bdr"], strict=True)
        }
        states = tables.of("neighbours", scenario="campus")
        on_lan = states[states["interface"].str.endswith("-eth0") & (states["node"] != "r5")]
        others = [n for n in ids if ids[n] not in wanted]
        between_others = on_lan[on_lan["node"].isin(others) & on_lan["neighbour"].isin(others)]
        return all_of([
            holds(chosen == {wanted}, expected=f"all: DR {wanted[0]}, BDR {wanted[1]}",
                  observed="; ".join(f"DR {d}, BDR {b}" for d, b in sorted(chosen))),
            holds(set(between_others["state"]) == {"2-Way"}, expected="2-Way",
                  observed=f"the others among themselves: {set(between_others['state'])}"),
        ])  # fmt: skip

    @claim("When the designated router falls silent, its backup takes over after the dead "
           "interval, and another becomes backup.",
           source="RFC 2328 §9.1, §9.3", scenarios=("campus",))  # fmt: skip
    def backup_takes_over(self, tables: Tables) -> Verdict:
        """Hellos on the core LAN before and after."""
        setting = tables.of("setting", scenario="campus").iloc[0]
        hellos = tables.of("packets", scenario="campus", type="hello", capture="r1-eth0")
        before = hellos[hellos["time_s"] < setting["failed_s"]]
        dr, bdr = before.iloc[-1][["dr", "bdr"]]
        gone = before[before["ip_src"] == dr]["time_s"].max()
        after = hellos[(hellos["time_s"] > gone) & (hellos["dr"] == bdr)]
        if after.empty:
            return holds(False, observed=f"DR stays {dr}", expected=f"{bdr} takes over")
        dead_s, hello_s = float(setting["dead_s"]), float(setting["hello_s"])
        return all_of([
            between(after["time_s"].min() - gone, dead_s - 1, dead_s + hello_s + 1,
                    unit="s from the DR's last hello"),
            holds(hellos.iloc[-1]["bdr"] not in (dr, bdr, ospf.NONE), expected="a third router",
                  observed=f"new backup {hellos.iloc[-1]['bdr']}"),
        ]).because(*of_packets("the backup is designated", after.head(1)))  # fmt: skip

    @claim("All routers of an area hold the same link-state database.",
           source="RFC 2328 §2, §13", scenarios=("campus", "areas"))  # fmt: skip
    def same_database(self, tables: Tables) -> Verdict:
        """Type, id, origin, sequence number and checksum of every LSA, router by router."""
        verdicts = []
        for scenario in ("campus", "areas"):
            found = tables.of("databases", scenario=scenario)
            found = found[found["area"] != ""]
            holders = found.groupby("area")["node"].transform("nunique")
            names = ["area", "ls_type", "ls_id", "adv_router", "sequence", "checksum"]
            held = found.groupby(names)["node"].transform("nunique")
            what = f"entries in {scenario} are not with every router of the area"
            verdicts.append(none_of(found[held != holders], found, what, "the same everywhere"))
        return all_of(verdicts)

    @claim("Every router's routes are Dijkstra's shortest paths on its database, all equally "
           "short ones at once.",
           source="RFC 2328 §16, Dijkstra 1959",
           scenarios=("campus", "areas", "square", "triangle"))  # fmt: skip
    def equals_dijkstra(self, tables: Tables) -> Verdict:
        """The kernel's next hops beside those computed from the LSAs in the packets."""
        verdicts, wrong = [], []
        for scenario in ("campus", "areas", "square", "triangle"):
            found = tables.of("routes", scenario=scenario)
            bad = found[found["kernel"] != found["computed"]]
            wrong.append(bad)
            verdicts.append(none_of(bad, found, f"routes in {scenario} differ", "none"))
        return all_of(verdicts).because(in_rows("that differ", "", pd.concat(wrong)))

    @claim("A link's cost comes from its bandwidth, so a fast detour beats a slow direct link.",
           source="RFC 2328 §2, appendix C.3", scenarios=("triangle",))  # fmt: skip
    def cost_from_bandwidth(self, tables: Tables) -> Verdict:
        """r1's own LSA tells 100 for 1 Mbit/s and 1 for 100 Mbit/s; its route goes by r2."""
        setting = tables.of("setting", scenario="triangle").iloc[0]
        lsas = tables.of("lsas", scenario="triangle", ls_type="router", adv_router="192.168.0.1")
        lsas = lsas[(lsas["body"] != "") & (lsas["time_s"] < setting["settled_s"])]
        links = json.loads(lsas.iloc[-1]["body"])["links"]
        costs = {x["id"]: x["metric"] for x in links if x["type"] == "point-to-point"}
        route = tables.of("kernel", scenario="triangle", node="r1", destination="10.0.3.0/24")
        return all_of([
            near(float(costs.get("192.168.0.3", -1)), 100, abs=0, unit="for 1 Mbit/s"),
            near(float(costs.get("192.168.0.2", -1)), 1, abs=0, unit="for 100 Mbit/s"),
            holds(route["next_hops"].iloc[0] == "r2", expected="r2, two fast hops",
                  observed=f"r1 reaches r3's LAN by {route['next_hops'].iloc[0]}"),
        ]).because(*of_packets("r1's LSA", lsas.tail(1)))  # fmt: skip

    @claim("Several paths of equal cost are all installed.",
           source="RFC 2328 §16.8", scenarios=("square",))  # fmt: skip
    def equal_cost_paths(self, tables: Tables) -> Verdict:
        """r1's route to the LAN at the opposite corner."""
        route = tables.of("kernel", scenario="square", node="r1", destination="10.0.2.0/24")
        return holds(route["next_hops"].iloc[0] == "r2+r3", expected="r2 and r3",
                     observed=f"next hops {route['next_hops'].iloc[0]}")  # fmt: skip

    @claim("A cut link that its ends see is routed around within a second or so.",
           source="RFC 2328 §13, §16; FRR delays its calculation by at most 5 s",
           scenarios=("square", "triangle"))  # fmt: skip
    def reconverges(self, tables: Tables) -> Verdict:
        """From the cut to the last change of a kernel route; r1 still reaches the far LAN."""
        verdicts = []
        for scenario, lan in (("square", "10.0.2.0/24"), ("triangle", "10.0.3.0/24")):
            failed_s = float(tables.of("setting", scenario=scenario)["failed_s"].iloc[0])
            changes = tables.of("changes", scenario=scenario)
            took_s = routes.convergence_s(changes, ["ospf"], failed_s)
            last = changes[(changes["node"] == "r1") & (changes["destination"] == lan)].iloc[-1]
            verdicts += [
                at_most(took_s, 5.0, unit="s"),
                holds(last["action"] != "del" and last["next_hops"] == "r3", expected="by r3",
                      observed=f"{scenario}: r1's route to {lan} at last: {last['next_hops']}"),
            ]  # fmt: skip
        return all_of(verdicts)

    @claim("A silent failure is noticed only when the dead interval is over.",
           source="RFC 2328 §10.3 (InactivityTimer)", scenarios=("campus",))  # fmt: skip
    def silent_failure(self, tables: Tables) -> Verdict:
        """From the last hello heard of r4 on the core to the first change of a kernel route."""
        setting = tables.of("setting", scenario="campus").iloc[0]
        hellos = tables.of("packets", scenario="campus", type="hello", sender="r4",
                           capture="r1-eth0")  # fmt: skip
        heard_s = hellos["time_s"].max()
        changes = tables.of("changes", scenario="campus")
        later = routes.changed(changes, ["ospf"], setting["failed_s"])
        if later.empty:
            return holds(False, observed="no route changed", expected="routes around r4")
        dead_s = float(setting["dead_s"])
        return between(later["time_s"].min() - heard_s, dead_s - 1, dead_s + 6, unit="s").because(
            in_rows("first changes", "campus", later[["time_s", "node", "action", "destination"]])
        )

    @claim("When nothing changes nothing is flooded, but for a refresh of each LSA every 30 min.",
           source="RFC 2328 §12.4, appendix B (LSRefreshTime)", scenarios=("quiet",))  # fmt: skip
    def refresh(self, tables: Tables) -> Verdict:
        """Updates in a bit more than an hour of two routers left alone."""
        lsas = tables.of("lsas", scenario="quiet", carrier="update")
        later = lsas[lsas["time_s"] > 4 * SETTLED_S]
        again = later.groupby(["ls_type", "ls_id", "adv_router"])["time_s"]
        gaps = again.diff().dropna()
        gaps = gaps[gaps > 60]  # not a retransmission
        begin_s = later["time_s"].min()
        return all_of([
            between(begin_s, REFRESH_S * 0.9, REFRESH_S * 1.1, unit="s of silence at first"),
            between(gaps.min(), REFRESH_S * 0.9, REFRESH_S * 1.1, unit="s between refreshes"),
            between(gaps.max(), REFRESH_S * 0.9, REFRESH_S * 1.1, unit="s between refreshes"),
        ]).because(*of_packets("refreshes", later.head(6)))  # fmt: skip

    @claim("A stub area hears nothing of the outside: its border router tells a default route.",
           source="RFC 2328 §3.6", scenarios=("areas",))  # fmt: skip
    def stub_area(self, tables: Tables) -> Verdict:
        """r1's database and routes, in the stub; r3's, in the backbone."""
        found = tables.of("databases", scenario="areas")
        inside = found[found["node"] == "r1"]
        outside = found[(found["node"] == "r3") & (found["ls_type"] == "external")]
        routes_of_r1 = tables.of("kernel", scenario="areas", node="r1")
        default = routes_of_r1[routes_of_r1["destination"] == "0.0.0.0/0"]["next_hops"]
        return all_of([
            none_of(inside[inside["ls_type"] == "external"], inside, "are external LSAs", "none"),
            at_least(len(outside), 1, unit="external LSAs in the backbone"),
            holds(list(default) == ["r2"], expected="by r2",
                  observed=f"r1's default route by {', '.join(default) or 'nobody'}"),
        ])  # fmt: skip

    @claim("An area border router tells a range of its area as one prefix.",
           source="RFC 2328 §12.4.3, appendix C.2", scenarios=("areas",))  # fmt: skip
    def summary(self, tables: Tables) -> Verdict:
        """The two LANs of area 1 as r3, in the backbone, knows them."""
        found = tables.of("kernel", scenario="areas", node="r3")
        told = found[found["destination"].str.startswith("10.1.")]
        return holds(list(told["destination"]) == [areas.STUB_RANGE], expected=areas.STUB_RANGE,
                     observed=", ".join(told["destination"]) or "nothing")  # fmt: skip

    @claim("OSPFv3 does the same for IPv6, to ff02::5, and also prefers the fast detour.",
           source="RFC 5340 §2", scenarios=("ospfv3",))  # fmt: skip
    def ospfv3(self, tables: Tables) -> Verdict:
        """Version, addresses, and r1's route to r3's LAN."""
        sent = tables.of("packets", scenario="ospfv3")
        hellos = sent[sent["type"] == "hello"]
        route = tables.of("kernel", scenario="ospfv3", node="r1", destination="fd00:0:0:3::/64")
        return all_of([
            none_of(sent[sent["version"] != 3], sent, "of another version", "version 3"),
            none_of(hellos[hellos["ip_dst"] != "ff02::5"], hellos, "to another group", "ff02::5"),
            holds(route["next_hops"].iloc[0] == "r2", expected="r2, two fast hops",
                  observed=f"r1 reaches r3's LAN by {route['next_hops'].iloc[0]}"),
        ])  # fmt: skip

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure | str]:
        """Packets over time, the tables, and the adjacency coming up."""
        ran = list(tables["setting"]["scenario"])
        drawn: dict[str, Figure | str] = {}
        for scenario in (s for s in ("campus", "square") if s in ran):
            setting = tables.of("setting", scenario=scenario).iloc[0]
            failed_s, end_s = float(setting["failed_s"]), float(setting["duration_s"])
            sent = tables.of("packets", scenario=scenario)
            drawn[f"1_messages_{scenario}"] = plots.messages(sent, "type", failed_s)
            changes = tables.of("changes", scenario=scenario)
            drawn[f"2_tables_{scenario}"] = plots.tables_over_time(changes, "ospf", end_s, failed_s)
            edges = tables.of("edges", scenario=scenario)
            tree = tables.of("trees", scenario=scenario)
            roots = sorted(tree["root"].unique())
            drawn[f"3_trees_{scenario}"] = plots.trees(tree, edges, [roots[0], roots[-1]])
        if "quiet" in ran:
            drawn["4_adjacency"] = self._ladder(tables.of("packets", scenario="quiet"))
        return drawn

    @staticmethod
    def _ladder(sent: pd.DataFrame) -> str:
        """Two routers come up: from the first hello to the last acknowledgement."""
        names = dict(zip(sent["router_id"], sent["sender"], strict=True))
        done_s = sent[(sent["type"] == "acknowledgement") & (sent["time_s"] < SETTLED_S)]["time_s"]
        shown = sent[sent["time_s"] <= done_s.max()]
        pair = sorted(set(names.values()))
        arrows = [
            ladder.Message(int(time_ns), sender, pair[1 - pair.index(sender)], text)
            for time_ns, sender, text in zip(
                shown["time_ns"], shown["sender"], ospf.words(shown, names), strict=True
            )
        ]
        return ladder.svg(arrows, hosts=pair, title="An adjacency comes up")
