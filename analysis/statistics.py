"""Intervals and distances for measurements made more than once. NumPy alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

_T_975 = (
    12.7062,
    4.3027,
    3.1824,
    2.7764,
    2.5706,
    2.4469,
    2.3646,
    2.3060,
    2.2622,
    2.2281,
)
"""Student's t: 97.5 % quantile for 1 to 10 degrees of freedom."""


def t_975(freedom: int) -> float:
    """97.5 % quantile of Student's t; beyond the table by Fisher and Cornish's expansion."""
    if freedom < 1:
        return math.nan
    if freedom <= len(_T_975):
        return _T_975[freedom - 1]
    z, n = NormalDist().inv_cdf(0.975), float(freedom)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / n + second / n**2 + third / n**3


@dataclass(frozen=True)
class Interval:
    """A mean and half the width of its 95 % confidence interval; NaN for fewer than two values."""

    mean: float
    half: float
    count: int


def mean_interval(values: ArrayLike) -> Interval:
    """Mean of independent, about normal values with its 95 % confidence interval."""
    data = np.asarray(values, float)
    if not len(data):
        return Interval(math.nan, math.nan, 0)
    half = math.nan
    if len(data) > 1:
        half = t_975(len(data) - 1) * float(data.std(ddof=1)) / math.sqrt(len(data))
    return Interval(float(data.mean()), half, len(data))


def binomial_z(successes: int, trials: int, p: float) -> float:
    """How many standard deviations a count is away from the binomial's mean."""
    deviation = math.sqrt(trials * p * (1 - p))
    return (successes - trials * p) / deviation if deviation else math.inf * (successes != p)


def kolmogorov_distance(values: ArrayLike, cdf: Callable[[float], float]) -> float:
    """Kolmogorov and Smirnov's distance between values and a distribution; NaN for none."""
    data = np.sort(np.asarray(values, float))
    if not len(data):
        return math.nan
    expected = np.array([cdf(x) for x in data])
    steps = np.arange(len(data) + 1) / len(data)
    return float(max((steps[1:] - expected).max(), (expected - steps[:-1]).max()))


def kolmogorov_critical(count: int) -> float:
    """Distance that `count` values of the distribution itself exceed once in a thousand times."""
    return 1.9495 / math.sqrt(count)
