"""What students do not see of the key exchange lab: everything that can go wrong on the path."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from labs.key_exchange.lab import DIRECT, Lab
from testbed import Tables, Verdict, all_of, claim, holds, program, same, shown

if TYPE_CHECKING:
    from testbed import RunningNetwork

HONEST = ("again", "record")
"""Further sessions in which nobody interferes; `replay` repeats the last one."""

REPLAYS = ("repeat", "replay")
IMPERSONATIONS = ("passed-on", "own-key", "unsigned")
INVALID = ("zero", "one", "minus-one", "prime")
"""Public values that leave the secret to be guessed."""

HIDDEN = (*IMPERSONATIONS, *HONEST, *REPLAYS, *INVALID, "changed")


class Hidden(Lab):
    """The lab as the grader has it."""

    def attack(self, net: RunningNetwork) -> None:
        """r1 takes connections to the server for itself."""
        self.serve(net, "r1", "attack")
        chain = "add chain ip divert pre { type nat hook prerouting priority -100; }"
        rule = f"add rule ip divert pre iifname r1-eth0 tcp dport {self.params.port} redirect"
        program("r1", "nft", f"add table ip divert; {chain}; {rule}")(net)

    def run(self, net: RunningNetwork) -> None:
        """The public run, then attacks and honest sessions, in random order."""
        super().run(net)
        for session in shuffled():
            self.client(net, session)

    # ---- what checks ask

    def withstood(self, tables: Tables, *verdicts: Verdict) -> Verdict:
        """All of them, if the client works whenever nobody interferes, and not only at first."""
        works = all_of(*(self.works(tables, name) for name in (DIRECT, *HONEST)))
        return all_of(*verdicts) if works.status == "PASS" else works

    def refused(self, tables: Tables, session: str, printable: int = 0) -> Verdict:
        """The client printed no more than the first replies of a session."""
        lines = self.printed(tables, session)
        known = self.told(tables, session, "reply")[:printable]
        wrong = [shown(line, 60) for line in lines if line not in known or lines.count(line) > 1]
        return same(wrong, [], f"{session}: printed")

    def silent(self, tables: Tables, session: str) -> Verdict:
        """The client sent its hello, and nothing sealed."""
        hellos = len(self.sent(tables, session)) - self.sealed(tables, session)
        observed = f"{hellos} without, {self.sealed(tables, session)} sealed"
        ok = hellos > 0 and not self.sealed(tables, session)
        expected = f"{session}: the client's messages: 1 without, 0 sealed"
        return holds(
            ok, observed=f"{session}: the client's messages: {observed}", expected=expected
        )

    # ---- hidden checks

    @claim(
        "Each session has a new public value, and each message under a key a new number.",
        source="RFC 8446 §2, appendix E.1; RFC 5116 §5.1.1",
    )
    def fresh(self, tables: Tables) -> Verdict:
        """Public values of all sessions; numbers in the first."""
        hellos = [
            next(iter(self.sent(tables, name)), {}).get("public") for name in (DIRECT, *HIDDEN)
        ]
        values = [str(value) for value in hellos if value is not None]
        numbers = [m.get("number") for m in self.sent(tables, DIRECT) if "sealed" in m]
        return self.withstood(
            tables,
            same(len(values) - len(set(values)), 0, "repeated public values"),
            same(len(numbers) - len(set(map(str, numbers))), 0, "repeated numbers"),
        )

    @claim(
        "A man in the middle is noticed before anything is sent: without a valid signature of both "
        "public values there is no session.",
        source="RFC 3552 §3.3.5; RFC 8446 §4.4.3",
    )
    def middle(self, tables: Tables) -> Verdict:
        """The server's signature of other values, a stranger's signature, and none."""
        return self.withstood(
            tables,
            *(self.silent(tables, name) for name in IMPERSONATIONS),
            *(self.refused(tables, name) for name in IMPERSONATIONS),
        )

    @claim("What was sent before is not accepted again.", source="RFC 3552 §3.3.1")
    def replayed(self, tables: Tables) -> Verdict:
        """A reply that comes twice, and the server's side of an old session."""
        return self.withstood(
            tables,
            self.refused(tables, "repeat", printable=1),
            self.refused(tables, "replay"),
            self.silent(tables, "replay"),
        )

    @claim(
        "Public values that leave no secret are refused, even if they are signed: 1 < y < p − 1.",
        source="RFC 7919 §5.1",
    )
    def invalid(self, tables: Tables) -> Verdict:
        """0, 1, p − 1 and p, with valid signatures."""
        return self.withstood(
            tables,
            *(self.silent(tables, name) for name in INVALID),
            *(self.refused(tables, name) for name in INVALID),
        )

    @claim("A changed message is refused.", source="RFC 5116 §2.2")
    def changed(self, tables: Tables) -> Verdict:
        """One bit of a reply."""
        return self.withstood(tables, self.refused(tables, "changed"))


def shuffled() -> list[str]:
    """The hidden sessions in random order; what is replayed is recorded before."""
    found = list(HIDDEN)
    secrets.SystemRandom().shuffle(found)
    record, replay = sorted((found.index("record"), found.index("replay")))
    found[record], found[replay] = "record", "replay"
    return found
