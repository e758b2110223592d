"""What loss costs: one connection or six, TCP or QUIC, one congestion control or another."""

from __future__ import annotations

import pandas as pd

from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    between,
    claim,
)

from . import grid
from .loads import beginnings, geometric_mean, slow_downs

BY_LOSS, BY_MODEL = "reno", "bbr"
"""A congestion control that takes each loss for congestion, and one that does not."""

_SAME, _BETTER = 0.2, 0.1
"""Shares by which two congestion controls may differ without loss, and must differ with it."""


class Losses(Experiment):
    """What loss costs."""

    @claim(
        "Loss hurts HTTP/2 and HTTP/3 more than HTTP/1.1: one connection has one congestion "
        "window, whatever carries it; of six connections each has its own.",
        source="RFC 9113 §9.1; RFC 9114 §3.3; RFC 9002 §7; RFC 5681 §3.1",
        scenarios=[*grid.SCENARIOS],
        bears_stall_s=0.002,
    )
    def loss_hurts_one_connection_more(self, tables: Tables) -> Verdict:
        """How many times as long pages take with loss, over the grid (geometric mean)."""
        six, *alone = grid.SCENARIOS
        return all_of(*(_compared(tables, one, six) for one in alone))

    @claim(
        "With loss a congestion control that does not take each loss for congestion (BBR) loads "
        "pages sooner than one that does (Reno); without loss the choice hardly matters.",
        source="RFC 5681 §3.1; N. Cardwell et al., BBR: Congestion-Based Congestion Control, 2016",
        scenarios=[grid.scenario("2")],
        bears_stall_s=0.002,
    )
    def controls_matter_with_loss(self, tables: Tables) -> Verdict:
        """HTTP/2 at the highest rate, all round-trip times: the same visits with either."""
        found = slow_downs(tables.of("loads", scenario=grid.scenario("2")))
        place = ["rate_mbps", "rtt_ms", "loss_percent"]
        one, other = (found[found["cc"] == cc] for cc in (BY_LOSS, BY_MODEL))
        pairs = one.merge(other, on=place, suffixes=("", "_other"))
        if pairs.empty:
            raise MissingDataError(f"no undisturbed visits with {BY_LOSS} and {BY_MODEL}")
        lossy, clean = (
            geometric_mean(pairs[f"{column}_other"].astype(float) / pairs[column].astype(float))
            for column in ("load_ms", "clean_ms")
        )
        return all_of(
            at_most(lossy, 1 - _BETTER, what=f"with loss: {BY_MODEL} to {BY_LOSS}"),
            between(clean, 1 - _SAME, 1 + _SAME, what=f"without: {BY_MODEL} to {BY_LOSS}"),
        ).because("connections", beginnings(tables, pairs))


def _compared(tables: Tables, more: str, less: str) -> Verdict:
    """Whether loss slows the one version down more than the other.

    Raises:
        MissingDataError: there are no visits with loss at the same places.
    """
    place = ["rate_mbps", "rtt_ms", "loss_percent"]
    every = slow_downs(tables.of("loads"))
    first = every.groupby("scenario")["cc"].transform("first")
    found = every[every["cc"] == first]
    one, other = (found[found["scenario"] == name] for name in (more, less))
    both = one.merge(other[place], on=place), other.merge(one[place], on=place)
    if both[0].empty:
        raise MissingDataError(f"no undisturbed visits with loss of both {more} and {less}")
    means = [geometric_mean(rows["factor"]) for rows in both]
    ratio = at_least(means[0] / means[1], 1.05, what=f"slow-down of {more} to that of {less}")
    every = pd.concat(both)
    shown = every[["scenario", *place, "clean_ms", "load_ms", "factor"]]
    return ratio.because("slow-downs", shown).because("connections", beginnings(tables, every))
