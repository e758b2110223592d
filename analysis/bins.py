"""Bins of equal width along a capture's time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from testbed.core.errors import ConfigError

MOST_BINS = 1_000_000
"""Most rows of a table of rates: a capture whose times lie spans centuries."""


def of_times(
    time_ns: pd.Series[int], bin_s: float, series: int = 1
) -> tuple[npt.NDArray[np.int64], int]:
    """The number of each time's bin, counted from the earliest, and how many bins there are.

    Args:
        time_ns: times in ns, at least one.
        bin_s: width of a bin in s.
        series: how many series have these bins.

    Raises:
        ConfigError: the width is not above 0, or gives more than `MOST_BINS` bins in all series.
    """
    if not bin_s > 0:
        raise ConfigError(f"bin_s: {bin_s} is out of range; more than 0")
    times = time_ns.to_numpy(np.int64)
    since = (times - times.min()).view(np.uint64)  # a span of more than 2^63 ns wraps, and is right
    width_ns = max(1, int(min(bin_s * 1e9, 2.0**62)))
    number = since // np.uint64(width_ns)
    count = int(number.max()) + 1
    if count * series > MOST_BINS:
        raise ConfigError(f"bin_s: {bin_s} gives {count} bins in this capture; choose a larger one")
    return number.astype(np.int64), count
