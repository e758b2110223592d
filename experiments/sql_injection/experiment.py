"""SQL injection: text that becomes part of a statement, and what stops it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.dissect import http
from analysis.plots import defences as plots
from testbed import AttackExperiment, LinkShape, Outcome, Tables, own_program, param, steps
from testbed.daemons import start
from testbed.daemons.database_pages import DatabasePages
from testbed.daemons.postgresql import Postgresql
from testbed.programs.defences import SHOP_FLAWS
from topologies.star import Star

from . import outcomes, statements
from .attacks import ATTACKS, DEFENCES, HONEST, IN_WORDS, UNIT_MS, step
from .curing import Curing
from .halves import Halves
from .outcomes import ATTACKER, PORT, SERVER, works
from .stealing import Stealing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

FAULTS = ("none", "half-logged", *SHOP_FLAWS)


class SqlInjection(Stealing, Halves, Curing, AttackExperiment):
    """SQL injection: text that becomes part of a statement, and what stops it.

    h1 attacks, h2 is a shop's web server, h3 its database (PostgreSQL; SQLite, too, inside the
    web server). The shop has each page once for each defence, under a path of its own: none,
    escaping, blocking of words, checking of forms, no error messages, least privilege,
    parameters. h1 sends the same attacks to each, and the requests of honest visitors.

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
    attacks, defences = IN_WORDS, DEFENCES

    # ---- in the network

    def topology(self) -> Star:
        """Attacker, web server and database, each on a link of its own to r1."""
        return Star(3, LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """All attacks on all defences, by one client."""
        faults = self.params.faults
        database = Postgresql(
            statements=DatabasePages.statements,
            clients=(f"{net.address('h2')}/32",),
            logged="mod" if "half-logged" in faults else "all",
        )
        pages = DatabasePages(
            flaws=[fault for fault in faults if fault in SHOP_FLAWS],
            options=(f"database={net.address('h3')}",),
        )
        start(net, {"h2": [pages], "h3": [database]})
        net.capture(ATTACKER, SERVER)
        given = [
            {
                "step": step(defence, name),
                "host": net.address("h2"),
                "port": PORT,
                "send": made(defence),
            }
            for name, made in (HONEST | ATTACKS).items()
            for defence in DEFENCES
            if outcomes.fits(defence, name)
        ]
        file = net.state_folder("h1") / "attacks.json"
        file.write_text(json.dumps(given), encoding="utf-8")
        own_program("h1", "http_client", str(file))(net)
        net.sleep(1.0)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets, pages and statements by step, and the database's log."""
        messages = {"http": statements.pages, "statements": statements.read}
        found = steps.measure(data, http.COLUMNS, messages, log="h1-http_client")
        return {**found, "log": statements.logged(data.log("h3-postgresql"))}

    def outcome(self, tables: Tables, attack: str, defence: str) -> Outcome | None:
        """Whether the attack got what it is made for."""
        if not outcomes.fits(defence, attack):
            return None
        return Outcome.of(works(tables, defence, attack))

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure | str]:
        """The table of attacks and defences, and ladders.

        Figures:
            1_table: Which attack works against which defence.
            2_login: A login without the password: the request, and the statement that it became.
            3_parameters: The same request, when statement and values travel apart.
            4_time: How long the answers take: each tells one letter of the password.
        """
        return {
            "1_table": plots.table(tables.of("defences"), DEFENCES),
            "2_login": _ladder(tables, "none"),
            "3_parameters": _ladder(tables, "parameters"),
            "4_time": plots.delays(outcomes.pauses_ms(tables, "none"), UNIT_MS),
        }


def _ladder(tables: Tables, defence: str) -> str:
    """What h2 gets from h1, and sends to h3: segments with data alone."""
    name = step(defence, "hidden-comment")
    return steps.ladder(tables, name, SERVER, hosts=("h1", "h2", "h3"), tcp_flags=_WITH_DATA)


_WITH_DATA = 0x18
"""PSH and ACK."""
