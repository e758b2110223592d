"""Small writes: when they leave, what they wait for, and what that costs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import conversation
from testbed import (
    MSS_BYTES,
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    address,
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

from .conversations import KEYS, REQUESTS, TAIL_BYTES, WRITE_BYTES

DELAYED_ACK_S = 0.04
"""Linux's shortest delay of an acknowledgement (TCP_DELACK_MIN)."""

LONGEST_DELAY_S = 0.5
"""RFC 9293 §3.8.6.3."""

LEAST_TIMER_S = 0.2
"""What Linux adds at least to the round-trip time for its retransmission timer."""

SETTLED = 3
"""Requests after which Linux has found out that the connection is interactive."""

SLACK_S = 0.012
"""A tick of Linux's timers (10 ms) and the path's transmission times."""


class SmallWrites(Experiment):
    """Small writes: when they leave, what they wait for, and what that costs."""

    @claim(
        "Nagle's algorithm lets at most one small segment be unacknowledged.",
        source="RFC 896; RFC 9293 §3.7.4; RFC 1122 §4.2.3.4",
    )
    def one_small_segment_at_a_time(self, tables: Tables) -> Verdict:
        """Every small segment of the requests in two writes, and of the keys."""
        wrong, every = [], []
        for name in ("two-writes", "keys", "small-then-large", "merged"):
            seen, sent = self._seen(tables, name), self._sent(tables, name)
            small = sent[sent["payload_bytes"] < MSS_BYTES]
            acked = conversation.acknowledged(seen, small, address(tables, "h1-eth0"))
            every.append(small)
            wrong.append(small[small["end"].shift(fill_value=0) > acked])
        return none_of(
            pd.concat(wrong),
            pd.concat(every),
            "small segments left before the last one was acknowledged",
            "at most one small segment without acknowledgement",
        ).because("small segments", pd.concat(every).head(12))

    @claim(
        "Full-sized segments never wait; only a small remainder behind a small segment does.",
        source="RFC 1122 §4.2.3.4; RFC 9293 §3.7.4",
        bears_stall_s=0.002,
    )
    def full_segments_do_not_wait(self, tables: Tables) -> Verdict:
        """10 bytes, then three full segments and 100 bytes, written at once."""
        sent = self._sent(tables, "small-then-large")
        sizes = [int(n) for n in sent["payload_bytes"]]
        waited_s = sent["time_s"] - sent["time_s"].min()
        full = waited_s[sent["payload_bytes"] == MSS_BYTES]
        return all_of(
            same(sizes, [WRITE_BYTES, *3 * [MSS_BYTES], TAIL_BYTES], "segments in bytes"),
            at_most(full.max(), self._rtt_s / 4, unit="s until the last full segment left"),
            at_least(waited_s.max(), 0.9 * self._rtt_s, unit="s until the rest left"),
        ).because("segments", sent)

    @claim(
        "With TCP_NODELAY each write leaves at once, in a segment of its own.",
        source="RFC 1122 §4.2.3.4 (an application must be able to turn Nagle's algorithm off)",
        bears_stall_s=0.002,
    )
    def nodelay_sends_at_once(self, tables: Tables) -> Verdict:
        """The keys with TCP_NODELAY: when each was written and when it left."""
        sent = self._sent(tables, "keys-no-delay")
        typed = pick(tables, "keys-no-delay", table="calls", node="h1", op="write")
        if len(sent) != len(typed):
            return near(len(sent), len(typed), abs=0, unit="segments").because("segments", sent)
        late_s = sent["time_s"].to_numpy() - typed["time_s"].to_numpy()
        return all_of(
            near(len(sent), KEYS, abs=0, unit="segments"),
            at_most(float(late_s.max()), 0.001, unit="s from write to segment"),
        ).because("segments", sent)

    @claim(
        "A receiver delays an ACK so that it can travel with data: by 40 ms in Linux, by less "
        "than 500 ms in the standard.",
        source="RFC 9293 §3.8.6.3; RFC 5681 §4.2; RFC 1122 §4.2.3.2",
        bears_stall_s=0.004,
    )
    def acknowledgement_is_delayed(self, tables: Tables) -> Verdict:
        """From the first write's arrival at h2 to its acknowledgement."""
        late = self._ack_delays(tables)
        return all_of(
            near(late["late_s"].median(), DELAYED_ACK_S, abs=SLACK_S, unit="s"),
            at_most(late["late_s"].max(), LONGEST_DELAY_S, unit="s at most"),
        ).because("first writes", late)

    @claim(
        "A request sent in two small writes suffers from Nagle's algorithm and the delayed ACK "
        "together: it takes one more round trip, plus the delay.",
        source="RFC 896; RFC 1122 §4.2.3.2, §4.2.3.4; Cheshire 2005",
        bears_stall_s=0.004,
    )
    def two_writes_meet_a_delayed_ack(self, tables: Tables) -> Verdict:
        """Two writes and one reply, again and again."""
        late_s = float(self._ack_delays(tables)["late_s"].median())
        expected_ms = 1e3 * (2 * self._rtt_s + late_s)
        took_ms = self._request_ms(tables, "two-writes")
        return all_of(
            near(took_ms, expected_ms, abs=1e3 * SLACK_S, unit="ms a request"),
            at_least(1e3 * late_s, 1e3 * (DELAYED_ACK_S - SLACK_S), unit="ms of it by the delay"),
        ).because("segments", self._sent(tables, "two-writes"))

    @claim(
        "TCP_NODELAY takes the request back to one round trip, but sends two segments.",
        source="RFC 1122 §4.2.3.4; tcp(7)",
        bears_stall_s=0.002,
    )
    def nodelay_saves_the_wait(self, tables: Tables) -> Verdict:
        """The same with TCP_NODELAY."""
        return self._one_round_trip(tables, "no-delay", 2)

    @claim(
        "A single write needs no TCP_NODELAY: one round trip, one segment.",
        source="RFC 896; writev(2)",
        bears_stall_s=0.002,
    )
    def one_write_saves_the_wait(self, tables: Tables) -> Verdict:
        """Requests of the same size in one write, with Nagle's algorithm."""
        verdict = self._one_round_trip(tables, "one-write", 1)
        small = self._sent(tables, "one-write")["payload_bytes"]
        return all_of(verdict, near(float(small.max()), 2 * WRITE_BYTES, abs=0, unit="bytes each"))

    @claim(
        "TCP_CORK collects writes until it is removed: one round trip, one segment.",
        source="tcp(7)",
        bears_stall_s=0.002,
    )
    def cork_collects(self, tables: Tables) -> Verdict:
        """Two writes under TCP_CORK."""
        return self._one_round_trip(tables, "cork", 1)

    @claim(
        "Under TCP_CORK full-sized segments leave at once; the remainder leaves when the "
        "retransmission timer would expire, even if the cork stays on (tcp(7) promises 200 ms).",
        source="tcp(7); Linux, tcp_check_probe_timer; RFC 6298 §2.2",
        bears_stall_s=0.02,
    )
    def cork_ends_by_itself(self, tables: Tables) -> Verdict:
        """Three full segments and 100 bytes; the timer is SRTT and at least 200 ms."""
        sent = self._sent(tables, "cork-left")
        sizes = [int(n) for n in sent["payload_bytes"]]
        waited_s = sent["time_s"] - sent["time_s"].min()
        return all_of(
            same(sizes, [*3 * [MSS_BYTES], TAIL_BYTES], "segments in bytes"),
            at_most(waited_s.iloc[:-1].max(), self._rtt_s / 4, unit="s for the full ones"),
            between(
                waited_s.max() - self._rtt_s,
                self._rtt_s + LEAST_TIMER_S,
                1.2 * (self._rtt_s + max(LEAST_TIMER_S, 2 * self._rtt_s)),
                unit="s from the acknowledgement to the rest",
            ),
        ).because("segments", sent)

    @claim(
        "Nagle's algorithm hurts interactive traffic: keystrokes wait for the echo of earlier "
        "ones, up to nearly two round trips.",
        source="RFC 896; RFC 9293 §3.7.4",
        bears_stall_s=0.004,
    )
    def keys_wait_for_echoes(self, tables: Tables) -> Verdict:
        """Keys typed four times as fast as the path goes there and back."""
        keys = self._keys(tables, "keys")
        echo = keys["echo_s"] - keys["typed_s"]
        sent = self._sent(tables, "keys")
        return all_of(
            at_most(len(sent), KEYS / 2, unit="segments"),
            between(echo.max() / self._rtt_s, 1.5, 2.1, unit="round trips for the slowest echo"),
        ).because("segments", sent)

    @claim(
        "With TCP_NODELAY every keystroke is echoed after one round trip, at the cost of one "
        "segment per keystroke.",
        source="RFC 9293 §3.7.4; RFC 1122 §4.2.3.4",
        bears_stall_s=0.004,
    )
    def nodelay_serves_the_typist(self, tables: Tables) -> Verdict:
        """The same keys."""
        keys = self._keys(tables, "keys-no-delay")
        echo = keys["echo_s"] - keys["typed_s"]
        sent = self._sent(tables, "keys-no-delay")
        return all_of(
            near(len(sent), KEYS, abs=0, unit="segments"),
            near(echo.max() / self._rtt_s, 1, abs=0.1, unit="round trips for the slowest echo"),
        ).because("segments", sent)

    # ---- what the claims look at

    @property
    def _rtt_s(self) -> float:
        return float(self.params.rtt_ms) / 1e3

    def _seen(self, tables: Tables, name: str, capture: str = "h1-eth0") -> pd.DataFrame:
        """All segments of a step."""
        return pick(tables, name, capture, table="segments")

    def _sent(self, tables: Tables, name: str) -> pd.DataFrame:
        """What h1 sent with data."""
        sent = conversation.data(self._seen(tables, name), address(tables, "h1-eth0"))
        if sent.empty:
            raise MissingDataError(f"no data was sent in step {name}")
        return sent

    def _replies(self, tables: Tables, name: str) -> pd.DataFrame:
        """What came back to h1 with data."""
        return conversation.data(self._seen(tables, name), address(tables, "h2-eth0"))

    def _request_ms(self, tables: Tables, name: str) -> float:
        """Time of one request, from reply to reply; the next one begins with each."""
        gaps_s = self._replies(tables, name)["time_s"].diff().iloc[SETTLED:]
        return 1e3 * float(gaps_s.median())

    def _one_round_trip(self, tables: Tables, name: str, segments: int) -> Verdict:
        sent = self._sent(tables, name)
        return all_of(
            near(
                self._request_ms(tables, name),
                1e3 * self._rtt_s,
                abs=2,
                unit="ms a request",
            ),
            near(len(sent) / REQUESTS, segments, abs=0, unit="segments each"),
        ).because("segments", sent)

    def _ack_delays(self, tables: Tables) -> pd.DataFrame:
        """The first writes of the requests in two, as they reached h2, and ``late_s``.

        That is the time until h2 acknowledged each; what it sends in between would carry it.
        """
        seen = self._seen(tables, "two-writes", "h2-eth0")
        came = conversation.data(seen, address(tables, "h1-eth0")).iloc[::2]
        back = seen[(seen["ip_src"] == address(tables, "h2-eth0")) & seen["ack"].notna()]
        at = np.searchsorted(back["ack"].astype(int).cummax(), came["end"])
        if len(came) <= SETTLED or at.max() >= len(back):
            raise MissingDataError("step two-writes: not every request was acknowledged")
        late_s = back["time_s"].to_numpy()[at] - came["time_s"].to_numpy()
        return came.assign(late_s=late_s).iloc[SETTLED:]

    def _keys(self, tables: Tables, name: str) -> pd.DataFrame:
        """When each key was typed, left and came back: ``typed_s``, ``sent_s``, ``echo_s``."""
        calls = pick(tables, name, table="calls", node="h1")
        typed, read = (calls[calls["op"] == op] for op in ("write", "read"))
        sent = self._sent(tables, name)
        echo_s = np.repeat(read["time_s"].to_numpy(), read["bytes"].astype(int))
        sent_s = np.repeat(sent["time_s"].to_numpy(), sent["payload_bytes"].astype(int))
        if not len(typed) == len(echo_s) == len(sent_s):
            raise MissingDataError(f"step {name}: {len(typed)} keys, {len(echo_s)} echoes")
        typed_s = typed["time_s"].to_numpy()
        return pd.DataFrame({"typed_s": typed_s, "sent_s": sent_s, "echo_s": echo_s})
