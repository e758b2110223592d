"""The other controllers, each on real switches: what `tests/system/test_sdn.py` runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from analysis import echo, flow_tables
from testbed.author.experiment import Experiment
from testbed.author.topo import LinkShape, Topo
from testbed.core.claims import Verdict, all_of, at_least, between, claim, near
from testbed.core.parameters import param
from testbed.core.tables import Tables
from topologies.switch_line import SwitchLine
from topologies.switch_square import SwitchSquare
from topologies.switch_star import SwitchStar

LIMIT_MBPS = 2.0


class TwoSubnets(Topo):
    """h1 and h2 in two subnets, on one switch."""

    def build(self) -> None:
        """Builds the graph."""
        self.addOpenFlowSwitch("s1")
        for n in (1, 2):
            self.addHost(f"h{n}", ip=f"10.0.{n}.9/24", defaultRoute=f"via 10.0.{n}.1")
            self.addLink(f"h{n}", "s1", shape=LinkShape(delay_ms=1))


class SdnApps(Experiment):
    """Controllers at work."""

    @dataclass(frozen=True)
    class Parameters:
        """Options."""

        app: str = param("monitor", "the application")

    params: Parameters
    memory_mb = 512

    def scenarios(self) -> Mapping[str, Parameters]:
        """One application each."""
        names = ("spanning_tree", "router", "arp_responder", "rate_limit", "monitor")
        return {name: replace(self.params, app=name) for name in names}

    def topology(self) -> Topo:
        """As the application needs it."""
        app = self.params.app
        if app == "spanning_tree":
            return SwitchSquare()
        if app == "router":
            return TwoSubnets()
        return SwitchLine(2) if app == "arp_responder" else SwitchStar(3)

    def run(self, lab: Any) -> None:
        """Pings; traffic where rates count."""
        from testbed.daemons import controller

        app = self.params.app
        far = "h4" if app == "spanning_tree" else "h2"
        settings = {
            "router": {"interfaces": "1:10.0.1.1/24,2:10.0.2.1/24"},
            "rate_limit": {"limits": f"10.0.0.1:{LIMIT_MBPS}"},
        }.get(app, {})
        third = [] if app in ("spanning_tree", "router") else ["h3-eth0"]
        lab.capture("h1-eth0", f"{far}-eth0", *third, filter="arp or icmp or udp")
        net = controller.start(lab, app, settings)
        lab.sleep(4.0)
        lab.event("begin")
        lab.exec("h1", "ping", "-c", "4", "-i", "0.5", lab.address(far))
        if app == "arp_responder":
            lab.event("again")
            lab.exec("h3", "ping", "-c", "1", lab.address(far))
        if app == "router":
            lab.exec("h1", "ping", "-c", "2", "-i", "0.5", "10.0.1.1")
            lab.start("h1", "ping", "-c", "1", "-t", "1", lab.address(far)).wait(timeout_s=30)
        if app in ("rate_limit", "monitor"):
            lab.start(far, "iperf3", "-s", "-1")
            lab.sleep(0.5)
            lab.exec("h1", "iperf3", "-c", lab.address(far), "-u", "-b", "6M", "-t", "5")
            lab.sleep(2.0)
        net.show("end")
        net.check()

    def measure(self, data: Any) -> dict[str, pd.DataFrame]:
        """Pings, ARP and UDP at the far host, and the controller's events."""
        far = "h4" if self.params.app == "spanning_tree" else "h2"
        columns = (
            *echo.COLUMNS,
            "ip_ttl",
            "icmp_code",
            "udp_dport",
            "wire_bytes",
            "arp_op",
            "arp_target_ip",
        )
        near_by, there = (data.packets(f"{h}-eth0", columns) for h in ("h1", far))
        begin_s = float(data.events("begin")["time_s"].iloc[0])
        events = flow_tables.controller_events(data.path / "controller.jsonl", data.t0_ns)
        plain = there.astype({"ip_src": "string", "ip_dst": "string", "arp_target_ip": "string"})
        return {
            "pings": echo.pings(near_by, data.address("h1")),
            "there": plain[plain["time_s"] >= begin_s].drop(columns=["eth_src", "eth_dst"]),
            "here": near_by[["time_s", "icmp_type"]].reset_index(drop=True),
            "events": events.reindex(columns=["time_s", "event", "src", "bits_per_s", "asked"]),
        }

    @claim(
        "On a loop, every ping has one answer, every question comes once.",
        source="802.1D",
        scenarios=("spanning_tree",),
    )
    def tree(self, tables: Tables) -> Verdict:
        """h4 hears h1's ARP question once."""
        there = tables.of("there", scenario="spanning_tree")
        asked = there.query("arp_op == 1")["arp_target_ip"].eq("10.0.0.2").dropna()
        return all_of(self._answered(tables, "spanning_tree", 4), near(int(asked.sum()), 1, abs=0))

    @claim(
        "A router forwards with one TTL less, answers, and says when a TTL ends.",
        source="1812",
        scenarios=("router",),
    )
    def router(self, tables: Tables) -> Verdict:
        """Pings to h2 and to the router; time exceeded."""
        there = tables.of("there", scenario="router")
        ttl = there[there["icmp_type"] == 8]["ip_ttl"].astype(int)
        here = tables.of("here", scenario="router")
        pings = tables.of("pings", scenario="router")
        return all_of(
            near(int(pings["rtt_ms"].notna().sum()), 6, abs=0, unit="answers"),
            near(int(ttl.max()), 63, abs=0, unit="TTL"),
            near(len(ttl), 4, abs=0, unit="at h2"),
            near(int((here["icmp_type"] == 11).sum()), 1, abs=0, unit="time exceeded"),
        )

    @claim(
        "A known address is told by the controller; the question is not flooded.",
        source="826",
        scenarios=("arp_responder",),
    )
    def arp(self, tables: Tables) -> Verdict:
        """h3's question for h2 comes not to h2."""
        events = tables.of("events", scenario="arp_responder", event="arp-answered")
        there = tables.of("there", scenario="arp_responder")
        asked = there.query("arp_op == 1")["arp_target_ip"].eq("10.0.0.2").dropna()
        return all_of(at_least(len(events), 1), near(int(asked.sum()), 1, abs=0, unit="question"))

    @claim(
        "A meter holds a sender to its rate.",
        source="OpenFlow 1.3.5 §5.7",
        scenarios=("rate_limit",),
    )
    def meter(self, tables: Tables) -> Verdict:
        """Rate of UDP at h2."""
        return between(self._udp_mbps(tables, "rate_limit"), 1.6, 2.4, unit="Mbit/s")

    @claim(
        "A monitor sees the rate that was sent.",
        source="OpenFlow 1.3.5 §7.3.5.2",
        scenarios=("monitor",),
    )
    def monitor(self, tables: Tables) -> Verdict:
        """Largest rate of h1's flow against what came."""
        rates = tables.of("events", scenario="monitor", event="rate")
        seen = float(rates["bits_per_s"].max()) / 1e6
        return near(seen, self._udp_mbps(tables, "monitor"), rel=0.1, unit="Mbit/s")

    def _udp_mbps(self, tables: Tables, scenario: str) -> float:
        there = tables.of("there", scenario=scenario, udp_dport=5201)
        there = there[there["wire_bytes"] > 500]
        first, last = there["time_s"].min(), there["time_s"].max()
        return float(8 * there["wire_bytes"].sum() / (last - first) / 1e6)

    def _answered(self, tables: Tables, scenario: str, count: int) -> Verdict:
        pings = tables.of("pings", scenario=scenario)
        return near(int(pings["rtt_ms"].notna().sum()), count, abs=0, unit="answers")
