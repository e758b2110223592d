"""Claims on how connections end otherwise: by resets, and by silence."""

from __future__ import annotations

import pandas as pd

from testbed import Tables, Verdict, all_of, at_least, between, claim, near, same

from .closing import Closing
from .closing_steps import (
    KEEP_IDLE_S,
    KEEP_INTERVAL_S,
    KEEP_PROBES,
    USER_TIMEOUT_S,
)
from .observations import CLIENT_SIDE, SERVER_SIDE, ack, after, flags_of, gaps_s, seq


class Resets(Closing):
    """How connections end otherwise."""

    @claim(
        "A program may abort: RST in place of FIN, an error for the other program, and nobody "
        "waits in TIME-WAIT. What had arrived should be discarded; Linux still hands it over.",
        source="RFC 9293 §3.6, §3.9.1.6 (ABORT), §3.10.7.4 (RST)",
    )
    def aborting_resets(self, tables: Tables) -> Verdict:
        """A client that gives up with SO_LINGER 0."""
        seen = self._segments(tables, "aborted")
        last = seen.tail(1)
        states = [*self._way(tables, "aborted", "h1"), *self._way(tables, "aborted", "h2")]
        return all_of(
            same(flags_of(last), ["RST,ACK"], "last segment"),
            same([f for f in flags_of(seen) if "FIN" in f], [], "FINs"),
            same(self._results(tables, "aborted", "receive"), ["6", "ECONNRESET"], "receive"),
            same("TIME-WAIT" in states, False, "TIME-WAIT"),
        ).because("the connection", seen)

    @claim(
        "Closing with unread data resets: the other end learns that what it sent is lost.",
        source="RFC 9293 §3.6 (MAY-1, SHLD-3); RFC 2525 §2.17",
    )
    def unread_data_reset(self, tables: Tables) -> Verdict:
        """A client that closes without having read."""
        mine = self._segments(tables, "unread", by=CLIENT_SIDE)
        return all_of(
            same(flags_of(mine.tail(1)), ["RST,ACK"], "the client's last segment"),
            same([f for f in flags_of(mine) if "FIN" in f], [], "FINs"),
            same(self._results(tables, "unread", "receive"), ["ECONNRESET"], "receive"),
        ).because("the client", mine)

    @claim(
        "Data for a socket that nobody has any more are answered by RST, and the program that "
        "goes on sending gets an error.",
        source="RFC 9293 §3.6 (SHLD-3), §3.10.7.1",
    )
    def data_for_nobody_reset(self, tables: Tables) -> Verdict:
        """A server that sends after the client's close."""
        data = self._segments(tables, "reader-gone", by=SERVER_SIDE, has="PSH")
        resets = self._segments(tables, "reader-gone", by=CLIENT_SIDE, has="RST")
        return all_of(
            near(len(data), 1, abs=0, unit="segments with data"),
            same([int(s) for s in resets["tcp_seq"]], [ack(data)], "RST with"),
            same(self._results(tables, "reader-gone", "send"), ["8", "EPIPE"], "send"),
        ).because("data and reset", pd.concat([data, resets]))

    @claim(
        "A host that lost its memory answers RST: the other end finds out that the connection is "
        "half-open as soon as it sends, and not before.",
        source="RFC 9293 §3.5.1, figure 10",
    )
    def half_open_connections_are_found_by_sending(self, tables: Tables) -> Verdict:
        """The client forgets; 5 s later the server sends."""
        listed = tables.of("observed", step="half-open")
        both = {
            str(node): sorted(set(rows["state"]) - {"TIME-WAIT"})
            for node, rows in listed.groupby("node")
        }
        data = self._segments(tables, "half-open", by=SERVER_SIDE, has="PSH")
        resets = self._segments(tables, "half-open", by=CLIENT_SIDE, has="RST")
        return all_of(
            same("ESTABLISHED" in both.get("h2", []), True, "h2 still has it"),
            same("ESTABLISHED" in both.get("h1", []), False, "h1 still has it"),
            same([int(s) for s in resets["tcp_seq"]], [ack(data)], "RST with"),
            same(self._results(tables, "half-open", "receive"), ["ECONNRESET"], "receive"),
        ).because("data and reset", pd.concat([data, resets]))

    @claim(
        "A forged reset must hit the next byte exactly: outside the window it is ignored, within "
        "it draws an ACK that asks the true peer.",
        source="RFC 5961 §3.2, RFC 9293 §3.10.7.4 (RST)",
    )
    def resets_must_be_exact(self, tables: Tables) -> Verdict:
        """Three resets in the server's name; h1's answers, and its state after each."""
        resets = self._segments(tables, "forged", by=SERVER_SIDE, has="RST").head(3)
        ends = [*resets["frame"].iloc[1:], float("inf")]
        mine = self._segments(tables, "forged", by=CLIENT_SIDE)
        answers = [
            flags_of(mine[(mine["frame"] > begin) & (mine["frame"] < end)])
            for begin, end in zip(resets["frame"], ends, strict=True)
        ]
        listed = tables.of("observed", step="forged", node="h1")
        alive = (listed["state"] == "ESTABLISHED").groupby(listed["time_s"]).any()
        return (
            all_of(
                same(answers, [[], ["ACK"], []], "answers"),
                same([bool(a) for a in alive], [True, True, False], "h1 has the connection"),
                same(
                    self._results(tables, "forged", "receive", "client")[-1:],
                    ["ECONNRESET"],
                    "then",
                ),
            )
            .because("resets", resets)
            .because("h1", mine)
        )

    @claim(
        "Keep-alive asks an idle peer by a segment without data whose number was acknowledged "
        "already; a living one answers, and the connection goes on.",
        source="RFC 9293 §3.8.4",
        bears_stall_s=0.5,
    )
    def keep_alive_asks_the_idle(self, tables: Tables) -> Verdict:
        """25 idle seconds with probes after 10 s."""
        opening = self._segments(tables, "alive", by=CLIENT_SIDE, has="SYN")
        mine = self._segments(tables, "alive", by=CLIENT_SIDE, without="SYN RST")
        probes = mine[mine["tcp_seq"].astype("int64") == seq(opening)]
        back = self._segments(tables, "alive", by=SERVER_SIDE, without="SYN")
        return all_of(
            near(len(probes), 2, abs=0, unit="probes"),
            *(near(g, KEEP_IDLE_S, rel=0.125, unit="s") for g in gaps_s(probes)),
            near(len(back), 2, abs=0, unit="answers"),
            same([int(a) for a in back["tcp_ack"]], [after(seq(opening))] * 2, "answers"),
            same(self._results(tables, "alive", "abort"), ["ok"], "alive in the end"),
        ).because("probes and answers", pd.concat([probes, back]))

    @claim(
        "If nobody answers, the connection is given up after the last probe: the program gets a "
        "timeout.",
        source="RFC 9293 §3.8.4; tcp(7): TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT",
        bears_stall_s=0.5,
    )
    def keep_alive_finds_the_dead(self, tables: Tables) -> Verdict:
        """10 s of silence, three probes 5 s apart."""
        mine = self._segments(tables, "dead", by=CLIENT_SIDE, without="SYN RST")
        opening = self._segments(tables, "dead", by=CLIENT_SIDE, has="SYN")
        probes = mine[mine["tcp_seq"].astype("int64") == seq(opening)]
        took_s = self._took_s(tables, "dead", "receive")
        wanted_s = KEEP_IDLE_S + KEEP_PROBES * KEEP_INTERVAL_S
        return all_of(
            near(len(probes), KEEP_PROBES, abs=0, unit="probes"),
            *(near(g, KEEP_INTERVAL_S, rel=0.125, unit="s") for g in gaps_s(probes)),
            same(self._results(tables, "dead", "receive"), ["ETIMEDOUT"], "receive"),
            between(took_s, wanted_s - 2, 1.125 * wanted_s, unit="s"),
        ).because("probes", probes)

    @claim(
        "A user timeout limits how long data may remain unacknowledged: then the connection is "
        "closed and the program gets a timeout.",
        source="RFC 9293 §3.9.1 (SEND), §3.10.8; RFC 5482",
        bears_stall_s=0.5,
    )
    def user_timeout_gives_up(self, tables: Tables) -> Verdict:
        """Data that are lost, and a limit of 10 s."""
        sent = self._segments(tables, "unacknowledged", by=CLIENT_SIDE, has="PSH")
        took_s = self._took_s(tables, "unacknowledged", "receive")
        return all_of(
            at_least(len(sent), 3, unit="times sent"),
            same(self._results(tables, "unacknowledged", "receive"), ["ETIMEDOUT"], "receive"),
            between(took_s, 0.9 * USER_TIMEOUT_S, 1.125 * USER_TIMEOUT_S, unit="s"),
        ).because("the data", sent)
