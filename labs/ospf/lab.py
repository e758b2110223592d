"""The OSPF lab: two areas, costs, a summary, and a fibre that fails without a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import echo, routes
from analysis.dissect import ospf as dissect
from testbed import (
    LinkShape,
    RoutersLab,
    SeededRandom,
    Topo,
    Verdict,
    all_of,
    at_least,
    at_most,
    claim,
    holds,
    param,
    programs,
    share_of,
    with_addresses,
)
from testbed.daemons import frr

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData, Tables

ROUTERS = ("r1", "r2", "r3", "r4")
LINKS = {
    "r1-r2": ("r1-eth1", "r2-eth0"),
    "r1-r3": ("r1-eth2", "r3-eth0"),
    "r2-r3": ("r2-eth1", "r3-eth1"),
    "r3-r4": ("r3-eth2", "r4-eth0"),
}
"""Cables between routers, each with its two ends."""

LANS = {1: "r1-eth0", 2: "r4-eth1", 3: "r4-eth2"}
"""LAN → its router's interface; h1, h2 and h3 are in them."""

FILTER = "ip proto 89 or icmp"
BACKBONE = "0.0.0.0"
PING_EVERY_S = 0.5
LISTEN_S = 2.0
"""Pings begin so long before the failure."""
AFTER_S = 15.0
"""They go on so long after the dead interval is over."""


class Fork(Topo):
    """A triangle of routers, and a branch with two LANs behind one of them.

    ::

              r2
            ╱    ╲
        h1─ r1 ── r3 ── r4 ─ h2
                         └── h3

    | interface | leads to |
    | --- | --- |
    | r1-eth0, r1-eth1, r1-eth2 | h1, r2, r3 |
    | r2-eth0, r2-eth1 | r1, r3 |
    | r3-eth0, r3-eth1, r3-eth2 | r1, r2, r4 |
    | r4-eth0, r4-eth1, r4-eth2 | r3, h2, h3 |
    """

    def build(self, shape: LinkShape | None = None, **_: Any) -> None:
        """Builds the graph.

        Args:
            shape: of the cables between routers.
        """
        r1, r2, r3, r4 = (self.addRouter(name) for name in ROUTERS)
        h1, h2, h3 = (self.addHost(f"h{i}") for i in (1, 2, 3))
        self.addLink(r1, h1)
        self.addLink(r1, r2, shape=shape)
        self.addLink(r1, r3, shape=shape)
        self.addLink(r2, r3, shape=shape)
        self.addLink(r3, r4, shape=shape)
        self.addLink(r4, h2)
        self.addLink(r4, h3)


class Lab(RoutersLab):
    """OSPF with two areas and a failure."""

    @dataclass(frozen=True)
    class Parameters:
        """The variant."""

        site: int = param(10, "second byte of all addresses", low=1, high=250)
        area: int = param(7, "number of the branch's area", low=1, high=60)
        hello_s: int = param(3, "time between hellos", unit="s", low=1, high=10)
        cost_direct: int = param(50, "cost of the cable r1-r3", low=30, high=90)
        cost_detour: int = param(11, "cost of the cables r1-r2 and r2-r3", low=3, high=14)
        cost_branch: int = param(15, "cost of the cable r3-r4", low=15, high=25)

    params: Parameters
    routers, cables, lans = ROUTERS, LINKS, LANS

    @classmethod
    def variant(cls, random: SeededRandom) -> dict[str, Any]:
        """Addresses, area, timers and costs."""
        return {
            "site": random.integer(1, 250),
            "area": random.integer(1, 60),
            "hello_s": random.choice((2, 3, 4, 5)),
            "cost_direct": random.integer(30, 90),
            "cost_detour": random.integer(3, 14),
            "cost_branch": random.integer(15, 25),
        }

    # ---- the variant, for handout and solution

    @property
    def dead_s(self) -> int:
        """The dead interval: four hellos."""
        return 4 * self.params.hello_s

    @property
    def summary(self) -> str:
        """The branch's LANs as one."""
        return f"10.{self.params.site}.64.0/23"

    def lan(self, number: int) -> str:
        """The LAN of h1, h2 or h3."""
        return f"10.{self.params.site}.{(1, 64, 65)[number - 1]}.0/24"

    def link(self, name: str) -> str:
        """The prefix of a cable, as ``r1-r3``; the branch's is in the branch's block."""
        if name == "r3-r4":
            return f"10.{self.params.site}.70.0/30"
        return f"10.{self.params.site}.200.{4 * list(LINKS).index(name)}/30"

    def cost(self, name: str) -> int:
        """The cost of a cable."""
        p = self.params
        return {"r1-r3": p.cost_direct, "r3-r4": p.cost_branch}.get(name, p.cost_detour)

    def area(self, name: str) -> str:
        """The area of a cable."""
        return f"0.0.0.{self.params.area}" if name == "r3-r4" else BACKBONE

    def router_id(self, router: str) -> str:
        """The id that a router must have."""
        return f"{router[1]}.{router[1]}.{self.params.site}.{router[1]}"

    @property
    def failure_s(self) -> float:
        """When the fibre between r1 and r2 goes dark: all have elected and flooded by then."""
        return self.dead_s + 25.0

    @property
    def end_s(self) -> float:
        """When the last ping has been answered."""
        return self.failure_s + self.dead_s + AFTER_S

    # ---- in the network

    def topology(self) -> Fork:
        """The fork with this variant's addresses."""
        return with_addresses(Fork(shape=LinkShape(rate_mbps=100, delay_ms=1)), self.addresses())

    def run(self, net: RunningNetwork) -> None:
        """Starts the routers; h1 pings both LANs of the branch; a wire goes dark."""
        running = self.start_routers(net, FILTER)
        net.sleep_until(self.failure_s - LISTEN_S)
        seconds = self.end_s - net.time_s
        count, every = str(int(seconds / PING_EVERY_S)), str(PING_EVERY_S)
        net.start("h1", *programs.argv("echoes", self.host(2), count, every))
        net.start("h1", *programs.argv("echoes", self.host(3), "2", every))
        net.sleep_until(self.failure_s - 0.25)
        frr.save(net, running, "settled", ["ospfd: show ip ospf neighbor json"])
        net.event("failure")
        net.silence("r1-eth1")
        net.sleep_until(self.end_s + 1)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """OSPF packets by cable, pings and where they passed, routing tables before and after."""
        net = self.network(data)
        where = {end[0]: prefix for prefix, ends in net.members.items() for end in ends.values()}
        sent, echoes = [], []
        for capture in data.captures():
            packets = data.packets(capture, (*dissect.COLUMNS, *echo.COLUMNS))
            about = {"capture": capture, "link": where[capture]}
            read = dissect.read(packets).assign(**about)
            read["sender"] = [net.owner_of(str(address)) for address in read["ip_src"]]
            sent.append(read)
            echoes.append(packets[packets["icmp_type"].isin([0, 8])].assign(**about))
        failed_s = data.moment("failure")
        seen = pd.concat(echoes, ignore_index=True).drop(columns="payload")
        pings = echo.pings(seen[seen["capture"] == "h1-eth0"], self.host(1))
        changes = data.notices("routes")
        return {
            "packets": pd.concat(sent, ignore_index=True),
            "echoes": seen,
            "pings": pings.assign(capture="h1-eth0", failed_s=failed_s),
            "kernel": routes.by_name(routes.table_at(changes, failed_s), net),
            "neighbours": self._neighbours(data),
        }

    def _neighbours(self, data: ScenarioData) -> pd.DataFrame:
        """What routers say of their neighbours: ``node``, ``address``, ``interface``, ``state``."""
        import json

        found = []
        for router in ROUTERS:
            path = data.path / "states" / "settled" / f"{router}.ospfd.0.txt"
            told = json.loads(path.read_text()) if path.is_file() else {}
            for entries in told.get("neighbors", {}).values():
                found += [
                    {
                        "node": router,
                        "interface": e["ifaceName"].split(":")[0],
                        "state": e.get("nbrState", e.get("state", "")).split("/")[0],
                    }
                    for e in entries
                ]
        return pd.DataFrame(found, columns=["node", "interface", "state"])

    # ---- public checks

    @claim(
        "The routers at both ends of every cable are fully adjacent.",
        source="RFC 2328 §10.4",
        scenarios=("main",),
    )
    def adjacent(self, tables: Tables) -> Verdict:
        """What both ends say before the failure."""
        full = set(tables.rows("neighbours", state="Full")["interface"])
        hellos = tables.rows("packets", type="hello")
        cases = []
        for name, ends in LINKS.items():
            there = hellos[hellos["link"] == self.link(name)]
            speaking = sorted(set(there["sender"]))
            good = set(ends) <= full
            seen = (
                "adjacent" if good else f"not adjacent; hellos of {', '.join(speaking) or 'nobody'}"
            )
            cases.append(
                holds(good, observed=f"{name}: {seen}", expected=f"{name}: adjacent").because(
                    f"hellos on {name}", there.head(4)
                )
            )
        return share_of(cases)

    @claim("Every cable is in its area.", source="RFC 2328 §3, appendix A.3.1", scenarios=("main",))
    def areas_are_right(self, tables: Tables) -> Verdict:
        """The area that both routers' hellos tell on each cable."""
        hellos = tables.rows("packets", type="hello")
        cases = []
        for name in LINKS:
            there = hellos[hellos["link"] == self.link(name)]
            told = dict(zip(there["sender"], there["area"].astype(str), strict=True))
            wanted = dict.fromkeys(name.split("-"), self.area(name))
            words = ", ".join(f"{r} says {a}" for r, a in sorted(told.items())) or "no hellos"
            cases.append(
                holds(
                    told == wanted,
                    observed=f"{name}: {words}",
                    expected=f"{name}: {self.area(name)}",
                ).because(f"hellos on {name}", there.head(2))
            )
        return share_of(cases)

    @claim("h1 reaches both LANs of the branch.", source="RFC 2328 §1", scenarios=("main",))
    def branch_is_reached(self, tables: Tables) -> Verdict:
        """Pings before the failure."""
        pings = tables.rows("pings")
        early = pings[pings["time_s"] < pings["failed_s"] - 0.5] if len(pings) else pings
        cases = []
        for number in (2, 3):
            asked = early[early["ip_dst"] == self.host(number)]
            got = int(asked["rtt_ms"].notna().sum())
            cases.append(
                holds(
                    len(asked) > 0 and got == len(asked),
                    observed=f"h{number}: {got} of {len(asked)} pings answered",
                    expected=f"h{number}: all answered",
                ).because(f"to h{number}", asked.head(3))
            )
        return share_of(cases)

    @claim(
        "While all works, packets take the cheapest way, over r2, there and back.",
        source="RFC 2328 §16.1",
        scenarios=("main",),
    )
    def takes_the_cheapest_way(self, tables: Tables) -> Verdict:
        """Requests and replies on the cables r1-r2 and r1-r3, before the failure."""
        return share_of(
            [
                self._way(tables, "requests", self.host(1), self.host(2)),
                self._way(tables, "replies", self.host(2), self.host(1)),
            ]
        )

    def _way(self, tables: Tables, what: str, source: str, target: str) -> Verdict:
        seen = tables.rows("echoes", ip_src=source, ip_dst=target)
        pings = tables.rows("pings")
        failed_s = float(pings["failed_s"].iloc[0]) if len(pings) else 0.0
        seen = seen[seen["time_s"] < failed_s]
        over, direct = (seen[seen["link"] == self.link(name)] for name in ("r1-r2", "r1-r3"))
        good = len(over) > 0 and direct.empty
        return (
            holds(
                good,
                observed=f"{what}: {len(over)} over r2, {len(direct)} over the direct cable",
                expected=f"{what}: all over r2",
            )
            .because(f"{what} over r2", over.head(3))
            .because(f"{what} over the direct cable", direct.head(3))
        )

    @claim(
        "When the fibre between r1 and r2 goes dark, pings come through again soon after the "
        "dead interval, over the direct cable.",
        source="RFC 2328 §9.5, §10.2, §13.2",
        scenarios=("main",),
        bears_stall_s=0.002,
    )
    def survives_the_failure(self, tables: Tables) -> Verdict:
        """h1's pings to h2."""
        pings = tables.rows("pings", ip_dst=self.host(2))
        if pings.empty:
            return holds(False, observed="no pings", expected="pings")
        late = pings[pings["time_s"] > pings["failed_s"] + self.dead_s + 2 * self.params.hello_s]
        direct = tables.rows("echoes", link=self.link("r1-r3"), ip_src=self.host(1))
        return all_of(
            at_most(int(late["rtt_ms"].isna().sum()), 0, unit="pings lost when all should be well"),
            at_least(len(direct), 1, unit="requests over the direct cable"),
        ).because("over the direct cable", direct.head(3))
