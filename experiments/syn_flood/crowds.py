"""Claims on connections that are complete: idle ones, and requests that take their time."""

from __future__ import annotations

import pandas as pd

from testbed import (
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    first,
    same,
)

from .crowd_steps import (
    IDLE,
    LONG_PATIENCE_S,
    SLOW,
    SLOW_MANY,
    SLOW_TOO_MANY,
    SOURCES,
)
from .observations import ATTACKER_SIDE, CLIENT_SIDE, CROWDS, SERVER_SIDE, each
from .servers import EVENT_CONNECTIONS, HEADER_S, PER_SOURCE, WORKERS
from .sources import BYSTANDER_SIDE, Sources

OK, TIMED_OUT = 200, 408

LINGER_S = 3.0
"""Apache goes on reading for up to 2 s when it has closed; it looks at its clock every second."""

SYN, FIN_OR_RST = 0x02, 0x05


class Crowds(Sources):
    """Connections that are complete."""

    @claim(
        "Cookies do not help against connections that are complete: they occupy the server's "
        "processes, and a client's connection is opened but nobody answers its request.",
        source="RFC 4987 §3.6; RFC 4732 §2.1.2",
        scenarios=(CROWDS,),
    )
    def complete_connections_exhaust_the_server(self, tables: Tables) -> Verdict:
        """Twenty idle connections and eight processes, with cookies for every SYN."""
        crowd = self._completed(tables, "idle", ATTACKER_SIDE)
        return all_of(
            at_least(len(crowd), WORKERS, unit="complete connections of the attacker"),
            self._shut_out(tables, "idle"),
        ).because("the client", self._requests(tables, "idle"))

    @claim(
        "A limit of connections for each source address keeps the others' places free.",
        source="HAProxy: stick-table conn_cur, tcp-request connection reject; RFC 4732 §2.1.2",
        scenarios=(CROWDS,),
    )
    def limits_keep_places_free(self, tables: Tables) -> Verdict:
        """The same crowd, and HAProxy in front of Apache."""
        crowd = self._completed(tables, "limited", ATTACKER_SIDE)
        kept = self._kept(tables, "limited", ATTACKER_SIDE)
        return all_of(
            same(len(crowd), IDLE, "complete connections of the attacker"),
            same(kept, PER_SOURCE, "of them kept"),
            at_most(self._answers_s(tables, "limited")[0], 1.0, unit="s", what="answer"),
        ).because("the client", self._requests(tables, "limited"))

    @claim(
        "The limit also hits honest users who share one address, as behind a NAT.",
        source="RFC 6269 §13.1 (penalty boxes)",
        scenarios=(CROWDS,),
    )
    def limits_hit_shared_addresses(self, tables: Tables) -> Verdict:
        """Six users behind one address, with one connection each."""
        users = self._completed(tables, "shared", BYSTANDER_SIDE)
        told = self._segments(tables, "shared", by=SERVER_SIDE, to=BYSTANDER_SIDE, scenario=CROWDS)
        served = told[told["status"] == OK]
        return all_of(
            same(len(users), PER_SOURCE + 1, "users"), same(len(served), PER_SOURCE, "served")
        ).because("answers", served)

    @claim(
        "More sources, each below the limit, exhaust the server again: a limit per source is no "
        "answer to a distributed attack.",
        source="arithmetic: sources x limit; RFC 4732 §2.1.2",
        scenarios=(CROWDS,),
    )
    def many_sources_stay_below_the_limit(self, tables: Tables) -> Verdict:
        """As many connections as before, from four addresses."""
        seen = self._segments(tables, "many-sources", has="SYN", without="ACK", scenario=CROWDS)
        crowd = seen[seen["ip_src"] != self._client_address(tables, CROWDS)]
        return all_of(
            same(crowd["ip_src"].nunique(), SOURCES, "addresses"),
            same(len(each(crowd)), SOURCES * PER_SOURCE, "connections"),
            self._shut_out(tables, "many-sources"),
        ).because("SYNs", crowd.head(6))

    @claim(
        "A few slow requests stop a server with a process for each connection: each process waits "
        "for the end of a header that comes a byte at a time.",
        source="RFC 4732 §2.1.2; RFC 9112 §9.5; CWE-400",
        scenarios=(CROWDS,),
    )
    def slow_requests_occupy_processes(self, tables: Tables) -> Verdict:
        """Ten requests, a byte each every 5 s; a client that waits for 30 s."""
        sent = self._segments(tables, "slow-apache", by=ATTACKER_SIDE, scenario=CROWDS)
        asked = first(self._requests(tables, "slow-apache"), "request of the client")
        during = sent[sent["time_s"] > asked["time_s"]]
        rate_bps = 8 * float(during["tcp_payload_bytes"].sum()) / LONG_PATIENCE_S
        return all_of(
            same(len(self._completed(tables, "slow-apache", ATTACKER_SIDE)), SLOW, "slow requests"),
            at_most(rate_bps, 1000.0, unit="bit/s of requests keep it so"),
            self._shut_out(tables, "slow-apache"),
        ).because("the slow requests", during[during["tcp_payload_bytes"] > 0].head(6))

    @claim(
        "An event-driven server holds such a connection without a process: ten times as many "
        "do no harm. It has a limit as well, only a higher one.",
        source="nginx: worker_connections; RFC 4732 §2.1.2",
        scenarios=(CROWDS,),
    )
    def event_driven_servers_bear_more(self, tables: Tables) -> Verdict:
        """One hundred slow requests, and more than its limit."""
        crowd = {
            s: len(self._completed(tables, s, ATTACKER_SIDE)) for s in ("slow-nginx", "slow-full")
        }
        return all_of(
            same(crowd["slow-nginx"], SLOW_MANY, "slow requests"),
            at_most(self._answers_s(tables, "slow-nginx")[0], 1.0, unit="s", what="answer"),
            same(crowd["slow-full"], SLOW_TOO_MANY, f"slow requests, limit {EVENT_CONNECTIONS}"),
            self._shut_out(tables, "slow-full"),
        ).because("the client", self._requests(tables, "slow-nginx"))

    @claim(
        "The cure is a limit on the time for the header: the slow connections are cut off, and "
        "the client is served.",
        source="RFC 9110 §15.5.9 (408); Apache: RequestReadTimeout",
        scenarios=(CROWDS,),
        bears_stall_s=0.5,
    )
    def time_limits_cut_slow_requests_off(self, tables: Tables) -> Verdict:
        """The same ten requests."""
        told = self._segments(
            tables, "slow-cured", by=SERVER_SIDE, to=ATTACKER_SIDE, scenario=CROWDS
        )
        cut = told[told["status"] == TIMED_OUT]
        answer_s = self._answers_s(tables, "slow-cured")[0]
        return all_of(
            same(len(cut), SLOW, "answers 408"),
            between(answer_s, 0.0, HEADER_S + LINGER_S, unit="s", what="answer to the client"),
        ).because("408", cut.head(4))

    @claim(
        "The price: a client that means well on a very slow line is cut off as well.",
        source="RFC 9110 §15.5.9",
        scenarios=(CROWDS,),
        bears_stall_s=0.5,
    )
    def time_limits_hit_slow_lines(self, tables: Tables) -> Verdict:
        """A whole request, of which a byte comes each second."""
        told = self._segments(
            tables, "slow-honest", by=SERVER_SIDE, to=CLIENT_SIDE, scenario=CROWDS
        )
        answers = told[told["status"] > 0]
        asked = self._requests(tables, "slow-honest")
        after_s = answers["time_s"].min() - asked["time_s"].min()
        return all_of(
            same([int(s) for s in answers["status"]], [TIMED_OUT], "answer"),
            between(
                float(after_s), HEADER_S - 1, HEADER_S + LINGER_S, unit="s after its first byte"
            ),
        ).because("the answer", answers)

    # ---- what the claims look at

    def _completed(self, tables: Tables, step: str, side: str) -> pd.DataFrame:
        """The third segments of a node's handshakes."""
        mine = self._segments(tables, step, by=side, has="ACK", without="SYN", scenario=CROWDS)
        return each(mine)

    def _shut_out(self, tables: Tables, step: str) -> Verdict:
        """The client is served only when the crowd is gone: the server was full, and not dead."""
        times = self._answers_s(tables, step)
        if len(times) < 2:
            raise MissingDataError(f"no second request of the client in {step}")
        return all_of(
            same(times[0], None, f"first request in {step} answered after, in s"),
            at_most(times[1], 1.0, unit="s", what=f"answer in {step} when they are gone"),
        )

    def _kept(self, tables: Tables, step: str, side: str) -> int:
        """Connections of a node that the server did not end before the client's first request."""
        asked = first(self._requests(tables, step), "request of the client")
        told = self._segments(tables, step, by=SERVER_SIDE, to=side, scenario=CROWDS)
        ends = told[(told["tcp_flags"].astype(int) & FIN_OR_RST) > 0]
        ended = each(ends[ends["time_s"] < asked["time_s"]])
        return len(self._completed(tables, step, side)) - len(ended)

    def _requests(self, tables: Tables, step: str) -> pd.DataFrame:
        """The first segment with data on each of the client's connections."""
        mine = self._segments(tables, step, CLIENT_SIDE, by=CLIENT_SIDE, scenario=CROWDS)
        return each(mine[mine["tcp_payload_bytes"] > 0])

    def _answers_s(self, tables: Tables, step: str) -> list[float | None]:
        """How long each of the client's requests waited for its answer; None: in vain."""
        told = self._segments(tables, step, CLIENT_SIDE, by=SERVER_SIDE, scenario=CROWDS)
        told = told[told["status"] == OK]
        left = self._segments(tables, step, CLIENT_SIDE, by=CLIENT_SIDE, has="FIN", scenario=CROWDS)
        found: list[float | None] = []
        for asked in self._requests(tables, step).itertuples():
            answer = told[told["tcp_dport"] == asked.tcp_sport]["time_s"].min()
            gave_up = left[left["tcp_sport"] == asked.tcp_sport]["time_s"].min()
            late = pd.isna(answer) or answer > gave_up
            found.append(None if late else float(answer - asked.time_s))
        if not found:
            raise MissingDataError(f"no request of the client in {step}")
        return found
