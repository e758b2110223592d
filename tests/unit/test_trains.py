"""Ideal queues and wires by hand, and what tells a real one from them."""

import numpy as np
import pandas as pd
import pytest

from analysis import trains


def packets(rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["udp_sport", "ip_id", "time_ns"])


def test_a_queue_of_two_behind_a_busy_line():
    left = trains.ideal_fifo([0, 0, 0, 0, 0], service_ns=100, limit_pkts=2)
    assert left[:3].tolist() == [0, 100, 200]
    assert np.isnan(left[3:]).all()


def test_a_queue_takes_one_more_as_soon_as_one_has_left():
    left = trains.ideal_fifo([0, 10, 20, 30, 100, 105], service_ns=100, limit_pkts=1)
    assert np.nan_to_num(left, nan=-1).tolist() == [0, 100, -1, -1, 200, -1]


def test_an_idle_line_sends_at_once():
    assert trains.ideal_fifo([0, 1000], service_ns=100, limit_pkts=1).tolist() == [0, 1000]


def test_packets_wait_on_the_wire_for_those_before():
    # 125 bytes at 1 Mbit/s: 1 ms
    came = trains.ideal_wire([0, 0, 5_000_000], [125, 125, 125], rate_mbps=1, delay_ms=2)
    assert (came / 1e6).tolist() == [3, 4, 8]


def passed(rows) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["sent_ns", "left_ns"])
    return table.astype({"left_ns": "Int64"})


@pytest.mark.parametrize(
    ("rows", "limit", "wrong"),
    [
        ([(0, 0), (0, 100), (0, 200), (0, None)], 2, 0),
        ([(0, 0), (1, 100), (2, None), (3, None)], 2, 2),  # dropped with room for one
        ([(0, 0), (0, 100), (0, 200), (0, 300)], 2, 1),  # one too many
        ([(0, 0), (0, 100), (0, 200), (100, 300)], 2, 0),  # one leaves as another comes
        ([(0, 0), (0, 100), (0, 200), (100, None)], 2, 0),  # the same, in the other order
        ([(0, 0), (0, 100), (0, 200), (101, None)], 2, 1),
    ],
)
def test_a_queue_is_told_by_what_it_drops(rows, limit, wrong):
    assert trains.queue_violations(passed(rows), limit) == wrong


def test_a_datagram_comes_to_the_queue_some_time_after_its_note():
    # one in transmission, one waits; the third is noted before the second leaves, comes behind it
    rows = [(0, 0), (1, 100), (90, 200)]
    assert trains.queue_violations(passed(rows), 1) == 1
    assert trains.queue_violations(passed(rows), 1, pd.Series([1, 90, 110])) == 0
    assert trains.queue_violations(passed(rows), 1, pd.Series([1, 90, 99])) == 1


def test_datagrams_are_followed_by_their_identification():
    first = 65_535
    tx = packets([(7, first, 1000), (7, 0, 1100), (8, 5, 1150), (7, 2, 1200)])
    rx = packets([(7, 0, 2100), (7, first, 2000), (7, 2, 2200), (7, 2, 2201)])
    assert trains.first_id(tx, 7) == first
    assert trains.first_id(tx, 9) is None
    table = trains.passage(
        [0, 90, 95, 190], trains.seen(tx, 7, first, 1000), trains.seen(rx, 7, first, 1000)
    )
    assert table["left_ns"].tolist() == [0, 100, pd.NA, 200]
    assert table["arrived_ns"].tolist() == [1000, 1100, pd.NA, 1200]
    assert table["copies"].tolist() == [1, 1, 0, 2]


def test_nanoseconds_survive_a_table_with_gaps():
    epoch = 1_700_000_000_000_000_001
    tx = packets([(7, 0, epoch)])
    seen = trains.seen(tx, 7, 0, epoch - 1)
    table = trains.passage([0, 1], seen, seen)
    assert table["left_ns"][0] == 1


def test_the_rate_of_a_train():
    times = pd.Series([0, 100, pd.NA, 200], dtype="Int64")
    assert trains.rate_mbps(times, 125) == pytest.approx(1e4)
    assert np.isnan(trains.rate_mbps(times.head(1), 125))


def test_a_packet_meets_the_longest_stall_that_falls_on_its_way():
    stalls = pd.DataFrame(
        {"began_ns": [100, 140], "ended_ns": [150, 400], "longest_ns": [50_000, 260_000]}
    )
    left = pd.Series([0, 90, 145, 400, 120], dtype="Int64")
    arrived = pd.Series([100, 130, 500, 600, pd.NA], dtype="Int64")
    assert trains.stalls_met_us(stalls, left, arrived).tolist() == [0, 50, 260, 0, 0]
