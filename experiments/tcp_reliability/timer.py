"""The retransmission timer: what it is computed from, and what makes it expire less often."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import conversation, round_trips
from testbed import (
    MSS_BYTES,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    first,
    last,
    near,
    presuming,
    same,
)

from .conversations import INITIAL_WINDOW, KARN_BEFORE
from .repair import Repair, address_of

LEAST_VARIANCE_MS = 200.0
"""Linux adds at least this to SRTT; RFC 6298 §2.4 wants at least 1 s in all."""

TICK_MS = 10.0
"""Of the guest kernel's timers."""

LATE = 1.125
"""Linux's timers may expire up to an eighth late."""

EXACT_MS = 0.1
"""How far the kernel's numbers may be off the formulae."""


class Timer(Repair):
    """The retransmission timer: what it is computed from, and what makes it expire less often."""

    @claim(
        "SRTT moves an eighth of the way towards each sample: SRTT ← 7/8 SRTT + 1/8 R.",
        source="RFC 6298 §2.2, §2.3",
        scenarios=("repair",),
    )
    def srtt_follows_the_formula(self, tables: Tables) -> Verdict:
        """The kernel's SRTT after each of forty exchanges, over a path with jitter."""
        table = self._estimates(tables)
        off = (table["kernel_srtt_ms"] - table["srtt_ms"]).abs().max()
        return presuming(
            at_least(table["sample_ms"].std(), 1.0, unit="ms spread of the samples"),
            at_most(off, EXACT_MS, unit="ms off the formula"),
        ).because("samples", table, scenario="repair")

    @claim(
        "RTTVAR moves a quarter of the way towards |SRTT − R|; Linux gives less weight to a "
        "sample that lies below SRTT by more than RTTVAR.",
        source="RFC 6298 §2.3; Linux, tcp_rtt_estimator",
        scenarios=("repair",),
    )
    def rttvar_follows_the_formula(self, tables: Tables) -> Verdict:
        """The same exchanges; for such samples an eighth of the quarter."""
        table = self._estimates(tables)
        off = (table["kernel_rttvar_ms"] - table["rttvar_linux_ms"]).abs().max()
        plain = table[table["low"].cumsum() == 0]  # up to the first low sample both are the same
        standard = (plain["kernel_rttvar_ms"] - plain["rttvar_ms"]).abs().max()
        return presuming(
            at_least(len(plain), 1, unit="samples before the first low one"),
            at_most(standard, EXACT_MS, unit="ms off the RFC's formula up to there"),
            at_most(off, EXACT_MS, unit="ms off with Linux's exception"),
        ).because("samples", table, scenario="repair")

    @claim(
        "The retransmission timer is SRTT + 4 RTTVAR; in Linux the second term is at least 200 "
        "ms, whereas the RFC wants at least 1 s in total.",
        source="RFC 6298 §2.3, §2.4",
        scenarios=("repair",),
    )
    def timer_is_srtt_and_variance(self, tables: Tables) -> Verdict:
        """The kernel's timer after each exchange, within a tick."""
        table = self._estimates(tables)
        wanted = table["srtt_ms"] + np.maximum(4 * table["rttvar_linux_ms"], LEAST_VARIANCE_MS)
        off = (table["kernel_rto_ms"] - wanted).abs().max()
        return at_most(off, 1.5 * TICK_MS, unit="ms off").because(
            "samples", table, scenario="repair"
        )

    @claim(
        "A retransmitted segment gives no RTT sample, because its ACK is ambiguous (Karn's rule).",
        source="RFC 6298 §3; Karn & Partridge 1987",
        scenarios=("repair",),
    )
    def retransmissions_give_no_sample(self, tables: Tables) -> Verdict:
        """SRTT and RTTVAR around an exchange whose segment was lost once; no timestamps."""
        info = self._around_loss(tables)[["srtt_us", "rttvar_us"]].astype(int)
        before, after, _ = info.to_numpy().tolist()
        return same(after, before, "SRTT and RTTVAR in µs").because(
            "sent twice", self._repeated(tables, "karn")
        )

    @claim(
        "A timer that was doubled stays doubled until there is a new sample.",
        source="RFC 6298 §5.5, §5.7; Karn & Partridge 1987",
        scenarios=("repair",),
    )
    def doubled_timer_stays(self, tables: Tables) -> Verdict:
        """The kernel's timer before the loss, after it, and after the next exchange."""
        before, after, following = self._around_loss(tables)["rto_us"].astype(float) / 1e3
        return all_of(
            near(after / before, 2, rel=0.05, unit="times the timer after the loss"),
            near(following / before, 1, rel=0.1, unit="times the timer after the next sample"),
        ).because("sent twice", self._repeated(tables, "karn"))

    @claim(
        "Data that is not acknowledged in time is retransmitted, after the computed timer.",
        source="RFC 9293 §3.8.1; RFC 6298 §5",
        scenarios=("repair",),
        bears_stall_s=0.01,
    )
    def timeout_repeats_the_data(self, tables: Tables) -> Verdict:
        """The exchange that was lost: from the segment to its copy, against the formula."""
        self._around_loss(tables)
        again = first(self._repeated(tables, "karn"), "segment sent again in step karn")
        sent = self._sent(tables, "karn")
        original = first(sent[sent["seq"] == again["seq"]], "first transmission in step karn")
        known = round_trips.estimates(self._seen(tables, "karn"), address_of(tables, "h1"))
        newest = last(known.head(KARN_BEFORE), "sample before the loss in step karn")
        rto_ms = newest["srtt_ms"] + max(4 * newest["rttvar_linux_ms"], LEAST_VARIANCE_MS)
        waited_ms = 1e3 * float(again["time_s"] - original["time_s"])
        return between(waited_ms, rto_ms - TICK_MS, LATE * rto_ms + TICK_MS, unit="ms").because(
            "sent twice", self._repeated(tables, "karn")
        )

    @claim(
        "If the last segments of a burst are lost, nothing behind them causes duplicate ACKs: "
        "without a probe only the timer repairs the loss.",
        source="RFC 8985 §1, §3.4; RFC 6298 §5",
        scenarios=("repair",),
        bears_stall_s=0.01,
    )
    def tail_waits_for_the_timer(self, tables: Tables) -> Verdict:
        """The last two segments are lost; no tail loss probe."""
        waited_s = self._tail_wait_s(tables, "tail-timer")
        return all_of(
            between(waited_s * 1e3, LEAST_VARIANCE_MS, 1e3 * self._rtt_s * 2 + 250, unit="ms"),
            near(
                int(first(self._repeated(tables, "tail-timer"), "segment sent again")["seq"]),
                1 + (INITIAL_WINDOW - 2) * MSS_BYTES,
                abs=0,
                unit="first byte sent again",
            ),
        ).because("sent again", self._repeated(tables, "tail-timer"))

    @claim(
        "A tail loss probe is sent after two smoothed round trips: it repeats the last segment, "
        "and the SACK for it shows what else is missing.",
        source="RFC 8985 §7",
        scenarios=("repair",),
        bears_stall_s=0.004,
    )
    def probe_repairs_the_tail(self, tables: Tables) -> Verdict:
        """The same losses with the probe."""
        again = self._repeated(tables, "tail-probe")
        waited_s = self._tail_wait_s(tables, "tail-probe")
        order = [int(s - 1) // MSS_BYTES for s in again["seq"]]
        slow_s = self._tail_wait_s(tables, "tail-timer")
        return all_of(
            between(waited_s / self._rtt_s, 1.9, 3.2, unit="round trips"),
            same(order, [INITIAL_WINDOW - 1, INITIAL_WINDOW - 2], "segments sent again"),
            at_most(waited_s / slow_s, 0.8, unit="of the timer's wait"),
        ).because("sent again", again)

    # ---- what the claims look at

    def _around_loss(self, tables: Tables) -> pd.DataFrame:
        """The kernel's reports of the exchanges before, with and after the loss."""
        if len(self._repeated(tables, "karn")) != 1:
            raise MissingDataError("step karn: not one segment was sent twice")
        found = self._info(tables, "karn").iloc[KARN_BEFORE - 1 : KARN_BEFORE + 2]
        if len(found) < 3:
            raise MissingDataError("step karn: h1 did not report on all exchanges")
        return found

    def _tail_wait_s(self, tables: Tables, name: str) -> float:
        """From the last acknowledgement before to the first segment sent again."""
        again = self._repeated(tables, name)
        repeated = first(again, f"segment sent again in step {name}")
        acked = conversation.pure_acks(self._seen(tables, name), address_of(tables, "h4"))
        before = last(acked[acked["frame"] < repeated["frame"]], f"ACK before it in step {name}")
        return float(repeated["time_s"] - before["time_s"])

    def _estimates(self, tables: Tables) -> pd.DataFrame:
        """Samples from packets, the formulae's estimates and the kernel's, one row an exchange."""
        seen = self._seen(tables, "samples")
        info = self._info(tables, "samples").reset_index(drop=True)
        table = round_trips.estimates(seen, address_of(tables, "h1"))
        if len(table) != len(info):
            raise MissingDataError(f"{len(table)} samples, {len(info)} reports of the kernel")
        for ours, theirs in (("srtt", "srtt_us"), ("rttvar", "rttvar_us"), ("rto", "rto_us")):
            table[f"kernel_{ours}_ms"] = info[theirs].astype(float) / 1e3
        return table
