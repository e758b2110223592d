"""Flow control: the window, its closing, probes, its opening, and silly windows."""

from __future__ import annotations

import numpy as np
import pandas as pd

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
    near,
    none_of,
    pick,
    same,
)

from .conversations import LONG_PAUSE_S, PAUSE_S, SMALL_BUFFER_BYTES, STALLED_BYTES
from .repair import Repair, address_of

STALLED = ("stalled", "lost-update", "answered")
"""Steps in which the window closes and opens again."""

PROMPT_S = 0.001
"""How soon a receiver tells that there is room again."""

LEAST_TIMER_S = 0.2
"""What Linux adds at least to the round-trip time for its retransmission timer."""

ROUNDING_BYTES = 1
"""Of windows in steps of the window scale, times its unit."""


class Window(Repair):
    """Flow control: the window, its closing, probes, its opening, and silly windows."""

    @claim(
        "The window is the free part of the receive buffer: unread data and window together never "
        "exceed the buffer, and the window is 0 when it is full.",
        source="RFC 9293 §3.8.6, §3.10.7.4",
        scenarios=("window",),
    )
    def window_is_the_free_buffer(self, tables: Tables) -> Verdict:
        """A receiver that does not read for ten seconds, at h4."""
        told = self._windows(tables, "stalled")
        buffer_bytes = 2 * SMALL_BUFFER_BYTES  # Linux doubles what a program asks for
        return all_of(
            near(told["window_bytes"].min(), 0, abs=0, unit="bytes, the smallest window"),
            at_most(
                (told["unread_bytes"] + told["window_bytes"]).max(),
                buffer_bytes,
                unit="bytes unread and free together",
            ),
            at_least(told["unread_bytes"].max(), buffer_bytes / 2, unit="bytes unread"),
            self._delivered(tables, "stalled"),
        ).because("windows", told.head(12))

    @claim(
        "The sender never sends beyond the acknowledged data plus the window.",
        source="RFC 9293 §3.8.6, §3.4",
        scenarios=("window",),
    )
    def sender_stays_in_the_window(self, tables: Tables) -> Verdict:
        """Every segment that reached h4, against the farthest right edge that h4 had told."""
        wrong, every = [], []
        for name in (*STALLED, "silly", "slow-receiver"):
            came = self._sent(tables, name, "h4-eth0")
            edge = self._edge_before(tables, name, came)
            every.append(came)
            wrong.append(came[came["end"] > edge])
        return none_of(
            pd.concat(wrong),
            pd.concat(every),
            "segments beyond the window",
            "all segments within the window",
        ).because("segments", pd.concat(every).head(12))

    @claim(
        "The window slides: acknowledgements move its left edge, reading moves its right edge, "
        "and neither edge moves back.",
        source="RFC 9293 §3.8.6 (shrinking is discouraged)",
        scenarios=("window",),
    )
    def edges_never_move_left(self, tables: Tables) -> Verdict:
        """Acknowledgement and right edge in everything h4 sent."""
        steps_back, moved = [], []
        for name in (*STALLED, "slow-receiver"):
            told = self._windows(tables, name)
            unit = told["scale_bytes"].iloc[0]
            right = told["ack"] + told["window_bytes"]
            steps_back += [
                float(-told["ack"].diff().min()),
                float(-right.diff().min()) - unit * ROUNDING_BYTES,
            ]
            if name in STALLED:
                closed = told[told["window_bytes"] == 0]["ack"]
                moved.append(float(right.max() - (closed.iloc[0] if len(closed) else right.max())))
        return all_of(
            at_most(max(steps_back), 0, unit="bytes back"),
            at_least(min(moved), STALLED_BYTES / 4, unit="bytes on after the window was closed"),
        ).because("windows", self._windows(tables, "stalled").head(12))

    @claim(
        "A zero window stops the sender: it sends no new data until the window opens.",
        source="RFC 9293 §3.8.6.1",
        scenarios=("window",),
    )
    def zero_window_stops_the_sender(self, tables: Tables) -> Verdict:
        """From the first zero window at h1 to the window that opens it."""
        closed_s, opened_s = self._closed(tables, "stalled")
        sent = self._sent(tables, "stalled")
        meanwhile = sent[(sent["time_s"] > closed_s) & (sent["time_s"] < opened_s)]
        fresh = meanwhile[meanwhile["end"] > sent[sent["time_s"] <= closed_s]["end"].max()]
        return all_of(
            at_least(opened_s - closed_s, PAUSE_S / 2, unit="s with a closed window"),
            at_most(len(fresh), 0, unit="segments with new data"),
        ).because("the last segments before", sent[sent["time_s"] <= closed_s].tail(3))

    @claim(
        "The sender probes a zero window, first after its retransmission timer and then at "
        "doubling intervals.",
        source="RFC 9293 §3.8.6.1; RFC 1122 §4.2.2.17",
        scenarios=("window",),
        bears_stall_s=0.02,
    )
    def probes_back_off(self, tables: Tables) -> Verdict:
        """The probes of ten seconds; Linux's repeat a byte that was acknowledged long ago."""
        closed_s, _ = self._closed(tables, "stalled")
        probes = self._probes(tables, "stalled")
        waits = np.diff([closed_s, *probes["time_s"]])
        if len(waits) < 4:
            return at_least(len(waits), 4, unit="probes")
        return all_of(
            between(
                waits[0],
                0.9 * (self._rtt_s + LEAST_TIMER_S),
                1.3 * (self._rtt_s + max(LEAST_TIMER_S, 4 * self._rtt_s)),
                unit="s to the first",
            ),
            *(near(f, 2, rel=0.1, unit="times as long") for f in waits[2:] / waits[1:-1]),
        ).because("probes", probes)

    @claim(
        "The receiver answers each probe with its current window.",
        source="RFC 9293 §3.8.6.1",
        scenarios=("window",),
        bears_stall_s=0.004,
    )
    def probes_are_answered(self, tables: Tables) -> Verdict:
        """An acknowledgement with window 0 one round trip after each probe."""
        probes = self._probes(tables, "stalled")
        told = self._windows(tables, "stalled", "h1-eth0")
        zero = told[told["window_bytes"] == 0]["time_s"].to_numpy()
        late_s = [float(np.min(zero[zero > t] - t, initial=np.inf)) for t in probes["time_s"]]
        late = [s for s in late_s if s > 1.1 * self._rtt_s]
        return all_of(
            at_least(len(probes), 4, unit="probes"),
            at_most(len(late), 0, unit="of them without an answer in a round trip"),
        ).because("probes", probes)

    @claim(
        "When the program reads, the receiver announces the new window at once, and data flows "
        "again.",
        source="RFC 9293 §3.8.6.2.2; RFC 1122 §4.2.3.3",
        scenarios=("window",),
        bears_stall_s=0.0001,
    )
    def reading_opens_the_window(self, tables: Tables) -> Verdict:
        """From h4's first read to its window update, and on to the next new data."""
        calls = pick(tables, "stalled", scenario="window", table="calls", node="h4", op="read")
        read_s = float(calls["time_s"].min())
        told = self._windows(tables, "stalled")
        update = told[(told["time_s"] >= read_s - PROMPT_S) & (told["window_bytes"] > 0)].head(1)
        came = self._sent(tables, "stalled", "h4-eth0")
        following = came[came["time_s"] > read_s]["time_s"].min()
        if update.empty:
            raise MissingDataError("no window update")
        return all_of(
            at_most(
                abs(float(update["time_s"].iloc[0]) - read_s), PROMPT_S, unit="s to the update"
            ),
            near((following - read_s) / self._rtt_s, 1, abs=0.2, unit="round trips to new data"),
        ).because("the update", update)

    @claim(
        "If that window update is lost, the answer to the next probe opens the window; this is "
        "what probes are for.",
        source="RFC 9293 §3.8.6.1",
        scenarios=("window",),
        bears_stall_s=0.004,
    )
    def probe_heals_a_lost_update(self, tables: Tables) -> Verdict:
        """Everything that h4 sends in the second after it has read is lost."""
        name = "lost-update"
        calls = pick(tables, name, scenario="window", table="calls", node="h4", op="read")
        read_s = float(calls["time_s"].min())
        updates = self._windows(tables, name)
        updates = updates[updates["time_s"].between(read_s - PROMPT_S, read_s + 1)]
        _, opened_s = self._closed(tables, name)
        probes = self._probes(tables, name)
        last_s = float(probes["time_s"].max()) if len(probes) else 0.0
        return all_of(
            at_least(int((updates["window_bytes"] > 0).sum()), 1, unit="updates sent"),
            at_least(opened_s - read_s, 1.0, unit="s until the window opened at h1"),
            near((opened_s - last_s) / self._rtt_s, 1, abs=0.1, unit="round trips after a probe"),
            self._delivered(tables, name),
        ).because("probes", probes)

    @claim(
        "As long as its probes are answered, the sender keeps waiting, however long it takes.",
        source="RFC 9293 §3.8.6.1; RFC 1122 §4.2.2.17",
        scenarios=("window",),
    )
    def answered_probes_go_on(self, tables: Tables) -> Verdict:
        """A hundred seconds of zero window with net.ipv4.tcp_retries2=3; then h4 reads."""
        probes = self._probes(tables, "answered")
        closed_s, opened_s = self._closed(tables, "answered")
        return all_of(
            at_least(opened_s - closed_s, 0.9 * LONG_PAUSE_S, unit="s with a closed window"),
            at_least(len(probes), 7, unit="probes, with three retries allowed"),
            self._delivered(tables, "answered"),
        ).because("probes", probes)

    @claim(
        "Probes that nobody answers end in a timeout: the connection is closed and the program "
        "gets an error.",
        source="RFC 9293 §3.8.3; RFC 1122 §4.2.3.5; tcp(7), tcp_retries2",
        scenarios=("window",),
    )
    def unanswered_probes_end(self, tables: Tables) -> Verdict:
        """The path goes dark while the window is closed."""
        failed = pick(tables, "unanswered", scenario="window", table="calls", node="h1", op="error")
        errors = list(failed["error"]) if len(failed) else []
        probes = self._probes(tables, "unanswered")
        told = self._windows(tables, "unanswered", "h1-eth0")
        silent = probes[probes["time_s"] > told["time_s"].max()]
        return all_of(
            same(errors, ["ETIMEDOUT"], "the connection ends with"),
            between(len(silent), 14, 16, unit="probes without an answer"),
        ).because("probes", silent)

    @claim(
        "A receiver avoids silly windows: a closed window opens by a full segment or half the "
        "buffer, however little is read at a time.",
        source="RFC 9293 §3.8.6.2.2; RFC 1122 §4.2.3.3",
        scenarios=("window",),
    )
    def receiver_offers_no_crumbs(self, tables: Tables) -> Verdict:
        """h4 reads 100 bytes every 5 ms; each move of the right edge."""
        told = self._windows(tables, "silly", "h1-eth0")
        least = min(MSS_BYTES, told["window_bytes"].max() / 2)
        told = told[told["ack"] < told["ack"].max() - MSS_BYTES]  # the last segment may be small
        grown = (told["ack"] + told["window_bytes"]).diff().dropna()
        moves = grown[grown > 0]
        return all_of(
            at_least(len(moves), 5, unit="moves of the right edge"),
            at_least(moves.min(), least, unit="bytes, the smallest"),
        ).because("windows", told.head(12))

    @claim(
        "A sender avoids silly segments: it sends full-sized segments, or half the largest "
        "window, until the last one.",
        source="RFC 9293 §3.8.6.2.1; RFC 1122 §4.2.3.4",
        scenarios=("window",),
    )
    def sender_takes_no_crumbs(self, tables: Tables) -> Verdict:
        """All segments to the reader of 100 bytes but the last."""
        sent = self._sent(tables, "silly")
        largest = self._windows(tables, "silly", "h1-eth0")["window_bytes"].max()
        small = sent.iloc[:-1]
        small = small[small["payload_bytes"] < min(MSS_BYTES, largest / 2)]
        return none_of(
            small, sent, "segments are small", "full segments, or half the window"
        ).because("segments", sent.head(12))

    # ---- what the claims look at

    def _windows(self, tables: Tables, name: str, capture: str = "h4-eth0") -> pd.DataFrame:
        """What h4 told: ``ack``, ``window_bytes``, the window's unit, and what lay unread then."""
        seen = self._seen(tables, name, capture)
        told = seen[(seen["ip_src"] == address_of(tables, "h4")) & seen["ack"].notna()]
        opening = told[told["tcp_wscale"].notna()]
        told = told[(told["tcp_flags"].astype(int) & 2) == 0].reset_index(drop=True)
        if told.empty:
            raise MissingDataError(f"step {name}: h4 sent nothing")
        shift = int(opening["tcp_wscale"].iloc[0]) if len(opening) else 0
        reads = pick(tables, name, scenario="window", table="calls", node="h4", op="read")
        read_bytes = np.concatenate([[0], reads["bytes"].astype(int).cumsum()])
        so_far = read_bytes[np.searchsorted(reads["time_s"], told["time_s"] + PROMPT_S, "right")]
        unread = (told["ack"].astype(int) - 1 - so_far).clip(lower=0)
        return told.assign(ack=told["ack"].astype(int), scale_bytes=1 << shift, unread_bytes=unread)

    def _edge_before(self, tables: Tables, name: str, came: pd.DataFrame) -> pd.Series[float]:
        """The farthest right edge that h4 had told before each segment came."""
        told = self._windows(tables, name)
        right = np.concatenate([[np.inf], (told["ack"] + told["window_bytes"]).cummax()])
        at = np.searchsorted(told["frame"].to_numpy(), came["frame"].to_numpy())
        return pd.Series(right[at], index=came.index)

    def _closed(self, tables: Tables, name: str) -> tuple[float, float]:
        """When the window that h1 knows was closed for the longest time; zeros if never."""
        told = self._windows(tables, name, "h1-eth0")
        is_zero = told["window_bytes"] == 0
        if not is_zero.any():
            return 0.0, 0.0
        spell = (~is_zero).cumsum()[is_zero]
        ends = told["time_s"].shift(-1).fillna(told["time_s"].max())
        spells = [
            (float(told["time_s"][group.index[0]]), float(ends[group.index[-1]]))
            for _, group in spell.groupby(spell)
        ]
        return max(spells, key=lambda s: s[1] - s[0])

    def _probes(self, tables: Tables, name: str) -> pd.DataFrame:
        """What h1 sent while the window was closed, and carried nothing new."""
        closed_s, opened_s = self._closed(tables, name)
        seen = self._seen(tables, name)
        mine = seen[(seen["ip_src"] == address_of(tables, "h1")) & (seen["time_s"] > closed_s)]
        if name == "unanswered":
            opened_s = float("inf")
        return mine[mine["time_s"] < opened_s].reset_index(drop=True)
