"""Trains of packets: delay, rate and queue, packet by packet."""

from __future__ import annotations

import pandas as pd

from analysis import rows, trains
from testbed import (
    JUDGED_SHARE,
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    at_most,
    claim,
    with_unjudged,
)

FULL_BYTES, SMALL_BYTES = 1472, 18
"""Payload of the largest and the smallest frame."""

TARGETS = {
    "virtual": {"delay_us": 1.0, "rate": 0.001, "queue_pkts": 0.0, "top_mbps": 1e4},
    "real": {"delay_us": 2000.0, "rate": 0.02, "queue_pkts": 3.0, "top_mbps": 100.0},
}
"""How exact a link must be, by the clock, and up to which rate. A timer of the real clock fires
late, the virtual clock's never does; and no guest carries 1 Gbit/s in real time."""


class Trains(Experiment):
    """Trains of packets: delay, rate and queue, packet by packet."""

    def _target(self, tables: Tables, scenario: str, what: str) -> float:
        return TARGETS[tables.row("setting", scenario=scenario)["clock"]][what]

    @claim(
        "Every packet takes its transmission time and the propagation delay, to 1 µs.",
        source="Kurose & Ross §1.4",
        scenarios=("links",),
    )
    def delay_is_exact(self, tables: Tables) -> Verdict:
        """Each packet of each train and each lone packet, 64 kbit/s to 10 Gbit/s."""
        links = self._links(tables, ("alone", "train"))
        kept = links["judged_pkts"] >= JUDGED_SHARE * links["left_pkts"]
        worst = links[kept].sort_values("worst_delay_error_us", ascending=False)
        limit = self._target(tables, "links", "delay_us")
        error_us = worst["worst_delay_error_us"].max(skipna=False)
        return _judged(at_most(error_us, limit, unit="µs from the formula"), links, kept).because(
            "links, the worst first", worst, scenario="links"
        )

    @claim(
        "A packet train leaves a link at the link's rate, to 0.1 %.",
        source="Kurose & Ross §1.4",
        scenarios=("links",),
    )
    def rate_is_exact(self, tables: Tables) -> Verdict:
        """The spacing of each overflowing train, of each link."""
        links = self._links(tables, ("train",))
        limit = self._target(tables, "links", "rate")
        # shorter stalls the rate limit makes good; longer ones must be little of the train
        kept = links["stalled_us"] <= limit * links["left_pkts"] * _frame_us(links)
        error = (links["measured_mbps"] / links["rate_mbps"] - 1).abs()[kept]
        worst = links.loc[error.sort_values()[::-1].index]
        return _judged(
            at_most(100 * error.max(skipna=False), 100 * limit, unit="% off the rate"), links, kept
        ).because("links, the worst first", worst, scenario="links")

    @claim(
        "A drop-tail queue holds as many packets as its length says, and drops all beyond.",
        source="RFC 2309 §2",
        scenarios=("links",),
    )
    def queue_is_exact(self, tables: Tables) -> Verdict:
        """Each packet dropped although there was room, or accepted although there was none."""
        links = self._links(tables, ("train",))
        if (links["left_pkts"] == links["sent_pkts"]).any():
            raise MissingDataError("a train did not overflow its queue; raise train_pkts")
        limit = self._target(tables, "links", "queue_pkts")
        # a stall makes as many packets late as would have left in it
        bears_us = (limit * _frame_us(links)).clip(lower=self._target(tables, "links", "delay_us"))
        kept = links["stall_us"] <= bears_us
        return _judged(
            at_most(links["wrong_pkts"][kept].max(), limit, unit="packets treated wrongly"),
            links,
            kept,
        ).because("links", links[kept], scenario="links")

    def _links(self, tables: Tables, kinds: tuple[str, ...]) -> pd.DataFrame:
        """The trains of links that the clock's target is for."""
        links = tables.of("links", scenario="links")
        wanted = links["kind"].isin(kinds)
        wanted &= links["rate_mbps"] <= self._target(tables, "links", "top_mbps")
        return links[wanted]


def _frame_us(links: pd.DataFrame) -> pd.Series:
    """Transmission time of a full frame on each link."""
    return trains.frame_bytes(FULL_BYTES) * 8 / links["rate_mbps"]


def _judged(verdict: Verdict, links: pd.DataFrame, kept: pd.Series) -> Verdict:
    """The verdict on those links that are `kept`, and what is to be said of the others."""
    named = {"alone": "the lone packet", "train": "the train"}
    spoiled = [f"{named[row.kind]} over {row.link}" for row in rows(links[~kept])]
    return with_unjudged([verdict] * bool(kept.any()), spoiled, links["stall_us"].max())
