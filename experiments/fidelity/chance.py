"""Jitter, loss, duplication and reordering against their distributions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import NormalDist

import pandas as pd

from analysis import statistics
from testbed import (
    JUDGED_SHARE,
    LinkShape,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_most,
    claim,
    inconclusive,
    near,
)

from .trains import Trains

CHANCE = {
    "uniform": LinkShape(delay_ms=20, jitter_ms=5),
    "normal": LinkShape(delay_ms=20, jitter_ms=2, jitter_distribution="normal"),
    "loss 0.1 %": LinkShape(delay_ms=5, loss_percent=0.1),
    "loss 1 %": LinkShape(delay_ms=5, loss_percent=1),
    "loss 10 %": LinkShape(delay_ms=5, loss_percent=10),
    "duplicate 2 %": LinkShape(delay_ms=5, duplicate_percent=2),
    "reorder 5 %": LinkShape(delay_ms=10, reorder_percent=5),
}

CHANCE_SIGMAS = 4.0
"""So far from its mean a binomial count lies once in 16,000 times."""


class Chance(Trains):
    """Jitter, loss, duplication and reordering against their distributions."""

    @claim(
        "Jitter has the distribution it is set to.",
        source="Kolmogorov & Smirnov's test, p = 0.001",
        scenarios=("chance",),
    )
    def jitter_is_distributed(self, tables: Tables) -> Verdict:
        """Distance of the measured delays from the uniform and from the normal distribution."""
        verdicts = []
        for link, cdf in _jitter_cdfs().items():
            try:
                delays = self._chance(tables, link)["delay_ms"].dropna()
            except MissingDataError as spoiled:
                verdicts.append(inconclusive(str(spoiled)))
                continue
            limit = statistics.kolmogorov_critical(len(delays))
            distance = statistics.kolmogorov_distance(delays, cdf)
            verdicts.append(at_most(distance, limit, unit=f"distance ({link})"))
        return all_of(*verdicts)

    def _chance(self, tables: Tables, link: str) -> pd.DataFrame:
        """The datagrams over a link that no stall fell on which is longer than the delay's target.

        Raises:
            MissingDataError: there are too few of them.
        """
        found = tables.of("chance", scenario="chance", link=link)
        kept = found[found["stall_us"] <= self._target(tables, "chance", "delay_us")]
        if len(kept) < JUDGED_SHARE * len(found):
            raise MissingDataError(
                f"the host disturbed {len(found) - len(kept)} of {len(found)} datagrams over the "
                f"link '{link}' (stalls of up to {found['stall_us'].max() / 1e3:.1f} ms)"
            )
        return kept

    @claim(
        "Packets are lost as independent trials with the probability set.",
        source="binomial distribution",
        scenarios=("chance",),
    )
    def loss_is_binomial(self, tables: Tables) -> Verdict:
        """Number lost at each loss rate, and pairs lost in a row, in standard deviations."""
        verdicts = []
        for link in (name for name in CHANCE if name.startswith("loss")):
            lost = tables.of("chance", scenario="chance", link=link)["copies"] == 0
            p = CHANCE[link].loss_percent / 100
            count = statistics.binomial_z(int(lost.sum()), len(lost), p)
            pairs = int((lost & lost.shift(fill_value=False)).sum())
            runs = statistics.binomial_z(pairs, len(lost) - 1, p * p)
            verdicts.append(at_most(abs(count), CHANCE_SIGMAS, unit=f"σ lost ({link})"))
            if len(lost) * p * p > 5:
                verdicts.append(at_most(abs(runs), 2 * CHANCE_SIGMAS, unit=f"σ pairs ({link})"))
        return all_of(*verdicts)

    @claim(
        "Packets are duplicated with the probability set.",
        source="binomial distribution",
        scenarios=("chance",),
    )
    def duplication_is_binomial(self, tables: Tables) -> Verdict:
        """Datagrams that arrived twice; none more often, none lost."""
        copies = tables.of("chance", scenario="chance", link="duplicate 2 %")["copies"]
        p = CHANCE["duplicate 2 %"].duplicate_percent / 100
        twice = statistics.binomial_z(int((copies == 2).sum()), len(copies), p)
        return all_of(
            at_most(abs(twice), CHANCE_SIGMAS, unit="σ from the mean"),
            near(float(((copies < 1) | (copies > 2)).sum()), 0, abs=0, unit="others"),
        )

    @claim(
        "Reordered packets overtake the others by the whole delay, with the probability set.",
        source="binomial distribution",
        scenarios=("chance",),
    )
    def reordering_is_binomial(self, tables: Tables) -> Verdict:
        """Datagrams that skipped the delay; the others kept it."""
        delays = self._chance(tables, "reorder 5 %")["delay_ms"]
        shape = CHANCE["reorder 5 %"]
        limit_ms = self._target(tables, "chance", "delay_us") / 1e3
        early, late = delays <= limit_ms, (delays - shape.delay_ms).abs() <= limit_ms
        sigmas = statistics.binomial_z(int(early.sum()), len(delays), shape.reorder_percent / 100)
        return all_of(
            at_most(abs(sigmas), CHANCE_SIGMAS, unit="σ from the mean"),
            near(float((~early & ~late).sum()), 0, abs=0, unit="others"),
        )


def _jitter_cdfs() -> dict[str, Callable[[float], float]]:
    uniform, normal = CHANCE["uniform"], CHANCE["normal"]
    low_ms, width_ms = uniform.delay_ms - uniform.jitter_ms, 2 * uniform.jitter_ms
    return {
        "uniform": partial(_uniform_cdf, low_ms, width_ms),
        "normal": NormalDist(normal.delay_ms, normal.jitter_ms).cdf,
    }


def _uniform_cdf(low_ms: float, width_ms: float, x_ms: float) -> float:
    return min(1.0, max(0.0, (x_ms - low_ms) / width_ms))
