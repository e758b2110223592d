"""What `bench/sdn.py` measures in a guest: a fat tree under a controller, all pairs reachable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from analysis import flow_tables
from testbed import Experiment, Verdict, all_of, claim, near, param, programs
from testbed.core.tables import Tables
from topologies.switch_fat_tree import SwitchFatTree

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData

WAIT_S = 20.0


class SdnFatTree(Experiment):
    """A fat tree of switches, discovered by its controller."""

    @dataclass(frozen=True)
    class Parameters:
        """Options."""

        k: int = param(4, "ports of each switch", low=2, high=8)

    params: Parameters
    memory_mb = 768

    def topology(self) -> SwitchFatTree:
        """Plain links."""
        return SwitchFatTree(self.params.k)

    def run(self, net: RunningNetwork) -> None:
        """Waits for the discovery, then every host asks every other."""
        from testbed.daemons import controller

        controlled = controller.start(net, "shortest_path")
        log = net.path / "controller.jsonl"
        ends = 2 * sum(1 for _ in self.topo.links() if "h" not in str(_))
        net.wait_until(
            "all links discovered",
            lambda: log.read_text().count('"event": "link"') >= ends,
            timeout_s=30,
            every_s=0.25,
        )
        net.event("discovered")
        addresses = {host.name: host.IP() for host in net.network.hosts}
        asking = []
        for name in addresses:
            others = [address for other, address in addresses.items() if other != name]
            argv = programs.argv("reach", str(WAIT_S), *others)
            asking.append(net.start(name, *argv, log=f"{name}-reach"))
        for process in asking:
            process.wait(timeout_s=60)
        controlled.check()

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Pairs without an answer, links, and when they were all known."""
        hosts = [n["name"] for n in data.topology["nodes"] if n["kind"] == "host"]
        missing = {name: len(data.log(f"{name}-reach").split()) for name in hosts}
        events = flow_tables.controller_events(data.path / "controller.jsonl", data.t0_ns)
        row = {
            "hosts": len(hosts),
            "missing": sum(missing.values()),
            "links": int((events["event"] == "link").sum()),
            "discovered_s": float(data.events("discovered")["time_s"].iloc[0]),
        }
        return {"result": pd.DataFrame([row])}

    @claim("Every host reaches every other.", source="Al-Fares et al., SIGCOMM 2008")
    def all_reach_all(self, tables: Tables) -> Verdict:
        """Pairs without an answer."""
        row = tables.of("result").iloc[0]
        k = self.params.k
        return all_of(
            near(int(row["missing"]), 0, abs=0, unit="ordered pairs without an answer"),
            near(int(row["hosts"]), k**3 / 4, abs=0, unit="hosts"),
            near(int(row["links"]), k**3, abs=0, unit="links, each way"),
        )
