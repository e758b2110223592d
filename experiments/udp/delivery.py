"""What the service is: datagrams as the network brings them, without a connection."""

from __future__ import annotations

import pandas as pd

from testbed import (
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    claim,
    near,
    pick,
    presuming,
    same,
)

from .header import CAME, ICMP, SENT, UDP, Header
from .sending import (
    BURST_PKTS,
    CLIENTS,
    ECHO,
    FIRST_PORT,
    LARGEST6_BYTES,
    LARGEST_BYTES,
    LONG_BYTES,
    MESSAGES,
    NEXT_BYTES,
    NUMBERED_PKTS,
    SECOND_PORT,
    SMALL_BUFFER_BYTES,
)

UNREACHABLE, NO_PORT = 3, 3
"""ICMP destination unreachable, port unreachable (RFC 792)."""


class Delivery(Header):
    """What the service is: datagrams as the network brings them, without a connection."""

    @claim(
        "There is no connection: nothing precedes the first datagram or follows the last one, and "
        "one socket serves many clients at once.",
        source="RFC 768; RFC 8085 §3",
    )
    def one_socket_serves_many_clients(self, tables: Tables) -> Verdict:
        """Four clients of three hosts ask the echo port together; each gets its own reply."""
        seen = pick(tables, "clients", CAME, ip_version=4)
        got = self._got(tables, "clients")
        answers = tables.of("sent", step="clients")
        server = f"{address(tables, CAME)}:{ECHO}"
        return all_of(
            near(got["source"].nunique(), 3, abs=0, unit="client hosts"),
            same(sorted(got["got_bytes"].astype(int)), sorted(CLIENTS.values()), "bytes asked"),
            same(
                sorted(answers["reply"]), sorted(f"{n} bytes" for n in CLIENTS.values()), "replies"
            ),
            same(set(answers["reply_from"]), {server}, "replies from"),
            near(len(seen), 2 * len(CLIENTS), abs=0, unit="IP packets at the server"),
        ).because("all packets", seen)

    @claim(
        "Connecting a UDP socket sends nothing: it only makes the socket refuse datagrams from "
        "anyone but its peer.",
        source="connect(2), udp(7)",
    )
    def connected_sockets_refuse_strangers(self, tables: Tables) -> Verdict:
        """tx2 sends to a connected and to an unconnected socket of tx1."""
        sent = pick(tables, "strangers", SENT, ip_version=4, ip_proto=UDP)
        own, stranger = address(tables, SENT), address(tables, "tx2-eth0")
        from_us = sent[sent["ip_src"] == own]
        told = tables.of("sent", step="strangers", size_bytes=10)
        replies = {int(r["sport"]): r["reply"] for r in told.to_dict("records")}
        return all_of(
            near(len(from_us), 2, abs=0, unit="datagrams sent by the two sockets"),
            near(int((sent["ip_src"] == stranger).sum()), 2, abs=0, unit="datagrams of a stranger"),
            same(replies, {FIRST_PORT: "none", SECOND_PORT: f"{NEXT_BYTES} bytes"}, "received"),
        ).because("datagrams", sent)

    @claim(
        "Message boundaries are kept: each datagram that is sent is read by one call, and never "
        "joined with another, even if all were there before the first call.",
        source="RFC 768; RFC 8085 §3.2; recv(2)",
    )
    def boundaries_are_kept(self, tables: Tables) -> Verdict:
        """Six datagrams while the reader does not run; then its calls."""
        seen = self._datagrams(tables, "boundaries")
        got = self._got(tables, "boundaries")
        early = float(got["time_s"].min() - seen["time_s"].max()) if len(got) else None
        return presuming(
            at_least(early, 0.1, unit="s between the last arrival and the first call"),
            same([int(n) for n in got["got_bytes"]], list(MESSAGES), "bytes of each call"),
        ).because("datagrams", seen)

    @claim(
        "A datagram longer than the reader's buffer is truncated: its rest is gone, and only a "
        "flag tells.",
        source="RFC 1122 §4.1.4; recvmsg(2) MSG_TRUNC",
    )
    def long_datagrams_are_truncated(self, tables: Tables) -> Verdict:
        """1000 bytes, then 50, for a buffer of 100."""
        got = self._got(tables, "truncated")
        found = [(int(n), bool(t)) for n, t in zip(got["got_bytes"], got["truncated"], strict=True)]
        wanted = [(SMALL_BUFFER_BYTES, True), (NEXT_BYTES, False)]
        return same(found, wanted, "bytes, truncated").because("calls", got, scenario="main")

    @claim(
        "A reader that asks for the length first (MSG_PEEK with MSG_TRUNC) knows which buffer it "
        "needs.",
        source="recv(2)",
    )
    def length_can_be_asked(self, tables: Tables) -> Verdict:
        """1000 bytes, asked for their length, then read into a buffer of 100."""
        got = self._got(tables, "peeked")
        found = [
            (int(p), int(n)) for p, n in zip(got["peeked_bytes"], got["got_bytes"], strict=True)
        ]
        return same(found, [(LONG_BYTES, SMALL_BUFFER_BYTES)], "bytes told, bytes read").because(
            "calls", got, scenario="main"
        )

    @claim(
        "There is no flow control: what comes faster than the program reads fills the socket's "
        "buffer, and what no longer fits is dropped without a word.",
        source="RFC 8085 §3.1, §3.3; udp(7)",
    )
    def full_buffer_loses(self, tables: Tables) -> Verdict:
        """A burst while the reader does not run."""
        seen, got = self._datagrams(tables, "burst"), self._got(tables, "burst")
        lost = len(seen) - len(got)
        return all_of(
            near(len(seen), BURST_PKTS, abs=0, unit="datagrams arrived"),
            at_least(len(got), 1, unit="delivered"),
            at_least(lost, 1, unit="lost in the host"),
            near(
                self._counter(tables, "burst", "RcvbufErrors"),
                lost,
                abs=0,
                unit="counted (RcvbufErrors)",
            ),
            near(
                self._drops(tables, "burst", "SOCKET_RCVBUFF"),
                lost,
                abs=0,
                unit="drops (SOCKET_RCVBUFF)",
            ),
            at_most(len(pick(tables, "burst", CAME, ip_proto=ICMP)), 0, unit="errors sent back"),
        ).because("arrived", seen.head(6))

    @claim(
        "Delivery is not guaranteed: a datagram that the network loses is not sent again, and "
        "neither end notices.",
        source="RFC 768; RFC 8085 §3.3",
    )
    def lost_datagrams_stay_lost(self, tables: Tables) -> Verdict:
        """Numbers sent, numbers that arrived, numbers that the program got."""
        sent = tables.of("datagrams", capture=SENT, step="imperfect")
        numbers = self._numbered(tables)
        missing = set(range(NUMBERED_PKTS)) - set(numbers["wire"])
        unread = NUMBERED_PKTS - len(set(numbers["program"]))
        return all_of(
            near(len(sent), NUMBERED_PKTS, abs=0, unit="datagrams sent, each once"),
            presuming(
                at_least(len(missing), 5, unit="of them lost on the way"),
                near(unread, len(missing), abs=0, unit="never read"),
            ),
        ).because("first of those sent", sent.head(6))

    @claim(
        "Order is not guaranteed: the program gets datagrams in the order in which the network "
        "brings them.",
        source="RFC 768; RFC 8085 §3.3",
    )
    def order_is_the_networks(self, tables: Tables) -> Verdict:
        """How many arrived behind a later one; the program's order against the wire's."""
        numbers = self._numbered(tables)
        late = sum(
            number < max(numbers["wire"][:place], default=-1)
            for place, number in enumerate(numbers["wire"])
        )
        moved = sum(a != b for a, b in zip(numbers["wire"], numbers["program"], strict=False))
        return presuming(
            at_least(late, 5, unit="datagrams overtaken"),
            at_most(moved, 0, unit="put into another order by the receiving host"),
            near(
                len(numbers["program"]), len(numbers["wire"]), abs=0, unit="read of those arrived"
            ),
        ).because("as they arrived", self._datagrams(tables, "imperfect").head(12))

    @claim(
        "Duplicates are not removed: what the network doubles is read twice.",
        source="RFC 768; RFC 8085 §3.3",
    )
    def duplicates_are_delivered(self, tables: Tables) -> Verdict:
        """Numbers that occur more than once on the wire, and at the program."""
        numbers = self._numbered(tables)
        doubled = {
            where: {n for n in found if found.count(n) > 1} for where, found in numbers.items()
        }
        return presuming(
            at_least(len(doubled["wire"]), 5, unit="datagrams doubled by the wire"),
            at_most(len(doubled["wire"] ^ doubled["program"]), 0, unit="of them read only once"),
        ).because("as they arrived", self._datagrams(tables, "imperfect").head(12))

    @claim(
        "The largest datagram has 65507 bytes of data in IPv4 and 65527 in IPv6, or less if the "
        "sender's buffer is smaller; the system refuses more.",
        source="RFC 768; RFC 791 §3.1; RFC 8200 §3; socket(7) SO_SNDBUF",
    )
    def system_bounds_the_size(self, tables: Tables) -> Verdict:
        """What the calls returned, and what was put together again and delivered."""
        calls = [
            (int(r["size_bytes"]), r["result"])
            for r in tables.of("sent", step="largest").to_dict("records")
        ]
        wanted = [
            (LARGEST_BYTES, "sent"),
            (LARGEST_BYTES + 1, "EMSGSIZE"),
            (LARGEST6_BYTES, "sent"),
            (LARGEST6_BYTES + 1, "EMSGSIZE"),
        ]
        small = calls[len(wanted) :]
        return all_of(
            same(calls[: len(wanted)], wanted, "calls"),
            same([result for _, result in small], ["ENOBUFS"], "with a small buffer"),
            same(self._sizes(tables, "largest"), [LARGEST_BYTES, LARGEST6_BYTES], "delivered"),
        ).because("fragments", pick(tables, "largest", CAME).head(6))

    @claim(
        "A datagram to a port where nobody listens is answered by ICMP port unreachable, and a "
        "connected socket's next call fails for it; an unconnected socket never hears of it.",
        source="RFC 1122 §4.1.3.1, §4.1.3.3; RFC 8085 §5.2; udp(7) ECONNREFUSED",
    )
    def connected_sockets_hear_of_closed_ports(self, tables: Tables) -> Verdict:
        """Four calls of each kind of socket; the call that reports an error sends nothing."""
        refused = ["sent", "ECONNREFUSED"] * 2
        calls = {s: list(tables.of("sent", step=s)["result"]) for s in CLOSED_STEPS}
        errors = {
            s: pick(tables, s, SENT, icmp_type=UNREACHABLE, icmp_code=NO_PORT) for s in CLOSED_STEPS
        }
        return all_of(
            same(calls["closed-connected"], refused, "connected"),
            same(calls["closed"], ["sent"] * 4, "unconnected"),
            near(len(errors["closed-connected"]), 2, abs=0, unit="errors for the connected socket"),
            near(len(errors["closed"]), 4, abs=0, unit="errors for the other"),
            near(self._drops(tables, "closed", "NO_SOCKET"), 4, abs=0, unit="drops (NO_SOCKET)"),
        ).because("errors", pd.concat(errors.values()))

    def _numbered(self, tables: Tables) -> dict[str, list[int]]:
        """Numbers of the imperfect step's datagrams, in order: at the server, at its program."""
        found = {
            "wire": self._datagrams(tables, "imperfect"),
            "program": self._got(tables, "imperfect"),
        }
        return {where: [int(h[:8], 16) for h in seen["head"]] for where, seen in found.items()}


CLOSED_STEPS = ("closed", "closed-connected")
