"""A load balancer made of flows: one address, several servers, and no box between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import flow_tables
from analysis.dissect import openflow
from analysis.plots import sdn as plots
from testbed import (
    Experiment,
    LinkShape,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    claim,
    holds,
    near,
    param,
)
from topologies.switch_star import SwitchStar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

CONTROL = "c0-lo"
VIRTUAL = "10.0.0.100"
PORT = 80
CLIENTS, SERVERS = ("h1", "h2", "h3"), ("h4", "h5", "h6")
SYN, SYN_ACK = 0x02, 0x12
TCP = 6


SCENARIOS = {"in_turn": "round_robin", "by_source": "source_hash"}
"""Scenario → its policy; a third policy has a scenario of its own name."""


class SdnBalance(Experiment):
    """A virtual server: connections to one address are shared among three real ones.

    The first packet of each connection goes to the controller, which picks a server and has the
    switch rewrite addresses from then on. In turn, the shares are equal; by the client's address,
    each client stays with its server.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment; the scenarios vary them."""

        app: str = param(
            "load_balancer", "controller application", choices=("load_balancer", "hub")
        )
        policy: str = param(
            "round_robin",
            "how a new connection is assigned",
            choices=("round_robin", "least_connections", "source_hash"),
        )
        framework: str = param("os_ken", "OpenFlow framework", choices=("os_ken", "ryu"))
        connections: int = param(
            4, "connections of each client, one after another", low=1, high=100
        )

    params: Parameters
    programs = ("socat",)
    extras = ("controllers",)
    memory_mb = 512

    def scenarios(self) -> Mapping[str, Parameters]:
        """In turn, and by the client's address."""
        p = self.params
        own = {} if p.policy in SCENARIOS.values() else {p.policy: p}
        return {name: replace(p, policy=policy) for name, policy in SCENARIOS.items()} | own

    # ---- in the network

    def topology(self) -> SwitchStar:
        """Clients and servers on one switch."""
        return SwitchStar(hosts=len(CLIENTS) + len(SERVERS), access=LinkShape(delay_ms=1))

    def run(self, net: RunningNetwork) -> None:
        """Clients connect in turn, and read what the server says."""
        from testbed.daemons import controller

        p = self.params
        controller.control_node(net.network)
        net.capture(CONTROL, filter=controller.CONTROL_FILTER)
        net.capture(*(f"{h}-eth0" for h in (*CLIENTS, *SERVERS)), filter="tcp")
        servers = ",".join(net.address(s) for s in SERVERS)
        settings = {"virtual": VIRTUAL, "servers": servers, "policy": p.policy}
        if p.app == "hub":
            settings = {}
        controlled = controller.start(net, p.app, settings, framework=p.framework)
        for server in SERVERS:
            words = (f"TCP-LISTEN:{PORT},fork,reuseaddr", f"EXEC:/bin/echo {server}")
            net.start(server, "socat", *words)
        net.sleep_until(4.0)  # by now the controller has asked for the servers' addresses
        for number in range(p.connections):
            first = number % len(CLIENTS)  # in turn, no client meets the same server each time
            for client in (*CLIENTS[first:], *CLIENTS[:first]):
                to = f"TCP:{VIRTUAL}:{PORT},connect-timeout=5"
                net.start(client, "socat", "-u", to, "-").wait(timeout_s=20)
        controlled.show("end")
        controlled.check()

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """One row a connection; what the clients saw; what the controller was asked."""
        columns = tuple(
            ("frame ip_src ip_dst ip_proto tcp_sport tcp_dport tcp_flags tcp_payload_bytes").split()
        )
        opened, seen = [], []
        for client in CLIENTS:
            packets = data.packets(f"{client}-eth0", columns)
            syns = packets[(packets["tcp_flags"] == SYN).fillna(False)]
            opened.append(
                pd.DataFrame({"client": client, "sport": syns["tcp_sport"].drop_duplicates()})
            )
            back = packets[packets["ip_dst"] == data.address(client)]
            seen.append(pd.DataFrame({"client": client, "from": back["ip_src"].astype("string")}))
        arrived = []
        for server in SERVERS:
            packets = data.packets(f"{server}-eth0", columns)
            to_it = packets[packets["ip_dst"] == data.address(server)]
            syns = to_it[(to_it["tcp_flags"] == SYN).fillna(False)].drop_duplicates("tcp_sport")
            clients = {data.address(c): c for c in CLIENTS}
            arrived.append(
                pd.DataFrame(
                    {
                        "server": server,
                        "client": syns["ip_src"].astype("string").map(clients),
                        "sport": syns["tcp_sport"],
                        "time_s": syns["time_s"],
                    }
                )
            )
        connections = pd.concat(opened).merge(
            pd.concat(arrived), on=["client", "sport"], how="left"
        )
        messages = openflow.read(data.packets(CONTROL, openflow.COLUMNS))
        asked = messages[
            (messages["type"] == "PACKET_IN") & (messages["ip_proto"] == TCP).fillna(False)
        ]
        return {
            "connections": connections.sort_values("time_s").reset_index(drop=True),
            "seen": pd.concat(seen).drop_duplicates().reset_index(drop=True),
            "asked": asked[["frame", "time_s", "ip_src", "ip_dst"]].reset_index(drop=True),
            "flows": flow_tables.flows(data.state("end", "s1", "ovs")),
        }

    # ---- claims

    @claim(
        "Every connection to the virtual address reaches a server.",
        source="Kurose & Ross, §6.6.1 (load balancers)",
        scenarios=("in_turn", "by_source"),
    )
    def all_are_served(self, tables: Tables) -> Verdict:
        """Connections opened, and those that arrived at one server."""
        expected = self.params.connections * len(CLIENTS)
        return all_of(
            *(
                near(
                    int(tables.of("connections", scenario=name)["server"].notna().sum()),
                    expected,
                    abs=0,
                    unit="connections served",
                )
                for name in ("in_turn", "by_source")
            )
        ).because("connections", tables.of("connections"))

    @claim(
        "In turn, every server gets the same share.",
        source="Kurose & Ross, §6.6.1; controller/load_balancer.py",
        scenarios=("in_turn",),
    )
    def shares_are_equal(self, tables: Tables) -> Verdict:
        """The most and the fewest connections of a server differ by one at most."""
        counts = self._counts(tables, "in_turn")
        return all_of(
            at_least(counts.sum(), 1, unit="connections served"),
            at_most(counts.max() - counts.min(), 1, unit="connections apart"),
        ).because("connections", tables.of("connections", scenario="in_turn"), scenario="in_turn")

    @claim(
        "By the source's address, a client stays with its server.",
        source="RFC 2992; controller/load_balancer.py",
        scenarios=("by_source",),
    )
    def clients_stay(self, tables: Tables) -> Verdict:
        """Servers of each client."""
        found = tables.of("connections", scenario="by_source")
        servers = found.groupby("client")["server"].nunique()
        return all_of(
            *(near(int(n), 1, abs=0, unit="server of a client") for n in servers)
        ).because("connections", found)

    @claim(
        "Clients see only the virtual address.",
        source="RFC 3022 §2 (address translation)",
        scenarios=("in_turn", "by_source"),
    )
    def servers_are_hidden(self, tables: Tables) -> Verdict:
        """Senders of all TCP packets that clients got."""
        senders = sorted(set(tables.of("seen")["from"]))
        return holds(
            senders == [VIRTUAL], observed=", ".join(senders) or "nobody", expected=VIRTUAL
        ).because("senders of packets to clients", tables.of("seen"))

    @claim(
        "The controller is asked once for each connection.",
        source="OpenFlow 1.3.5 (TS-012) §5.4",
        scenarios=("in_turn",),
        bears_stall_s=0.002,
    )
    def asked_once(self, tables: Tables) -> Verdict:
        """Packet-ins with TCP packets a connection; Open vSwitch may ask for a second packet that
        comes before its kernel part has heard of the new flow.
        """
        asked = tables.of("asked", scenario="in_turn")
        connections = tables.of("connections", scenario="in_turn")
        return all_of(
            at_least(len(connections), 1, unit="connections"),
            near(len(asked) / max(len(connections), 1), 1.0, rel=0.1, unit="packet-ins each"),
        ).because("packet-ins", asked, scenario="in_turn")

    def _counts(self, tables: Tables, scenario: str) -> Any:
        found = tables.of("connections", scenario=scenario)["server"].value_counts()
        return found.reindex(SERVERS, fill_value=0)

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure]:
        """Connections of each server, by client.

        Figures:
            1_shares: The connections of each server, coloured by client. In turn, all servers get
                alike; by source, each client stays with one server.
        """
        return plots.balance(tables, SERVERS)
