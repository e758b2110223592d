"""A link fails: how soon a controller has the traffic on another way, and how soon OSPF has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import echo, flow_tables
from analysis.plots import sdn as plots
from testbed import (
    ConvergenceError,
    Experiment,
    Tables,
    Verdict,
    all_of,
    at_most,
    between,
    claim,
    holds,
    param,
    programs,
    routing,
)
from testbed.daemons.frr import generate as frr_generate
from topologies.square import Square
from topologies.switch_square import SwitchSquare

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData, Topo

FAILOVERS = ("sdn-cut", "ospf-cut", "sdn-silent", "ospf-silent")
LEARN_S = 5.0
"""LLDP once a second: after two seconds the controller knows every link."""

LLDP_S, LLDP_LIFE_S = 1.0, 3.2
"""Of ``controller/discovery.py``: time between two LLDP frames; life of a link without any."""

OSPF_HELLO_S, OSPF_DEAD_S = 10.0, 40.0
"""RFC 2328 §C.3, the usual values."""

LLDP_ETHERTYPE = "ether proto 0x88cc"


class SdnFailover(Experiment):
    """Failover: shortest paths of a controller that discovers links by LLDP, compared with OSPF.

    h1 pings h4 across a square of switches. The link in use fails, in two ways: its ports go down
    and the switch knows, or the wire falls silent and only timers can tell. The same happens to
    the same square of routers that run OSPF.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment; the scenarios vary them."""

        control: str = param("sdn", "what finds the paths", choices=("sdn", "ospf"))
        app: str = param(
            "shortest_path",
            "controller application",
            choices=("shortest_path", "spanning_tree"),
        )
        framework: str = param("os_ken", "OpenFlow framework", choices=("os_ken", "ryu"))
        control_delay_ms: float = param(
            5.0, "one-way delay between switches and controller", unit="ms", low=0, high=1000
        )
        failure: str = param("cut", "how the link fails", choices=("cut", "silence"))
        ping_ms: float = param(10.0, "time between two pings", unit="ms", low=2, high=1000)
        watch_s: float = param(4.0, "how long after the failure", unit="s", low=1, high=600)

    params: Parameters
    programs = ("ping", "ip")
    extras = ("controllers",)
    routing = None
    memory_mb = 512

    def scenarios(self) -> Mapping[str, Parameters]:
        """The longest first."""
        p = self.params
        return {
            "ospf-silent": replace(
                p,
                control="ospf",
                failure="silence",
                ping_ms=max(p.ping_ms, 100.0),
                watch_s=max(p.watch_s, OSPF_DEAD_S + 10),
            ),
            "ospf-cut": replace(p, control="ospf", failure="cut"),
            "sdn-silent": replace(p, control="sdn", failure="silence", watch_s=max(p.watch_s, 8.0)),
            "sdn-cut": replace(p, control="sdn", failure="cut"),
        }

    # ---- in the network

    def topology(self) -> Topo:
        """The square, of switches or routers."""
        return SwitchSquare() if self.params.control == "sdn" else Square()

    def inputs(self) -> Mapping[str, str]:
        """OSPF's configurations."""
        if self.params.control == "sdn":
            return {}
        costs = dict.fromkeys(("r1-eth2", "r3-eth0", "r3-eth1", "r4-eth2"), 2)  # the way by r3
        options = frr_generate.Ospf(hello_s=int(OSPF_HELLO_S), dead_s=int(OSPF_DEAD_S), costs=costs)
        return routing.config_files(
            self.topo, lambda plan, router: frr_generate.ospf(plan, router, options)
        )

    def run(self, net: RunningNetwork) -> None:
        """Pings all the time; the link in use fails."""
        p = self.params
        net.capture("h1-eth0", filter="icmp")
        controlled = self._start_sdn(net) if p.control == "sdn" else None
        if controlled is None:
            self._start_ospf(net)
        net.exec("h1", "ping", "-c", "3", "-i", "0.2", net.address("h4"))
        seconds = p.watch_s + 1.0
        pinging = net.start(
            "h1",
            *programs.argv(
                "echoes",
                net.address("h4"),
                str(int(seconds / p.ping_ms * 1e3)),
                f"{p.ping_ms / 1e3:g}",
            ),
            log="h1-echoes",
        )
        net.sleep(1.0)
        used = self._used_sdn(net, controlled) if controlled else self._used_ospf(net)
        net.event("failed", interface=used, failure=p.failure)
        if p.failure == "cut":
            net.cut(used)
        else:
            net.silence(used)
        pinging.wait(timeout_s=seconds + 60)
        if controlled:
            controlled.show("after")
            controlled.check()

    def _start_sdn(self, net: RunningNetwork) -> Any:
        from testbed.daemons import controller

        p = self.params
        controlled = controller.start(
            net, p.app, delay_ms=p.control_delay_ms, framework=p.framework
        )
        controlled.watch_flows()
        net.sleep(LEARN_S)
        controlled.show("before")
        return controlled

    def _start_ospf(self, net: RunningNetwork) -> None:
        from testbed.daemons import frr

        net.watch("routes")
        frr.start(net, routing.configurations(net.path))
        routing.wait_for_routes(net, routing.OSPF_FROM_NOTHING)

    def _used_sdn(self, net: RunningNetwork, controlled: Any) -> str:
        """The port by which s1 sends to h4."""
        mac = net.network["h4"].MAC()
        flows = controlled.ovs.run("ovs-ofctl", "-O", "OpenFlow13", "dump-flows", "s1")
        found = re.search(rf"dl_dst={mac} actions=output:\"?(?:s1-eth)?(\d+)", flows)
        if found is None:
            raise ConvergenceError("flow from s1 to h4", LEARN_S, flows)
        return f"s1-eth{found[1]}"

    def _used_ospf(self, net: RunningNetwork) -> str:
        """The interface by which r1 sends what h1 sends to h4."""
        argv = [
            "ip",
            "route",
            "get",
            net.address("h4"),
            "from",
            net.address("h1"),
            "iif",
            "r1-eth0",
        ]
        found = re.search(r"dev (r1-eth[12])", said := net.exec("r1", *argv))
        if found is None:
            raise ConvergenceError(
                "OSPF's route from r1 to h4", routing.OSPF_FROM_NOTHING.time_s, said
            )
        return found[1]

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Pings around the failure; what the controller did."""
        failed_s = data.moment("failed")
        asked = echo.pings(data.packets("h1-eth0", echo.COLUMNS), data.address("h1"))
        asked = asked[asked["time_s"] > failed_s - 1.0].reset_index(drop=True)
        asked["after_s"] = asked["time_s"] - failed_s
        tables = {
            "pings": asked,
            "outages": pd.DataFrame([{"failed_s": failed_s, **outage(asked)}]),
        }
        if self.params.control == "sdn":
            events = flow_tables.controller_events(data.path / "controller.jsonl", data.t0_ns)
            events["after_s"] = events["time_s"] - failed_s
            wanted = events["event"].isin(["link-lost", "paths", "tree"]) & (events["after_s"] > 0)
            tables["controller"] = events[wanted][["after_s", "event"]].reset_index(drop=True)
        return tables

    # ---- claims

    @claim(
        "Told of a failed port, a controller has new paths within one round trip to the switches.",
        source="OpenFlow 1.3.5 (TS-012) §7.4.3",
        scenarios=("sdn-cut",),
        bears_stall_s=0.002,
    )
    def controller_reroutes_at_once(self, tables: Tables) -> Verdict:
        """From the failure to the first ping that comes through, for good."""
        p = self.params
        budget_s = (2 * p.control_delay_ms + 2 * p.ping_ms) / 1e3 + 0.02
        return self._outage(tables, "sdn-cut", 0.0, budget_s)

    @claim(
        "A wire that falls silent is missed when three LLDP frames in a row have not come.",
        source="IEEE 802.1AB §9.2; controller/discovery.py",
        scenarios=("sdn-silent",),
        bears_stall_s=0.01,
    )
    def silence_waits_for_lldp(self, tables: Tables) -> Verdict:
        """Between the life of a link less one interval, and its life and one interval more."""
        slack_s = self.params.control_delay_ms / 1e3 * 4 + 0.1
        return self._outage(
            tables, "sdn-silent", LLDP_LIFE_S - LLDP_S - slack_s, LLDP_LIFE_S + LLDP_S + slack_s
        )

    @claim(
        "OSPF too needs no timer to learn that its own link failed, and is back within a second.",
        source="RFC 2328 §9.3 (InterfaceDown), §13",
        scenarios=("ospf-cut",),
        bears_stall_s=0.1,
    )
    def ospf_reroutes_at_once(self, tables: Tables) -> Verdict:
        """From the failure to the first ping that comes through, for good."""
        return self._outage(tables, "ospf-cut", 0.0, 1.0)

    @claim(
        "A silent wire keeps OSPF waiting for RouterDeadInterval, a controller for LLDP only.",
        source="RFC 2328 §9.5, §C.3 (RouterDeadInterval)",
        scenarios=("ospf-silent", "sdn-silent"),
        bears_stall_s=0.1,
    )
    def ospf_waits_for_dead_interval(self, tables: Tables) -> Verdict:
        """Both outages."""
        ospf = self._outage(tables, "ospf-silent", OSPF_DEAD_S - OSPF_HELLO_S - 1, OSPF_DEAD_S + 2)
        sdn = tables.row("outages", scenario="sdn-silent")["outage_s"]
        other = tables.row("outages", scenario="ospf-silent")["outage_s"]
        shorter = holds(
            sdn < other, observed=f"{sdn:.3g} s and {other:.3g} s", expected="SDN's is shorter"
        )
        return all_of(ospf, shorter)

    @claim(
        "The new paths carry everything: behind the outage no ping is lost.",
        source="Kurose & Ross, §5.5",
        scenarios=FAILOVERS,
        bears_stall_s=0.1,
    )
    def nothing_lost_after(self, tables: Tables) -> Verdict:
        """The last second of each run."""
        verdicts, shown = [], []
        for name in FAILOVERS:
            asked = tables.of("pings", scenario=name)
            late = asked[asked["after_s"] > asked["after_s"].max() - 1.0]
            verdicts.append(at_most(echo.lost_percent(late), 0.0, unit="% lost"))
            shown.append(late[["scenario", "time_s", "rtt_ms"]].head(2))
        return all_of(*verdicts).because("pings of the last second", pd.concat(shown))

    def _outage(self, tables: Tables, scenario: str, low_s: float, high_s: float) -> Verdict:
        row = tables.row("outages", scenario=scenario)
        asked = tables.of("pings", scenario=scenario)
        lost = asked[asked["rtt_ms"].isna()]
        verdict = between(float(row["outage_s"]), low_s, high_s, unit="s")
        what = "echo requests without an answer"
        verdict = verdict.because(what, lost["frame"][:20], scenario=scenario, capture="h1-eth0")
        if "controller" in tables:
            done = tables["controller"][tables["controller"]["scenario"] == scenario]
            what = "what the controller did after the failure"
            verdict = verdict.because(what, done, scenario=scenario)
        return verdict

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure]:
        """The outages compared, and the pings around them.

        Figures:
            1_outages: How long nothing passes after the failure (logarithmic). Where ports go down
                both are quick; a silent wire is missed by timers alone, and OSPF's are longer.
            2_pings: The round-trip time of each ping around the failure; crosses are pings without
                an answer. Mind that the time axes differ.
        """
        return plots.failover(tables)


def outage(asked: pd.DataFrame) -> dict[str, float]:
    """How long no ping came through for good, from the failure.

    Args:
        asked: ``after_s`` (since the failure), ``rtt_ms`` (null: lost).

    Returns:
        ``outage_s`` (to the first answered request behind the last loss, or to the end if none is
        answered any more), ``lost_pings``.
    """
    after = asked[asked["after_s"] >= 0]
    lost = after[after["rtt_ms"].isna()]
    if lost.empty:
        return {"outage_s": 0.0, "lost_pings": 0}
    back = after[after["after_s"] > lost["after_s"].iloc[-1]]["after_s"]
    # lost until the end: the outage is at least that long
    until_s = float(back.iloc[0]) if len(back) else float(after["after_s"].iloc[-1])
    return {"outage_s": until_s, "lost_pings": len(lost)}
