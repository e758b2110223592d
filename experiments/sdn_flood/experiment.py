"""A flood of packets against a server, with and without a controller that defends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import echo, flow_tables
from analysis.plots import sdn as plots
from testbed import (
    Experiment,
    LinkShape,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    claim,
    near,
    param,
    programs,
)
from topologies.switch_star import SwitchStar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

SETTLE_S = 4.0
BEFORE_S = 5.0
CALM_S = 3.0
PROBE_S = 0.1
PROBE_BYTES, FLOOD_BYTES = 56, 1000
WIRE_BYTES = 42
"""Ethernet, IP and ICMP headers of an echo request."""

SERVER, CLIENT, ATTACKER = "h1", "h2", "h3"
ATTACKERS_PORT = 3


class SdnFlood(Experiment):
    """A flood and its defence: detected by counters, isolated at its port, and let back.

    h2 asks the server h1 ten times a second. For some seconds h3 sends more than the server's
    link can carry, and h2's requests are lost in its queue. With the defence the controller sees
    the packets at h3's port, has the switch drop them there, and lifts the ban when they end.
    The flood is small and stays in the experiment's own network.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment; the scenarios vary them."""

        defend: bool = param(True, "the controller acts on what it sees")
        framework: str = param("os_ken", "OpenFlow framework", choices=("os_ken", "ryu"))
        limit_pps: float = param(
            200.0, "packets per second a host may send", unit="1/s", low=1, high=100_000
        )
        flood_mbps: float = param(6.0, "rate of the flood", unit="Mbit/s", low=0.1, high=50)
        flood_s: float = param(6.0, "how long it lasts", unit="s", low=1, high=60)
        server_mbps: float = param(2.0, "rate of the server's link", unit="Mbit/s", low=1, high=50)
        every_s: float = param(
            1.0, "time between two readings of the counters", unit="s", low=0.2, high=60
        )

    params: Parameters
    programs = ("ping",)
    extras = ("controllers",)
    memory_mb = 512

    def scenarios(self) -> Mapping[str, Parameters]:
        """With the defence, and without."""
        return {
            "defended": replace(self.params, defend=True),
            "undefended": replace(self.params, defend=False),
        }

    # ---- in the network

    def topology(self) -> SwitchStar:
        """One switch; every link as fast as the flood needs, the server's slower."""
        p = self.params
        topo = SwitchStar(
            hosts=4, access=LinkShape(rate_mbps=2 * p.flood_mbps, delay_ms=1, queue_pkts=50)
        )
        slow = LinkShape(rate_mbps=p.server_mbps, delay_ms=1, queue_pkts=50)
        topo.setlinkInfo("h1", "s1", {**topo.linkInfo("h1", "s1"), "shape": slow})
        return topo

    def run(self, net: RunningNetwork) -> None:
        """The service's probes all the time; the flood in the middle."""
        from testbed.daemons import controller

        p = self.params
        net.capture("h2-eth0", "s1-eth1", filter="icmp", snaplen_bytes=64)
        controlled = controller.start(
            net,
            "flood_defence",
            {"limit_pps": p.limit_pps, "calm_s": CALM_S, "every_s": p.every_s, "defend": p.defend},
            framework=p.framework,
        )
        controlled.watch_flows()
        net.sleep_until(SETTLE_S)
        for host in (CLIENT, ATTACKER):
            net.exec(host, "ping", "-c", "1", net.address(SERVER))
        server, seconds = net.address(SERVER), BEFORE_S + p.flood_s + self._after_s
        net.event("step", step="before")
        probing = self._echoes(net, CLIENT, server, seconds / PROBE_S, PROBE_S, PROBE_BYTES)
        net.sleep(BEFORE_S)
        net.event("step", step="flood")
        gap_s = 8 * (FLOOD_BYTES + WIRE_BYTES) / (p.flood_mbps * 1e6)
        self._echoes(net, ATTACKER, server, p.flood_s / gap_s, gap_s, FLOOD_BYTES, "flood")
        net.sleep(p.flood_s)
        net.event("step", step="after")
        net.sleep(self._after_s)
        probing.wait(timeout_s=60)
        net.event("step", step="again")
        net.start(ATTACKER, "ping", "-c", "3", "-W", "1", server).wait(timeout_s=20)
        controlled.show("end")
        controlled.check()

    @property
    def _after_s(self) -> float:
        """Long enough to see the ban lifted."""
        return CALM_S + 3 * self.params.every_s + 2

    def _echoes(
        self,
        net: RunningNetwork,
        host: str,
        address: str,
        count: float,
        gap_s: float,
        size_bytes: int,
        *kind: str,
    ) -> Any:
        words = (address, str(int(count)), f"{gap_s:.9f}", str(size_bytes), *kind)
        return net.start(host, *programs.argv("echoes", *words), log=f"{host}-echoes")

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """The service by step, what reached the server, what the controller saw and did."""
        steps = data.happened("step")[["time_s", "step"]]
        asked = echo.pings(data.packets("h2-eth0", echo.COLUMNS), data.address(CLIENT))
        arrived = data.packets("s1-eth1", (*echo.COLUMNS, "wire_bytes"))
        flood = arrived[arrived["ip_src"] == data.address(ATTACKER)]
        events = flow_tables.controller_events(data.path / "controller.jsonl", data.t0_ns)
        rates = events[events["event"] == "port-rate"]
        deeds = events[events["event"].isin(["isolated", "let-back"])]
        return {
            "steps": steps,
            "service": _in_steps(asked[asked["time_s"] >= steps["time_s"].iloc[0]], steps),
            "flood": _in_steps(flood[["time_s", "icmp_type", "wire_bytes"]], steps),
            "port_rates": rates[["time_s", "port", "pkts_per_s"]].reset_index(drop=True),
            "deeds": deeds.reindex(columns=["time_s", "event", "port"]).reset_index(drop=True),
        }

    # ---- claims

    @claim(
        "A flood that fills a server's link takes its service down.",
        source="Kurose & Ross, §1.6; RFC 4732 §2",
        scenarios=("undefended",),
        bears_stall_s=0.05,
    )
    def flood_hurts(self, tables: Tables) -> Verdict:
        """h2's requests during the flood, without defence; before it none is lost."""
        return all_of(
            at_least(self._lost(tables, "undefended", "flood"), 50.0, unit="% lost in the flood"),
            at_most(self._lost(tables, "undefended", "before"), 0.0, unit="% lost before"),
        ).because("the first requests in the flood", _requests(tables, "undefended").head(6))

    @claim(
        "The controller finds the flood's port by its counters within two looks, and no other.",
        source="OpenFlow 1.3.5 (TS-012) §7.3.5.6",
        scenarios=("defended",),
        bears_stall_s=0.02,
    )
    def flood_is_found(self, tables: Tables) -> Verdict:
        """From the flood's begin to the ban."""
        deeds = tables.of("deeds", scenario="defended", event="isolated")
        begun_s = _begin(tables, "defended", "flood")
        return all_of(
            *(
                [
                    near(int(port), ATTACKERS_PORT, abs=0, unit="is the port")
                    for port in deeds["port"]
                ]
                + [
                    at_most(
                        float(deeds["time_s"].iloc[0]) - begun_s,
                        2 * self.params.every_s + 0.2,
                        unit="s until isolated",
                    )
                ]
            )
        ).because("what the controller did", tables.of("deeds"), scenario="defended")

    @claim(
        "With its source isolated, the service is as before, while the flood goes on.",
        source="OpenFlow 1.3.5 (TS-012) §5.3",
        scenarios=("defended",),
        bears_stall_s=0.002,
    )
    def service_recovers(self, tables: Tables) -> Verdict:
        """h2's requests from half a second after the ban to the flood's end."""
        banned_s = self._banned_s(tables)
        service = tables.of("service", scenario="defended", step="flood")
        late = service[service["time_s"] > banned_s + 0.5]
        before = tables.of("service", scenario="defended", step="before")
        return all_of(
            at_most(echo.lost_percent(late), 0.0, unit="% lost"),
            near(late["rtt_ms"].median(), float(before["rtt_ms"].median()), rel=0.05, unit="ms"),
        ).because("the first requests after the ban", late[["time_s", "rtt_ms"]].head(6))

    @claim(
        "Nothing of the flood passes the switch while its source is isolated.",
        source="OpenFlow 1.3.5 (TS-012) §5.3",
        scenarios=("defended",),
        bears_stall_s=0.05,
    )
    def flood_is_dropped(self, tables: Tables) -> Verdict:
        """Flood packets on the server's link from half a second after the ban."""
        flood = tables.of("flood", scenario="defended", step="flood")
        late = int((flood["time_s"] > self._banned_s(tables) + 0.5).sum())
        verdict = near(late, 0, abs=0, unit="packets")
        return verdict.because("the last packets of the flood", flood.tail(4))

    @claim(
        "When the flood is over, its source is let back.",
        source="controller/flood_defence.py",
        scenarios=("defended",),
        bears_stall_s=0.05,
    )
    def source_returns(self, tables: Tables) -> Verdict:
        """From the flood's end to the ban's; then h3 reaches the server."""
        deeds = tables.of("deeds", scenario="defended", event="let-back")
        over_s = _begin(tables, "defended", "after")
        again = tables["flood"]
        again = again[(again["scenario"] == "defended") & (again["step"] == "again")]
        again = again[again["icmp_type"] == 8]
        return all_of(
            at_most(
                float(deeds["time_s"].iloc[-1]) - over_s,
                CALM_S + 2 * self.params.every_s + 0.5,
                unit="s until let back",
            ),
            near(len(again), 3, abs=0, unit="pings of h3 that reach the server"),
        ).because("the controller's deeds", deeds)

    def _banned_s(self, tables: Tables) -> float:
        """When the ban began; with a detection and no act, that of the detection."""
        return float(tables.row("deeds", scenario="defended", event="isolated")["time_s"])

    def _lost(self, tables: Tables, scenario: str, step: str) -> float:
        return echo.lost_percent(tables.of("service", scenario=scenario, step=step))

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure]:
        """The service and the rates over time, with and without the defence.

        Figures:
            1_flood: Above the service's round-trip times, below the packets at each port. Look for
                how long the service suffers: until the attacker's port is isolated, or until the
                flood ends by itself.
        """
        return plots.flood(tables, self.params.limit_pps)


def _begin(tables: Tables, scenario: str, step: str) -> float:
    return float(tables.row("steps", scenario=scenario, step=step)["time_s"])


def _in_steps(table: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `step`: the last one that had begun."""
    if steps.empty:
        raise MissingDataError("the run announced no step")
    place = steps["time_s"].searchsorted(table["time_s"], side="right")
    names = ["", *steps["step"]]
    return table.assign(step=[names[i] for i in place]).reset_index(drop=True)


def _requests(tables: Tables, scenario: str) -> pd.DataFrame:
    """h2's requests in the flood, and their round-trip times."""
    return tables.of("service", scenario=scenario, step="flood")[["time_s", "rtt_ms"]]
