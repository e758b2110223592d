"""Recovery from loss: by duplicate ACKs, or by the timer."""

from __future__ import annotations

import math

from analysis import cwnd, rows
from testbed import (
    MSS_BYTES,
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    claim,
    near,
)

MIN_RTO_S = 0.2
"""Linux's smallest retransmission timeout beyond the smoothed RTT."""


class Recovery(Experiment):
    """Recovery from loss: by duplicate ACKs, or by the timer."""

    @claim(
        "Three duplicate ACKs bring a fast retransmission, well before the timer would.",
        source="RFC 5681 §3.2",
        scenarios=("reno",),
        bears_stall_s=0.002,
    )
    def three_duplicate_acks(self, tables: Tables) -> Verdict:
        """The first retransmission of each fast recovery, in the sender's capture."""
        losses = tables.of("reductions", scenario="reno", state="Recovery")
        resent = tables.of("retransmissions", scenario="reno", kind="fast")
        firsts = cwnd.first_retransmissions(losses, resent)
        srtt_s = tables.of("cwnd", scenario="reno")["srtt_ms"].max() / 1e3
        return all_of(
            *(
                all_of(
                    at_least(row.duplicate_acks, 3, unit="duplicates of an ACK"),
                    at_most(row.waited_s, srtt_s + MIN_RTO_S, unit="s after it was sent"),
                )
                for row in rows(firsts)
            )
        ).because("fast retransmissions", firsts["frame"], scenario="reno", capture="tx1-eth0")

    @claim(
        "After fast recovery the sender goes on in congestion avoidance, not in slow start.",
        source="RFC 5681 §3.2 (6)",
        scenarios=("reno",),
        bears_stall_s=0.002,
    )
    def recovery_ends_in_congestion_avoidance(self, tables: Tables) -> Verdict:
        """The window at the end of each recovery, and its growth in the round behind it."""
        losses = tables.of("reductions", scenario="reno", state="Recovery")
        losses = losses.dropna(subset=["cwnd_after"])
        # never set is infinite: whoever leaves recovery below it is in slow start
        ssthresh = losses["ssthresh_after"].astype("Float64").fillna(math.inf)
        losses = losses.assign(ssthresh_after=ssthresh)
        rounds = tables.of("rounds", scenario="reno")
        windows, growths = [], []
        for loss in rows(losses):
            after = rounds[rounds["calm"] & (rounds["start_s"] >= loss.end_s)].head(1)
            windows += [
                near(
                    float(loss.cwnd_after),
                    float(loss.ssthresh_after),
                    abs=2.0,
                    unit="segments cwnd",
                )
            ]
            growths += [
                at_most(g, 2, unit="segments more in the next RTT")
                for g in after["growth_segments"]
            ]
        if not growths:
            raise MissingDataError("no calm round-trip time behind a recovery")
        return all_of(*windows, *growths).because("each fast recovery", losses, scenario="reno")

    @claim(
        "A timeout takes the window to one segment and ssthresh to half; slow start begins again.",
        source="RFC 5681 §3.1, RFC 6298 §5",
        scenarios=("outage",),
        bears_stall_s=0.002,
    )
    def timeout_starts_again(self, tables: Tables) -> Verdict:
        """The blackout's timeout; then each segment acknowledged adds one to the window."""
        losses = tables.of("reductions", scenario="outage", state="Loss")
        loss = losses.iloc[0]
        last = losses[losses["end_s"] == loss["end_s"]]["time_s"].max()  # it expired several times
        series = tables.of("cwnd", scenario="outage")
        behind = series[(series["time_s"] > last) & (series["time_s"] < loss["end_s"])]
        again = behind[behind["cwnd_segments"].between(2, loss["ssthresh_after"] - 1)]
        if len(again) < 2:
            raise MissingDataError("no acknowledgements between the timeout and ssthresh")
        grown = float(again["cwnd_segments"].iloc[-1] - again["cwnd_segments"].iloc[0])
        acked = float(again["una_bytes"].iloc[-1] - again["una_bytes"].iloc[0]) / MSS_BYTES
        return (
            all_of(
                near(loss["cwnd_first"], 1.0, abs=0.0, unit="segment after the timeout"),
                near(
                    float(loss["ssthresh_after"]),
                    max(2.0, loss["cwnd_before"] / 2),
                    abs=1.0,
                    unit="segments ssthresh",
                ),
                near(grown / acked, 1.0, rel=0.1, unit="segments a segment acknowledged"),
            )
            .because("the timeout", losses, scenario="outage")
            .because("the window behind it", again, scenario="outage")
        )

    @claim(
        "The retransmission timer doubles each time it expires for the same segment.",
        source="RFC 6298 §5.5",
        scenarios=("outage",),
        bears_stall_s=0.002,
    )
    def timer_doubles(self, tables: Tables) -> Verdict:
        """Gaps between repeated transmissions of one segment while the wire is dark."""
        repeated = tables.of("retransmissions", scenario="outage", kind="timeout")
        setting = tables.row("setting", scenario="outage")
        dark_until_s = setting["outage_at_s"] + setting["outage_s"]
        first = repeated["seq_bytes"].iloc[0]
        same = repeated[(repeated["seq_bytes"] == first) & (repeated["time_s"] <= dark_until_s + 8)]
        gaps = same["time_s"].diff().dropna()
        if len(gaps) < 2:
            raise MissingDataError(f"only {len(same)} expiries for one segment; longer outage_s")
        return all_of(
            *(near(f, 2.0, rel=0.1, unit="times") for f in (gaps / gaps.shift()).dropna())
        ).because(
            "the segment, again and again", same["frame"], scenario="outage", capture="tx1-eth0"
        )
