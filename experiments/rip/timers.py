"""Timers of a route: it expires, and is advertised as unreachable for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis import routes
from testbed import Experiment, Verdict, all_of, at_least, at_most, between, claim, holds, near
from topologies.line import FAR_LAN, FAR_LAN6

from .messages import SECOND_S

if TYPE_CHECKING:
    from testbed import Tables


LOST_LAN = {
    **dict.fromkeys(("silent", "off", "next-hop", "simple", "poisoned"), FAR_LAN),
    **dict.fromkeys(("ripng-silent", "ripng-off", "ripng-poisoned"), FAR_LAN6),
}
"""The last router's, where it is lost."""


class Timers(Experiment):
    """Timers of a route: it expires, and is advertised as unreachable for a while."""

    @claim(
        "Routes of a neighbour that falls silent expire 180 s after its last word.",
        source="RFC 2453 §3.8",
        scenarios=("silent",),
        bears_stall_s=0.15,
    )
    def silent_neighbour_expires(self, tables: Tables) -> Verdict:
        """r2's routes by r3 leave the kernel, counted from r3's last message."""
        return self._expires(tables, "silent")

    def _expires(self, tables: Tables, scenario: str) -> Verdict:
        setting = tables.row("setting", scenario=scenario)
        heard = tables.of("messages", scenario=scenario, sender="r3")["time_s"].max()
        gone = tables.of("changes", scenario=scenario, node="r2", action="del")
        gone = gone[gone["time_s"] > heard]
        if gone.empty:
            return holds(False, observed="no route expired", expected=f"{setting['timeout_s']} s")
        return all_of(
            *(
                near(t - heard, float(setting["timeout_s"]), abs=SECOND_S, unit="s")
                for t in gone["time_s"]
            )
        ).because("routes removed at r2", gone, scenario=scenario)

    @claim(
        "For 120 s more an expired route is advertised with metric 16, then not at all.",
        source="RFC 2453 §3.8",
        scenarios=("silent",),
        bears_stall_s=0.15,
    )
    def garbage_collection(self, tables: Tables) -> Verdict:
        """What r2 tells r1 of the lost LAN."""
        return self._told_as_gone(tables, "silent", jitter=0.5)

    def _told_as_gone(self, tables: Tables, scenario: str, *, jitter: float) -> Verdict:
        """`jitter`: by how much of itself the time between updates varies."""
        setting = tables.row("setting", scenario=scenario)
        told = tables.of("entries", scenario=scenario, sender="r2", prefix=LOST_LAN[scenario])
        gone = told[told["metric"] == routes.INFINITY]
        updates = tables.of("updates", scenario=scenario, sender="r2")
        if gone.empty:
            return holds(False, observed="never advertised as gone", expected="metric 16 for 120 s")
        begin_s, last_s = gone["time_s"].min(), gone["time_s"].max()
        later = updates[updates["time_s"] > begin_s + setting["garbage_s"] + SECOND_S]
        late = gone[gone["time_s"] > begin_s + setting["garbage_s"] + SECOND_S]
        wait = float(setting["garbage_s"])
        return all_of(
            between(
                last_s - begin_s,
                wait - (1 + jitter) * setting["update_s"],
                wait + SECOND_S,
                unit="s advertised as gone",
            ),
            at_least(len(later), 1, unit="later updates"),
            at_most(len(late), 0, unit="later entries of the LAN"),
        ).because("the LAN with metric 16", gone)
