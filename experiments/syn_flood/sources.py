"""Claims on the senders of SYNs."""

from __future__ import annotations

import pandas as pd

from testbed import Tables, Verdict, all_of, at_least, at_most, claim, same

from .cures import Cures
from .observations import ATTACKER_SIDE, FLOODS, SERVER_SIDE
from .queue_steps import GAP_S, MANY

BYSTANDER_SIDE = "h4-eth0"


class Sources(Cures):
    """Senders of SYNs."""

    @claim(
        "Addresses of hosts that exist are of no use to the attacker: such a host refuses the "
        "SYN+ACK that it did not ask for by RST, and the place is free after one round trip.",
        source="RFC 9293 §3.5.2, §3.10.7.1; RFC 4987 §2.2",
        scenarios=(FLOODS,),
    )
    def live_senders_refuse(self, tables: Tables) -> Verdict:
        """A flood in the name of h4."""
        answers = self._segments(tables, "live", by=SERVER_SIDE, to=BYSTANDER_SIDE, has="SYN ACK")
        resets = self._segments(tables, "live", by=BYSTANDER_SIDE, has="RST")
        queue = self._queue(tables, "live")
        in_flight = self._rtt_s / GAP_S + 1
        return all_of(
            same(len(answers), MANY, "SYN+ACKs"),
            same(len(resets), MANY, "resets"),
            at_most(float(queue["half_open"].max()), in_flight, unit="half open"),
            self._served(tables, "live", True),
        ).because("resets", resets.head(4))

    @claim(
        "A network that lets out only packets with its own addresses stops the flood at home.",
        source="RFC 2827 §3 (BCP 38); RFC 3704 §2.2",
        scenarios=(FLOODS,),
    )
    def filters_stop_foreign_senders(self, tables: Tables) -> Verdict:
        """The router's strict check of the way back, at the attacker's LAN."""
        sent, came = self._flow(tables, "filtered")
        return all_of(
            same(sent, MANY, "SYNs sent"),
            same(came, 0, "SYNs that came"),
            self._served(tables, "filtered", True),
        ).because("SYNs at the attacker", self._attack(tables, "filtered", ATTACKER_SIDE).head(4))

    @claim(
        "Such a filter does not stop senders that use addresses of their own network. But these "
        "addresses are true: one rule against that network stops them.",
        source="RFC 2827 §1, §3; RFC 4987 §3.1",
        scenarios=(FLOODS,),
    )
    def true_senders_can_be_blocked(self, tables: Tables) -> Verdict:
        """Sixteen addresses of the attacker's LAN behind that filter, without and with a rule."""
        came = {step: self._flow(tables, step)[1] for step in ("own-prefix", "blocked")}
        queue = self._queue(tables, "own-prefix")
        return all_of(
            same(came, {"own-prefix": MANY, "blocked": 0}, "SYNs that came"),
            at_least(int(queue["half_open"].max()), 1, unit="half open"),
            self._served(tables, "own-prefix", False),
            self._served(tables, "blocked", True),
        ).because("SYNs that passed the filter", self._attack(tables, "own-prefix").head(4))

    def _attack(self, tables: Tables, step: str, capture: str = SERVER_SIDE) -> pd.DataFrame:
        """The flood's SYNs at a capture."""
        syns = self._segments(tables, step, capture, has="SYN", without="ACK")
        return syns[syns["ip_src"] != self._client_address(tables)]

    def _flow(self, tables: Tables, step: str) -> tuple[int, int]:
        """SYNs of the flood that were sent, and that came."""
        sent, came = (self._attack(tables, step, c) for c in (ATTACKER_SIDE, SERVER_SIDE))
        return len(sent), len(came)
