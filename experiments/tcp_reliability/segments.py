"""The segments of each step, looked up again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testbed import MissingDataError, Tables

if TYPE_CHECKING:
    import pandas as pd


class StepSegments(Tables):
    """Tables that sort their segments by step and capture once."""

    _sorted: dict[Any, pd.DataFrame] | None = None

    def segments(self, step: str, capture: str) -> pd.DataFrame:
        """All segments of a step at one capture, in order.

        Raises:
            MissingDataError: there are none.
        """
        if self._sorted is None:
            groups = self.of("segments").groupby(["step", "capture"], sort=False, observed=True)
            self._sorted = {key: rows.reset_index(drop=True) for key, rows in groups}
        if (step, capture) not in self._sorted:
            raise MissingDataError(f"step {step}: no segments at {capture}")
        return self._sorted[step, capture]
