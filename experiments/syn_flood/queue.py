"""Claims on the queue of half-open connections."""

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
    near,
    same,
)

from .observations import (
    CLIENT_SIDE,
    FLOODS,
    SERVER_SIDE,
    TIMER_SLACK,
    Observations,
    each,
    lifetime_s,
)
from .queue_steps import (
    ACKS_LOST_S,
    FEW_RETRIES,
    HELD_SYNS,
    LENGTH_SYNS,
    LENGTHS,
)
from .stage import SHORT

RETRIES = 5
"""tcp_synack_retries by default."""

PRUNED_RETRIES = 2
"""A queue that is more than half full gives old entries up after so many repeats."""

GETS_IN = 0.2
"""Share of visitors that may find a place by luck: one that has just been given up."""


class Queue(Observations):
    """The queue of half-open connections."""

    @claim(
        "SYNs without third segments fill the queue of half-open connections: while the flood "
        "lasts, the server answers hardly any client; before it and after it, all of them.",
        source="RFC 4987 §2",
        scenarios=(FLOODS,),
        bears_stall_s=0.05,
    )
    def half_open_connections_shut_clients_out(self, tables: Tables) -> Verdict:
        """A visitor every half second, with a single SYN each."""
        visits = self._visits(tables)
        begun_s, over_s = self._flood_s(tables)
        fill_s = (SHORT + 1) / self.params.flood_pps
        gone_s = over_s + lifetime_s(RETRIES) * (1 + TIMER_SLACK)
        during = visits[visits["time_s"].between(begun_s + fill_s, over_s)]
        lost = self._segments(tables, "service", by=CLIENT_SIDE, has="SYN")
        lost = lost[lost["time_s"].between(begun_s + fill_s, over_s)]
        return all_of(
            at_least(_share(visits[visits["time_s"] < begun_s]), 1.0, what="before"),
            at_most(_share(during), GETS_IN, what="share of clients served in the flood"),
            at_least(_share(visits[visits["time_s"] > gone_s]), 1.0, what="afterwards"),
        ).because("SYNs of clients in the flood", lost.head(6))

    @claim(
        "It takes few packets: what keeps the queue full is one SYN for each place that is given "
        "up, however fast the link is.",
        source="RFC 4987 §2.2 (the backlog, not the link, is the limit)",
        scenarios=(FLOODS,),
    )
    def few_packets_suffice(self, tables: Tables) -> Verdict:
        """SYNs that took a place, as a share of all that came, and the places at any time."""
        syns = self._flood_syns(tables)
        taken = each(self._segments(tables, "service", by=SERVER_SIDE, has="SYN ACK"))
        taken = taken[taken["ip_dst"].isin(set(syns["ip_src"]))]
        queue = self._queue(tables, "service")
        times = self.params.flood_s / lifetime_s(PRUNED_RETRIES) + 1
        return all_of(
            between(
                len(taken), SHORT + 1, (SHORT + 1) * times, unit=f"of {len(syns)} SYNs took a place"
            ),
            same(int(queue["half_open"].max()), SHORT + 1, "half open"),
        ).because("SYN+ACKs of the flood", taken.head(6))

    @claim(
        "The queue has one place more than min(backlog, somaxconn); tcp_max_syn_backlog limits it "
        "only without SYN cookies, to three quarters of its value and one more.",
        source="Linux 7: inet_csk_reqsk_queue_is_full, tcp_conn_request; listen(2); ip-sysctl",
        scenarios=(FLOODS,),
    )
    def settings_make_the_queue(self, tables: Tables) -> Verdict:
        """What the kernel lists, and how many SYNs it answered, for five listeners."""
        queue = self._queue(tables, "lengths")
        answers = each(self._answers(tables, "lengths"))
        verdicts, shown = [], []
        for port, case in LENGTHS.items():
            listed = first(queue[queue["port"] == port], f"list of port {port}")
            answered = answers[answers["tcp_sport"] == port]
            expected = LENGTH_SYNS if case.syncookies else case.places
            name = (
                f"backlog {case.backlog}, somaxconn {case.somaxconn}, tcp_max_syn_backlog "
                f"{case.max_syn_backlog}{', cookies' if case.syncookies else ''}"
            )
            verdicts += [
                same(int(listed["half_open"]), case.places, f"{name}: half open"),
                same(len(answered), expected, f"{name}: SYNs answered"),
            ]
            shown.append(answered.tail(1))
        return all_of(*verdicts).because("last SYN that was answered", pd.concat(shown))

    @claim(
        "Each half-open connection is held for 63 s: the SYN+ACK is repeated after 1, 2, 4, 8 and "
        "16 s, and given up 32 s after that.",
        source="RFC 6298 §2, §5.5; tcp(7): tcp_synack_retries",
        scenarios=(FLOODS,),
        bears_stall_s=0.1,
    )
    def places_are_held_for_63_s(self, tables: Tables) -> Verdict:
        """Forty SYNs, which is less than half of the queue."""
        answers = self._answers(tables, "held")
        gaps = answers.groupby("tcp_dport")["time_s"].diff().dropna()
        number = answers.groupby("tcp_dport").cumcount()
        queue = self._queue(tables, "held")
        begun_s = float(answers["time_s"].min())
        full = queue[queue["half_open"] == queue["half_open"].max()]
        empty = queue[(queue["half_open"] == 0) & (queue["time_s"] > begun_s)]
        doubling = [
            near(float(gaps[number == n].mean()), 2.0 ** (n - 1), rel=TIMER_SLACK, unit="s")
            for n in range(1, RETRIES + 1)
        ]
        held_s = lifetime_s(RETRIES)
        return all_of(
            same(int(queue["half_open"].max()), HELD_SYNS, "half open"),
            same(len(answers), HELD_SYNS * (RETRIES + 1), "SYN+ACKs"),
            *doubling,
            at_least(float(full["time_s"].max()) - begun_s, held_s - 1, unit="s all of them"),
            between(
                float(empty["time_s"].min()) - begun_s,
                held_s,
                held_s * (1 + TIMER_SLACK) + 1,
                unit="s until none is left",
            ),
        ).because("SYN+ACKs of one of them", answers[answers["tcp_dport"] == _a_port(answers)])

    @claim(
        "A queue that is more than half full is pruned: Linux gives old entries up after two "
        "repeats, 7 s, until half of the places are free; only the others get their 63 s.",
        source="Linux 7: reqsk_timer_handler",
        scenarios=(FLOODS,),
        bears_stall_s=0.1,
    )
    def long_queues_are_pruned(self, tables: Tables) -> Verdict:
        """More SYNs than places, and the queue until it is empty."""
        queue = self._queue(tables, "pruned")
        begun_s = float(self._answers(tables, "pruned")["time_s"].min())
        age_s = queue["time_s"] - begun_s
        early_s = lifetime_s(PRUNED_RETRIES)
        young = queue[age_s < early_s - 1]
        old = queue[age_s.between(early_s * (1 + TIMER_SLACK) + 1, lifetime_s(RETRIES) - 1)]
        gone = queue[age_s > lifetime_s(RETRIES) * (1 + TIMER_SLACK) + 1]
        return all_of(
            same(_values(young.iloc[1:]), [SHORT + 1], "half open at first"),
            same(_values(old), [SHORT // 2], "from 8 s to 62 s"),
            same(_values(gone), [0], "after 72 s"),
        ).because("the queue", queue[["time_s", "half_open"]].iloc[8:20], scenario=FLOODS)

    @claim(
        "With tcp_synack_retries = 1 each place is free again after 3 s instead of 63 s: the same "
        "queue stands 21 times the rate of SYNs.",
        source="tcp(7): tcp_synack_retries; RFC 4987 §3.3",
        scenarios=(FLOODS,),
        bears_stall_s=0.1,
    )
    def few_retries_free_places(self, tables: Tables) -> Verdict:
        """Forty SYNs, as with the default."""
        answers = self._answers(tables, "few-retries")
        queue = self._queue(tables, "few-retries")
        begun_s = float(answers["time_s"].min())
        empty = queue[(queue["half_open"] == 0) & (queue["time_s"] > begun_s)]
        held_s = lifetime_s(FEW_RETRIES)
        return all_of(
            same(len(answers), HELD_SYNS * (FEW_RETRIES + 1), "SYN+ACKs"),
            between(
                float(empty["time_s"].min()) - begun_s,
                held_s,
                held_s * (1 + TIMER_SLACK) + 1,
                unit="s until none is left",
            ),
        ).because("SYN+ACKs of one of them", answers[answers["tcp_dport"] == _a_port(answers)])

    @claim(
        "The price: a client whose acknowledgements are lost for some seconds believes in a "
        "connection of which the server knows nothing any more.",
        source="RFC 4987 §3.3; RFC 9293 §3.5",
        scenarios=(FLOODS,),
    )
    def few_retries_cost_unlucky_clients(self, tables: Tables) -> Verdict:
        """Acknowledgements are lost for 4 s; the server speaks first."""
        verdicts = []
        for step, lucky in {"acks-lost": True, "acks-lost-few": False}.items():
            got = self._results(tables, step, "receive")[:1]
            verdicts += [
                same(self._results(tables, step, "connect")[:1], ["ok"], f"{step}: connect"),
                same(got, ["5" if lucky else "still waiting"], f"{step}: receive"),
            ]
        few = self._answers(tables, "acks-lost-few")
        return all_of(
            *verdicts, same(len(few), 1 + FEW_RETRIES, f"SYN+ACKs in {ACKS_LOST_S:g} s")
        ).because("SYN+ACKs to the unlucky client", few)

    # ---- what the claims look at

    def _visits(self, tables: Tables) -> pd.DataFrame:
        """Attempts to connect in the step `service`; `time_s` is when the visitor left."""
        calls = tables.of("calls", scenario=FLOODS, step="service")
        return calls[(calls["call"] == "connect") & (calls["socket"] == "client")]

    def _flood_syns(self, tables: Tables) -> pd.DataFrame:
        """SYNs of the flood in that step."""
        syns = self._segments(tables, "service", has="SYN", without="ACK")
        return syns[syns["ip_src"] != self._client_address(tables)]

    def _flood_s(self, tables: Tables) -> tuple[float, float]:
        """Its begin and end."""
        seen = self._flood_syns(tables)["time_s"]
        if seen.empty:
            raise MissingDataError("no SYN of the flood was captured")
        return float(seen.min()), float(seen.max())


def _share(visits: pd.DataFrame) -> float:
    """Share of visitors that got their connection; NaN if there were none."""
    return float((visits["result"] == "ok").mean())


def _values(queue: pd.DataFrame) -> list[int]:
    return sorted({int(n) for n in queue["half_open"]})


def _a_port(segments: pd.DataFrame) -> int:
    return int(first(segments, "SYN+ACK")["tcp_dport"])
