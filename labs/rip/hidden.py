"""What students do not see of the RIP lab: hidden checks and the answers' keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.routes import INFINITY
from labs.rip.lab import FAST_DELAY_MS, ROUTERS, SLOW_MBPS
from labs.rip.lab import Lab as Public
from testbed import Verdict, claim, holds, near, none_of, share_of

if TYPE_CHECKING:
    from testbed import Tables

PING_BYTES = 98
"""An echo request of ping on Ethernet: 56 bytes of data and the headers of ICMP, IP, Ethernet."""


class Hidden(Public):
    """The RIP lab as the grader has it."""

    # ---- keys

    @property
    def rtt_before_ms(self) -> float:
        """Round trip over the slow link: propagation and transmission, both ways."""
        transmission_ms = 8 * PING_BYTES / (SLOW_MBPS * 1e3)
        return 2 * (self.params.delay_ms + transmission_ms)

    @property
    def rtt_after_ms(self) -> float:
        """Round trip over two fast links."""
        return 2 * 2 * (FAST_DELAY_MS + 8 * PING_BYTES / 100e3)

    # ---- hidden checks

    @claim(
        "Every router sends its table as often as the lab asks.",
        source="RFC 2453 §3.8",
        scenarios=("main",),
        bears_stall_s=0.002,
    )
    def keeps_the_timers(self, tables: Tables) -> Verdict:
        """Mean gap between whole updates, a quarter of it left to chance."""
        update_s, cases = float(self.params.update_s), []
        for router in ROUTERS:
            gap_s = self.gap_s(tables, router)
            if gap_s is None:
                cases.append(
                    holds(
                        False,
                        observed=f"{router}: no two updates",
                        expected=f"{router}: every {update_s:g} s",
                    )
                )
            else:
                cases.append(near(gap_s, update_s, rel=0.2, unit=f"s between updates of {router}"))
        return share_of(cases)

    @claim(
        "Every router sends routes back with metric 16 where it learned them (poisoned reverse).",
        source="RFC 2453 §3.4.3",
        scenarios=("main",),
    )
    def poisons_the_reverse(self, tables: Tables) -> Verdict:
        """What each router told over the cable it had learned it from."""
        cases = []
        for router in ROUTERS:
            back = self.told_back(tables, router)
            good = len(back) > 0 and bool((back["metric"] == INFINITY).all())
            told = "nothing" if back.empty else f"metrics {sorted(set(back['metric']))}"
            cases.append(
                holds(
                    good,
                    observed=f"{router} sends back {told}",
                    expected=f"{router} sends back metric {INFINITY}",
                ).because(f"{router} sends back", back.head(4))
            )
        return share_of(cases)

    @claim(
        "No router that speaks RIP speaks it into a LAN of hosts.",
        source="RFC 2453 §4.3; RFC 1812 §7.1",
        scenarios=("main",),
    )
    def spares_the_lans(self, tables: Tables) -> Verdict:
        """Updates seen at the hosts; a router that never speaks earns nothing by its silence."""
        cases = []
        for number, router in enumerate(ROUTERS, 1):
            sent = tables.rows("messages", sender=router, command="response")
            if sent.empty:
                cases.append(
                    holds(
                        False,
                        observed=f"{router} never speaks RIP",
                        expected=f"{router} speaks to routers only",
                    )
                )
            else:
                heard = self.spoken_on_lan(tables, number)
                cases.append(
                    none_of(
                        heard,
                        sent,
                        f"updates of {router} heard by h{number}",
                        f"h{number} hears none",
                    )
                )
        return share_of(cases)

    @claim(
        "Round-trip times of h1's pings to h3, before and after the cut.",
        source="arithmetic; RFC 792",
        bears_stall_s=0.002,
    )
    def round_trips(self, _tables: Tables) -> Verdict:
        """The two answers."""
        return share_of(
            [
                self.answers.number("rtt_before_ms", self.rtt_before_ms, rel=0.05, unit="ms"),
                self.answers.number("rtt_after_ms", self.rtt_after_ms, rel=0.1, unit="ms"),
            ]
        )

    @claim("The metric of h3's LAN at r1, before and after the cut.", source="RFC 2453 §3.5")
    def metrics(self, _tables: Tables) -> Verdict:
        """The two answers."""
        return share_of(
            [
                self.answers.number("metric_before", 2, abs=0, unit="hops"),
                self.answers.number("metric_after", 3, abs=0, unit="hops"),
            ]
        )

    @claim("Why RIP chose the slow link.", source="RFC 2453 §3.5")
    def why_slow(self, _tables: Tables) -> Verdict:
        """Hops, and not speed."""
        return self.answers.text(
            "why_slow", r"\bhops?\b|\bfewe(r|st)\s+routers?\b|跳", expected="RIP counts hops only"
        )
