"""A learning switch under a controller: the first packet of a flow, and all the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import echo, flow_tables
from analysis.dissect import openflow
from analysis.plots import sdn as plots
from testbed import Tables, Verdict, all_of, at_least, at_most, claim, near, param
from topologies.switch_line import SwitchLine

from .flows import CONTROL, EXPIRY_SLACK_S, Flows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

HOSTS = ("h1", "h2", "h3", "h4")
SETTLE_S = 3.0
"""Hosts announce themselves (MLD) when their links come up; then it is quiet."""

NOBODY, NOBODYS_MAC = "10.0.0.99", "02:00:00:00:00:99"
ARP_PROBE_S = 6.0
"""Hosts ask once more for the addresses of those they talked to, 5 s behind the last packet."""

AWAY_S = 20.0
"""An Open vSwitch without its controller counts to three probes of 5 s before it acts alone."""


class SdnLearning(Flows):
    """A learning switch as a controller's program: flows, their growth, their end.

    Two switches of Open vSwitch, two hosts on each, and a controller some milliseconds away. Each
    frame that no flow matches goes to the controller, which learns where its sender is and
    installs a flow for the pair. The same network with Linux bridges shows what is gained and
    what is paid; two more lose their controller for a while.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment; the scenarios vary them."""

        app: str = param(
            "learning_switch", "controller application", choices=("learning_switch", "hub")
        )
        framework: str = param("os_ken", "OpenFlow framework", choices=("os_ken", "ryu"))
        control_delay_ms: float = param(
            5.0, "one-way delay between switches and controller", unit="ms", low=0, high=1000
        )
        idle_s: int = param(5, "lifetime of a flow without packets", unit="s", low=0, high=3600)
        openflow: bool = param(
            True, "use OpenFlow switches with a controller instead of Linux bridges"
        )
        fail_mode: str = param(
            "secure", "a switch without its controller", choices=("secure", "standalone")
        )
        controller_dies: bool = param(False, "the controller is killed and comes back")

    params: Parameters
    programs = ("ping", "bridge")
    extras = ("controllers",)
    memory_mb = 512

    def scenarios(self) -> Mapping[str, Parameters]:
        """One network each."""
        p = self.params
        learning = replace(p, openflow=True, controller_dies=False)
        dying = replace(p, openflow=True, controller_dies=True)
        return {
            "learning": learning,
            "bridge": replace(learning, openflow=False),
            "secure": replace(dying, fail_mode="secure"),
            "standalone": replace(dying, fail_mode="standalone"),
        }

    # ---- in the network

    def topology(self) -> SwitchLine:
        """Two switches, four hosts."""
        return SwitchLine(
            switches=2, openflow=self.params.openflow, fail_mode=self.params.fail_mode
        )

    def run(self, net: RunningNetwork) -> None:
        """Pings, step by step."""
        from testbed.daemons import controller

        p, controlled = self.params, None
        net.capture("h1-eth0", "h3-eth0", filter="arp or icmp")
        if p.openflow:
            controller.control_node(net.network)
            net.capture(CONTROL, filter=controller.CONTROL_FILTER)
            settings = {} if p.app == "hub" else {"idle_s": p.idle_s}
            controlled = controller.start(
                net, p.app, settings, delay_ms=p.control_delay_ms, framework=p.framework
            )
            controlled.watch_flows()
        net.sleep_until(SETTLE_S)
        if controlled and p.controller_dies:
            self._without_controller(net, controlled)
        else:
            self._pings(net, controlled)
        if controlled:
            controlled.check()

    def _pings(self, net: RunningNetwork, controlled: Any) -> None:
        idle_s = self.params.idle_s + EXPIRY_SLACK_S + 1
        self._ping(net, "first", "h1", net.address("h2"), count=5)
        net.sleep(idle_s)
        net.network["h1"].setARP(NOBODY, NOBODYS_MAC)
        self._ping(net, "unknown", "h1", NOBODY, count=2)
        net.sleep(idle_s)
        net.event("step", step="pairs")
        for one, two in combinations(HOSTS, 2):
            net.start(one, "ping", "-c", "1", net.address(two)).wait(timeout_s=20)
        if controlled:
            controlled.show("pairs")
        else:
            self._show_bridges(net)
        net.event("step", step="idle")
        net.sleep(ARP_PROBE_S + idle_s)
        net.event("step", step="end")

    def _ping(self, net: RunningNetwork, step: str, host: str, address: str, count: int) -> None:
        net.event("step", step=step)
        net.start(host, "ping", "-c", str(count), "-i", "0.5", "-W", "1", address).wait(
            timeout_s=60
        )

    def _show_bridges(self, net: RunningNetwork) -> None:
        for switch in ("s1", "s2"):
            net.exec(switch, "bridge", "fdb", "show", "br", switch, "dynamic", log=f"{switch}-fdb")

    def _without_controller(self, net: RunningNetwork, controlled: Any) -> None:
        """One pair talks all the time, another one only while the controller is gone and after."""
        net.event("step", step="before")
        seconds = 2 * AWAY_S
        steady = net.start(
            "h1", "ping", "-c", str(int(seconds / 0.5)), "-i", "0.5", "-W", "1", net.address("h2")
        )
        net.sleep(2.0)
        controlled.stop_controller()
        net.event("step", step="gone")
        net.sleep(AWAY_S)
        self._ping(net, "away", "h3", net.address("h4"), count=3)
        net.event("step", step="returns")
        controlled.start_controller()
        net.sleep(2.0)
        self._ping(net, "back", "h3", net.address("h4"), count=3)
        steady.wait(timeout_s=120)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Pings by step; messages, flows and their changes; what h3 overheard."""
        steps = data.happened("step")[["time_s", "step"]]
        seen = {h: data.packets(f"{h}-eth0", echo.COLUMNS) for h in ("h1", "h3")}
        asked = pd.concat(
            echo.pings(packets, data.address(host)).assign(host=host)
            for host, packets in seen.items()
        )
        tables = {
            "steps": steps,
            "pings": _in_steps(asked, steps),
            "overheard": _in_steps(_overheard(seen["h3"], data.address("h3")), steps),
            "spoken": _spoken(seen["h1"]),
            "entries": pd.DataFrame(self._entries(data)),
        }
        return tables | (self._openflow(data, steps) if self.params.openflow else {})

    def _entries(self, data: ScenarioData) -> list[dict[str, Any]]:
        """How many flows or addresses each switch holds once all pairs have talked."""
        if self.params.controller_dies:
            return []
        found = []
        for switch in ("s1", "s2"):
            if self.params.openflow:
                flows = flow_tables.flows(data.state("pairs", switch, "ovs"))
                count: int | None = int((flows["priority"] > 0).sum())
            else:
                # hosts have talked through each: an empty table is one that was not written down
                count = len(data.log(f"{switch}-fdb").splitlines()) or None
            found.append({"switch": switch, "entries": count})
        return found

    def _openflow(self, data: ScenarioData, steps: pd.DataFrame) -> dict[str, pd.DataFrame]:
        messages = openflow.read(data.packets(CONTROL, openflow.COLUMNS))
        messages["info"] = flow_tables.describe(messages)
        changes = pd.concat(
            flow_tables.changes(data.log(f"flows-{switch}"), switch, data.t0_ns)
            for switch in ("s1", "s2")
        ).reset_index(drop=True)
        return {"messages": _in_steps(messages, steps), "changes": changes}

    # ---- claims

    @claim(
        "Flows for pairs make a table grow with the pairs of hosts, a bridge's with its hosts.",
        source="IEEE 802.1D §7.9; OpenFlow 1.3.5 (TS-012) §5.2",
        scenarios=("learning", "bridge"),
    )
    def tables_grow_with_pairs(self, tables: Tables) -> Verdict:
        """Four hosts: twelve ordered pairs, of which two stay at the other switch."""
        flows = tables.of("entries", scenario="learning")
        addresses = tables.of("entries", scenario="bridge")
        pairs = len(HOSTS) * (len(HOSTS) - 1) - 2
        return (
            all_of(
                *(
                    [near(n, pairs, abs=0, unit="flows") for n in flows["entries"]]
                    + [near(n, len(HOSTS), abs=0, unit="addresses") for n in addresses["entries"]]
                )
            )
            .because("flows", flows, scenario="learning")
            .because("addresses", addresses, scenario="bridge")
        )

    @claim(
        "While the controller is gone, flows that are there go on working.",
        source="OpenFlow 1.3.5 (TS-012) §6.3.2",
        scenarios=("secure", "standalone"),
        bears_stall_s=0.1,
    )
    def flows_outlive_controller(self, tables: Tables) -> Verdict:
        """h1's steady pings to h2 from its end to its return."""
        verdicts, shown = [], []
        for name in ("secure", "standalone"):
            steady = tables.of("pings", scenario=name, host="h1", step="gone")
            verdicts.append(at_most(echo.lost_percent(steady), 0.0, unit="% lost"))
            shown.append(steady[["scenario", "time_s", "rtt_ms"]].head(4))
        return all_of(*verdicts).because("pings without the controller", pd.concat(shown))

    @claim(
        "A switch in secure mode forwards nothing new without its controller; it does when it is "
        "back.",
        source="OpenFlow 1.3.5 (TS-012) §6.3.2; ovs-vswitchd.conf.db(5), fail_mode",
        scenarios=("secure",),
    )
    def secure_waits(self, tables: Tables) -> Verdict:
        """h3's pings to h4."""
        return self._new_pair(tables, "secure", answered=False)

    @claim(
        "A switch in standalone mode becomes an ordinary learning switch without its controller.",
        source="OpenFlow 1.3.5 (TS-012) §6.3.2; ovs-vswitchd.conf.db(5), fail_mode",
        scenarios=("standalone",),
    )
    def standalone_learns(self, tables: Tables) -> Verdict:
        """h3's pings to h4."""
        return self._new_pair(tables, "standalone", answered=True)

    def _new_pair(self, tables: Tables, scenario: str, *, answered: bool) -> Verdict:
        """Whether h4 answers while the controller is gone; after its return it must."""
        asked = tables.of("pings", scenario=scenario, host="h3")
        steps = tables.of("steps", scenario=scenario)
        away = asked[asked["step"] == "away"]
        back = asked[asked["step"] == "back"]
        # without a route to an answer not even the ARP request has one, and no echo is sent
        silent = away.empty and "back" in set(steps["step"])
        lost = 100.0 if silent else echo.lost_percent(away)
        wanted = at_most(lost, 0.0, unit="% lost") if answered else at_least(lost, 100.0, unit="%")
        return all_of(wanted, at_most(echo.lost_percent(back), 0.0, unit="% lost after")).because(
            "echoes of h3", asked[["step", "time_s", "icmp_seq", "rtt_ms"]], scenario=scenario
        )

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure | str]:
        """Round-trip times, the first ping's messages, flows over time.

        Figures:
            1_first_packet: The first ping waits for the controller at each switch on its way; all
                later ones, and those through a plain bridge, do not.
            2_first_ping_messages: What that first ping costs: a packet-in for each frame that no
                flow matches, and back come the flow and the frame.
            3_flow_tables: How many flows each switch holds. They come with the first frames of each
                pair, and go when nothing has matched them for a while.
            4_flow_lives: The life of each flow in s1, from its installation to its end: the longer
                a pair talks, the longer its bar.
            5_controller_dies: Pings while the controller is gone. Pairs that have flows go on; for
                newcomers a "secure" switch has no answer, a "standalone" one learns by itself.
        """
        return plots.learning(tables, self.params.control_delay_ms)


def _in_steps(table: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `step`: the last one that had begun."""
    place = steps["time_s"].searchsorted(table["time_s"], side="right")
    names = ["", *steps["step"]]
    return table.assign(step=[names[i] for i in place]).reset_index(drop=True)


def _overheard(packets: pd.DataFrame, own: str) -> pd.DataFrame:
    """Echo requests between others."""
    others = (packets["icmp_type"] == 8) & (packets["ip_src"] != own) & (packets["ip_dst"] != own)
    return packets[others.fillna(False).astype(bool)][["frame", "time_s", "ip_src", "ip_dst"]]


def _spoken(packets: pd.DataFrame) -> pd.DataFrame:
    """Frames by time, sender and receiver."""
    return packets[["time_s", "eth_src", "eth_dst"]].astype(
        {"eth_src": "string", "eth_dst": "string"}
    )
