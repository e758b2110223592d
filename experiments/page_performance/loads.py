"""The visits as a table, and what claims ask of it."""

from __future__ import annotations

from math import exp, log
from typing import Any

import pandas as pd

from analysis import rows
from analysis.browser import requests as browser_requests
from testbed import MissingDataError, Tables, pick

from . import grid

CLIENT = "h1-eth0"
"""Where packets are captured."""

HEADER_BYTES = 128
"""Kept of each packet, up to the random value of a client's hello, by which key logs name a
connection: the page's contents are the same in all visits."""

PAUSE_MS = browser_requests.PAUSE_NS / 1e6


def table(steps: pd.DataFrame, visits: pd.DataFrame, requests: pd.DataFrame) -> pd.DataFrame:
    """One row per visit.

    Args:
        steps: of `testbed.steps.measure`, with the data of a `Point`.
        visits, requests: of `analysis.browser`.

    Returns:
        ``visit``, the columns of `Point`, ``paint_ms`` and ``load_ms`` (first content and load
        event since the visit began), ``first_byte_ms`` (of the page's response),
        ``pause_ms`` (how long the browser did nothing by itself),
        ``requests``, ``failed`` (requests without an answer) and ``kilobytes`` (received).
    """
    found = visits.merge(steps.drop(columns="time_s"), left_on="visit", right_on="step")
    found = found.drop(columns="step").sort_values("began_ns", ignore_index=True)
    by_visit = dict(iter(requests.groupby("visit")))
    nothing = requests.iloc[:0]
    own = [by_visit.get(visit, nothing) for visit in found["visit"]]
    return found.assign(
        paint_ms=found["first_content_ns"].astype("Float64") / 1e6,
        load_ms=found["loaded_ns"].astype("Float64") / 1e6,
        first_byte_ms=pd.array([_first_byte_ms(one) for one in own], dtype="Float64"),
        pause_ms=found["paused_ns"].astype(float) / 1e6,
        requests=[len(one) for one in own],
        failed=[int((one["status"].fillna(0) != 200).sum()) for one in own],
        kilobytes=[float(one["wire_bytes"].sum()) / 1e3 for one in own],
    )


def _first_byte_ms(requests: pd.DataFrame) -> float | None:
    """From wanting the page to the first byte of its response."""
    page = requests[requests["type"] == "Document"]
    if page.empty or pd.isna(page["status"].iloc[0]) or not page["status"].iloc[0]:
        return None
    phases = ("connect", "tls", "send", "wait")
    return float(sum(page[f"{phase}_ns"].iloc[0] for phase in phases)) / 1e6


# ---- what claims and figures choose


def of_grid(
    loads: pd.DataFrame,
    *,
    windows: bool = False,
    controls: bool = False,
    lossy: bool = False,
    other_tls: bool = False,
) -> pd.DataFrame:
    """Visits with TLS 1.3, a first window of ten segments, the first congestion control, no loss.

    Args:
        loads: of `table`, of all scenarios.
        windows: with other first windows, and where those were tried alone.
        controls: with other congestion controls.
        lossy: with loss.
        other_tls: with other versions of TLS.
    """
    found = loads if other_tls else loads[loads["tls"] == grid.NEW_TLS]
    first = loads.groupby("scenario")["cc"].transform("first")
    found = found if controls else found[found["cc"] == first[found.index]]
    found = found if lossy else found[found["loss_percent"] == 0]
    others = found["window_segments"] != grid.INITIAL_SEGMENTS
    if not windows:
        return found[~others]
    tried = found[others]
    return found.merge(tried[["scenario", "rate_mbps", "rtt_ms"]].drop_duplicates())


def slow_downs(loads: pd.DataFrame) -> pd.DataFrame:
    """How many times as long loads take with loss.

    Returns:
        One row per visit with loss: its columns, ``clean_ms`` and ``factor``.
    """
    found = undisturbed(of_grid(loads, controls=True, lossy=True))
    place = ["scenario", "rate_mbps", "rtt_ms", "cc"]
    without = found[found["loss_percent"] == 0][[*place, "load_ms"]]
    pairs = found[found["loss_percent"] > 0].merge(
        without.rename(columns={"load_ms": "clean_ms"}), on=place
    )
    return pairs.assign(factor=(pairs["load_ms"] / pairs["clean_ms"]).astype(float))


def geometric_mean(factors: pd.Series[float]) -> float:
    """The mean of factors."""
    return exp(sum(log(factor) for factor in factors) / len(factors))


class Visits:
    """The visits that a claim may judge.

    Visits in which the browser paused by itself, or that did not load, say nothing about the
    network, and neither do those without packets.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def one(self, among: pd.DataFrame, **equals: Any) -> pd.Series[Any]:
        """The only visit with these values.

        Raises:
            MissingDataError: there is none that may be judged, or its packets are missing.
        """
        found = undisturbed(among)
        for column, value in equals.items():
            found = found[found[column] == value]
        if found.empty:
            words = ", ".join(f"{column} {value}" for column, value in equals.items())
            raise MissingDataError(f"no undisturbed visit with {words}")
        row = found.iloc[0]
        pick(self.tables, row["visit"], CLIENT, scenario=row["scenario"])
        return row


def undisturbed(loads: pd.DataFrame) -> pd.DataFrame:
    """Visits that have loaded, and in which the browser did not pause by itself."""
    return loads[loads["load_ms"].notna() & (loads["pause_ms"] <= PAUSE_MS)]


def beginnings(tables: Tables, visits: pd.DataFrame) -> pd.DataFrame:
    """The first packet of each visit's connections, as evidence.

    Raises:
        MissingDataError: a visit has no packets.
    """
    found = []
    for row in rows(visits):
        seen = pick(tables, row.visit, CLIENT, scenario=row.scenario)
        ports = seen["tcp_dport"].fillna(seen["udp_dport"])
        sent = seen[ports.isin([80, *range(443, 446)]).astype(bool)]
        by_port = sent["tcp_sport"].fillna(sent["udp_sport"])
        found.append(sent[~by_port.duplicated()])
    return pd.concat(found)
