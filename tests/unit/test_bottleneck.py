import numpy as np
import pandas as pd
import pytest

from analysis import bottleneck, throughput


def packets(rows):
    """Packets from (time_s, ip_id, ecn)."""
    frame = pd.DataFrame(rows, columns=["time_s", "ip_id", "ip_ecn"])
    frame["frame"] = np.arange(1, len(frame) + 1)
    return frame.assign(
        ip_src="10.0.0.1",
        ip_dst="10.0.0.2",
        tcp_sport=1,
        tcp_dport=2,
        tcp_seq=frame["ip_id"],
        tcp_payload_bytes=1448,
        wire_bytes=1514,
    )


ARRIVING = packets([(0.0, 1, 2), (0.0, 2, 2), (0.1, 3, 2), (0.2, 4, 2), (9.0, 5, 2)])
LEAVING = packets([(0.1, 1, 2), (0.2, 2, 3), (0.3, 4, 2)])


def test_delays_drops_and_marks_of_a_queue():
    passed = bottleneck.passage(ARRIVING, LEAVING)
    assert passed["delay_s"].round(6).tolist()[:2] == [0.1, 0.2]
    assert passed["dropped"].tolist() == [False, False, True, False]
    assert passed["marked"].tolist() == [False, True, False, False]
    assert len(passed) == 4, "the last packet's fate is unknown"


def test_a_packet_without_an_address_gets_no_other_ones():
    arriving = ARRIVING.assign(ip_src=["10.0.0.1", None, "10.0.0.3", "10.0.0.1", "10.0.0.1"])
    passed = bottleneck.passage(arriving, LEAVING)
    assert passed["flow_src"].isna().tolist() == [False, True, False, False]


def test_the_length_counts_what_stays():
    length = bottleneck.queue_length(bottleneck.passage(ARRIVING, LEAVING))
    assert length["length_pkts"].max() == 2
    assert length["length_pkts"].iloc[-1] == 0


def test_a_value_is_averaged_over_the_time_it_holds():
    series = pd.DataFrame({"time_s": [0.0, 1.0, 3.0], "x": [4, 0, 8]})
    assert bottleneck.time_average(series, "x", 0.0, 4.0) == pytest.approx((4 + 0 + 8) / 4)
    assert np.isnan(bottleneck.time_average(series, "x", 5.0, 5.0))


def test_jain_is_one_for_equal_shares_and_one_nth_for_a_monopoly():
    assert throughput.jain([5.0, 5.0]) == pytest.approx(1.0)
    assert throughput.jain([10.0, 0.0]) == pytest.approx(0.5)
    assert np.isnan(throughput.jain([]))
