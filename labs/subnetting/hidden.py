"""What students do not see of the subnetting lab: hidden checks, and a plan that is right."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network
from typing import TYPE_CHECKING

from labs.subnetting.lab import CABLES, LANS
from labs.subnetting.lab import Lab as Public
from testbed import Verdict, claim, holds, share_of

if TYPE_CHECKING:
    from testbed import Tables

DEFAULT = "0.0.0.0/0"


class Hidden(Public):
    """The subnetting lab as the grader has it."""

    # ---- a plan: the largest first, so that every prefix begins where it may

    def plan(self) -> dict[str, IPv4Network]:
        """LAN or cable → its prefix."""
        lengths = {lan: self.prefix_length(lan) for lan in LANS} | dict.fromkeys(CABLES, 30)
        found, free = {}, IPv4Network(self.params.block)[0]
        for name in sorted(lengths, key=lambda n: (lengths[n], n)):
            found[name] = IPv4Network((free, lengths[name]))
            free = found[name][-1] + 1
        return found

    def at(self, name: str, number: int) -> str:
        """The numbered address of a LAN or cable, with prefix length."""
        prefix = self.plan()[name]
        return f"{prefix[number]}/{prefix.prefixlen}"

    def ip(self, name: str, number: int) -> str:
        """The same without."""
        return self.at(name, number).split("/")[0]

    # ---- keys

    @property
    def asked(self) -> IPv4Network:
        """The network of the first question."""
        return IPv4Interface(self.params.question).network

    @property
    def next_hop(self) -> str:
        """By the longest prefix that holds the target."""
        return self.params.vias[1]

    # ---- hidden checks

    @claim(
        "r1 and r3 need one static route only.",
        source="RFC 1812 §5.2.4.3; RFC 4632 §4",
        scenarios=("main",),
    )
    def tables_are_short(self, tables: Tables) -> Verdict:
        """Static routes in the kernel's table."""
        cases = []
        for router in ("r1", "r3"):
            found = tables.rows("routes", node=router, protocol="static")
            words = ", ".join(found["destination"]) or "none"
            cases.append(
                holds(
                    list(found["destination"]) == [DEFAULT],
                    observed=f"{router}: {words}",
                    expected=f"{router}: only {DEFAULT}",
                ).because(f"static routes of {router}", found, scenario="main")
            )
        return share_of(cases)

    @claim(
        "Packets to addresses of the block that nobody uses never leave for the provider.",
        source="RFC 4632 §4.2 (2)",
        scenarios=("main",),
    )
    def unused_stays_inside(self, tables: Tables) -> Verdict:
        """One echo request of h1's, and what r2 sends up."""
        unused = str(tables.of("unused")["address"].iloc[0])
        if not unused:
            return holds(
                False, observed="the networks cover the whole block", expected="addresses left over"
            )
        sent = tables.rows("pings", host="h1", ip_dst=unused)
        up = tables.rows("up", ip_dst=unused)
        if sent.empty:
            return holds(False, observed="h1 could not send", expected="a request sent")
        return holds(
            up.empty,
            expected=f"none of h1's packets to {unused} goes up",
            observed=f"{len(up)} went up; TTL {up['ip_ttl'].max()} down to {up['ip_ttl'].min()}"
            if len(up)
            else "none went up",
        ).because("sent up to the provider", up.head(6))

    @claim("Network, broadcast address and number of hosts of an address.", source="RFC 4632 §3.1")
    def subnet_of_an_address(self, _tables: Tables) -> Verdict:
        """The three answers."""
        return share_of(
            [
                self.answers.prefix("network", str(self.asked)),
                self.answers.address("broadcast", str(self.asked[-1])),
                self.answers.number("usable_hosts", self.asked.num_addresses - 2, abs=0),
            ]
        )

    @claim(
        "Of all routes that match, the one with the longest prefix wins.",
        source="RFC 1812 §5.2.4.3",
    )
    def longest_prefix(self, _tables: Tables) -> Verdict:
        """The next hop of the second question."""
        return self.answers.choice("next_hop", self.next_hop)
