"""What loss costs: one connection or six, TCP or QUIC, one congestion control or another."""

from __future__ import annotations

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

_PLACE = ["rate_mbps", "rtt_ms", "loss_percent"]

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
        """How many times as long pages take with loss, over the grid (geometric means)."""
        six, *alone = grid.SCENARIOS
        found = slow_downs(tables.of("loads"))
        first = found.groupby("scenario")["cc"].transform("first")
        found = found[found["cc"] == first]
        parts = [found[found["scenario"].isin(names)] for names in (alone, [six])]
        if any(rows.empty for rows in parts) or set(alone) - set(parts[0]["scenario"]):
            raise MissingDataError("not all versions have undisturbed visits with and without loss")
        one, many = (geometric_mean(rows["factor"]) for rows in parts)
        shown = found[["scenario", *_PLACE, "clean_ms", "load_ms", "factor"]]
        ratio = at_least(one / many, 1, what="slow-down of one connection to that of six")
        return ratio.because("slow-downs", shown).because("connections", beginnings(tables, found))

    @claim(
        "With loss a congestion control that does not take each loss for congestion (BBR) loads "
        "pages sooner than one that does (Reno); without loss the choice hardly matters.",
        source="RFC 5681 §3.1; N. Cardwell et al., BBR: Congestion-Based Congestion Control, 2016",
        scenarios=[grid.scenario("2")],
        bears_stall_s=0.002,
    )
    def controls_matter_with_loss(self, tables: Tables) -> Verdict:
        """HTTP/2 at the higher rates, all round-trip times: the same visits with either."""
        found = slow_downs(tables.of("loads", scenario=grid.scenario("2")))
        one, other = (found[found["cc"] == cc] for cc in (BY_LOSS, BY_MODEL))
        pairs = one.merge(other, on=_PLACE, suffixes=("", "_other"))
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
