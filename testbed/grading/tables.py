"""Tables for people, as CSV that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from testbed.grading.result import points_text

if TYPE_CHECKING:
    import pandas as pd


def csv_text(table: pd.DataFrame) -> str:
    """A table as CSV, with its header."""
    return csv_lines([list(table.columns), *table.itertuples(index=False)])


def csv_lines(rows: Iterable[Sequence[Any]], *, escaped: bool = False) -> str:
    """Rows as CSV; an apostrophe precedes any cell that a spreadsheet would treat as a formula.

    Args:
        rows: cells.
        escaped: they were read from such a file, and stay as they are.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in rows:
        writer.writerow(row if escaped else [cell(value) for value in row])
    return out.getvalue()


def cell(value: Any) -> str:
    """A value as such a file has it."""
    if isinstance(value, float):
        return "" if math.isnan(value) else points_text(value)
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
