"""What students do not see of the firewall lab: hidden checks and the answers' keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.firewall.lab import ADMIN, DNS, GUEST, SERVER, STAFF, Trial
from labs.firewall.lab import Lab as Public
from testbed import Verdict, claim, holds, share_of

if TYPE_CHECKING:
    from testbed import Tables


class Hidden(Public):
    """The firewall lab as the grader has it."""

    @claim("What nobody spoke of is shut.", source="Kurose & Ross, §8.9.1", scenarios=("main",))
    def rest_is_shut(self, tables: Tables) -> Verdict:
        """Four things that clients try."""
        p = self.params
        return share_of(
            [
                self.is_stopped(tables, Trial(GUEST, ADMIN, "icmp")),
                self.is_stopped(tables, Trial(GUEST, STAFF, "tcp", p.web)),
                self.is_stopped(tables, Trial(ADMIN, SERVER, "udp", p.other)),
                self.is_stopped(tables, Trial(STAFF, SERVER, "tcp", p.other)),
            ]
        )

    @claim(
        "The server answers, and begins nothing.",
        source="Kurose & Ross, §8.9.1",
        scenarios=("main",),
    )
    def server_only_answers(self, tables: Tables) -> Verdict:
        """Two things that the server tries."""
        other = self.params.other
        return share_of(
            [
                self.is_stopped(tables, Trial(SERVER, ADMIN, "tcp", other)),
                self.is_stopped(tables, Trial(SERVER, GUEST, "udp", other)),
            ]
        )

    @claim(
        "The switch stops packets by itself: it does not ask the controller about them.",
        source="TS-012 (OpenFlow 1.3.5) §5.4, §7.4.1",
        scenarios=("main",),
    )
    def switch_decides_alone(self, tables: Tables) -> Verdict:
        """IP packets handed to the controller while denied things were tried."""
        stopped = [self.is_stopped(tables, trial) for trial in self.denied]
        if not any(verdict.status == "PASS" for verdict in stopped):
            return holds(False, observed="nothing was stopped", expected="stopped by the switch")
        began_s = float(tables.of("denied")["time_s"].iloc[0])
        asked = tables.rows("asked")
        late = asked[(asked["time_s"] >= began_s) & asked["ip_src"].notna()]
        return holds(
            late.empty,
            observed=f"{len(late)} IP packets were handed to the controller",
            expected="none",
        ).because("handed to the controller", late.head(6))

    @claim(
        "Of several flows that match, the one of the highest priority wins.",
        source="TS-012 (OpenFlow 1.3.5) §5.3",
    )
    def highest_priority(self, _tables: Tables) -> Verdict:
        """The row of the question's table."""
        return self.answers.choice("winner", "ABCD"[self.params.winner])

    @claim(
        "Who can misuse a rule that lets answers pass without knowing the question.",
        source="RFC 2979 §2; Kurose & Ross, §8.9.1",
    )
    def stateless(self, _tables: Tables) -> Verdict:
        """The server, from the port of its service."""
        return self.answers.text(
            "stateless",
            r"(source\s+port|src\s*port|from\s+(its\s+|the\s+)?(web\s+)?port|源端口)",
            expected="whoever sends from the server with the service's port as source port",
        )

    @property
    def dns(self) -> int:
        """The name server's port."""
        return DNS
