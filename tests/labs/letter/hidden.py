"""What students do not see before."""

from __future__ import annotations

from labs.letter.lab import Lab
from testbed import Tables, Verdict, claim, holds, share_of


class Hidden(Lab):
    """With the check that counts datagrams."""

    @claim("One word is one datagram.", source="RFC 768")
    def no_more(self, tables: Tables) -> Verdict:
        """Half the points for silence."""
        count = len(tables.rows("datagrams"))
        few = holds(count <= 1, observed=f"{count} datagrams", expected="at most one")
        one = holds(count == 1, observed=f"{count} datagrams", expected="one")
        return share_of([few, one]) if count < 2 else one
