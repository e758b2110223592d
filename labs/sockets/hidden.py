"""What students do not see of the sockets lab: more ways to cut, and two clients at a time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from labs.sockets.lab import MESSAGES, PEER, Lab, finish, lines_of, reported
from testbed import Tables, Verdict, all_of, claim, holds

if TYPE_CHECKING:
    from testbed import RunningNetwork

TOGETHER, UNEVEN = (0,), (3, 1, 700, 2, 5)
SLOW, SLOW_PAUSE_S = (200,), 1.5


class Hidden(Lab):
    """The lab as the grader has it."""

    def run(self, net: RunningNetwork) -> None:
        """The public run, then the hidden ones."""
        super().run(net)
        for log, sizes in (("client_together", TOGETHER), ("client_uneven", UNEVEN)):
            self._serve(net, log, sizes)
        if (net.path / "logs" / "both.log").exists():
            self.cut(net, "together", TOGETHER)
            self.cut(net, "uneven", UNEVEN)
            slow = self.start_cut(net, "slow", SLOW, SLOW_PAUSE_S)
            net.sleep(0.5)
            self.cut(net, "quick", TOGETHER)
            finish(slow)

    def _serve(self, net: RunningNetwork, log: str, sizes: tuple[int, ...]) -> None:
        """Runs the student's client against our server."""
        port = self.params.port + (1000 if sizes == TOGETHER else 2000)
        plan = {"prefix_bytes": self.params.prefix_bytes, "sizes": sizes, "pause_s": 0.001}
        plan |= {"port": port, "answers": self.expected()}
        argv = ("python3", str(net.path / PEER), json.dumps(plan))
        server = net.start("h2", *argv, log=f"{log}_server")
        net.sleep(0.5)
        self.client(net, log, port)
        finish(server)

    # ---- hidden checks

    @claim("The server answers requests that arrive together.", source="RFC 9293 §3.9.1")
    def together(self, tables: Tables) -> Verdict:
        """All in one segment as far as they fit, and in pieces of uneven sizes."""
        return all_of(self.answers_of(tables, "together"), self.answers_of(tables, "uneven"))

    @claim("The client understands answers however they are cut.", source="RFC 9293 §3.9.1")
    def client_reads(self, tables: Tables) -> Verdict:
        """What it printed, and what it sent."""
        parts = []
        for log in ("client_together", "client_uneven"):
            parts.append(self.judge(lines_of(self.printed(tables, log) or ""), ""))
            requests, end = reported(self.printed(tables, f"{log}_server") or "", "requests")
            observed = f"{len(requests)} requests{', ' if end else ''}{end}"
            right = requests == list(MESSAGES) and not end
            parts.append(holds(right, observed=observed, expected="the messages, then the end"))
        return all_of(*parts)

    @claim("The server serves a second client while the first one is slow.", source="RFC 9293 §3.9")
    def two_clients(self, tables: Tables) -> Verdict:
        """The quick one gets its answers meanwhile."""
        return all_of(self.answers_of(tables, "quick"), self.answers_of(tables, "slow"))
