"""What students do not see of the OSPF lab: hidden checks and the answers' keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.ospf.lab import LANS, LINKS, ROUTERS
from labs.ospf.lab import Lab as Public
from testbed import Verdict, all_of, claim, holds, none_of, share_of

if TYPE_CHECKING:
    from testbed import Tables

E_BIT = 0x02
"""Of the options: external routes are flooded here, so this is not a stub (RFC 2328 §A.2)."""

DEFAULT = "0.0.0.0/0"


class Hidden(Public):
    """The OSPF lab as the grader has it."""

    # ---- keys

    @property
    def outage_s(self) -> float:
        """The dead interval, less what had gone by since the last hello: half of one on average."""
        return self.dead_s - self.params.hello_s / 2

    @property
    def cost_to_branch(self) -> int:
        """From r1 to the cable r3-r4, over r2."""
        return 2 * self.cost("r1-r2") + self.cost("r3-r4")

    # ---- hidden checks

    @claim(
        "Every router says hello as often, and is declared dead as late, as the lab asks.",
        source="RFC 2328 §9.5, appendix C.3",
        scenarios=("main",),
        bears_stall_s=0.002,
    )
    def keeps_the_timers(self, tables: Tables) -> Verdict:
        """The intervals that each router's hellos tell, on all of its cables."""
        wanted, cases = {(self.params.hello_s, self.dead_s)}, []
        for router in ROUTERS:
            hellos = tables.rows("packets", type="hello", sender=router)
            hellos = hellos[hellos["link"].isin([self.link(name) for name in LINKS])]
            told = set(
                zip(
                    hellos["hello_interval_s"].astype(int),
                    hellos["dead_interval_s"].astype(int),
                    strict=True,
                )
            )
            words = " and ".join(f"{h} s, {d} s" for h, d in sorted(told)) or "no hellos"
            cases.append(
                holds(
                    told == wanted,
                    observed=f"{router}: {words}",
                    expected=f"{router}: {self.params.hello_s} s, {self.dead_s} s",
                ).because(f"hellos of {router}", hellos.head(3))
            )
        return share_of(cases)

    @claim(
        "Every router has the id it was given.", source="RFC 2328 appendix C.1", scenarios=("main",)
    )
    def has_its_id(self, tables: Tables) -> Verdict:
        """The ids in the packets of each router."""
        cases = []
        for router in ROUTERS:
            told = sorted(set(tables.rows("packets", sender=router)["router_id"]))
            words = ", ".join(told) or "no packets"
            cases.append(
                holds(
                    told == [self.router_id(router)],
                    observed=f"{router}: {words}",
                    expected=f"{router}: {self.router_id(router)}",
                )
            )
        return share_of(cases)

    @claim(
        "The backbone knows the branch's LANs as one prefix, and not one by one.",
        source="RFC 2328 §12.4.3, appendix C.2",
        scenarios=("main",),
    )
    def is_summarised(self, tables: Tables) -> Verdict:
        """The kernel's routes of r1 and r2, before the failure."""
        cases = []
        for router in ("r1", "r2"):
            found = tables.rows("kernel", node=router, protocol="ospf")
            lans = {self.lan(2), self.lan(3), self.summary}
            known = sorted(lans & set(found["destination"]))
            cases.append(
                holds(
                    known == [self.summary],
                    observed=f"{router} knows {', '.join(known) or 'none of it'}",
                    expected=f"{router} knows {self.summary}",
                ).because(f"routes of {router}", found, scenario="main")
            )
        return share_of(cases)

    @claim(
        "The branch is a stub: it hears of the outside only by a default route.",
        source="RFC 2328 §3.6",
        scenarios=("main",),
    )
    def is_a_stub(self, tables: Tables) -> Verdict:
        """The options of the hellos between r3 and r4, and r4's default route."""
        hellos = tables.rows("packets", type="hello", link=self.link("r3-r4"))
        stub = hellos[hellos["options"].astype(int) & E_BIT == 0]
        ends = set(stub["sender"].astype(str))
        default = tables.rows("kernel", node="r4", protocol="ospf", destination=DEFAULT)
        return all_of(
            holds(
                ends == {"r3", "r4"},
                expected="hellos of r3 and r4 without the E bit",
                observed=f"without the E bit: {', '.join(sorted(ends)) or 'nobody'}",
            ),
            holds(
                len(default) == 1,
                observed=f"{len(default)} default routes at r4",
                expected="a default route at r4",
            ),
        ).because("hellos on r3-r4", hellos.head(2))

    @claim(
        "No router speaks OSPF into a LAN of hosts.", source="RFC 1812 §7.1", scenarios=("main",)
    )
    def spares_the_lans(self, tables: Tables) -> Verdict:
        """OSPF packets seen by h1, h2 and h3; a silent router earns nothing by its silence."""
        cases = []
        for number, interface in LANS.items():
            router = interface.split("-")[0]
            sent = tables.rows("packets", sender=router)
            if sent.empty:
                cases.append(
                    holds(
                        False,
                        observed=f"{router} never speaks OSPF",
                        expected=f"{router} speaks to routers only",
                    )
                )
            else:
                heard = tables.rows("packets", link=self.lan(number))
                cases.append(
                    none_of(heard, sent, f"packets heard by h{number}", f"h{number} hears none")
                )
        return share_of(cases)

    @claim(
        "How long h1's pings were lost after the failure.",
        source="RFC 2328 §10.2",
        bears_stall_s=0.002,
    )
    def outage(self, _tables: Tables) -> Verdict:
        """Between the dead interval less a hello and a little more than the dead interval."""
        slack_s = self.params.hello_s / 2 + 1.5
        return self.answers.number("outage_s", self.outage_s, abs=slack_s, unit="s")

    @claim("The cost of r1's route to the cable r3-r4.", source="RFC 2328 §16.1, §16.2")
    def cost_of_the_way(self, _tables: Tables) -> Verdict:
        """The sum over the way by r2."""
        return self.answers.number("cost_to_branch", self.cost_to_branch, abs=0)

    @claim("The type of LSA that carries the summary into the backbone.", source="RFC 2328 §12.4.3")
    def type_of_lsa(self, _tables: Tables) -> Verdict:
        """Type 3."""
        return self.answers.number("lsa_type", 3, abs=0)
