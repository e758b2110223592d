"""A bottleneck's queue from two captures: packets that arrive, and packets that leave it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis import occurrence

_I64 = npt.NDArray[np.int64]
_ADDRESSES = ["ip_src", "ip_dst"]
_NUMBERS = ["tcp_sport", "tcp_dport", "tcp_seq", "ip_id", "tcp_payload_bytes"]
_CE = 3
"""Congestion experienced (RFC 3168 §5)."""


def passage(arrivals: pd.DataFrame, departures: pd.DataFrame) -> pd.DataFrame:
    """Each packet's way through a queue.

    Args:
        arrivals: packets on their way into the queue (one or more captures, with ``time_s``).
        departures: packets seen as they leave it.

    Returns:
        One row an arrival, in order: time_s, flow_src, frame (of the arrival), out_frame,
        wire_bytes, delay_s (null if dropped), dropped, marked (CE set on the way).
        Packets that arrive after the last departure are left out: their fate is unknown.
    """
    in_order = np.lexsort((arrivals["frame"].to_numpy(), arrivals["time_s"].to_numpy()))
    arrived = arrivals.iloc[in_order]
    left = _matches(arrived, departures)
    known = left >= 0
    out_s = _at(departures["time_s"], left, np.float64, np.nan)
    time_s = arrived["time_s"].to_numpy()
    last_s = departures["time_s"].max() if len(departures) else -np.inf
    table = pd.DataFrame(
        {
            "time_s": time_s,
            "flow_src": _texts(arrived["ip_src"]),
            "frame": arrived["frame"].to_numpy(),
            "out_frame": pd.array(_at(departures["frame"], left, np.int64, 0)),
            "wire_bytes": arrived["wire_bytes"].to_numpy(),
            "delay_s": out_s - time_s,
            "dropped": ~known,
            "marked": (_at(departures["ip_ecn"], left, np.int64, 0) == _CE)
            & (_numbers(arrived["ip_ecn"]) != _CE),
        }
    )
    table.loc[~known, "out_frame"] = pd.NA
    return table[known | (time_s < last_s)].reset_index(drop=True)


def _at(column: pd.Series, index: _I64, dtype: type[np.generic], absent: float) -> npt.NDArray[Any]:
    """The column's values at `index`; `absent` where that is negative."""
    values = np.append(column.to_numpy(dtype, na_value=absent), np.array(absent, dtype))
    return values[index]


def _matches(arrivals: pd.DataFrame, departures: pd.DataFrame) -> _I64:
    """For each arrival the position of the same packet among the departures, or -1.

    Packets with the same key are distinguished by their order.
    """
    codes = np.zeros(len(arrivals) + len(departures), np.int64)
    keys = [_addresses(arrivals[name], departures[name]) for name in _ADDRESSES]
    keys += [
        np.concatenate([_numbers(arrivals[name]), _numbers(departures[name])]) for name in _NUMBERS
    ]
    for key in keys:
        values, kinds = pd.factorize(key)
        codes, _ = pd.factorize(codes * len(kinds) + values)
    left, right = codes[: len(arrivals)], codes[len(arrivals) :]
    nth_left, nth_right = occurrence(left), occurrence(right)
    most = 1 + max(nth_left.max(initial=0), nth_right.max(initial=0))
    left, right = left * most + nth_left, right * most + nth_right
    if not len(right):
        return np.full(len(left), -1)
    order = np.argsort(right, kind="stable")
    at = np.minimum(np.searchsorted(right, left, sorter=order), len(right) - 1)
    return np.where(right[order[at]] == left, order[at], -1)


def _addresses(*columns: pd.Series) -> _I64:
    """The columns one below the other, each address as the same number in all of them."""
    numbers: dict[str, int] = {}
    found = []
    for column in columns:
        kinds = column.astype("category").cat
        known = [numbers.setdefault(text, len(numbers)) for text in kinds.categories]
        found.append(np.array([*known, -1], np.int64)[kinds.codes.to_numpy()])
    return np.concatenate(found)


def _texts(addresses: pd.Series) -> pd.Index[Any]:
    kinds = addresses.astype("category").cat
    texts = kinds.categories.astype("str")
    return texts.take(kinds.codes.to_numpy(), allow_fill=True, fill_value=np.nan)


def _numbers(column: pd.Series) -> _I64:
    return column.to_numpy(np.int64, na_value=-1)


def queue_length(passages: pd.DataFrame) -> pd.DataFrame:
    """The queue's length after each change.

    Returns:
        time_s, length_pkts, length_bytes; one row an arrival or departure.
    """
    stayed = passages[~passages["dropped"]]
    changes = pd.concat(
        [
            pd.DataFrame({"time_s": stayed["time_s"], "step": 1, "bytes": stayed["wire_bytes"]}),
            pd.DataFrame(
                {
                    "time_s": stayed["time_s"] + stayed["delay_s"],
                    "step": -1,
                    "bytes": -stayed["wire_bytes"].astype("int64"),
                }
            ),
        ]
    ).sort_values("time_s", kind="stable")
    return pd.DataFrame(
        {
            "time_s": changes["time_s"].to_numpy(),
            "length_pkts": changes["step"].cumsum().to_numpy(),
            "length_bytes": changes["bytes"].cumsum().to_numpy(),
        }
    )


def time_average(series: pd.DataFrame, column: str, start_s: float, end_s: float) -> float:
    """Mean over time of a value that holds until the next row; NaN without data."""
    times = series["time_s"].to_numpy()
    values = series[column].to_numpy(float)
    low, high = np.searchsorted(times, [start_s, end_s])
    if high <= low or end_s <= start_s:
        return float("nan")
    edges = np.concatenate([[start_s], times[low:high], [end_s]])
    held = np.concatenate([[values[low - 1] if low else 0.0], values[low:high]])
    return float(np.sum(np.diff(edges) * held) / (end_s - start_s))
