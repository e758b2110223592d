"""Cross-site scripting: a visitor's text that becomes a script in another visitor's browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.dissect import http
from analysis.plots import defences as plots
from testbed import AttackExperiment, LinkShape, Outcome, Tables, param, program, steps
from testbed.daemons import start
from testbed.daemons.browser import PROGRAMS, Browser
from testbed.daemons.message_board import MessageBoard
from testbed.daemons.nginx import Nginx
from testbed.programs.defences import BOARD_FLAWS
from topologies.star import Star

from . import outcomes
from .attacks import ATTACKS, BOARD, DEFENCES, EVIL, addresses, messages
from .curing import Curing
from .outcomes import LOOT, VICTIM, works
from .stealing import Stealing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

FAULTS = ("none", *BOARD_FLAWS)


class Xss(Stealing, Curing, AttackExperiment):
    """Cross-site scripting: a visitor's text that becomes a script in another visitor's browser.

    h1 is the victim, with Chromium, logged in to a message board on h2. h3 is the attacker: it
    writes messages, makes links, and has a server that waits for stolen cookies. The board has its
    pages once for each defence, under a path of its own: none, blocking of `<script>`, encoding,
    sanitising, HttpOnly, a Content-Security-Policy, and all of them. The victim reads the board,
    clicks a link in it, and follows two links that the attacker sent.

    All of it stays in a guest without any way out. `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(2.0, "delay of each link, one way", unit="ms", low=0, high=100)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    guest_only = True
    programs = (*PROGRAMS, "curl", "nginx")
    extras = ("browser",)
    attacks, defences = ATTACKS, DEFENCES

    # ---- in the network

    def topology(self) -> Star:
        """Victim, board and attacker, each on a link of its own to r1."""
        return Star(3, LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """The attacker prepares the boards, then the victim visits each."""
        flaws = [fault for fault in self.params.faults if fault in BOARD_FLAWS]
        evil = Nginx("server { listen 80; location / { return 204; } }", port=80)
        start(net, {"h2": [MessageBoard(flaws=flaws)], "h3": [evil]})
        net.capture(VICTIM, LOOT)
        for defence in DEFENCES:
            self._prepare(net, defence)
        rules = f"MAP {BOARD} {net.address('h2')}, MAP {EVIL} {net.address('h3')}"
        chromium = Browser(net, "h1", flags=[f"--host-resolver-rules={rules}"])
        page = chromium.page()
        steps.step(net, "login")
        page.visit("entrance", f"http://{BOARD}/")
        page.act("login", _LOGIN)
        for defence in DEFENCES:
            steps.step(net, defence)
            page.visit(f"{defence}-board", f"http://{BOARD}/{defence}/")
            page.act(f"{defence}-click", "document.querySelector('a[href]')?.click()")
            for name, address in addresses(defence).items():
                page.visit(f"{defence}-{name}", address)
        chromium.close()
        steps.step(net, "theft")
        self._use(net)
        net.sleep(0.5)

    def _prepare(self, net: RunningNetwork, defence: str) -> None:
        """The attacker's messages on one board."""
        steps.step(net, f"prepare {defence}")
        url = f"http://{net.address('h2')}/{defence}/messages"
        words: list[str] = []
        for _, text, link in messages(defence):
            words += ["--next"] * bool(words)
            words += ["--silent", "--data-urlencode", f"text={text}"]
            words += ["--data-urlencode", f"link={link}", url]
        program("h3", "curl", *words)(net)

    def _use(self, net: RunningNetwork) -> None:
        """The attacker sends the cookie that its server's log has, as its own."""
        found = outcomes.session_in((net.path / "logs" / "h3-nginx.log").read_text())
        url = f"http://{net.address('h2')}/none/"
        program("h3", "curl", "--silent", "--cookie", f"session={found or 'none'}", url)(net)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and messages by step, and what the browser did."""
        found = steps.measure(data, http.COLUMNS, {"http": outcomes.read})
        return found | data.browser()

    def outcome(self, tables: Tables, attack: str, defence: str) -> Outcome:
        """Whether the attacker got the cookie, or wrote in the victim's name."""
        return Outcome.of(works(tables, defence, attack))

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure | str]:
        """The table of attacks and defences, and a ladder.

        Figures:
            1_table: Which attack works against which defence.
            2_theft: The victim reads the board without a defence; scripts in it send the cookie to
                the attacker's host.
            3_policy: The same board with a policy: the browser runs none of them.
        """
        return {
            "1_table": plots.table(tables.of("defences"), DEFENCES),
            "2_theft": _ladder(tables, "none"),
            "3_policy": _ladder(tables, "policy"),
        }


def _ladder(tables: Tables, defence: str) -> str:
    return steps.ladder(
        tables, defence, VICTIM, hosts=("h1", "h2", "h3"), tcp_flags=_WITH_DATA, keep=4
    )


_WITH_DATA = 0x18
"""PSH and ACK."""

_LOGIN = "fetch('/login', {method: 'POST', body: new URLSearchParams({user: 'alice'})})"
