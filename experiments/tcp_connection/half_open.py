"""Claims on connections that only one end believes in: lost third segments, full queues."""

from __future__ import annotations

import pandas as pd

from testbed import Tables, Verdict, all_of, at_least, at_most, between, claim, near, same

from .observations import CLIENT_SIDE, SERVER_SIDE, ack, flags_of, gaps_s
from .opening import Opening
from .opening_steps import PORTS, queue_port

SYNACK_RETRIES = 5
"""Linux's net.ipv4.tcp_synack_retries."""

TIMERS_S = [2.0**n for n in range(SYNACK_RETRIES)]
GIVES_UP_S = sum(TIMERS_S) + 2.0**SYNACK_RETRIES


class HalfOpen(Opening):
    """Connections that only one end believes in."""

    @claim(
        "If the third segment is lost, the server repeats SYN+ACK five times, after 1 s and then "
        "after twice the time each, and gives up after 63 s; no program there hears of it.",
        source="RFC 6298 §2, §5.5; RFC 9293 §3.8.3; tcp_synack_retries in ip-sysctl",
        bears_stall_s=0.1,
    )
    def syn_ack_is_repeated(self, tables: Tables) -> Verdict:
        """All acknowledgements of the client are lost; the server's list of sockets."""
        seen = self._segments(tables, "third-ack-lost", SERVER_SIDE, by=SERVER_SIDE, has="SYN ACK")
        gaps = gaps_s(seen)
        listed = self._half_open(tables, "third-ack-lost")
        gone_s = listed[1] - float(seen["time_s"].min()) if listed else None
        return all_of(
            same(len(gaps), SYNACK_RETRIES, "repetitions"),
            *(near(g, w, rel=0.125, unit="s") for g, w in zip(gaps, TIMERS_S, strict=False)),
            between(gone_s, GIVES_UP_S, 1.125 * GIVES_UP_S, unit="s half-open"),
            same(self._results(tables, "third-ack-lost", "accept"), ["still waiting"], "accept"),
        ).because("SYN+ACKs", seen)

    @claim(
        "Meanwhile the client believes in the connection: it is ESTABLISHED as soon as it has "
        "answered, and repeats its acknowledgement for every SYN+ACK.",
        source="RFC 9293 §3.5, §3.10.7.3, §3.10.7.4",
    )
    def client_believes_in_the_connection(self, tables: Tables) -> Verdict:
        """The client's state, its call, and its acknowledgements as they left."""
        asked = self._segments(tables, "third-ack-lost", by=SERVER_SIDE, has="SYN ACK")
        acks = self._segments(tables, "third-ack-lost", by=CLIENT_SIDE, without="SYN")
        came = self._segments(tables, "third-ack-lost", SERVER_SIDE, by=CLIENT_SIDE, without="SYN")
        return all_of(
            same(self._way(tables, "third-ack-lost", "h1"), ["SYN-SENT", "ESTABLISHED"], "h1"),
            same(self._results(tables, "third-ack-lost", "connect"), ["ok"], "connect"),
            near(len(acks), SYNACK_RETRIES + 1, abs=0, unit="acknowledgements sent"),
            near(len(asked), SYNACK_RETRIES + 1, abs=0, unit="SYN+ACKs"),
            at_most(len(came), 0, unit="of them arrived"),
        ).because("SYN+ACKs and answers", pd.concat([asked, acks]))

    @claim(
        "Data sent before the server gives up complete the handshake, because they acknowledge "
        "the SYN+ACK too.",
        source="RFC 9293 §3.10.7.4 (SYN-RECEIVED, ACK); ⚠ textbooks have a reset",
    )
    def data_complete_the_handshake(self, tables: Tables) -> Verdict:
        """No third segment comes; after 2 s the client sends five bytes."""
        came = self._segments(tables, "data-completes", SERVER_SIDE, by=CLIENT_SIDE, has="PSH")
        accepted = self._results(tables, "data-completes", "accept")
        resets = self._segments(tables, "data-completes", by=SERVER_SIDE, has="RST")
        return all_of(
            same(accepted[:1], ["still waiting"], "accept before"),
            same(len(accepted), 2, "attempts to accept"),
            same([r for r in accepted[1:] if r == "still waiting"], [], "accept after in vain"),
            same(self._results(tables, "data-completes", "receive"), ["5"], "bytes received"),
            at_most(len(resets), 0, unit="resets by the server"),
        ).because("the data", came)

    @claim(
        "Data sent after the server has given up are answered by RST: to the server there is no "
        "such connection.",
        source="RFC 9293 §3.5.2 (group 1), §3.10.7.1",
    )
    def data_too_late_draw_a_reset(self, tables: Tables) -> Verdict:
        """Five bytes, 12 s after the end of the half-open connection."""
        sent = self._segments(tables, "too-late", by=CLIENT_SIDE, has="PSH")
        resets = self._segments(tables, "too-late", by=SERVER_SIDE, has="RST")
        return all_of(
            near(len(sent), 1, abs=0, unit="segments with data"),
            same([int(s) for s in resets["tcp_seq"]], [ack(sent)], "RST with"),
            same(self._results(tables, "too-late", "receive"), ["ECONNRESET"], "receive"),
            same(self._way(tables, "too-late", "h1"), ["CLOSED"], "h1"),
        ).because("data and reset", pd.concat([sent, resets]))

    @claim(
        "Where the queue of connections to be accepted is full, the third segment is ignored as if "
        "it were lost, and new SYNs are dropped; once there is room, a repetition gets through.",
        source="listen(2), tcp(7): tcp_abort_on_overflow; RFC 9293 §3.9.1.1 (passive OPEN)",
    )
    def full_queues_are_as_loss(self, tables: Tables) -> Verdict:
        """Two clients at once where there is room for one; another while the queue is full."""
        return self._overflow(tables, "queue-full", 0)

    @claim(
        "With tcp_abort_on_overflow the third segment that finds the queue full is answered by "
        "RST; a SYN that finds it full is still dropped without a word.",
        source="ip-sysctl: tcp_abort_on_overflow",
    )
    def overflow_may_reset(self, tables: Tables) -> Verdict:
        """The same with the setting."""
        return self._overflow(tables, "overflow-reset", 1)

    def _overflow(self, tables: Tables, step: str, resets: int) -> Verdict:
        """What the server sends to the third client and to the fourth, and who is accepted."""
        back = self._segments(tables, step, by=SERVER_SIDE)
        third, fourth = (back[back["tcp_dport"] == queue_port(step, n)] for n in (3, 4))
        answers = pd.Series(flags_of(third), dtype=object)
        asked = self._segments(tables, step, by=CLIENT_SIDE, has="SYN")
        asked = asked[asked["tcp_sport"] == queue_port(step, 4)]
        accepted = [r for r in self._results(tables, step, "accept") if r != "still waiting"]
        ports = sorted(int(r.rpartition(":")[2]) for r in accepted)
        wanted = [queue_port(step, n) for n in (1, 2, 3, 4) if not (resets and n == 3)]
        said = self._results(tables, step, "connect", "client 3")
        return (
            all_of(
                near(int((answers == "RST").sum()), resets, abs=0, unit="resets to the third"),
                at_least(
                    int((answers == "SYN,ACK").sum()), 2 - resets, unit="SYN+ACKs to the third"
                ),
                same(said, ["ECONNRESET"] if resets else ["ok"], "the third's connect"),
                at_least(len(asked), 2, unit="SYNs of the fourth"),
                same([f for f in flags_of(fourth) if "RST" in f], [], "resets to the fourth"),
                same(ports, wanted, "accepted"),
            )
            .because("to the third", third)
            .because("the fourth's SYNs", asked)
        )

    def _half_open(self, tables: Tables, step: str) -> tuple[float, float] | None:
        """When the server's list had a connection in SYN-RECEIVED, and when no more."""
        listed = tables.of("observed", step=step, node="h2")
        there = listed[(listed["state"] == "SYN-RECEIVED") & (listed["port"] == PORTS[step])]
        if there.empty:
            return None
        last_s = float(there["time_s"].max())
        gone = listed[listed["time_s"] > last_s]["time_s"]
        return (float(there["time_s"].min()), float(gone.min())) if len(gone) else None
