"""The sender's state, on event series written by hand where each number is known."""

import numpy as np
import pandas as pd
import pytest

from analysis import cwnd

MSS = 1000


def probe(rows):
    """tcp_probe events from (time_s, una, nxt, cwnd, ssthresh)."""
    frame = pd.DataFrame(rows, columns=["time_s", "snd_una", "snd_nxt", "snd_cwnd", "ssthresh"])
    frame["srtt"] = 40_000
    return frame


def states(*rows):
    return pd.DataFrame(list(rows), columns=["time_s", "cong_state"])


def doubling(start=0):
    """Ten, twenty, forty segments a round of 0.1 s, one event a segment acknowledged."""
    rows, una, window, time = [], start, 10, 0.0
    nxt = una + window * MSS
    for _ in range(4):
        for _ in range(window):
            rows.append((round(time, 6), una % 2**32, nxt % 2**32, (nxt - una) // MSS, 2**31 - 1))
            una += MSS
            nxt = nxt + 2 * MSS
            time += 0.1 / window
        window *= 2
    return probe(rows)


@pytest.mark.parametrize("start", [0, 2**32 - 5500])
def test_rounds_of_a_doubling_window_double_even_across_the_wrap(start):
    series = cwnd.cwnd_series(doubling(start), states(), MSS)
    rounds = cwnd.rounds(series, states())
    assert rounds["growth_factor"].tolist() == pytest.approx([2.0] * len(rounds))
    assert len(rounds) == 3
    assert rounds["calm"].all()


def test_a_round_with_a_change_of_state_is_not_calm():
    series = cwnd.cwnd_series(doubling(), states(), MSS)
    rounds = cwnd.rounds(series, states((0.15, "Recovery")))
    assert rounds["calm"].tolist() == [True, False, False]


def test_ssthresh_before_the_first_loss_is_null():
    assert cwnd.cwnd_series(doubling(), states(), MSS)["ssthresh_segments"].isna().all()


def test_a_reduction_knows_the_window_before_and_after():
    changes = states((1.1, "Recovery"), (1.3, "Open"))
    series = cwnd.cwnd_series(
        probe(
            [
                (1.0, 0, 40 * MSS, 40, 2**31 - 1),
                (1.1, 0, 42 * MSS, 40, 2**31 - 1),
                (1.2, 0, 43 * MSS, 38, 20),
                (1.3, 42 * MSS, 62 * MSS, 20, 20),
                (1.4, 43 * MSS, 63 * MSS, 20, 20),
            ]
        ),
        changes,
        MSS,
    )
    found = cwnd.reductions(series, changes)
    assert len(found) == 1
    row = found.iloc[0]
    assert (row.cwnd_before, row.ssthresh_after, row.cwnd_after) == (40, 20, 20)
    assert row.end_s == 1.3


def test_unwrap_follows_sequence_numbers_over_the_wrap_and_back():
    series = pd.Series([2**32 - 10, 5, 2**32 - 10, 20], dtype="UInt32")
    assert cwnd.unwrap(series).tolist() == [0, 15, 0, 30]


def capture(rows, sacked=0):
    """Packets from (time_s, from_sender, seq or ack, payload)."""
    frame = pd.DataFrame(rows, columns=["time_s", "sent", "number", "tcp_payload_bytes"])
    frame["frame"] = np.arange(1, len(frame) + 1)
    frame["ip_src"] = np.where(frame["sent"], "10.0.0.1", "10.0.0.2")
    frame["ip_dst"] = np.where(frame["sent"], "10.0.0.2", "10.0.0.1")
    frame["tcp_sport"] = np.where(frame["sent"], 4000, 5201)
    frame["tcp_dport"] = np.where(frame["sent"], 5201, 4000)
    frame["tcp_seq"] = np.where(frame["sent"], frame["number"], 1)
    frame["tcp_ack"] = np.where(frame["sent"], 1, frame["number"])
    frame["tcp_flags"] = 16
    frame["tcp_sack_count"] = sacked if isinstance(sacked, list) else [sacked] * len(frame)
    return frame


def retransmissions(packets, changes):
    socket = "10.0.0.1", 4000
    return cwnd.retransmissions(
        cwnd.sent_data(packets, *socket), cwnd.acks(packets, *socket), changes
    )


THREE_DUPLICATES = [
    (0.0, True, 1000, MSS),
    (0.1, True, 2000, MSS),
    (0.2, True, 3000, MSS),
    (0.3, True, 4000, MSS),
    (0.4, True, 5000, MSS),
    (0.5, False, 2000, 0),
    (0.6, False, 2000, 0),
    (0.7, False, 2000, 0),
    (0.8, False, 2000, 0),
    (0.81, True, 2000, MSS),
]


def test_duplicate_acks_before_a_fast_retransmission_are_counted():
    found = retransmissions(capture(THREE_DUPLICATES), states((0.8, "Recovery")))
    assert found["frame"].tolist() == [10]
    assert found["kind"].tolist() == ["fast"]
    assert found["duplicate_acks"].tolist() == [3]
    assert found["waited_s"].iloc[0] == pytest.approx(0.71)


def test_a_retransmission_in_loss_is_a_timeout_and_in_open_a_probe():
    for state, kind in (("Loss", "timeout"), ("Open", "probe")):
        found = retransmissions(capture(THREE_DUPLICATES), states((0.8, state)))
        assert found["kind"].tolist() == [kind]


def test_an_ack_that_brings_news_and_reports_a_gap_counts_too():
    merged = THREE_DUPLICATES[:5] + THREE_DUPLICATES[6:]
    for sacked, expected in ((1, 3), (0, 2)):
        found = retransmissions(capture(merged, sacked), states((0.8, "Recovery")))
        assert found["duplicate_acks"].tolist() == [expected]


def test_ssthresh_is_the_least_value_since_the_last_reduction():
    rows = [(1.0, 0, 1000, 30, 20), (1.5, 0, 1000, 36, 27), (2.5, 0, 1000, 40, 10)]
    series = cwnd.cwnd_series(probe(rows), states((0.9, "Recovery"), (2.0, "Recovery")), MSS)
    assert series["ssthresh_segments"].tolist() == [20, 20, 10]
