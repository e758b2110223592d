"""News of a failure: flooded at once, or missed until a timer ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analysis import routes, rows
from analysis.dissect import ospf as dissect
from testbed import Experiment, Verdict, all_of, at_most, between, claim, holds

if TYPE_CHECKING:
    from testbed import Tables


FLOODED_S = 1.0
"""A hop takes milliseconds; nothing was told in the 5 s before, which would delay it."""


class Failures(Experiment):
    """News of a failure: flooded at once, or missed until a timer ends."""

    @claim(
        "A change is flooded at once, over every link, to all routers of the area.",
        source="RFC 2328 §13.3",
        scenarios=("square",),
        bears_stall_s=0.1,
    )
    def flooding(self, tables: Tables) -> Verdict:
        """The ends of a cut link tell of it: their new LSAs on the links that remain."""
        failed_s = float(tables.row("setting", scenario="square")["failed_s"])
        told = tables.of("lsas", scenario="square", carrier="update", ls_type="router")
        links = sorted(told["capture"].unique())
        told = told[(told["time_s"] > failed_s) & (told["age_s"] < dissect.MAX_AGE_S)]
        heard = {(row.adv_router, row.capture) for row in rows(told)}
        ends = ("192.168.0.1", "192.168.0.2")
        missing = [
            f"{link} of {end}"
            for link in links
            if link != "r1-eth1"
            for end in ends
            if (end, link) not in heard
        ]
        if missing:
            return holds(
                False,
                observed=f"nothing on {', '.join(missing)}",
                expected="news of both ends on every link",
            )
        first = told.groupby(["adv_router", "capture"])["time_s"].min() - failed_s
        return at_most(
            first[list(ends)].max(), FLOODED_S, unit="s until all links have carried it"
        ).because("new LSAs of the link's ends", told.head(8))

    @claim(
        "A cut link that its ends see is routed around within a second or so.",
        source="RFC 2328 §13, §16; FRR delays its calculation by at most 5 s",
        scenarios=("square", "triangle"),
        bears_stall_s=0.5,
    )
    def reconverges(self, tables: Tables) -> Verdict:
        """From the cut to the last change of a kernel route; r1 still reaches the far LAN."""
        verdicts, shown = [], []
        for scenario, lan in (("square", "10.0.2.0/24"), ("triangle", "10.0.3.0/24")):
            failed_s = float(tables.row("setting", scenario=scenario)["failed_s"])
            changes = tables.of("changes", scenario=scenario)
            took_s = routes.convergence_s(changes, ["ospf"], failed_s)
            of_lan = changes[(changes["node"] == "r1") & (changes["destination"] == lan)]
            shown.append(of_lan[["scenario", "time_s", "action", "destination", "next_hops"]])
            last = of_lan.iloc[-1]
            verdicts += [
                at_most(took_s, 5.0, unit="s"),
                holds(
                    last["action"] != "del" and last["next_hops"] == "r3",
                    expected="by r3",
                    observed=f"{scenario}: r1's final route to {lan}: {last['next_hops']}",
                ),
            ]
        return all_of(*verdicts).because("changes of r1's route", pd.concat(shown))

    @claim(
        "A silent failure is noticed only when the dead interval is over.",
        source="RFC 2328 §10.3 (InactivityTimer)",
        scenarios=("campus",),
        bears_stall_s=0.1,
    )
    def silent_failure(self, tables: Tables) -> Verdict:
        """From the last hello heard of r4 on the core to the first change of a kernel route."""
        setting = tables.row("setting", scenario="campus")
        hellos = tables.of(
            "packets", scenario="campus", type="hello", sender="r4", capture="r1-eth0"
        )
        heard_s = hellos["time_s"].max()
        changes = tables.of("changes", scenario="campus")
        later = routes.changed(changes, ["ospf"], setting["failed_s"])
        if later.empty:
            return holds(False, observed="no route changed", expected="routes around r4")
        dead_s = float(setting["dead_s"])
        return between(later["time_s"].min() - heard_s, dead_s - 1, dead_s + 6, unit="s").because(
            "first changes", later[["time_s", "node", "action", "destination"]], scenario="campus"
        )
