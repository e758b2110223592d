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
from testbed.claims import (
    ANY_STALL,
    MissingDataError,
    Verdict,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    near,
)
from testbed.evidence import in_packets, in_rows
from testbed.experiment import Experiment, Tables
from testbed.parameters import param
from topologies.switch_line import SwitchLine

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed.data import ScenarioData
    from testbed.lab import Lab

CONTROL = "c0-lo"
HOSTS = ("h1", "h2", "h3", "h4")
SETTLE_S = 3.0
"""Hosts announce themselves (MLD) when their links come up; then it is quiet."""

NOBODY, NOBODYS_MAC = "10.0.0.99", "02:00:00:00:00:99"
ARP_PROBE_S = 6.0
"""Hosts ask once more for the addresses of those they talked to, 5 s behind the last packet."""

AWAY_S = 20.0
"""An Open vSwitch without its controller counts to three probes of 5 s before it acts alone."""

EXPIRY_SLACK_S = 2.5
"""Open vSwitch looks for idle flows about once a second, and reads the kernel's counters before."""


class SdnLearning(Experiment):
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
            "learning_switch", "the controller's application", choices=("learning_switch", "hub")
        )
        framework: str = param("os_ken", "what it runs on", choices=("os_ken", "ryu"))
        control_delay_ms: float = param(
            5.0, "one-way delay between switches and controller", unit="ms", low=0, high=1000
        )
        idle_s: int = param(5, "life of a flow without packets", unit="s", low=0, high=3600)
        openflow: bool = param(True, "switches under a controller; else Linux bridges")
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
        return {
            "learning": p,
            "bridge": replace(p, openflow=False),
            "secure": replace(p, fail_mode="secure", controller_dies=True),
            "standalone": replace(p, fail_mode="standalone", controller_dies=True),
        }

    # ---- in the network

    def topology(self) -> SwitchLine:
        """Two switches, four hosts."""
        return SwitchLine(
            switches=2, openflow=self.params.openflow, fail_mode=self.params.fail_mode
        )

    def run(self, lab: Lab) -> None:
        """Pings, step by step."""
        from testbed.daemons import controller

        p, net = self.params, None
        lab.capture("h1-eth0", "h3-eth0", filter="arp or icmp")
        if p.openflow:
            controller.control_node(lab.net)
            lab.capture(CONTROL, filter=controller.CONTROL_FILTER)
            settings = {} if p.app == "hub" else {"idle_s": p.idle_s}
            net = controller.start(
                lab, p.app, settings, delay_ms=p.control_delay_ms, framework=p.framework
            )
            net.watch_flows()
        lab.sleep_until(SETTLE_S)
        if net and p.controller_dies:
            self._without_controller(lab, net)
        else:
            self._pings(lab, net)
        if net:
            net.check()

    def _pings(self, lab: Lab, net: Any) -> None:
        idle_s = self.params.idle_s + EXPIRY_SLACK_S + 1
        self._ping(lab, "first", "h1", lab.address("h2"), count=5)
        lab.sleep(idle_s)
        lab.net["h1"].setARP(NOBODY, NOBODYS_MAC)
        self._ping(lab, "unknown", "h1", NOBODY, count=2)
        lab.sleep(idle_s)
        lab.event("step", step="pairs")
        for one, two in combinations(HOSTS, 2):
            lab.start(one, "ping", "-c", "1", lab.address(two)).wait(timeout_s=20)
        if net:
            net.show("pairs")
        else:
            self._show_bridges(lab)
        lab.event("step", step="idle")
        lab.sleep(ARP_PROBE_S + idle_s)
        lab.event("step", step="end")

    def _ping(self, lab: Lab, step: str, host: str, address: str, count: int) -> None:
        lab.event("step", step=step)
        lab.start(
            host, "ping", "-c", str(count), "-i", "0.5", "-W", "1", address
        ).wait(timeout_s=60)  # fmt: skip

    def _show_bridges(self, lab: Lab) -> None:
        for switch in ("s1", "s2"):
            lab.exec(switch, "bridge", "fdb", "show", "br", switch, "dynamic", log=f"{switch}-fdb")

    def _without_controller(self, lab: Lab, net: Any) -> None:
        """One pair talks all the time, another one only while the controller is gone and after."""
        lab.event("step", step="before")
        seconds = 2 * AWAY_S
        steady = lab.start(
            "h1", "ping", "-c", str(int(seconds / 0.5)), "-i", "0.5", "-W", "1", lab.address("h2")
        )
        lab.sleep(2.0)
        net.stop_controller()
        lab.event("step", step="gone")
        lab.sleep(AWAY_S)
        self._ping(lab, "away", "h3", lab.address("h4"), count=3)
        lab.event("step", step="returns")
        net.start_controller()
        lab.sleep(2.0)
        self._ping(lab, "back", "h3", lab.address("h4"), count=3)
        steady.wait(timeout_s=120)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Pings by step; messages, flows and their changes; what h3 overheard."""
        steps = data.events("step")[["time_s", "step"]]
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
                count = int((flows["priority"] > 0).sum())
            else:
                count = len(data.log(f"{switch}-fdb").splitlines())
            found.append({"switch": switch, "entries": count})
        return found

    def _openflow(self, data: ScenarioData, steps: pd.DataFrame) -> dict[str, pd.DataFrame]:
        messages = openflow.read(data.packets(CONTROL, flow_tables.MESSAGE_COLUMNS))
        messages["info"] = flow_tables.describe(messages)
        changes = pd.concat(
            flow_tables.changes(data.log(f"flows-{switch}"), switch, data.t0_ns)
            for switch in ("s1", "s2")
        ).reset_index(drop=True)
        return {"messages": _in_steps(messages, steps), "changes": changes}

    # ---- claims

    @claim(
        "Only the first packet of a flow goes to the controller, once at each switch on its way.",
        source="OpenFlow 1.3.5 (TS-012) §5.4",
        scenarios=("learning",),
    )
    def first_packet_goes_to_controller(self, tables: Tables) -> Verdict:
        """PACKET_INs that carry h1's echo requests."""
        asked = tables.of("pings", scenario="learning", step="first")
        messages = tables.of("messages", scenario="learning", step="first", type="PACKET_IN")
        echoes = messages[(messages["icmp_type"] == 8).fillna(False)]
        counts = [int((echoes["icmp_seq"] == seq).sum()) for seq in asked["icmp_seq"]]
        return all_of(
            [near(counts[0], 2, abs=0, unit="packet-ins of the first")]
            + [near(count, 0, abs=0, unit="of a later one") for count in counts[1:]]
        ).because(in_packets("packet-ins with echo requests", "learning", CONTROL, echoes["frame"]))

    @claim(
        "The first packet pays one round trip to the controller at each switch on its way.",
        source="OpenFlow 1.3.5 (TS-012) §5.4; Kurose & Ross, §5.5",
        scenarios=("learning",),
    )
    def first_packet_pays(self, tables: Tables) -> Verdict:
        """The first echo's round-trip time less that of the others; the reply finds flows."""
        asked = tables.of("pings", scenario="learning", step="first")
        paid_ms = asked["rtt_ms"].iloc[0] - asked["rtt_ms"].iloc[1:].median()
        expected_ms = 2 * 2 * self.params.control_delay_ms
        return near(paid_ms, expected_ms, abs=0.5 + 0.02 * expected_ms, unit="ms").because(
            in_rows("echoes of h1", "learning", asked[["frame", "icmp_seq", "rtt_ms"]])
        )

    @claim(
        "Once its flow is installed, a packet is as fast as through Linux bridges.",
        source="OpenFlow 1.3.5 (TS-012) §5",
        scenarios=("learning", "bridge"),
    )
    def later_packets_are_as_fast(self, tables: Tables) -> Verdict:
        """Median round-trip times of all echoes but the first."""
        times = {
            name: tables.of("pings", scenario=name, step="first")["rtt_ms"].iloc[1:]
            for name in ("learning", "bridge")
        }
        return near(
            times["learning"].median(), float(times["bridge"].median()), rel=0.05, unit="ms"
        )

    @claim(
        "A frame to an address nobody has shown is flooded; one to a learnt address is not.",
        source="IEEE 802.1D §7.7.2, §7.8",
        scenarios=("learning", "bridge"),
        bears_stall_s=ANY_STALL,
    )
    def unknown_is_flooded(self, tables: Tables) -> Verdict:
        """Echo requests of h1 that h3, at the same switch, overhears."""
        verdicts = []
        for name in ("learning", "bridge"):
            tables.of("pings", scenario=name, step="first")
            heard = tables.of("overheard", scenario=name)
            counts = heard["step"].value_counts()
            verdicts += [
                near(int(counts.get("unknown", 0)), 2, abs=0, unit="of 2 to nobody overheard"),
                near(int(counts.get("first", 0)), 0, abs=0, unit="of 5 to h2 overheard"),
            ]
        return all_of(verdicts)

    @claim(
        "A flow that carries no packet for its idle timeout ends.",
        source="OpenFlow 1.3.5 (TS-012) §5.5",
        scenarios=("learning",),
        bears_stall_s=0.05,
    )
    def idle_flows_end(self, tables: Tables) -> Verdict:
        """h1's flows at s1: from h1's last frame in each to its removal."""
        idle_s = self.params.idle_s
        changes = tables.of("changes", scenario="learning", switch="s1")
        spoken = tables.of("spoken", scenario="learning")
        end_s = tables.of("steps", scenario="learning", step="end")["time_s"].iloc[0]
        lives = flow_tables.idle_times(changes, spoken, end_s)
        if lives.empty:
            raise MissingDataError("no flow of h1 was installed")
        return all_of(
            [between(x, idle_s - 0.5, idle_s + EXPIRY_SLACK_S, unit="s") for x in lives["idle_s"]]
        ).because(in_rows("h1's flows at s1", "learning", lives))

    @claim(
        "Flows for pairs make a table grow with the pairs of hosts, a bridge's with its hosts.",
        source="IEEE 802.1D §7.9; OpenFlow 1.3.5 (TS-012) §5.2",
        scenarios=("learning", "bridge"),
        bears_stall_s=ANY_STALL,
    )
    def tables_grow_with_pairs(self, tables: Tables) -> Verdict:
        """Four hosts: twelve ordered pairs, of which two stay at the other switch."""
        flows = tables.of("entries", scenario="learning")
        addresses = tables.of("entries", scenario="bridge")
        pairs = len(HOSTS) * (len(HOSTS) - 1) - 2
        return all_of(
            [near(n, pairs, abs=0, unit="flows") for n in flows["entries"]]
            + [near(n, len(HOSTS), abs=0, unit="addresses") for n in addresses["entries"]]
        ).because(in_rows("flows", "learning", flows), in_rows("addresses", "bridge", addresses))

    @claim(
        "While the controller is gone, flows that are there go on working.",
        source="OpenFlow 1.3.5 (TS-012) §6.3.2",
        scenarios=("secure", "standalone"),
        bears_stall_s=0.1,
    )
    def flows_outlive_controller(self, tables: Tables) -> Verdict:
        """h1's steady pings to h2 from its end to its return."""
        verdicts = []
        for name in ("secure", "standalone"):
            steady = tables.of("pings", scenario=name, host="h1", step="gone")
            verdicts.append(at_most(echo.lost_percent(steady), 0.0, unit="% lost"))
        return all_of(verdicts)

    @claim(
        "A switch in secure mode forwards nothing new without its controller; it does when it is "
        "back.",
        source="OpenFlow 1.3.5 (TS-012) §6.3.2; ovs-vswitchd.conf.db(5), fail_mode",
        scenarios=("secure",),
        bears_stall_s=ANY_STALL,
    )
    def secure_waits(self, tables: Tables) -> Verdict:
        """h3's pings to h4."""
        return self._new_pair(tables, "secure", answered=False)

    @claim(
        "A switch in standalone mode becomes an ordinary learning switch without its controller.",
        source="OpenFlow 1.3.5 (TS-012) §6.3.2; ovs-vswitchd.conf.db(5), fail_mode",
        scenarios=("standalone",),
        bears_stall_s=ANY_STALL,
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
        return all_of([wanted, at_most(echo.lost_percent(back), 0.0, unit="% lost after")]).because(
            in_rows("echoes of h3", scenario, asked[["step", "time_s", "icmp_seq", "rtt_ms"]])
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
