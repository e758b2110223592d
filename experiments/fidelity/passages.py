"""Packets on both sides of a link, and the stalls of the host that they met."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis import trains
from testbed import (
    MissingDataError,
)

if TYPE_CHECKING:
    from testbed import ScenarioData


def passages(
    data: ScenarioData, leaving: str, arriving: str
) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Each train with the passage of its datagrams between two captures."""
    plan = [json.loads(line) for line in data.log("trains").splitlines()]
    if not plan:
        raise MissingDataError("the program reported no train")
    left, arrived = (data.packets(c, trains.COLUMNS) for c in (leaving, arriving))
    found = []
    for train in plan:
        first = trains.first_id(left, train["sport"])
        if first is None:
            raise MissingDataError(f"no packet of the train over '{train['link']}' left")
        seen = [trains.seen(c, train["sport"], first, data.t0_ns) for c in (left, arrived)]
        sent_ns = [t - data.t0_ns for t in train["sent_ns"]]
        found.append((train, trains.passage(sent_ns, *seen)))
    return found


def passage_of_train(data: ScenarioData, leaving: str, arriving: str) -> pd.DataFrame:
    """Only the packets of the train."""
    found = {train["kind"]: passed for train, passed in passages(data, leaving, arriving)}
    return found["train"]


def stall_us(stalls: pd.DataFrame, passed: pd.DataFrame) -> np.ndarray:
    """For each packet, the longest stall that may have made it late.

    That is one while it was on the wire, or one at the very time a packet before it left: what then
    comes late to the wire holds up all behind it.
    """
    leaving = trains.stalls_met_us(stalls, passed["left_ns"], passed["left_ns"])
    on_the_wire = trains.stalls_met_us(stalls, passed["left_ns"], passed["arrived_ns"])
    worst: np.ndarray = np.maximum(np.maximum.accumulate(leaving), on_the_wire)
    return worst


def worst_us(errors_ns: pd.Series) -> float:
    """The largest of either sign; NaN if there is none."""
    return float(errors_ns.dropna().astype(float).abs().max()) / 1e3


def met(stalls: pd.DataFrame, passed: pd.DataFrame) -> pd.DataFrame:
    """Those of the host that fell on a train, from its first packet's start on."""
    began_ns, ended_ns = passed["sent_ns"].min(), passed["arrived_ns"].max()
    met: pd.DataFrame = stalls[(stalls["ended_ns"] > began_ns) & (stalls["began_ns"] < ended_ns)]
    return met


def longest_us(stalls: pd.DataFrame) -> float:
    """The longest stall, in µs; 0 where there was none."""
    return float(stalls["longest_ns"].max()) / 1e3 if len(stalls) else 0.0


def sum_us(stalls: pd.DataFrame, above_us: float) -> float:
    """Of those stalls that are longer than `above_us`."""
    longest_us = stalls["longest_ns"] / 1e3
    return float(longest_us[longest_us > above_us].sum())


def delay_ms(passed: pd.DataFrame) -> np.ndarray:
    """How long each packet was under way, in ms; NaN for those that were lost."""
    delay_ns = passed["arrived_ns"] - passed["left_ns"]
    return delay_ns.astype("Float64").to_numpy(float, na_value=np.nan) / 1e6
