"""Claims on how connections end in peace: FINs, half-closed connections, TIME-WAIT."""

from __future__ import annotations

import pandas as pd

from analysis import packets
from testbed import Tables, Verdict, all_of, at_least, at_most, between, claim, first, near, same

from .closing_steps import PORTS, REST_BYTES, THINKS_S
from .half_open import HalfOpen
from .observations import CLIENT_SIDE, SERVER_SIDE, ack, after, flags_of, seq
from .opening_steps import OWN_PORTS

TIME_WAIT_S = 60.0
"""Linux's TCP_TIMEWAIT_LEN, whatever tcp_fin_timeout is. Its timers expire up to an eighth late."""

FIRST_WAY = ["FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"]
SECOND_WAY = ["CLOSE-WAIT", "LAST-ACK", "CLOSED"]


class Closing(HalfOpen):
    """How connections end in peace."""

    @claim(
        "Four segments end a connection: FIN with u, ACK u+1; and when the other end has nothing "
        "more to send, its FIN with w, ACK w+1.",
        source="RFC 9293 §3.6, figure 12",
    )
    def four_segments_close(self, tables: Tables) -> Verdict:
        """The server's program takes half a second to close, too."""
        seen = self._from_first_fin(tables, "four")
        u, w = seq(seen, 0), seq(seen, 2)
        wait_s = float(seen["time_s"].diff().max()) if len(seen) > 1 else None
        return all_of(
            same(flags_of(seen), ["FIN,ACK", "ACK", "FIN,ACK", "ACK"], "flags"),
            same([ack(seen, 1), ack(seen, 3)], [after(u), after(w)], "ACKs"),
            near(wait_s, THINKS_S, rel=0.1, unit="s between"),
            same(self._way(tables, "four", "h1")[-3:], FIRST_WAY, "h1"),
            same(self._way(tables, "four", "h2")[-3:], SECOND_WAY, "h2"),
        ).because("the end", seen)

    @claim(
        "Three segments suffice where the other end closes before its acknowledgement is due: the "
        "ACK of the first FIN and the second FIN are one segment.",
        source="RFC 9293 §3.6, §3.8.6.3 (delayed acknowledgement)",
    )
    def three_segments_may_close(self, tables: Tables) -> Verdict:
        """The server's program closes at once."""
        seen = self._from_first_fin(tables, "three")
        u, w = seq(seen, 0), seq(seen, 1)
        return all_of(
            same(flags_of(seen), ["FIN,ACK", "FIN,ACK", "ACK"], "flags"),
            same([ack(seen, 1), ack(seen, 2)], [after(u), after(w)], "ACKs"),
        ).because("the end", seen)

    @claim(
        "After its FIN an end may go on receiving: the connection is half closed, and the other "
        "end's data still flow and are acknowledged.",
        source="RFC 9293 §3.6 (case 1)",
    )
    def half_closed_connections_carry_data(self, tables: Tables) -> Verdict:
        """20,000 bytes that the server sends to a client in FIN-WAIT-2."""
        fin = self._segments(tables, "half-close", by=CLIENT_SIDE, has="FIN")
        came = self._segments(tables, "half-close", by=SERVER_SIDE)
        came = came[(came["tcp_payload_bytes"] > 0) & (came["time_s"] > fin["time_s"].min())]
        got = self._results(tables, "half-close", "receive")
        way = self._changes(tables, "half-close", "h1")
        begin = first(way[way["after"] == "FIN-WAIT-2"], "change of h1 to FIN-WAIT-2")
        end = first(way[way["before"] == "FIN-WAIT-2"], "change of h1 from FIN-WAIT-2")
        inside = came["time_s"].between(begin["time_s"], end["time_s"])
        return all_of(
            near(float(came["tcp_payload_bytes"].sum()), REST_BYTES, abs=0, unit="bytes after FIN"),
            same(got[-1:], [str(REST_BYTES)], "bytes received"),
            at_least(int(inside.sum()), 2, unit="segments in FIN-WAIT-2"),
        ).because("FIN, and data after it", pd.concat([fin, came]))

    @claim(
        "Ends that close at the same time pass through CLOSING: each gets the other's FIN before "
        "the acknowledgement of its own, and both wait in TIME-WAIT.",
        source="RFC 9293 §3.6, figure 13",
    )
    def simultaneous_close_passes_closing(self, tables: Tables) -> Verdict:
        """Both ends' ways."""
        ways = {node: self._way(tables, "both-close", node)[-3:] for node in ("h1", "h2")}
        wanted = ["FIN-WAIT-1", "CLOSING", "TIME-WAIT"]
        seen = self._from_first_fin(tables, "both-close")
        return all_of(
            same(ways, {"h1": wanted, "h2": wanted}, "ways"),
            same(sorted(flags_of(seen)), ["ACK", "ACK", "FIN,ACK", "FIN,ACK"], "flags"),
        ).because("the end", seen)

    @claim(
        "TIME-WAIT is reached in three ways: from FIN-WAIT-2 by the other end's FIN, from CLOSING "
        "by the acknowledgement, and from FIN-WAIT-1 by a segment that is both; there, Linux "
        "passes through FIN-WAIT-2 for an instant.",
        source="RFC 9293 §3.3.2, figure 5 and note 3",
    )
    def time_wait_is_reached_in_three_ways(self, tables: Tables) -> Verdict:
        """The last states before TIME-WAIT, and for how long h1 was in FIN-WAIT-2."""
        way = self._changes(tables, "three", "h1")
        stay = way[way["before"] == "FIN-WAIT-2"]["time_s"].max()
        stay -= way[way["after"] == "FIN-WAIT-2"]["time_s"].max()
        ends = {
            step: self._way(tables, step, "h1")[-3:-1] for step in ("four", "both-close", "three")
        }
        long = self._changes(tables, "four", "h1")
        long_s = long[long["before"] == "FIN-WAIT-2"]["time_s"].max()
        long_s -= long[long["after"] == "FIN-WAIT-2"]["time_s"].max()
        return all_of(
            same(ends["four"], FIRST_WAY[:2], "by FIN"),
            same(ends["both-close"], ["FIN-WAIT-1", "CLOSING"], "by ACK"),
            same(ends["three"], FIRST_WAY[:2], "by both"),
            at_least(float(long_s), THINKS_S / 2, unit="s in FIN-WAIT-2 with two segments"),
            at_most(float(stay), 1e-4, unit="s in FIN-WAIT-2 with one"),
        ).because("with one segment", way, scenario="main")

    @claim(
        "TIME-WAIT lasts 60 s in Linux, at the end that closed first; the standard asks for twice "
        "the MSL, and takes 2 minutes for that.",
        source="RFC 9293 §3.4.2, §3.6.1 (⚠ 2 MSL would be 4 minutes)",
        bears_stall_s=0.5,
    )
    def time_wait_lasts_sixty_seconds(self, tables: Tables) -> Verdict:
        """From the change of state to the list of sockets without it."""
        mine = tables.of("states", node="h1", port=PORTS["four"] + OWN_PORTS)
        other = tables.of("states", node="h2", port=PORTS["four"])
        began = mine[mine["after"] == "TIME-WAIT"]["time_s"]
        ended = mine[mine["before"] == "TIME-WAIT"]["time_s"]
        lasted_s = float(ended.min() - began.max()) if len(began) else 0.0  # NaN: no end was seen
        return all_of(
            between(lasted_s, TIME_WAIT_S, 1.125 * TIME_WAIT_S, unit="s"),
            at_most(int((other["after"] == "TIME-WAIT").sum()), 0, unit="of them at the other end"),
        ).because("changes", mine, scenario="main")

    @claim(
        "If the last ACK is lost, the other end repeats its FIN, and TIME-WAIT answers it.",
        source="RFC 9293 §3.6.1, §3.10.7.4 (TIME-WAIT, FIN)",
    )
    def lost_last_ack_is_repeated(self, tables: Tables) -> Verdict:
        """The network loses the first answer to the server's FIN."""
        fins = self._segments(tables, "last-ack-lost", by=SERVER_SIDE, has="FIN")
        w = seq(fins)
        acks = self._segments(tables, "last-ack-lost", by=CLIENT_SIDE, without="SYN FIN")
        acks = acks[acks["frame"] > fins["frame"].min()]
        came = self._segments(tables, "last-ack-lost", SERVER_SIDE, by=CLIENT_SIDE)
        came = came[came["time_s"] > fins["time_s"].min()]
        way = self._changes(tables, "last-ack-lost", "h1")
        waits = way[way["after"] == "TIME-WAIT"]["time_s"]
        return all_of(
            same([int(s) for s in fins["tcp_seq"]], [w, w], "FINs"),
            same([int(a) for a in acks["tcp_ack"]], [after(w)] * 2, "ACKs"),
            near(len(came), 1, abs=0, unit="ACKs that arrived"),
            same(self._way(tables, "last-ack-lost", "h2")[-3:], SECOND_WAY, "h2"),
            at_least(float(acks["time_s"].max() - waits.max()), 0.1, unit="s into TIME-WAIT"),
        ).because("FINs and answers", pd.concat([fins, acks]))

    @claim(
        "An old segment dies in TIME-WAIT: it is answered by an ACK of what is expected, and no "
        "program hears of it.",
        source="RFC 9293 §3.6.1, §3.10.7.4 (first check)",
    )
    def old_segments_die_in_time_wait(self, tables: Tables) -> Verdict:
        """A copy of the server's answer, one second after the end; h1 ignores resets now."""
        copy, answer = self._late(tables, "old-segment")
        fin = self._segments(tables, "old-segment", by=SERVER_SIDE, has="FIN")
        return all_of(
            near(len(copy), 1, abs=0, unit="old segments"),
            same(flags_of(answer), ["ACK"], "answer"),
            same(ack(answer), after(seq(fin)), "it acknowledges"),
            same(self._still_waits(tables, "old-segment"), [True, True], "in TIME-WAIT"),
        ).because("the old segment and its answer", pd.concat([copy, answer]))

    @claim(
        "That answer can kill TIME-WAIT: the other end, which knows nothing any more, resets it, "
        "and Linux believes this unless tcp_rfc1337 is set.",
        source="RFC 1337 §1, §3",
    )
    def resets_can_assassinate_time_wait(self, tables: Tables) -> Verdict:
        """The same old segment with the default, and with the setting."""
        resets = {
            step: self._segments(tables, step, by=SERVER_SIDE, has="RST")
            for step in ("assassinated", "old-segment")
        }
        return all_of(
            same({s: len(r) for s, r in resets.items()}, dict.fromkeys(resets, 1), "resets"),
            same(self._still_waits(tables, "assassinated"), [True, False], "by default"),
            same(self._still_waits(tables, "old-segment"), [True, True], "with tcp_rfc1337"),
        ).because("resets", pd.concat(resets.values()))

    @claim(
        "A new SYN with a later timestamp opens a new connection out of TIME-WAIT, between the "
        "same ports.",
        source="RFC 6191 §2; RFC 9293 §3.6.1",
    )
    def new_connections_may_follow(self, tables: Tables) -> Verdict:
        """The server ends a connection; 3 s later the client opens the next."""
        syns = self._segments(tables, "reopened", by=CLIENT_SIDE, has="SYN")
        stamps = [int(s) for s in syns["tcp_tsval"].dropna()]
        way = self._changes(tables, "reopened", "h2")
        listed = tables.of("observed", step="reopened", node="h2")
        before = listed[listed["time_s"] < syns["time_s"].max()]
        return all_of(
            same(self._results(tables, "reopened", "connect"), ["ok", "ok"], "connect"),
            same(stamps == sorted(set(stamps)), True, "timestamps grow"),
            same("TIME-WAIT" in set(before["state"]), True, "in TIME-WAIT before"),
            near(int((way["after"] == "ESTABLISHED").sum()), 2, abs=0, unit="connections"),
        ).because("SYNs", syns)

    @claim(
        "While a connection of a port is in TIME-WAIT, only a socket with SO_REUSEADDR gets the "
        "port again.",
        source="socket(7): SO_REUSEADDR; RFC 9293 §3.9.1.1",
    )
    def reuseaddr_gets_the_port(self, tables: Tables) -> Verdict:
        """A server that starts again, without and with the option."""
        listed = tables.of("observed", step="reuse", node="h2")
        mine = listed[listed["port"] == PORTS["reuse"]]
        return all_of(
            same(set(mine["state"]), {"TIME-WAIT"}, "the port's connection"),
            same(self._results(tables, "reuse", "bind"), ["EADDRINUSE", "ok"], "bind"),
        ).because("the server's sockets", mine, scenario="main")

    # ---- what the claims look at

    def _from_first_fin(self, tables: Tables, step: str) -> pd.DataFrame:
        """A step's segments at h1 from the first FIN on."""
        seen = self._segments(tables, step)
        fins = seen[packets.has_flags(seen, "FIN")]
        return seen[seen["frame"] >= fins["frame"].min()] if len(fins) else fins

    def _late(self, tables: Tables, step: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The old segment that comes after the end, and what h1 says next."""
        end = self._segments(tables, step, by=SERVER_SIDE, has="FIN")["time_s"].max()
        later = self._segments(tables, step)
        later = later[later["time_s"] > end + 0.5]
        back = self._segments(tables, step, by=CLIENT_SIDE)
        return later[later["tcp_payload_bytes"] > 0], back[back["time_s"] > end + 0.5]

    def _still_waits(self, tables: Tables, step: str) -> list[bool]:
        """Whether h1's lists before and after the old segment have the end in TIME-WAIT."""
        listed = tables.of("observed", step=step, node="h1")
        mine = (listed["port"] == PORTS[step] + OWN_PORTS) & (listed["state"] == "TIME-WAIT")
        return [bool(found) for found in mine.groupby(listed["time_s"]).any()]
