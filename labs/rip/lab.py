"""The RIP lab: three routers, their configurations by students, one link that fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import echo, rip, routes
from testbed import (
    LinkShape,
    RoutersLab,
    SeededRandom,
    Verdict,
    all_of,
    at_least,
    claim,
    holds,
    param,
    share_of,
    with_addresses,
)
from testbed.daemons import frr
from topologies.triangle import DIRECT, Triangle

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData, Tables

ROUTERS = ("r1", "r2", "r3")
PAIRS = (("h1", "h2"), ("h1", "h3"), ("h2", "h3"))
DETOUR = ("h1", "h3")
"""The hosts behind the two ends of the link that fails."""

LINKS = {
    "r1-r3": ("r1-eth1", "r3-eth1"),
    "r1-r2": ("r1-eth2", "r2-eth1"),
    "r2-r3": ("r2-eth2", "r3-eth2"),
}
"""Cables between routers, each with its two ends."""

LANS = {1: "r1-eth0", 2: "r2-eth0", 3: "r3-eth0"}
"""LAN → its router's interface; h1, h2 and h3 are in them."""

FILTER = "udp port 520 or icmp"
UPDATES_BEFORE = 4
"""The link is cut after this number of updates."""
REPAIR_S = 50.0
"""By then even a router that tells its table every 30 s has told it."""
SLOW_MBPS = 1.0
FAST_DELAY_MS = 1.0


class Lab(RoutersLab):
    """RIP between three routers."""

    @dataclass(frozen=True)
    class Parameters:
        """The variant."""

        site: int = param(10, "second byte of the LANs", low=1, high=250)
        net: int = param(20, "third byte of the links between routers", low=1, high=250)
        update_s: int = param(15, "time between updates", unit="s", low=10, high=20)
        delay_ms: int = param(12, "one-way delay of the slow link", unit="ms", low=5, high=60)

    params: Parameters
    programs = ("ping", *frr.PROGRAMS)
    routers, cables, lans = ROUTERS, LINKS, LANS

    @classmethod
    def variant(cls, random: SeededRandom) -> dict[str, Any]:
        """Addresses, timers and the slow link's delay."""
        return {
            "site": random.integer(1, 250),
            "net": random.integer(1, 250),
            "update_s": random.choice((10, 12, 15, 20)),
            "delay_ms": random.integer(10, 45),
        }

    # ---- the variant, for handout and solution

    def lan(self, number: int) -> str:
        """The LAN of h1, h2 or h3."""
        return f"10.{self.params.site}.{number}.0/24"

    def link(self, name: str) -> str:
        """The prefix of a cable between routers, as ``r1-r3``."""
        return f"172.20.{self.params.net}.{4 * list(LINKS).index(name)}/30"

    @property
    def timers(self) -> str:
        """Update, timeout and garbage time in seconds, as FRR takes them."""
        update_s = self.params.update_s
        return f"{update_s} {6 * update_s} {4 * update_s}"

    @property
    def cut_s(self) -> float:
        """When the direct link is cut."""
        return float(UPDATES_BEFORE * self.params.update_s + 10)

    # ---- in the network

    def topology(self) -> Triangle:
        """The triangle with this variant's addresses and its slow direct link."""
        slow = LinkShape(rate_mbps=SLOW_MBPS, delay_ms=self.params.delay_ms)
        fast = LinkShape(rate_mbps=100, delay_ms=FAST_DELAY_MS)
        return with_addresses(Triangle(slow=slow, fast=fast), self.addresses())

    def run(self, net: RunningNetwork) -> None:
        """Starts the routers, pings, cuts the direct link, and pings again."""
        running = self.start_routers(net, FILTER)
        net.sleep_until(self.cut_s - 5)
        self._ping(net, "before", PAIRS)
        frr.save(net, running, "settled", ["ripd: show ip rip"])
        net.sleep_until(self.cut_s)
        net.cut(DIRECT)
        net.sleep_until(self.cut_s + REPAIR_S)
        self._ping(net, "after", (DETOUR,))

    def _ping(self, net: RunningNetwork, when: str, pairs: Sequence[tuple[str, str]]) -> None:
        net.event("pings", when=when)
        asked = [
            net.start(one, "ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", net.address(two))
            for one, two in pairs
        ]
        for process in asked:
            process.wait(timeout_s=30)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Messages and entries by link, pings, and the routing tables before the cut."""
        net = self.network(data)
        columns = (*rip.PACKET_COLUMNS, *echo.COLUMNS)
        captures = {capture: data.packets(capture, columns) for capture in data.captures()}
        messages, entries = rip.traffic(captures, net)
        echoes = pd.concat(
            [
                c[c["icmp_type"].isin([0, 8])].assign(capture=name, link=net.prefix_of(name))
                for name, c in captures.items()
            ],
            ignore_index=True,
        ).drop(columns="payload")
        began = data.events("pings").set_index("when")["time_s"]
        settled = routes.table_at(data.notices("routes"), float(began["before"]))
        return {
            "messages": messages,
            "entries": entries,
            "echoes": echoes,
            "pings": self._pings(echoes, net, float(began["after"])),
            "updates": rip.updates(messages),
            "kernel": routes.by_name(settled, net),
            "learned": rip.learned(settled, net),
            "rib": self._rib(data),
        }

    def _pings(self, echoes: pd.DataFrame, net: routes.Network, after_s: float) -> pd.DataFrame:
        """One row an echo request: who asked whom, when, the round-trip time."""
        found = pd.concat(
            echo.pings(echoes[echoes["capture"] == f"{one}-eth0"], self.host(int(one[1]))).assign(
                source=one, capture=f"{one}-eth0"
            )
            for one in ("h1", "h2")
        )
        found["target"] = found["ip_dst"].map(net.owner_of)
        found["when"] = ["after" if t >= after_s else "before" for t in found["time_s"]]
        return found

    def _rib(self, data: ScenarioData) -> pd.DataFrame:
        """ripd's own table of each router that has one."""
        found = [
            rip.rib(data.state("settled", router, "ripd")).assign(node=router)
            for router in ROUTERS
            if (data.path / "states" / "settled" / f"{router}.ripd.0.txt").is_file()
        ]
        columns = ["prefix", "next_hop", "metric", "origin", "node"]
        return pd.concat(found) if found else pd.DataFrame(columns=columns)

    # ---- public checks

    @claim(
        "Every router speaks RIP version 2 to both of its neighbours.",
        source="RFC 2453 §4",
        scenarios=("main",),
    )
    def speaks_version_2(self, tables: Tables) -> Verdict:
        """Updates of each router on each of its cables."""
        sent = tables.rows("messages", command="response", version=2)
        cases = []
        for router in ROUTERS:
            mine = sent[(sent["sender"] == router) & sent["to_all"]]
            spoken = {name for name in LINKS if self.link(name) in set(mine["link"])}
            silent = [name for name in LINKS if router in name and name not in spoken]
            shown = f"{router} says nothing in version 2 on {', '.join(silent)}"
            cases.append(
                holds(
                    not silent,
                    observed=shown if silent else f"{router} speaks on both",
                    expected=f"version 2 from {router} on both cables",
                ).because(f"updates of {router}", mine.head(4))
            )
        return share_of(cases)

    @claim(
        "Every router learns the other two LANs by RIP, at the fewest hops.",
        source="RFC 2453 §3.5",
        scenarios=("main",),
    )
    def knows_every_lan(self, tables: Tables) -> Verdict:
        """The kernel's routes and ripd's metrics, six in all."""
        kernel, rib = tables.rows("kernel", protocol="rip"), tables.rows("rib")
        cases = []
        for router in ROUTERS:
            for number in (1, 2, 3):
                if router == f"r{number}":
                    continue
                lan = self.lan(number)
                there = kernel[(kernel["node"] == router) & (kernel["destination"] == lan)]
                metric = rib[(rib["node"] == router) & (rib["prefix"] == lan)]["metric"]
                good = len(there) == 1 and list(metric) == [2]
                seen = f"metric {metric.iloc[0]}" if len(metric) else "no route by RIP"
                cases.append(
                    holds(
                        good,
                        observed=f"{router} to {lan}: {seen}",
                        expected=f"{router} to {lan}: metric 2",
                    )
                )
        return share_of(cases)

    @claim(
        "All hosts reach one another while all links work.",
        source="RFC 2453 §3.1",
        scenarios=("main",),
    )
    def hosts_reach_one_another(self, tables: Tables) -> Verdict:
        """Two pings for each pair of hosts, before the cut."""
        return share_of([self._answered(tables, "before", *pair) for pair in PAIRS])

    @claim(
        "After the cut of the slow link h1 and h3 reach each other over r2.",
        source="RFC 2453 §3.5, §3.10.1",
        scenarios=("main",),
        bears_stall_s=0.002,
    )
    def finds_the_detour(self, tables: Tables) -> Verdict:
        """Pings 50 s after the cut, at h1 and on the cable from r1 to r2."""
        echoes = tables.rows("echoes", link=self.link("r1-r2"))
        over = echoes[(echoes["ip_src"] == self.host(1)) & (echoes["ip_dst"] == self.host(3))]
        return all_of(
            self._answered(tables, "after", *DETOUR),
            at_least(len(over), 1, unit="requests on the cable to r2"),
        )

    def _answered(self, tables: Tables, when: str, one: str, two: str) -> Verdict:
        asked = tables.rows("pings", when=when, source=one, target=two)
        got = int(asked["rtt_ms"].notna().sum())
        return holds(
            got == 2, observed=f"{one} to {two}: {got} answers", expected=f"{one} to {two}: 2"
        ).because(f"{one} asks {two}", asked)

    # ---- hidden checks need these, too

    def told_back(self, tables: Tables, router: str) -> pd.DataFrame:
        """Entries a router told, before the cut, over the cable it learned the prefix from."""
        told = tables.rows("entries", sender=router, command="response")
        told = told[told["to_all"] & told["time_s"].between(self.cut_s / 2, self.cut_s)]
        learned = tables.rows("learned", sender=router)
        if told.empty or learned.empty:
            return told.head(0)
        found: pd.DataFrame = rip.told_back(told, learned)
        return found

    def gap_s(self, tables: Tables, router: str) -> float | None:
        """Mean time between a router's whole updates, before the cut."""
        own = tables.rows("updates", sender=router)
        own = own[own["time_s"].between(5, self.cut_s)]
        gaps = rip.whole_updates(own)["gap_s"].dropna()
        return float(gaps.mean()) if len(gaps) else None

    def spoken_on_lan(self, tables: Tables, number: int) -> pd.DataFrame:
        """RIP messages in the LAN of h1, h2 or h3."""
        return tables.rows("messages", link=self.lan(number), command="response")
