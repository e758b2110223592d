"""A page with many resources: round trips and bytes of each way to fetch it."""

from __future__ import annotations

import math

import pandas as pd

from testbed import MSS_BYTES, Experiment, Tables, Verdict, all_of, claim, near, same

from .acts import PARALLEL
from .servers import LARGE, LARGE_BYTES
from .talk import (
    CONTROL_BYTES,
    FIN,
    SYN,
    both,
    flagged,
    openings,
    round_trips,
    said,
    segments,
    setting,
)

FIRST_WINDOW = 10
"""Segments that TCP sends before the first acknowledgement (RFC 6928)."""

SLACK = 0.25
"""Round trips; every formula gives whole ones."""

STALL_S = 0.001


def flights(size_bytes: int) -> int:
    """Round trips that a new connection takes for a response, doubling its window in each."""
    return math.ceil(math.log2(math.ceil(size_bytes / MSS_BYTES) / FIRST_WINDOW + 1))


class Pages(Experiment):
    """A page with many resources: round trips and bytes of each way to fetch it."""

    @claim(
        "Short connections cost a handshake per resource: n resources one after another take 2n "
        "round trips.",
        source="RFC 1945 §1.3; RFC 9293 §3.5",
        bears_stall_s=STALL_S,
    )
    def short_connections_shake_hands_each_time(self, tables: Tables) -> Verdict:
        """curl with HTTP/1.0."""
        count = _resources(tables)
        return _page(tables, "short", connections=count, trips=2 * count)

    @claim(
        "A persistent connection saves them: n resources take n + 1 round trips; HTTP/1.1 keeps "
        "connections without being asked.",
        source="RFC 9112 §9.3",
        bears_stall_s=STALL_S,
    )
    def persistent_connections_save_handshakes(self, tables: Tables) -> Verdict:
        """curl with HTTP/1.1."""
        count = _resources(tables)
        return _page(tables, "kept", connections=1, trips=count + 1)

    @claim(
        "Pipelined, all requests travel together: n resources take 2 round trips, while they fit "
        "into TCP's first window.",
        source="RFC 9112 §9.3.2; RFC 6928 §2",
        bears_stall_s=STALL_S,
    )
    def pipelining_takes_two_round_trips(self, tables: Tables) -> Verdict:
        """All requests in one segment; the responses in the requests' order."""
        asked = [str(target) for target in said(tables, "pipelined", "request")["target"]]
        wanted = [f"/small/{n}.txt" for n in range(1, _resources(tables) + 1)]
        return all_of(
            _page(tables, "pipelined", connections=1, trips=2),
            same(asked, wanted, "requests"),
        )

    @claim(
        "A client with k connections fetches k resources at a time: 1 + n/k round trips (rounded "
        "up) instead of n + 1.",
        source="RFC 9112 §9.4",
        bears_stall_s=STALL_S,
    )
    def parallel_connections_share_the_page(self, tables: Tables) -> Verdict:
        """curl with as many as browsers open."""
        count = _resources(tables)
        ways = min(PARALLEL, count)
        return _page(tables, "parallel", connections=ways, trips=1 + math.ceil(count / ways))

    @claim(
        "On each new connection slow start begins again, so large resources pay more than the "
        "handshake; a persistent connection has grown its window once.",
        source="RFC 5681 §3.1; RFC 6928 §2; RFC 9112 §9.3",
        bears_stall_s=STALL_S,
    )
    def slow_start_begins_again(self, tables: Tables) -> Verdict:
        """Large files: the flights of each, from the first window and its doubling."""
        each = flights(LARGE_BYTES)
        return all_of(
            _page(tables, "short-large", connections=LARGE, trips=LARGE * (1 + each)),
            _page(tables, "kept-large", connections=1, trips=1 + each + LARGE - 1),
        )

    @claim(
        "Each connection costs its opening and closing segments: 280 bytes in four of them, for "
        "every resource or only once.",
        source="RFC 9293 §3.5–3.6, §3.1; RFC 7323 §3.2",
    )
    def connections_cost_bytes(self, tables: Tables) -> Verdict:
        """Segments with SYN or FIN, without what they carry."""
        count = _resources(tables)
        found = {step: _control_bytes(tables, step) for step in ("short", "kept")}
        wanted = {"short": count * CONTROL_BYTES, "kept": CONTROL_BYTES}
        shown = pd.concat(openings(tables, step) for step in found)
        return same(found, wanted, "bytes of opening and closing").because("openings", shown)


def _resources(tables: Tables) -> int:
    return int(setting(tables, "resources"))


def _page(tables: Tables, step: str, *, connections: int, trips: int) -> Verdict:
    """A page that came whole, in as many round trips as its formula says."""
    answers = said(tables, step, "response")
    whole = answers[(answers["status"] == 200) & answers["complete"].astype(bool)]
    asked = said(tables, step, "request")
    return all_of(
        near(len(whole), len(asked), abs=0, unit="whole responses", what=step),
        near(len(openings(tables, step)), connections, abs=0, unit="connections", what=step),
        near(round_trips(tables, step), trips, abs=SLACK, unit="round trips", what=step),
    ).because("requests and responses", both(tables, step))


def _control_bytes(tables: Tables, step: str) -> int:
    """Bytes on the wire of segments that open or close, without their payload."""
    found = segments(tables, step)
    parts = [flagged(found, SYN), flagged(found, FIN)]
    return int(sum((part["wire_bytes"] - part["tcp_payload_bytes"]).sum() for part in parts))
