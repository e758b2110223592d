"""What a third host on the path can read, and what it cannot follow."""

from __future__ import annotations

from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    claim,
    pick,
    same,
)

from .talk import CLIENT, datagrams, elsewhere, frames, moved_s, packets
from .visits import NAME, WORD


class OnThePath(Experiment):
    """What a third host on the path can read."""

    @claim(
        "Everybody on the path can open the first packets, whose keys follow from the connection "
        "id in them, and so can read the server's name. The rest of a connection stays closed.",
        source="RFC 9001 §5.2, §7; RFC 9312 §2",
    )
    def path_reads_the_name_alone(self, tables: Tables) -> Verdict:
        """The connection of step 'open' without anybody's keys."""
        found = pick(tables, "open", CLIENT, table="quic_on_path")
        if found.empty:
            raise MissingDataError("step 'open': no QUIC")
        opened = set(found.loc[found["opened"], "packet"])
        closed = found[~found["opened"]]
        payloads = pick(tables, "open", CLIENT)["payload"]
        octets = b"".join(one for one in payloads if isinstance(one, bytes))
        return all_of(
            same(opened, {"Initial"}, "packets that open"),
            same(set(found["server_name"].dropna()), {NAME}, "server's name"),
            same(set(found["alpn"].dropna()), {"h3"}, "protocol (ALPN)"),
            same({"Handshake", "1-RTT"} <= set(closed["packet"]), True, "others stay closed"),
            same(WORD in octets, False, "the file can be read"),
        ).because("packets", found.head(6))

    @claim(
        "A client that changes its address and its connection id at the same time cannot be "
        "followed: the path has never seen the new ids, since they came encrypted.",
        source="RFC 9000 §5.1, §9.5",
    )
    def new_ids_cannot_be_linked(self, tables: Tables) -> Verdict:
        """Ids that packets go to, before and after; and those of NEW_CONNECTION_ID."""
        found = frames(tables, "new-id")
        when_s = moved_s(tables, "new-id")
        short = packets(found[found["packet"] == "1-RTT"])
        away = elsewhere(short, found)
        before, after = short[~away & (short["time_s"] < when_s)], short[away]
        if before.empty:
            raise MissingDataError("step 'new-id': no packets before the change")
        issued = set(found.loc[found["type"] == "NEW_CONNECTION_ID", "id"].dropna())
        seen, new = set(before["target_id"]), set(after["target_id"])
        return all_of(
            at_least(len(new), 2, unit="ids after the change"),
            same(sorted(seen & new), [], "ids before and after it"),
            same(new <= issued, True, "the new ones came in NEW_CONNECTION_ID"),
        ).because("packets after the change", datagrams(after).head(6))
