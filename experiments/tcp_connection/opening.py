"""Claims on how connections begin."""

from __future__ import annotations

import pandas as pd

from testbed import Tables, Verdict, all_of, at_most, between, claim, near, pick, same

from .observations import CLIENT_SIDE, SERVER_SIDE, Observations, ack, after, flags_of, gaps_s, seq
from .opening_steps import SYN_RETRIES

UNREACHABLE, PROHIBITED = 3, 13
LINUX_TIMERS_S = (1, 1, 1, 1, 1, 2, 4, 8, 16, 32)
LINUX_GIVES_UP_S = sum(LINUX_TIMERS_S) + 2.0 * LINUX_TIMERS_S[-1]
"""After the last retry it waits twice the last timer; timers expire up to an eighth late."""

STANDARD_LEAST_S = 180.0
"""What RFC 9293 §3.8.3 asks for before an attempt is given up."""


class Opening(Observations):
    """How connections begin."""

    @claim(
        "Three segments open a connection: SYN with x; SYN with y and ACK x+1; ACK y+1 with the "
        "sequence number x+1.",
        source="RFC 9293 §3.5, figure 6",
    )
    def three_segments_open(self, tables: Tables) -> Verdict:
        """The first segments of an ordinary connection, and both ends' ways."""
        seen = self._segments(tables, "handshake").head(3)
        x, y = seq(seen, 0), seq(seen, 1)
        numbers = [ack(seen, 1), seq(seen, 2), ack(seen, 2)]
        return all_of(
            same(flags_of(seen), ["SYN", "SYN,ACK", "ACK"], "flags"),
            same(numbers, [after(x), after(x), after(y)], "ACK, sequence number, ACK"),
            same(self._way(tables, "handshake", "h1")[:2], ["SYN-SENT", "ESTABLISHED"], "h1"),
            same(self._way(tables, "handshake", "h2")[:2], ["SYN-RECEIVED", "ESTABLISHED"], "h2"),
        ).because("the handshake", seen)

    @claim(
        "Each end chooses its own initial sequence number, and another one for each connection.",
        source="RFC 9293 §3.4.1, RFC 6528",
    )
    def initial_numbers_differ(self, tables: Tables) -> Verdict:
        """SYNs of both ends in three connections, two of them one after another."""
        opening = pd.concat(
            self._segments(tables, step, has="SYN") for step in ("handshake", "again", "both-open")
        )
        numbers = opening.drop_duplicates(["step", "ip_src", "tcp_seq"])["tcp_seq"]
        return same((len(numbers), numbers.nunique()), (6, 6), "SYNs, different numbers").because(
            "SYNs", opening
        )

    @claim(
        "Two ends that open towards each other at the same time get one connection: each goes from "
        "SYN-SENT to SYN-RECEIVED, and answers the other's SYN.",
        source="RFC 9293 §3.5, figure 7",
    )
    def simultaneous_open_makes_one_connection(self, tables: Tables) -> Verdict:
        """Both ends' ways, and five bytes that then arrive."""
        ways = {node: self._way(tables, "both-open", node)[:3] for node in ("h1", "h2")}
        wanted = ["SYN-SENT", "SYN-RECEIVED", "ESTABLISHED"]
        seen = self._segments(tables, "both-open", has="SYN")
        sent = sorted(zip(seen["ip_src"], flags_of(seen), strict=True))
        ends = sorted(set(seen["ip_src"]))
        return all_of(
            same(ways, {"h1": wanted, "h2": wanted}, "ways"),
            same(sent, [(e, f) for e in ends for f in ("SYN", "SYN,ACK")], "SYNs"),
            same(self._results(tables, "both-open", "receive"), ["5"], "bytes received"),
        ).because("SYNs", seen)

    @claim(
        "Why three: an old SYN that arrives late is answered by SYN+ACK, and the end that asks for "
        "nothing now refuses that by RST; no program hears of a connection.",
        source="RFC 9293 §3.5 (old duplicates), §3.5.2",
    )
    def late_syn_is_refused(self, tables: Tables) -> Verdict:
        """A copy of a SYN, delivered when its connection is over."""
        seen = self._segments(tables, "late-syn")
        x = seq(self._segments(tables, "late-syn", by=CLIENT_SIDE, has="SYN"))
        answers = self._segments(tables, "late-syn", by=SERVER_SIDE, has="SYN ACK")
        late = answers[answers["time_s"] > answers["time_s"].min() + 0.1]
        resets = self._segments(tables, "late-syn", by=CLIENT_SIDE, has="RST", without="ACK")
        return all_of(
            same([ack(answers), ack(late)], [after(x), after(x)], "both SYNs answered with"),
            same([int(s) for s in resets["tcp_seq"]], [after(x)], "RST with"),
            same(self._results(tables, "late-syn", "accept")[1:], ["still waiting"], "accept"),
        ).because("the whole", seen)

    @claim(
        "An old SYN that overtakes the new one does no harm: the client resets what it did not ask "
        "for, and then the new SYN opens the connection.",
        source="RFC 9293 §3.5, figure 8",
    )
    def old_syn_does_not_disturb_the_new(self, tables: Tables) -> Verdict:
        """The client gives up, tries again from the same port, and the old SYN comes first."""
        syns = self._segments(tables, "old-syn-first", by=CLIENT_SIDE, has="SYN")
        old, new = seq(syns, 0), seq(syns, 1)
        seen = self._segments(tables, "old-syn-first")
        seen = seen.drop(seen[seen["tcp_flags"] == 2].index).head(4)
        expected = [("SYN,ACK", after(old)), ("RST", 0), ("SYN,ACK", after(new))]
        found = list(zip(flags_of(seen), [int(a) for a in seen["tcp_ack"]], strict=True))
        return (
            all_of(
                same(found[:3], expected, "after the SYNs"),
                same(seq(seen, 1), after(old), "RST with"),
                same(self._results(tables, "old-syn-first", "connect"), ["ok"], "connect"),
                same(len(self._results(tables, "old-syn-first", "accept")), 1, "accepted"),
            )
            .because("SYNs", syns)
            .because("answers", seen)
        )

    @claim(
        "A port at which nobody listens refuses at once: RST with ACK x+1, and the call fails "
        "after one round-trip time.",
        source="RFC 9293 §3.5.2 (group 1), §3.10.7.1",
        bears_stall_s=0.005,
    )
    def closed_ports_refuse(self, tables: Tables) -> Verdict:
        """One SYN, one RST."""
        seen = self._segments(tables, "refused")
        rtt_s = 2e-3 * self.params.delay_ms
        return all_of(
            same(flags_of(seen), ["SYN", "RST,ACK"], "flags"),
            same(ack(seen, 1), after(seq(seen, 0)), "RST acknowledges"),
            same(self._results(tables, "refused", "connect"), ["ECONNREFUSED"], "connect"),
            near(self._took_s(tables, "refused", "connect"), rtt_s, abs=0.005, unit="s"),
        ).because("SYN and RST", seen)

    @claim(
        "A firewall that says no does so by ICMP: the attempt ends at once, with another error.",
        source="RFC 1812 §5.2.7.1 (code 13), RFC 9293 §3.9.2.2",
    )
    def rejected_attempts_end_by_icmp(self, tables: Tables) -> Verdict:
        """One SYN, one ICMP error."""
        told = pick(tables, "rejected", CLIENT_SIDE, icmp_type=UNREACHABLE, icmp_code=PROHIBITED)
        seen = self._segments(tables, "rejected")
        return all_of(
            same(flags_of(seen), ["SYN"], "segments"),
            near(len(told), 1, abs=0, unit="ICMP errors"),
            same(self._results(tables, "rejected", "connect"), ["EHOSTUNREACH"], "connect"),
            at_most(self._took_s(tables, "rejected", "connect"), 0.1, unit="s"),
        ).because("the error", told)

    @claim(
        "A SYN without answer is repeated after 1 s, and then after twice the time each; after the "
        "last one and another doubled wait the call fails with a timeout.",
        source="RFC 6298 §2, §5.5; RFC 9293 §3.8.3",
        bears_stall_s=0.1,
    )
    def syn_is_repeated_with_doubling_timers(self, tables: Tables) -> Verdict:
        """Three retries towards a filtered port."""
        seen = self._segments(tables, "doubling", has="SYN")
        wanted = [float(2**n) for n in range(SYN_RETRIES)]
        gaps = gaps_s(seen)
        return all_of(
            same(len(gaps), SYN_RETRIES, "retries"),
            *(near(g, w, rel=0.125, unit="s") for g, w in zip(gaps, wanted, strict=False)),
            same(self._results(tables, "doubling", "connect"), ["ETIMEDOUT"], "connect"),
            near(self._took_s(tables, "doubling", "connect"), 15.0, rel=0.125, unit="s"),
        ).because("SYNs", seen)

    @claim(
        "Linux by itself begins with five timers of 1 s before it doubles, and gives up after "
        "about 131 s; the standard asks for at least 3 minutes.",
        source="RFC 9293 §3.8.3 (MUST-23); ip-sysctl: tcp_syn_linear_timeouts, tcp_syn_retries",
        bears_stall_s=0.1,
    )
    def linux_gives_up_before_the_standard(self, tables: Tables) -> Verdict:
        """A filtered port and the defaults."""
        seen = self._segments(tables, "filtered", has="SYN")
        gaps = gaps_s(seen)
        took_s = self._took_s(tables, "filtered", "connect")
        return all_of(
            same(len(gaps), len(LINUX_TIMERS_S), "retries"),
            *(near(g, w, rel=0.125, unit="s") for g, w in zip(gaps, LINUX_TIMERS_S, strict=False)),
            same(self._results(tables, "filtered", "connect"), ["ETIMEDOUT"], "connect"),
            between(
                took_s,
                LINUX_GIVES_UP_S,
                1.125 * LINUX_GIVES_UP_S,
                unit=f"s (the standard: at least {STANDARD_LEAST_S:g} s)",
            ),
        ).because("SYNs", seen)
