"""Captures, kernel events and tables to DataFrames, numbers and figures.

Imports neither Mininet nor pyroute2: everything here runs on a stored run directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def rows(table: pd.DataFrame) -> Iterator[Any]:
    """The rows as tuples with the columns as attributes; their types are those of the columns."""
    yield from table.itertuples()
