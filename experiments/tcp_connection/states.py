"""Claims on the states themselves: all eleven, and the ways between them."""

from __future__ import annotations

import pandas as pd

from analysis import kernel_states
from testbed import Tables, Verdict, all_of, at_least, claim, none_of, same

from .resets import Resets

ABORTED = ("handshake", "both-open")
"""Steps whose connections end by a reset in the end."""

ORDERLY = (*ABORTED, "four", "three", "half-close", "both-close", "last-ack-lost", "two-msl")
"""Steps in which nothing else is out of order."""


class States(Resets):
    """The states themselves."""

    @claim(
        "TCP has eleven states: CLOSED, LISTEN, SYN-SENT, SYN-RECEIVED, ESTABLISHED, FIN-WAIT-1, "
        "FIN-WAIT-2, CLOSE-WAIT, CLOSING, LAST-ACK and TIME-WAIT.",
        source="RFC 9293 §3.3.2",
    )
    def all_states_are_seen(self, tables: Tables) -> Verdict:
        """Every state that a kernel reported in the run."""
        changes = tables.of("states")
        seen = {*changes["before"], *changes["after"]}
        rare = changes[changes["after"].isin(["CLOSING", "TIME-WAIT", "SYN-RECEIVED"])]
        return same(seen, set(kernel_states.ALL), "states").because(
            "rare ones", rare, scenario="main"
        )

    @claim(
        "Changes of state follow the standard's diagram: each is one of its arrows.",
        source="RFC 9293 §3.3.2, figure 5",
    )
    def changes_follow_the_diagram(self, tables: Tables) -> Verdict:
        """All changes in connections that no reset and no timeout ends."""
        changes = tables.of("states")
        mine = changes[changes["step"].isin(ORDERLY)].reset_index(drop=True)
        aborted = mine["step"].isin(ABORTED) & (mine["after"] == "CLOSED")
        arrows = pd.Series(list(zip(mine["before"], mine["after"], strict=True)))
        wrong = mine[~arrows.isin(kernel_states.ARROWS) & ~aborted]
        return all_of(
            at_least(arrows.nunique(), 15, unit="different changes"),
            none_of(wrong, mine, "others", "arrows of the diagram"),
        ).because("changes", mine, scenario="main")
