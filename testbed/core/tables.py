"""The tables a run is measured into: what claims judge and figures show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testbed.core.claims import MissingDataError

if TYPE_CHECKING:
    import pandas as pd


class Tables(dict[str, "pd.DataFrame"]):
    """The measured tables by name, each with a column `scenario` in front."""

    @property
    def scenarios(self) -> list[str]:
        """The scenarios that have a row in some table, in order."""
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
        """The first of the rows that `of` gives, where one is expected.

        Raises:
            MissingDataError: no such table or no such row; the claim becomes INCONCLUSIVE.
        """
        return self.of(name, **equals).iloc[0]

    def rows(self, name: str, **equals: Any) -> pd.DataFrame:
        """As `of`, where no such row is an answer, too.

        Raises:
            MissingDataError: no such table, or one without a column asked for.
        """
        table = self[name]
        for column, value in equals.items():
            if column not in table:
                raise MissingDataError(f"table '{name}' has no column '{column}'")
            table = table[table[column] == value]
        return table.reset_index(drop=True)
