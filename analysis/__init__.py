"""Captures, kernel events and tables to DataFrames, numbers and figures.

Imports neither Mininet nor pyroute2: everything here runs on a stored run directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


def rows(table: pd.DataFrame) -> Iterator[Any]:
    """The rows as tuples with the columns as attributes; their types are those of the columns."""
    yield from table.itertuples()


def occurrence(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For each value how often it stood further ahead: 0 for the first of its kind."""
    import numpy as np

    order = np.argsort(values, kind="stable")
    at, sorted_ = np.arange(len(values)), values[order]
    first = np.concatenate([[True], sorted_[1:] != sorted_[:-1]])[: len(values)]
    nth = np.empty(len(values), np.int64)
    nth[order] = at - np.maximum.accumulate(np.where(first, at, 0))
    return nth
