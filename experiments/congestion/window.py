"""The congestion window: slow start, congestion avoidance, and its cut on loss."""

from __future__ import annotations

from analysis import rows
from testbed import Experiment, MissingDataError, Tables, Verdict, all_of, claim, near


class Window(Experiment):
    """The congestion window: slow start, congestion avoidance, and its cut on loss."""

    @claim(
        "Slow start doubles the congestion window every round-trip time, until loss or ssthresh.",
        source="RFC 5681 §3.1",
        scenarios=("reno",),
        bears_stall_s=0.002,
    )
    def slow_start_doubles(self, tables: Tables) -> Verdict:
        """Every whole round before the first reduction."""
        loss_s = tables.row("reductions", scenario="reno")["time_s"]
        rounds = tables.of("rounds", scenario="reno")
        rounds = rounds[rounds["calm"] & rounds["full"] & (rounds["end_s"] <= loss_s)]
        if len(rounds) < 2:
            raise MissingDataError(f"only {len(rounds)} whole rounds before the first loss")
        factors = rounds["growth_factor"]
        return all_of(*(near(f, 2.0, rel=0.1, unit="times per RTT") for f in factors)).because(
            "rounds of slow start", rounds, scenario="reno"
        )

    @claim(
        "In congestion avoidance Reno's window grows by about one segment per round-trip time.",
        source="RFC 5681 §3.1",
        scenarios=("reno",),
        bears_stall_s=0.002,
    )
    def congestion_avoidance_adds_one(self, tables: Tables) -> Verdict:
        """Mean growth over all calm rounds at or above ssthresh."""
        rounds = tables.of("rounds", scenario="reno")
        rounds = rounds[rounds["calm"] & (rounds["cwnd_segments"] >= rounds["ssthresh_segments"])]
        if len(rounds) < 10:
            raise MissingDataError(f"only {len(rounds)} rounds of congestion avoidance")
        return near(
            rounds["growth_segments"].mean(), 1.0, rel=0.1, unit="segments per RTT"
        ).because("rounds of congestion avoidance", rounds, scenario="reno")

    @claim(
        "On loss Reno sets ssthresh to half of the data in flight (at least 2 segments).",
        source="RFC 5681 §3.1 (4)",
        scenarios=("reno",),
        bears_stall_s=0.002,
    )
    def reno_halves(self, tables: Tables) -> Verdict:
        """Every fast recovery of the lone Reno flow."""
        return self._ssthresh_after_loss(tables, "reno", 0.5)

    @claim(
        "On loss CUBIC sets ssthresh to 0.7 of the congestion window.",
        source="RFC 9438 §4.6",
        scenarios=("cubic",),
        bears_stall_s=0.002,
    )
    def cubic_keeps_seven_tenths(self, tables: Tables) -> Verdict:
        """Every fast recovery of the lone CUBIC flow."""
        return self._ssthresh_after_loss(tables, "cubic", 0.7)

    def _ssthresh_after_loss(self, tables: Tables, scenario: str, factor: float) -> Verdict:
        losses = tables.of("reductions", scenario=scenario, state="Recovery")
        return all_of(
            *(
                near(
                    float(loss.ssthresh_after),
                    max(2.0, factor * loss.cwnd_before),
                    abs=1.0,
                    unit="segments",
                )
                for loss in rows(losses.dropna(subset=["ssthresh_after"]))
            )
        ).because("each fast recovery", losses, scenario=scenario)
