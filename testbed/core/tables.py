"""The tables a run is measured into: what claims judge and figures show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from testbed.core.claims import MissingDataError

if TYPE_CHECKING:
    import pandas as pd


class Tables(dict[str, "pd.DataFrame"]):
    """The measured tables by name, each with `scenario` as its first column."""

    @property
    def scenarios(self) -> list[str]:
        """The scenarios that have a row in any table, in order."""
        return list(dict.fromkeys(name for table in self.values() for name in table["scenario"]))

    def __missing__(self, name: str) -> pd.DataFrame:
        raise MissingDataError(f"no table '{name}' in this run")

    def of(self, name: str, **equals: Any) -> pd.DataFrame:
        """The rows of a table where each named column has the given value.

        Raises:
            MissingDataError: no such table or no such row; the claim becomes INCONCLUSIVE.
        """
        table = self[name]
        for column, value in equals.items():
            table = table[table[column] == value]
        if table.empty:
            where = ", ".join(f"{k}={v}" for k, v in equals.items())
            raise MissingDataError(f"table '{name}' has no rows" + (f" with {where}" * bool(where)))
        return table.reset_index(drop=True)

    def row(self, name: str, **equals: Any) -> pd.Series[Any]:
        """The first of the rows that `of` returns, where one is expected.

        Raises:
            MissingDataError: no such table or no such row; the claim becomes INCONCLUSIVE.
        """
        return self.of(name, **equals).iloc[0]

    def text(self, name: str, column: str, **equals: Any) -> str:
        """A text in the first of the rows that `of` returns, such as what a program wrote.

        Raises:
            MissingDataError: no such table or row, or the text is empty.
        """
        found = str(self.row(name, **equals)[column])
        if not found:
            raise MissingDataError(f"table '{name}': '{column}' is empty")
        return found

    def rows(self, name: str, **equals: Any) -> pd.DataFrame:
        """Like `of`, but an empty result is an answer, too.

        Raises:
            MissingDataError: no such table, or one without a column asked for.
        """
        table = self[name]
        for column, value in equals.items():
            if column not in table:
                raise MissingDataError(f"table '{name}' has no column '{column}'")
            table = table[table[column] == value]
        return table.reset_index(drop=True)


def label(table: pd.DataFrame, column: str, text: str) -> None:
    """Inserts a first column with one repeated string; faster than letting pandas repeat it."""
    import pandas as pd
    import pyarrow as pa

    table.insert(0, column, pd.Series(pa.repeat(text, len(table)), index=table.index, dtype="str"))


def combined(
    parts: Mapping[str, Mapping[str, pd.DataFrame]], *, keep_empty: bool = False
) -> Tables:
    """The tables of several scenarios merged by name, with `scenario` as the first column.

    Args:
        parts: scenario → its tables.
        keep_empty: keep a table without rows in any scenario, which says that there are none;
            otherwise it counts as not measured.
    """
    import pandas as pd

    tables = Tables()
    for name in dict.fromkeys(name for part in parts.values() for name in part):
        pieces = []
        for scenario, part in parts.items():
            if name in part:
                piece = part[name].drop(columns="scenario", errors="ignore")
                label(piece, "scenario", scenario)
                pieces.append(piece)
        filled = [p for p in pieces if len(p)] or (pieces[:1] if keep_empty else [])
        if filled:
            tables[name] = pd.concat(filled, ignore_index=True)
    return tables
