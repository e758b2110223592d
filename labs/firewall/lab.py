"""The firewall lab: an application by students; doors that open, and doors that do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import echo
from analysis.dissect import openflow
from testbed import (
    Assignment,
    LinkShape,
    SeededRandom,
    Verdict,
    claim,
    holds,
    param,
    programs,
    share_of,
)
from testbed.daemons.controller import CONTROL_CAPTURE, CONTROL_FILTER, control_node
from topologies.switch_star import SwitchStar

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData, Tables

APP = "guard.py"
HOSTS = ("h1", "h2", "h3", "h4")
ADMIN, STAFF, GUEST, SERVER = HOSTS
CLIENTS = (ADMIN, STAFF, GUEST)
DNS = 53
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17}
COLUMNS = (*echo.COLUMNS, "ip_proto", "tcp_sport", "tcp_dport", "udp_sport", "udp_dport")


@dataclass(frozen=True)
class Trial:
    """One thing that is tried.

    Attributes:
        source, target: hosts.
        kind: ``icmp``, ``tcp`` or ``udp``.
        port: of the target; 0 for ICMP.
    """

    source: str
    target: str
    kind: str
    port: int = 0

    def __str__(self) -> str:
        what = "ping" if self.kind == "icmp" else f"{self.kind} {self.port}"
        return f"{self.source} to {self.target}, {what}"


class Lab(Assignment):
    """A firewall made of flows."""

    @dataclass(frozen=True)
    class Parameters:
        """The variant."""

        site: int = param(10, "second byte of all addresses", low=1, high=250)
        admin: int = param(17, "last byte of the administrator's address", low=2, high=250)
        staff: int = param(40, "last byte of the other member's address", low=2, high=250)
        guest: int = param(99, "last byte of the guest's address", low=2, high=250)
        server: int = param(200, "last byte of the server's address", low=2, high=250)
        web: int = param(8080, "port of the web server", low=1024, high=65000)
        console: int = param(2222, "port of the server's console", low=1024, high=65000)
        other: int = param(5000, "a port without a service", low=1024, high=65000)
        winner: int = param(2, "row of the question's table that matches", low=0, high=3)

    params: Parameters

    @classmethod
    def variant(cls, random: SeededRandom) -> dict[str, Any]:
        """Addresses, ports and a question."""
        ends = random.sample(range(2, 251), 4)
        return {
            "site": random.integer(1, 250),
            "admin": ends[0],
            "staff": ends[1],
            "guest": ends[2],
            "server": ends[3],
            "web": random.choice((8000, 8008, 8080, 8081, 8888)),
            "console": random.integer(2000, 2999),
            "other": random.integer(5000, 5999),
            "winner": random.integer(0, 3),
        }

    # ---- the variant, for handout and solution

    def address(self, host: str) -> str:
        """A host's address."""
        p = self.params
        last = dict(zip(HOSTS, (p.admin, p.staff, p.guest, p.server), strict=True))
        return f"10.{p.site}.0.{last[host]}"

    @property
    def allowed(self) -> list[Trial]:
        """Traffic that must pass."""
        p = self.params
        return [
            *(Trial(host, SERVER, "tcp", p.web) for host in CLIENTS),
            *(Trial(host, SERVER, "udp", DNS) for host in CLIENTS),
            *(Trial(host, SERVER, "icmp") for host in CLIENTS),
            Trial(ADMIN, STAFF, "icmp"),
            Trial(ADMIN, SERVER, "tcp", p.console),
        ]

    @property
    def denied(self) -> list[Trial]:
        """Traffic that must not."""
        p = self.params
        return [
            Trial(STAFF, SERVER, "tcp", p.console),
            Trial(GUEST, SERVER, "tcp", p.console),
            Trial(GUEST, ADMIN, "icmp"),
            Trial(GUEST, STAFF, "tcp", p.web),
            Trial(ADMIN, SERVER, "udp", p.other),
            Trial(STAFF, SERVER, "tcp", p.other),
            Trial(SERVER, ADMIN, "tcp", p.other),
            Trial(SERVER, GUEST, "udp", p.other),
        ]

    @property
    def priorities(self) -> list[int]:
        """Of the flows A to D in the question's table."""
        others = iter((30, 10, 20))
        return [40 if i == self.params.winner else next(others) for i in range(4)]

    # ---- in the network

    def topology(self) -> SwitchStar:
        """Four hosts at one switch, with this variant's addresses."""
        topo = SwitchStar(hosts=len(HOSTS), access=LinkShape(delay_ms=1))
        for host in HOSTS:
            topo.nodeInfo(host)["ip"] = f"{self.address(host)}/24"
        return topo

    def run(self, net: RunningNetwork) -> None:
        """What is allowed first, then what is not; then the switch's flows."""
        control_node(net.network)
        net.capture(*(f"{host}-eth0" for host in HOSTS), filter="ip")
        net.capture(CONTROL_CAPTURE, filter=CONTROL_FILTER)
        controlled = self.submission.start_app(net, APP)
        doors = [f"tcp:{self.params.web}", f"tcp:{self.params.console}", f"udp:{DNS}"]
        net.start(SERVER, *programs.argv("doors", "open", *doors), log="doors")
        net.sleep(2.0)
        self._try(net, self.allowed)
        net.event("denied")
        self._try(net, self.denied)
        controlled.show("end")

    def _try(self, net: RunningNetwork, trials: Sequence[Trial]) -> None:
        started = []
        for host in HOSTS:
            mine = [t for t in trials if t.source == host]
            knocks = [f"{t.kind}:{self.address(t.target)}:{t.port}" for t in mine if t.port]
            pings = [self.address(t.target) for t in mine if not t.port]
            if knocks:
                started.append(net.start(host, *programs.argv("doors", "knock", *knocks)))
            if pings:
                started.append(net.start(host, *programs.argv("reach", "1", *pings)))
        for process in started:
            process.wait(timeout_s=60)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Each trial's packets, at both ends, and what the controller was asked."""
        seen = pd.concat(
            data.packets(f"{host}-eth0", COLUMNS).assign(capture=f"{host}-eth0") for host in HOSTS
        )
        control = data.packets(CONTROL_CAPTURE, openflow.COLUMNS)
        asked = openflow.read(control)
        return {
            "trials": pd.DataFrame(
                {"trial": str(t), **self._counts(seen, t)} for t in (*self.allowed, *self.denied)
            ),
            "seen": seen.drop(columns="payload", errors="ignore"),
            "asked": asked[asked["type"] == "PACKET_IN"].assign(capture=CONTROL_CAPTURE),
            "denied": data.events("denied")[["time_s"]],
        }

    def _counts(self, seen: pd.DataFrame, trial: Trial) -> dict[str, int]:
        """Packets sent, arrived, and answers that came back."""
        there = self._of(seen, trial, back=False)
        back = self._of(seen, trial, back=True)
        near, far = f"{trial.source}-eth0", f"{trial.target}-eth0"
        return {
            "sent": int((there["capture"] == near).sum()),
            "arrived": int((there["capture"] == far).sum()),
            "answered": int((back["capture"] == near).sum()),
        }

    def _of(self, seen: pd.DataFrame, trial: Trial, *, back: bool) -> pd.DataFrame:
        """Packets of a trial that go one way."""
        ends = (self.address(trial.source), self.address(trial.target))
        source, target = ends[::-1] if back else ends
        found = seen[(seen["ip_src"] == source) & (seen["ip_dst"] == target)]
        found = found[found["ip_proto"] == PROTOCOLS[trial.kind]]
        if trial.kind == "icmp":
            return found[found["icmp_type"] == (0 if back else 8)]
        return found[found[f"{trial.kind}_{'sport' if back else 'dport'}"] == trial.port]

    # ---- public checks

    @claim(
        "Everybody reaches the web server, and gets an answer.",
        source="TS-012 (OpenFlow 1.3.5) §5.2, §5.3",
        scenarios=("main",),
    )
    def web_is_open(self, tables: Tables) -> Verdict:
        """TCP to the web server's port, from each client."""
        return share_of(
            [self.passes(tables, Trial(host, SERVER, "tcp", self.params.web)) for host in CLIENTS]
        )

    @claim(
        "Everybody reaches the name server, and gets an answer.",
        source="TS-012 (OpenFlow 1.3.5) §5.2, §5.3",
        scenarios=("main",),
    )
    def names_are_open(self, tables: Tables) -> Verdict:
        """UDP to port 53, from each client."""
        return share_of([self.passes(tables, Trial(host, SERVER, "udp", DNS)) for host in CLIENTS])

    @claim(
        "Everybody may ping the server, and the staff each other.",
        source="TS-012 (OpenFlow 1.3.5) §5.2, §5.3",
        scenarios=("main",),
    )
    def pings_pass(self, tables: Tables) -> Verdict:
        """ICMP from each client to the server, and from h1 to h2."""
        pairs = [*((host, SERVER) for host in CLIENTS), (ADMIN, STAFF)]
        return share_of([self.passes(tables, Trial(*pair, "icmp")) for pair in pairs])

    @claim(
        "The console's door is open for the administrator, and shut for all others.",
        source="TS-012 (OpenFlow 1.3.5) §5.2, §5.3",
        scenarios=("main",),
    )
    def console_is_guarded(self, tables: Tables) -> Verdict:
        """TCP to the console's port, from each client."""
        port = self.params.console
        return share_of(
            [
                self.passes(tables, Trial(ADMIN, SERVER, "tcp", port)),
                self.is_stopped(tables, Trial(STAFF, SERVER, "tcp", port)),
                self.is_stopped(tables, Trial(GUEST, SERVER, "tcp", port)),
            ]
        )

    # ---- what checks look at

    def passes(self, tables: Tables, trial: Trial) -> Verdict:
        """Something arrived, and something came back."""
        row = tables.of("trials", trial=str(trial)).iloc[0]
        good = row["arrived"] > 0 and row["answered"] > 0
        return self._judged(tables, trial, row, bool(good), "arrives, and is answered")

    def is_stopped(self, tables: Tables, trial: Trial) -> Verdict:
        """It was sent and did not arrive, though its sender is not cut off altogether."""
        row = tables.of("trials", trial=str(trial)).iloc[0]
        alive = any(
            tables.of("trials", trial=str(t)).iloc[0]["arrived"] > 0
            for t in self.allowed
            if trial.source in (t.source, t.target)
        )
        good = alive and row["sent"] > 0 and row["arrived"] == 0
        return self._judged(
            tables, trial, row, bool(good), "does not arrive (and what is allowed does)"
        )

    def _judged(self, tables: Tables, trial: Trial, row: Any, good: bool, expected: str) -> Verdict:
        packets = self._of(tables.rows("seen"), trial, back=False)
        said = f"{row['sent']} sent, {row['arrived']} arrived, {row['answered']} answers"
        return holds(good, observed=f"{trial}: {said}", expected=f"{trial}: {expected}").because(
            str(trial), packets.head(4)
        )
