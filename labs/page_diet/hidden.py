"""What students do not see of the page diet lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.page_diet import looking
from labs.page_diet.lab import QUIET_S, Lab
from testbed import Tables, Verdict, claim, holds, steps

if TYPE_CHECKING:
    from testbed import RunningNetwork
    from testbed.daemons.browser import Browser

AGAIN = "again"
AGAIN_KILOBYTES = 5
"""What a second visit may fetch."""


class Hidden(Lab):
    """The lab as the grader has it."""

    def visits(self, net: RunningNetwork, browser: Browser) -> None:
        """Two more networks; and the visitor at home comes back."""
        for network in ("mobile", "satellite"):  # what a page asks for later is not the next one's
            self.visit(net, browser, network).close()
        page = self.visit(net, browser, "fibre")
        steps.step(net, AGAIN, quiet_s=QUIET_S)
        with self.loading():
            page.visit(AGAIN, self.url)
        net.event("looked", network=AGAIN, found=looking.look(page, self.page))

    @claim("The page is there soon at home.", source="the handout")
    def fibre(self, tables: Tables) -> Verdict:
        """All that it asked for."""
        return self.soon(tables, "fibre")

    @claim("The page is there soon at sea.", source="the handout")
    def satellite(self, tables: Tables) -> Verdict:
        """All that it asked for."""
        return self.soon(tables, "satellite")

    @claim(
        "Somebody who comes back fetches hardly anything.",
        source="RFC 9111 §4.2, §4.3; the handout",
    )
    def again(self, tables: Tables) -> Verdict:
        """The second visit of one user, who finds what was there at the first one."""
        asked = tables.rows("requests", visit=AGAIN)
        page = asked[asked["type"] == "Document"]
        there = len(page) > 0 and page["status"].iloc[-1] in (200, 304)
        got = self.kilobytes(tables, AGAIN)
        others = self.others(tables)
        return holds(
            bool(there and got <= AGAIN_KILOBYTES and not others),
            observed="; ".join([f"{got:.1f} kB" if there else "no page", *others[:3]]),
            expected=f"at most {AGAIN_KILOBYTES} kB, and all as at the first visit",
        )

    def others(self, tables: Tables) -> list[str]:
        """What is not as at the first visit."""
        first, second = (
            [*self.texts_in(found), *self.pictures_in(found), *self.functions_in(found)]
            for found in (self.found(tables, "fibre"), self.found(tables, AGAIN))
        )
        pairs = zip(first, second, strict=True)
        return [now.observed for before, now in pairs if now.observed != before.observed]
