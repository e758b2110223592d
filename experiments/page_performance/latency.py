"""What a page's time is made of: rate at first, round trips beyond; handshakes, first windows."""

from __future__ import annotations

from itertools import pairwise
from math import log, log2
from typing import Any

import pandas as pd

from testbed import (
    MSS_BYTES,
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    near,
)

from . import grid
from .loads import Visits, beginnings, of_grid

FRAME_MS = 1000 / 60
"""A picture is painted as often as this at most."""

TALK_MS = 5.0
"""How long Chromium's processes talk to each other until a page's first request or paint."""

_MOST_SLACK = 0.5
"""Of a round trip; with more, its number could not be told from the next one."""

_LITTLE, _MUCH = 0.25, 0.7
"""Shares by which a time follows what it is compared with: hardly, and for the most part."""

_KINDS_OF_TLS = {
    grid.scenario("1.1"): (grid.NO_TLS, grid.NEW_TLS, grid.HASTY_TLS, grid.OLD_TLS),
    grid.scenario("2"): (grid.NEW_TLS,),
    grid.scenario("3"): (grid.NEW_TLS,),
}
_TLS_TRIPS = {grid.NO_TLS: 0, grid.NEW_TLS: 1, grid.HASTY_TLS: 1, grid.OLD_TLS: 2}

_MS_PER_KILOBYTE_MBPS = 8.0


class Latency(Experiment):
    """What a page's time is made of."""

    params: Any

    @claim(
        "At low rates a page's load time follows the rate; beyond some megabits per second it "
        "follows the round-trip time instead, and more rate is hardly worth anything.",
        source="M. Belshe, More Bandwidth Doesn't Matter (Much), 2010; I. Grigorik, High "
        "Performance Browser Networking, 2013, ch. 10",
        scenarios=[grid.scenario("2")],
        bears_stall_s=0.002,
    )
    def rate_stops_mattering(self, tables: Tables) -> Verdict:
        """Exponents of load time over rate and over round-trip time at both ends of the grid.

        An exponent of -1 over the rate: twice the rate, half the time.
        """
        judged: list[Verdict] = []
        shown: list[pd.Series[Any]] = []
        visits = Visits(tables)
        for name, own in _surfaces(tables):
            rates, rtts = (_two_ends(own[column]) for column in ("rate_mbps", "rtt_ms"))
            (slow, next_slow), (next_fast, fast) = rates
            (near_ms, _), (next_far_ms, far_ms) = rtts
            ends = {
                "over rate, slow and near": ("rate_mbps", slow, next_slow, near_ms),
                "over rate, fast and far": ("rate_mbps", next_fast, fast, far_ms),
                "over RTT, fast and far": ("rtt_ms", next_far_ms, far_ms, fast),
            }
            found = {
                what: _exponent(visits, shown, name, axis, (low, high), other)
                for what, (axis, low, high, other) in ends.items()
            }
            first, second, third = found.items()
            judged += [
                at_most(first[1], -_MUCH, what=f"{name} {first[0]}"),
                at_least(second[1], -_LITTLE, what=f"{name} {second[0]}"),
                at_least(third[1], _MUCH, what=f"{name} {third[0]}"),
            ]
        return all_of(*judged).because("connections", beginnings(tables, pd.DataFrame(shown)))

    @claim(
        "At a high rate a page costs round trips: one each for TCP, TLS and the request, then one "
        "for each doubling of the window until all has come.",
        source="RFC 9293 §3.5; RFC 8446 §2; RFC 5681 §3.1; RFC 6928 §2",
        scenarios=[grid.scenario("2")],
        bears_stall_s=0.002,
    )
    def load_costs_round_trips(self, tables: Tables) -> Verdict:
        """How much later HTTP/2 has loaded for each further ms of round-trip time."""
        visits = Visits(tables)
        own = dict(_surfaces(tables))[grid.scenario("2")]
        rtts = sorted(own["rtt_ms"].unique())
        point = {"scenario": grid.scenario("2"), "rate_mbps": own["rate_mbps"].max()}
        rows = [visits.one(own, **point, rtt_ms=rtt) for rtt in rtts]
        slopes = [
            float((b["load_ms"] - a["load_ms"]) / (b["rtt_ms"] - a["rtt_ms"]))
            for a, b in pairwise(rows)
        ]
        if not slopes:
            raise MissingDataError("the grid has one round-trip time only")
        trips = 3 + _doublings(rows[-1], grid.INITIAL_SEGMENTS)
        return all_of(
            *(
                near(slope, trips, abs=1, unit="round trips", what=f"{a:g} to {b:g} ms")
                for slope, (a, b) in zip(slopes, pairwise(rtts), strict=True)
            )
        ).because("connections", beginnings(tables, pd.DataFrame(rows)))

    @claim(
        "HTTP/3 shows a page one round trip sooner than HTTP/2: its handshake is that of "
        "transport and TLS in one.",
        source="RFC 9000 §7; RFC 9001 §4; RFC 9114 §3.2",
        scenarios=[grid.scenario("2"), grid.scenario("3")],
        bears_stall_s=0.002,
    )
    def http3_paints_a_round_trip_sooner(self, tables: Tables) -> Verdict:
        """First paint at the highest rate, wherever a frame is short against the round trip."""
        visits, judged, shown = Visits(tables), [], []
        own = dict(_surfaces(tables))
        names = [grid.scenario(version) for version in ("2", "3")]
        if missing := set(names) - set(own):
            raise MissingDataError(f"no visit of {min(missing)}")
        slack_ms = 2 * FRAME_MS + TALK_MS
        for rtt in sorted(own[names[0]]["rtt_ms"].unique()):
            if slack_ms >= _MOST_SLACK * rtt:
                continue
            fast = own[names[0]]["rate_mbps"].max()
            rows = [
                visits.one(own[name], scenario=name, rate_mbps=fast, rtt_ms=rtt) for name in names
            ]
            sooner = float(rows[0]["paint_ms"] - rows[1]["paint_ms"])
            what = f"RTT {rtt:g} ms"
            judged.append(near(sooner, rtt, abs=slack_ms, unit="ms sooner", what=what))
            shown += rows
        if not judged:
            least = slack_ms / _MOST_SLACK
            raise MissingDataError(f"no round-trip time of the grid is above {least:.0f} ms")
        return all_of(*judged).because("connections", beginnings(tables, pd.DataFrame(shown)))

    @claim(
        "The page's first byte comes after two round trips without TLS, three with TLS 1.3, four "
        "with TLS 1.2, or three if the browser speaks before the handshake has ended (False "
        "Start); over HTTP/3 after two.",
        source="RFC 8446 §2; RFC 5246 §7.3; RFC 7918 §4; RFC 9001 §4",
        scenarios=list(grid.SCENARIOS),
        bears_stall_s=0.002,
    )
    def handshakes_take_round_trips(self, tables: Tables) -> Verdict:
        """Where round trips count most: the largest round-trip time, the highest rate."""
        visits, judged, shown = Visits(tables), [], []
        for name, kinds in _KINDS_OF_TLS.items():
            own = of_grid(tables.of("loads", scenario=name), other_tls=True)
            fast, far = own["rate_mbps"].max(), own["rtt_ms"].max()
            slack = (TALK_MS + _SLACK_KILOBYTES * _MS_PER_KILOBYTE_MBPS / fast) / far
            if slack >= _MOST_SLACK:
                raise MissingDataError(f"{far:g} ms and {fast:g} Mbit/s do not tell round trips")
            for tls in kinds:
                row = visits.one(own, rate_mbps=fast, rtt_ms=far, tls=tls)
                quic = name == grid.scenario("3")
                trips = 2 if quic else 2 + _TLS_TRIPS[tls]
                what = "HTTP/3" if quic else f"{name}, TLS {tls}"
                trips_taken = float(row["first_byte_ms"]) / far
                judged.append(near(trips_taken, trips, abs=slack, unit="round trips", what=what))
                shown.append(row)
        return all_of(*judged).because("connections", beginnings(tables, pd.DataFrame(shown)))

    @claim(
        "A larger first window saves round trips, at most one for each doubling, as long as the "
        "page does not fit into it.",
        source="RFC 6928 §2, §10; RFC 5681 §3.1; N. Dukkipati et al., An Argument for Increasing "
        "TCP's Initial Congestion Window, 2010",
        scenarios=[grid.scenario("2")],
        bears_stall_s=0.002,
    )
    def first_windows_save_round_trips(self, tables: Tables) -> Verdict:
        """HTTP/2 with first windows of 2, 10 and 40 segments, at the largest round-trip time."""
        visits = Visits(tables)
        tried = of_grid(tables.of("loads"), windows=True)
        rows = [
            visits.one(tried, scenario=grid.scenario("2"), window_segments=segments)
            for segments in grid.WINDOWS_SEGMENTS
        ]
        largest = max(grid.WINDOWS_SEGMENTS) * MSS_BYTES / 1e3
        if min(row["kilobytes"] for row in rows) < largest:
            raise MissingDataError(f"the page fits into a first window of {largest:.0f} kB")
        judged = []
        for small, large in pairwise(rows):
            segments = [int(row["window_segments"]) for row in (small, large)]
            most = log2(segments[1] / segments[0])
            saved = float(small["load_ms"] - large["load_ms"]) / float(small["rtt_ms"])
            what = f"{segments[1]} instead of {segments[0]} segments"
            judged.append(between(saved, _LEAST_SAVED, most, unit="round trips", what=what))
        return all_of(*judged).because("connections", beginnings(tables, pd.DataFrame(rows)))


_LEAST_SAVED = 0.75
"""Of a round trip, by a first window that is some times as large."""

_SLACK_KILOBYTES = 12.0
"""What handshake and page may have, and so take on the link."""


def _surfaces(tables: Tables) -> list[tuple[str, pd.DataFrame]]:
    """Scenario → its visits without loss."""
    found = of_grid(tables.of("loads"))
    return [(str(name), own) for name, own in found.groupby("scenario")]


def _two_ends(values: pd.Series[float]) -> tuple[tuple[float, float], tuple[float, float]]:
    """The two lowest and the two highest values.

    Raises:
        MissingDataError: there is one only.
    """
    found = sorted(values.unique())
    if len(found) < 2:
        raise MissingDataError(f"the grid has one {values.name} only")
    return (found[0], found[1]), (found[-2], found[-1])


def _exponent(
    visits: Visits,
    shown: list[pd.Series[Any]],
    scenario: str,
    axis: str,
    ends: tuple[float, float],
    other: float,
) -> float:
    """How load time grows between two visits: as which power of what differs between them."""
    fixed = {"rate_mbps": "rtt_ms", "rtt_ms": "rate_mbps"}[axis]
    own = of_grid(visits.tables.of("loads"))
    rows = [visits.one(own, scenario=scenario, **{axis: end, fixed: other}) for end in ends]
    shown += rows
    return log(rows[1]["load_ms"] / rows[0]["load_ms"]) / log(ends[1] / ends[0])


def _doublings(visit: pd.Series[Any], segments: int) -> float:
    """Rounds in which a window that doubles has let all bytes of a visit pass."""
    return log2(float(visit["kilobytes"]) * 1e3 / (segments * MSS_BYTES) + 1)
