"""What students do not see of the office lab: hidden checks and the answers' keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.office.lab import NAME_SERVER
from labs.office.lab import Lab as Public
from testbed import Verdict, claim, holds, share_of

if TYPE_CHECKING:
    from testbed import Tables


class Hidden(Public):
    """The office lab as the grader has it."""

    @claim(
        "Mail goes to the mail server: its preference is right, and its name is not an alias.",
        source="RFC 5321 §5.1; RFC 2181 §10.3",
        scenarios=("main",),
    )
    def mail_finds_its_way(self, tables: Tables) -> Verdict:
        """The MX record, and the address of the host it names."""
        told = self.records(tables, self.domain, "MX")
        found = [str(data).rstrip(".") for data in told[told["type"] == "MX"]["data"]]
        wanted = f"{self.params.preference} mail.{self.domain}"
        host = found[0].split()[-1] if found else ""
        kinds = list(self.records(tables, host, "A")["type"])
        return share_of(
            [
                holds(
                    found == [wanted],
                    observed=f"MX {', '.join(found) or 'none'}",
                    expected=f"MX {wanted}",
                ),
                holds(
                    kinds == ["A"],
                    observed=f"{host or 'no host'}: {', '.join(kinds) or 'nothing'}",
                    expected="the mail exchanger's name has an address of its own",
                ),
            ]
        ).because("the answer", self.answer(tables, self.domain, "MX"))

    @claim(
        "The zone names its own server, which answers with authority.",
        source="RFC 1034 §4.2; RFC 1035 §4.1.1",
        scenarios=("main",),
    )
    def zone_names_its_server(self, tables: Tables) -> Verdict:
        """The NS record with its address, and the flag AA."""
        told = self.records(tables, self.domain, "NS")
        found = [str(data).rstrip(".") for data in told[told["type"] == "NS"]["data"]]
        address = [str(data) for data in self.records(tables, f"ns.{self.domain}", "A")["data"]]
        answer = self.answer(tables, self.domain, "NS")
        own = bool(answer["authoritative"].any())
        server = self.server(NAME_SERVER)
        return share_of(
            [
                holds(
                    found == [f"ns.{self.domain}"] and address == [server],
                    observed=f"NS {', '.join(found) or 'none'} at {', '.join(address) or 'none'}",
                    expected=f"NS ns.{self.domain} at {server}",
                ),
                holds(
                    own,
                    observed="with authority" if own else "without authority",
                    expected="with authority",
                ),
            ]
        ).because("the answer", answer)

    @claim(
        "TTLs of addresses and of refusals are as required.",
        source="RFC 2308 §4, §5",
        scenarios=("main",),
    )
    def lives_are_right(self, tables: Tables) -> Verdict:
        """The TTL of the web server's address, and of the SOA record with 'no such name'."""
        p = self.params
        cases = []
        for name, section, kind, wanted_s in (
            (f"www.{self.domain}", "answer", "A", p.www_ttl_s),
            (f"no-such-name.{self.domain}", "authority", "SOA", p.negative_s),
        ):
            told = self.records(tables, name, "A", section)
            ttl = [int(t) for t in told[told["type"] == kind]["ttl_s"]]
            cases.append(
                holds(
                    ttl == [wanted_s],
                    observed=f"{name}: {kind} for {ttl or 'no'} s",
                    expected=f"{name}: {kind} for {wanted_s} s",
                ).because("the answer", self.answer(tables, name, "A"))
            )
        return share_of(cases)

    @claim(
        "What the client does with its lease, and the resolver with a refusal.",
        source="RFC 2131 §4.1, §4.4.5; RFC 2308 §5",
    )
    def questions(self, _tables: Tables) -> Verdict:
        """The four answers."""
        p = self.params
        return share_of(
            [
                self.answers.number("renew_s", p.lease_s / 2, abs=0, unit="s"),
                self.answers.number("pool_size", p.count, abs=0),
                self.answers.address("first_to", "255.255.255.255"),
                self.answers.number("refusal_s", p.negative_s, abs=0, unit="s"),
            ]
        )
