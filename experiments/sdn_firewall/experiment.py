"""A firewall made of flows: each rule does what it says, and the switch need not ask."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import flow_tables
from analysis.plots import sdn as plots
from testbed import (
    ConfigError,
    Experiment,
    LinkShape,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    claim,
    holds,
    near,
    param,
)
from testbed.daemons import applications
from topologies.switch_star import SwitchStar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

RULES = """\
# Offices (h1, h2) and guests (h3); h4 serves web pages and has a secret port.
allow arp
allow icmp from 10.0.0.0/30
deny  tcp  from 10.0.0.3
allow tcp  to 10.0.0.4 port 80
allow tcp  from 10.0.0.4 port 80
allow udp  from 10.0.0.1 to 10.0.0.4 port 53
"""
"""The default rules. 10.0.0.0/30 holds the addresses up to 10.0.0.3."""

FILE = "rules.txt"
SERVER = "h4"
CLIENTS = ("h1", "h2", "h3")
WEB, SECRET, NAMES = 80, 2222, 53
FILES_TABLE = 0


class SdnFirewall(Experiment):
    """A firewall as flows of an OpenFlow switch, from a file of rules.

    The controller turns each rule into a flow of table 0; what passes goes on to a learning
    switch in table 1. Clients try the server's ports, open and secret ones, over TCP and UDP; what
    arrives is compared with what the rules say, and the flows' own counters with what was sent.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        rules: str = param("", "file of rules; empty: those of the experiment")
        app: str = param(
            "firewall", "controller application", choices=("firewall", "learning_switch")
        )
        framework: str = param("os_ken", "OpenFlow framework", choices=("os_ken", "ryu"))

    params: Parameters
    programs = ("ping", "socat")
    extras = ("controllers",)
    memory_mb = 512

    # ---- in the network

    def topology(self) -> SwitchStar:
        """Three clients and a server on one switch."""
        return SwitchStar(hosts=4, access=LinkShape(delay_ms=1))

    def inputs(self) -> Mapping[str, str]:
        """The rules, which the firewall itself looks at before anything starts."""
        path = Path(self.params.rules)
        if self.params.rules and not path.is_file():
            raise ConfigError(f"--rules: '{path}' is not a file")
        text = path.read_text(encoding="utf-8") if self.params.rules else RULES
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / (path.name if self.params.rules else FILE)
            copy.write_text(text, encoding="utf-8")
            applications.check("firewall", {"rules": copy})
        return {FILE: text}

    def run(self, net: RunningNetwork) -> None:
        """Each client tries each port; then the switch's counters."""
        from testbed.daemons import controller

        p = self.params
        settings = {"rules": net.path / FILE} if p.app == "firewall" else {}
        net.capture(*(f"{h}-eth0" for h in (*CLIENTS, SERVER)), filter="ip")
        controlled = controller.start(net, p.app, settings, framework=p.framework)
        net.sleep(3.0)
        for port in (WEB, SECRET):
            net.start(SERVER, "socat", f"TCP-LISTEN:{port},fork,reuseaddr", "EXEC:/bin/echo hello")
        net.start(SERVER, "socat", "-u", f"UDP-RECV:{NAMES}", "OPEN:/dev/null")
        net.sleep(0.5)
        server, trials = net.address(SERVER), []
        for client in CLIENTS:
            net.event("try", client=client, address=net.address(client))
            trials.append(net.start(client, "ping", "-c", "1", "-W", "1", server))
            for port in (WEB, SECRET):
                to = f"TCP:{server}:{port},connect-timeout=2"
                trials.append(net.start(client, "socat", "-u", to, "-"))
            words = ("socat", "-u", "EXEC:/bin/echo question", f"UDP:{server}:{NAMES}")
            trials.append(net.start(client, *words))
            net.sleep(2.5)
        for trial in trials:
            trial.wait(timeout_s=30)
        controlled.show("end")
        controlled.trace(
            "end",
            "s1",
            {
                f"{c}-{name}": _packet(net, c, proto, port)
                for c in CLIENTS
                for name, proto, port in TRIALS
            },
        )
        controlled.check()

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Which packets were sent, which arrived, and what the flows counted."""
        columns = tuple(
            (
                "frame ip_src ip_dst ip_proto ip_id icmp_type tcp_dport tcp_flags udp_dport "
                "tcp_payload_bytes ip_bytes"
            ).split()
        )
        server = data.address(SERVER)
        arrived = data.packets(f"{SERVER}-eth0", columns)
        rows = []
        for client in CLIENTS:
            sent = data.packets(f"{client}-eth0", columns)
            own = data.address(client)
            out = sent[(sent["ip_src"] == own) & (sent["ip_dst"] == server)]
            there = arrived[arrived["ip_src"] == own]
            back = sent[(sent["ip_src"] == server) & (sent["ip_dst"] == own)]
            for name, proto, port in TRIALS:
                rows.append(
                    {
                        "client": client,
                        "trial": name,
                        "sent": _count(out, proto, port),
                        "arrived": _count(there, proto, port),
                        "answered": int((_of(back, proto)).sum()) if proto == 1 else None,
                    }
                )
        ways = (
            flow_tables.path(data.state("end", "s1", f"{c}-{name}")).assign(packet=f"{c} {name}")
            for c in CLIENTS
            for name, _, _ in TRIALS
        )
        return {
            "trials": pd.DataFrame(rows),
            "flows": flow_tables.flows(data.state("end", "s1", "ovs")),
            "paths": pd.concat(ways, ignore_index=True),
        }

    # ---- claims

    @claim("What the rules allow arrives.", source="Kurose & Ross, §8.9.1; rules.txt")
    def allowed_arrives(self, tables: Tables) -> Verdict:
        """Trials that the rules allow: every packet sent."""
        trials = self._trials(tables, allowed=True)
        return all_of(
            *(
                [at_least(t.sent, 1, unit=f"sent: {t.client} {t.trial}") for t in trials]
                + [near(t.arrived, t.sent, abs=0, unit=f"of {t.client} {t.trial}") for t in trials]
            )
        ).because("all trials", tables.of("trials"), scenario="main")

    @claim(
        "What the rules deny, or do not speak of, does not arrive.",
        source="Kurose & Ross, §8.9.1; rules.txt",
    )
    def denied_does_not(self, tables: Tables) -> Verdict:
        """Trials that the rules deny: sent, none arrived."""
        trials = self._trials(tables, allowed=False)
        return all_of(
            *(
                [at_least(t.sent, 1, unit=f"sent: {t.client} {t.trial}") for t in trials]
                + [near(t.arrived, 0, abs=0, unit=f"of {t.client} {t.trial}") for t in trials]
            )
        ).because("all trials", tables.of("trials"), scenario="main")

    @claim(
        "The first rule that matches decides: h3 may ping, but its web requests meet the denial "
        "that stands before the permission.",
        source="OpenFlow 1.3.5 (TS-012) §5.3 (priorities)",
    )
    def first_match_decides(self, tables: Tables) -> Verdict:
        """The guest's trials."""
        table = tables.of("trials", client="h3")
        rows = dict(zip(table["trial"], table["arrived"], strict=True))
        return all_of(
            at_least(rows["ping"], 1, unit="pings arrived"),
            near(rows["web"], 0, abs=0, unit="web packets arrived"),
        ).because("trials of h3", table)

    @claim(
        "Each rule is one flow, and the switch counts what it catches.",
        source="OpenFlow 1.3.5 (TS-012) §5.2, §5.8",
    )
    def flows_count(self, tables: Tables) -> Verdict:
        """Flows of table 0, and the counter of h3's denial against what h3 sent."""
        flows = tables.of("flows", table=FILES_TABLE)
        rules = [line for line in RULES.splitlines() if line and not line.startswith("#")]
        denial = flows[flows["match"] == "tcp,nw_src=10.0.0.3"]
        if self.params.rules:
            raise MissingDataError("the rules are your own: their flows are not known here")
        guest = tables.of("trials", client="h3")
        tcp = int(guest[guest["trial"].isin(["web", "secret"])]["sent"].sum())
        caught = int(denial["packets"].sum())
        return all_of(
            near(len(flows), len(rules) + 1, abs=0, unit="flows in table 0"),
            holds(
                caught == tcp > 0, observed=f"{caught} caught", expected=f"{tcp} TCP packets of h3"
            ),
        ).because("flows of table 0", flows, scenario="main")

    def _trials(self, tables: Tables, *, allowed: bool) -> list[Any]:
        if self.params.rules:
            raise MissingDataError("the rules are your own: what they allow is not known here")
        trials: list[Any] = list(tables.of("trials").itertuples())
        return [t for t in trials if (t.trial in ALLOWED[t.client]) == allowed]

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure]:
        """Who reached what, and what each rule caught.

        Figures:
            1_trials: How many packets of each trial reached the server: green got through. Hold it
                against the rules.
            2_rules: How many packets each rule caught, the highest priority on top: what no rule
                lets pass ends at the last one.
            3_paths: Each packet's way through the switch's tables: the flow that matched in each,
                and where the packet ended.
        """
        return plots.firewall(tables)


TRIALS = (("ping", 1, None), ("web", 6, WEB), ("secret", 6, SECRET), ("names", 17, NAMES))
"""Name, IP protocol, port."""

ALLOWED = {"h1": {"ping", "web", "names"}, "h2": {"ping", "web"}, "h3": {"ping"}}
"""What `RULES` say, read by a person: client → trials that pass."""


def _packet(net: RunningNetwork, client: str, proto: int, port: int | None) -> str:
    """A trial's packet, as Open vSwitch writes it."""
    one, other = net.network[client], net.network[SERVER]
    word = {1: "icmp", 6: "tcp", 17: "udp"}[proto]
    words = [
        word,
        f"in_port={client[1:]}",
        f"dl_src={one.MAC()}",
        f"dl_dst={other.MAC()}",
        f"nw_src={one.IP()}",
        f"nw_dst={other.IP()}",
        "nw_ttl=64",
    ]
    return ",".join([*words, f"{word}_dst={port}"] if port else words)


def _of(packets: pd.DataFrame, proto: int) -> pd.Series[bool]:
    return (packets["ip_proto"] == proto).fillna(False).astype(bool)


def _count(packets: pd.DataFrame, proto: int, port: int | None) -> int:
    """Packets of a protocol to a port."""
    found = packets[_of(packets, proto)]
    if port is None:
        return len(found)
    return int((found["tcp_dport" if proto == 6 else "udp_dport"] == port).sum())
