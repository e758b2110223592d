"""Stolen sessions and tokens: how they are taken, and which defence stops which way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.dissect import http
from analysis.plots import defences as plots
from testbed import AttackExperiment, LinkShape, Outcome, Tables, param, steps
from testbed.daemons import start
from testbed.daemons.member_pages import MemberPages
from testbed.programs.defences import MEMBERS_FLAWS
from topologies.site import Site

from . import clients, outcomes
from .attacks import ATTACKS, COUNTED_GUESSES, DEFENCES, SHORT_S, TOKEN_S, fits, step, victim_step
from .curing import Curing
from .outcomes import CLIENT, LAN, SERVER, works
from .stealing import Stealing
from .tokens import Tokens
from .visits import Visits

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

FAULTS = ("none", "honest-lan", *MEMBERS_FLAWS)


class SessionTheft(Tokens, Curing, Stealing, AttackExperiment):
    """Stolen sessions: sniffed, planted or guessed ids and tokens, and what stops each.

    h1 is a member of a site on h2 (nginx before a web application); h3, on h1's LAN, is the
    attacker. It poisons the ARP caches of h1 and the router and reads what passes, sends a link
    with an id of its own, and guesses ids. The site has its pages once for each defence, under a
    path of its own: HTTPS, the cookie's attributes, new ids at each login, random ids, sessions
    bound to a browser or an address, short and revocable tokens, and all of them.

    Theft by a script on the page needs a browser: see the experiment `xss`. All of it stays in a
    guest without any way out. `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(2.0, "delay of each link, one way", unit="ms", low=0, high=20)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    guest_only = True
    programs = ("curl", "nginx", "arping", "ip")
    extras = ("tls",)
    attacks, defences = ATTACKS, DEFENCES

    # ---- in the network

    def topology(self) -> Site:
        """Victim, attacker and their router on one LAN; the site far away."""
        return Site(path=LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """All steps, one after another."""
        faults = self.params.faults
        pages = MemberPages(
            flaws=[fault for fault in faults if fault in MEMBERS_FLAWS],
            options=(f"token_s={TOKEN_S}", f"short_s={SHORT_S}"),
        )
        made = clients.certify(net)
        start(net, {"h2": [pages, clients.front(made)]})
        net.capture(CLIENT, LAN, SERVER)
        visits = Visits(net, made, tls="no-tls" not in faults)
        steps.play(net, visits.steps(poisons="honest-lan" not in faults), quiet_s=0.2)
        visits.thief.close()
        net.sleep(0.5)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and messages by step; in ``secret`` what a packet shows to everybody."""
        columns = dict.fromkeys((*http.COLUMNS, "payload"))
        found = steps.measure(data, columns, {"http": outcomes.read})
        packets = found["packets"]
        packets["secret"] = [outcomes.secrets(payload) for payload in packets.pop("payload")]
        return found

    def outcome(self, tables: Tables, attack: str, defence: str) -> Outcome | None:
        """Whether the site took the attacker for the victim; late is harder."""
        if not fits(defence, attack):
            return None
        late = attack == "guessed" and outcomes.tries(tables, defence) > COUNTED_GUESSES
        return Outcome.of(works(tables, defence, attack), harder=late)

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure | str]:
        """The table of attacks and defences, and ladders.

        Figures:
            1_table: Which attack works against which defence. Those on tokens were tried against
                defences of tokens alone, as were those on sessions.
            2_lan: h1 logs in, seen at h3, from card to card: after h3's lies, h1 sends to h3 what
                is for the router, and the router what is for h1. h3 passes it on.
            3_plain_link: The site has HTTPS; the victim follows an http:// link. The first request
                has the cookie, and the redirection comes too late.
            4_secure: The same with Secure: the cookie waits until the connection is encrypted.
            5_token: A token: got, used, and used again by the attacker after its owner's logout.
        """
        return {
            "1_table": plots.table(tables.of("defences"), DEFENCES),
            "2_lan": _ladder(_by_card(tables), victim_step("login", "none"), LAN),
            "3_plain_link": _ladder(tables, victim_step("link", "https")),
            "4_secure": _ladder(tables, victim_step("link", "secure")),
            "5_token": _ladder(tables, step("token-kept", "none"), SERVER),
        }


def _ladder(tables: Tables, name: str, capture: str = CLIENT) -> str:
    """A step's segments with data."""
    hosts = ("h1", "h3", "r1", "h2")
    return steps.ladder(tables, name, capture, hosts=hosts, tcp_flags=_WITH_DATA)


def _by_card(tables: Tables) -> Tables:
    """The tables with packets from card to card, in place of from address to address."""
    packets = tables.of("packets").assign(ip_src=None, ip_dst=None)
    return Tables({**tables, "packets": packets})


_WITH_DATA = 0x18
"""PSH and ACK."""
