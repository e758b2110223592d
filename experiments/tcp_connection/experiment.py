"""TCP connections: how they begin, how they end, and what goes wrong between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import kernel_states, segment_words
from analysis.plots import captures, tcp_states
from testbed import (
    Action,
    LinkShape,
    MissingDataError,
    Tables,
    compute_checksums,
    filter_packets,
    in_order,
    nothing,
    param,
    sockets,
    steps,
    sysctl,
)
from topologies.line import Line

from . import closing_steps as closing
from . import opening_steps as opening
from .observations import CLIENT_SIDE, SERVER_SIDE
from .states import States

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

QUIET_S = 2.0
ENDS = ("h1", "h2")
LADDERS = {
    "4_late_syn": ("late-syn", SERVER_SIDE),
    "5_old_syn_first": ("old-syn-first", CLIENT_SIDE),
    "6_third_ack_lost": ("third-ack-lost", SERVER_SIDE),
    "7_four_segments": ("four", CLIENT_SIDE),
    "8_three_segments": ("three", CLIENT_SIDE),
    "10_forged_resets": ("forged", CLIENT_SIDE),
}
"""Figure → step and capture."""


_NO_RESETS = "tcp flags rst drop"
BREAKS: dict[str, Action] = {
    "none": nothing,
    "lossy-start": filter_packets(
        "r2", "forward", "tcp dport 8001 limit rate 1/day burst 1 packets drop"
    ),
    "fixed-numbers": nothing,  # see `_opening_steps`
    "in-turn": nothing,  # see `_opening_steps` and `_closing_steps`
    "silent": nothing,  # see `_opening_steps`
    "linear": nothing,  # see `_opening_steps`
    "few-retries": in_order(
        sysctl("h1", "net.ipv4.tcp_syn_retries", 1), sysctl("h2", "net.ipv4.tcp_synack_retries", 2)
    ),
    "all-lost": nothing,  # see `_opening_steps`
    "roomy": nothing,  # see `_opening_steps`
    "swapped": nothing,  # see `_closing_steps`
    "deaf": nothing,  # see `_closing_steps`
    "patient": nothing,  # see `_reset_steps`
    "lucky": nothing,  # see `_reset_steps`
    "no-time-wait": in_order(
        *(sysctl(node, "net.ipv4.tcp_max_tw_buckets", 0) for node in ("h1", "h2"))
    ),
    "no-resets": in_order(
        *(filter_packets(node, "output", _NO_RESETS, table="fault") for node in ("h1", "h2"))
    ),
}
"""Faults: what is broken on purpose."""


class TcpConnection(States):
    """TCP connections: how they begin, how they end, and what goes wrong between.

    h1 and h2 open and close some thirty connections. Both ends are real kernels, which report the
    states; only the network between misbehaves: the router r1 loses, holds and repeats segments,
    and forges resets in the server's name.

    `faults` break things on purpose: see which claims fall with each.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(20.0, "one-way delay between h1 and h2", unit="ms", low=5, high=200)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=BREAKS
        )

    params: Parameters
    programs = ("nft",)

    # ---- in the network

    def topology(self) -> Line:
        """h1 and h2 behind a router each."""
        return Line(shape=LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """All connections, one after another."""
        net.trace("inet_sock_set_state", buffer_mb=4)
        for fault in self.params.faults:
            BREAKS[fault](net)
        compute_checksums(CLIENT_SIDE, SERVER_SIDE)(net)
        net.capture(CLIENT_SIDE, SERVER_SIDE)
        steps.play(net, self._steps(), quiet_s=QUIET_S)
        net.sleep(QUIET_S)

    def _steps(self) -> dict[str, Action]:
        return self._opening_steps() | self._closing_steps() | self._reset_steps()

    def _has(self, fault: str) -> bool:
        return fault in self.params.faults

    def _opening_steps(self) -> dict[str, Action]:
        isn = 1000 if self._has("fixed-numbers") else None
        backlog = 128 if self._has("roomy") else 1
        return {
            "handshake": opening.ordinary("handshake", isn),
            "again": opening.ordinary("again", isn),
            "both-open": opening.both_open(late_s=float(self._has("in-turn"))),
            "late-syn": opening.late_syn,
            "old-syn-first": opening.old_syn_first,
            "refused": opening.attempt("refused"),
            "rejected": opening.rejected(*(["drop"] if self._has("silent") else [])),
            "filtered": opening.filtered("filtered"),
            "doubling": opening.doubling(linear=4 * self._has("linear")),
            "data-completes": opening.data_completes(*([""] if self._has("all-lost") else [])),
            "third-ack-lost": opening.third_ack_lost(heals=not self._has("all-lost")),
            "queue-full": opening.queue_full("queue-full", 0, backlog),
            "overflow-reset": opening.queue_full("overflow-reset", 1, backlog),
        }

    def _closing_steps(self) -> dict[str, Action]:
        waits_s = (0.0, closing.THINKS_S)[:: -1 if self._has("swapped") else 1]
        return {
            "three": closing.close_after("three", waits_s[0]),
            "four": closing.close_after("four", waits_s[1]),
            "half-close": closing.half_close(listens=not self._has("deaf")),
            "both-close": closing.both_close(late_s=float(self._has("in-turn"))),
            "last-ack-lost": closing.last_ack_lost,
            "old-segment": closing.old_segment("old-segment", True),
            "assassinated": closing.old_segment("assassinated", False),
            "reopened": closing.reopened,
            "reuse": closing.reuse,
            "two-msl": closing.two_msl,
        }

    def _reset_steps(self) -> dict[str, Action]:
        limit_s = 0.0 if self._has("patient") else closing.USER_TIMEOUT_S
        return {
            "aborted": closing.aborted,
            "unread": closing.unread,
            "reader-gone": closing.reader_gone,
            "half-open": closing.half_open,
            "forged": closing.forged(*([(0, 0, 0)] if self._has("lucky") else [])),
            "alive": closing.alive(asks=not self._has("patient")),
            "dead": closing.dead(asks=not self._has("patient")),
            "unacknowledged": closing.unacknowledged(limit_s),
        }

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets by step, results of calls, lists of sockets, and changes of state."""
        tables = steps.measure(data, sockets.SEGMENT_COLUMNS)
        tables["packets"] = segment_words.described(tables["packets"])
        owner = {data.address(node): node for node in ("h1", "h2")}
        changes = kernel_states.transitions(data.trace("inet_sock_set_state"), owner)
        if changes.empty:
            raise MissingDataError("the kernel reported no change of state")
        seen = sockets.observed(data)
        more = {
            "calls": sockets.calls(data),
            "observed": seen,
            "states": kernel_states.with_records(changes, seen),
        }
        for table in more.values():
            table.insert(1, "step", steps.step_at(tables["steps"], table["time_s"]))
        return tables | more

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Any]:
        """State diagrams with the ways taken, exchanges as ladders, and states over time.

        Figures:
            1_states_ordinary: The standard's diagram, with the ways of both ends of an ordinary
                connection as their kernels reported them. The client closes first and waits.
            2_states_both_close: Both ends close at the same time: each passes through CLOSING, and
                both wait.
            3_states_both_open: Both ends open at the same time: no LISTEN, and one connection.
            4_late_syn: A copy of the SYN arrives when the connection is over. The server answers as
                it must; the client asks for nothing, and resets.
            5_old_syn_first: The client tries again from the same port, and its old SYN comes first.
                The second SYN+ACK answers the new one. Numbers count from the new SYN, so that
                those about the old one are negative.
            6_third_ack_lost: The third segment never arrives. The server repeats its SYN+ACK, each
                time after twice the time, and gives up after 63 s.
            7_four_segments: The server's program takes half a second to close, too.
            8_three_segments: It closes at once: the acknowledgement and its FIN are one segment.
            9_time_wait: The states of both ends over time. The end that closed first waits 60 s.
                SYN-RECEIVED has no width, because Linux creates the server's socket only when the
                third segment comes.
            10_forged_resets: Three resets in the server's name: far outside the window, inside it,
                and exact. The second draws an ACK, the third ends the connection.
        """
        return {
            "1_states_ordinary": self._diagram(tables, "four"),
            "2_states_both_close": self._diagram(tables, "both-close"),
            "3_states_both_open": self._diagram(tables, "both-open"),
            "9_time_wait": self._time_wait(tables),
            **{
                name: steps.ladder(tables, step, capture, hosts=ENDS)
                for name, (step, capture) in LADDERS.items()
            },
        }

    def _diagram(self, tables: Tables, step: str) -> Figure:
        """A step's ways through the states."""
        changes = tables.of("states")
        port = (opening.PORTS | closing.PORTS)[step]
        own = port + opening.OWN_PORTS
        ends = [("h1", own, port), ("h2", port, own)]
        path = kernel_states.path(changes, ends)
        return captures.states(path, ("h1", "h2"))

    def _time_wait(self, tables: Tables) -> Figure:
        """Both ends of the orderly connections over time."""
        rows: dict[str, tuple[str, int, int]] = {}
        for step in ("four", "three", "both-close"):
            port, own = closing.PORTS[step], closing.PORTS[step] + opening.OWN_PORTS
            rows |= {f"{step}: h1": ("h1", own, port), f"{step}: h2": ("h2", port, own)}
        return tcp_states.over_time(tables.of("states"), rows)
