"""Fidelity on the real clock: what a stall of the host fell on is not judged, all else is."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from experiments.fidelity.experiment import Fidelity
from experiments.fidelity.passages import stall_us, sum_us, worst_us
from experiments.fidelity_nodes.experiment import SPORT, FidelityNodes
from experiments.fidelity_tcp.experiment import FidelityTcp
from testbed.core.claims import Status
from testbed.core.tables import Tables

GOOD = {"worst_delay_error_us": 400.0, "measured_mbps": 0.998, "wrong_pkts": 0}
BENT = {"worst_delay_error_us": 18_800.0, "measured_mbps": 0.9, "wrong_pkts": 9}
STALLED = {"stall_us": 250_000.0, "stalled_us": 250_000.0, "judged_pkts": 4}
"""Beyond what any claim bears: a train of 21 packets at 1 Mbit/s takes 254 ms."""
CLAIMS = ("delay_is_exact", "rate_is_exact", "queue_is_exact")


def judge(claim: str, *trains: dict[str, float | str], clock: str = "real"):
    """A claim's verdict over trains of one link each."""
    row = {
        "scenario": "links",
        "kind": "train",
        "rate_mbps": 1.0,
        "rtt_ms": 1.0,
        "sent_pkts": 60,
        "left_pkts": 21,
        "judged_pkts": 21,
        "stall_us": 0.0,
        "stalled_us": 0.0,
    }
    links = pd.DataFrame([row | {"link": f"l{i}"} | train for i, train in enumerate(trains)])
    setting = pd.DataFrame([{"scenario": "links", "clock": clock}])
    return getattr(Fidelity(Fidelity.Parameters()), claim)(Tables(links=links, setting=setting))


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_wrong_link_fails_on_a_quiet_host(claim):
    assert judge(claim, GOOD, GOOD, BENT).status == Status.FAIL
    assert judge(claim, GOOD, GOOD, BENT | {"stall_us": 1500.0}).status == Status.FAIL
    assert judge(claim, GOOD, GOOD, GOOD).status == Status.PASS


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_link_that_was_not_judged_leaves_no_pass(claim):
    verdict = judge(claim, *[GOOD] * 9, BENT | STALLED)
    assert verdict.status == Status.INCONCLUSIVE
    assert (
        "stalls (up to 250.0 ms) leave nothing to judge for the train over l9" in verdict.observed
    )
    assert judge(claim, GOOD, BENT, BENT | STALLED).status == Status.FAIL, "a judged link is wrong"


@pytest.mark.parametrize("claim", CLAIMS)
def test_with_no_link_judged_the_reason_names_a_few(claim):
    verdict = judge(claim, *[BENT | STALLED] * 6)
    assert verdict.status == Status.INCONCLUSIVE
    assert verdict.observed.endswith("train over l2; the train over l3 and 2 more")
    assert "no measurement" not in verdict.observed


def test_lone_packets_do_not_stand_for_trains():
    lone = GOOD | {"kind": "alone", "left_pkts": 1, "judged_pkts": 1}
    spoiled = {"worst_delay_error_us": 5e6, "stall_us": 2500.0, "judged_pkts": 0}
    verdict = judge("delay_is_exact", *[lone] * 20, *[spoiled] * 20)
    assert verdict.status == Status.INCONCLUSIVE
    assert "the train over l20" in verdict.observed
    assert "lone packet" not in verdict.observed


def test_a_stall_that_is_little_of_a_train_leaves_its_rate_to_judge():
    """2.5 ms in the 4 s of a train at 64 kbit/s cannot be half of its rate."""
    stalled = {"stall_us": 2500.0, "stalled_us": 2500.0}
    half = {"rate_mbps": 0.064, "measured_mbps": 0.032} | stalled
    assert judge("rate_is_exact", GOOD, half).status == Status.FAIL
    assert judge("rate_is_exact", half | {"measured_mbps": 0.064}).status == Status.PASS
    fast = {"rate_mbps": 100.0, "measured_mbps": 50.0} | stalled
    assert judge("rate_is_exact", GOOD, fast).status == Status.INCONCLUSIVE
    many = half | {"stalled_us": 90_000.0}
    assert judge("rate_is_exact", GOOD, many).status == Status.INCONCLUSIVE


def test_a_stall_of_fewer_packets_than_the_target_leaves_the_queue_to_judge():
    wrong = {"rate_mbps": 0.064, "wrong_pkts": 9, "stall_us": 500_000.0}  # 189 ms a packet
    assert judge("queue_is_exact", wrong).status == Status.FAIL
    assert judge("queue_is_exact", wrong | {"rate_mbps": 1.0}).status == Status.INCONCLUSIVE


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_real_clock_is_not_asked_for_more_than_it_carries(claim):
    fast = BENT | {"rate_mbps": 1000.0, "left_pkts": 60}
    assert judge(claim, GOOD, fast).status == Status.PASS


def stalls(*times_ms: tuple[float, float]) -> pd.DataFrame:
    table = pd.DataFrame(times_ms, columns=["began_ns", "ended_ns"]) * 1e6
    return table.assign(longest_ns=table["ended_ns"] - table["began_ns"])


def test_a_packet_is_late_by_a_stall_on_its_way_or_where_one_before_it_left():
    passed = pd.DataFrame(
        {"left_ns": [0, 10, 20, None, 30], "arrived_ns": [15, 25, 35, None, 45]}, dtype="Float64"
    )
    passed *= 1e6
    assert list(stall_us(stalls((16, 19)), passed) / 1e3) == [0, 3, 0, 0, 0]
    assert list(stall_us(stalls((9, 12)), passed) / 1e3) == [3, 3, 3, 3, 3]
    assert list(stall_us(stalls(), passed)) == [0] * 5


def test_a_train_without_a_packet_to_judge_has_no_error():
    errors_ns = pd.Series([2000, -7000, None], dtype="Float64")
    assert worst_us(errors_ns) == 7.0
    assert np.isnan(worst_us(errors_ns[:0]))
    assert np.isnan(worst_us(errors_ns[2:]))


def test_stalls_that_the_rate_limit_makes_good_are_no_sum():
    assert sum_us(stalls((0, 1), (5, 8), (10, 14)), 2000.0) == 7000.0
    assert sum_us(stalls(), 2000.0) == 0.0


def series(first_us: float, second_us: float, error_ns: float):
    """Both queues with their longest stall, and the departures of the first."""
    queues = pd.DataFrame(
        [
            {
                "scenario": "series",
                "queue": queue,
                "sent_pkts": 80,
                "left_pkts": left,
                "wrong_pkts": 0,
                "stall_us": stall_us,
            }
            for queue, left, stall_us in (("first", 80, first_us), ("second", 60, second_us))
        ]
    )
    times = pd.DataFrame(
        [
            {"scenario": "series", "queue": queue, "ideal_ns": 1e6, "left_ns": 1e6 + late_ns}
            for queue, late_ns in (("first", error_ns), ("second", 0.0))
        ]
    )
    setting = pd.DataFrame([{"scenario": "series", "clock": "real"}])
    tables = Tables(queues=queues, series=times, setting=setting)
    return Fidelity(Fidelity.Parameters()).series_is_exact(tables)


def test_a_stall_on_the_train_of_the_series_leaves_its_queue_unjudged():
    assert series(0.0, 0.0, 18e6).status == Status.FAIL
    assert series(0.0, 0.0, 1e6).status == Status.PASS
    assert series(0.0, 18_000.0, 18e6).status == Status.FAIL
    assert series(0.0, 18_000.0, 1e6).status == Status.INCONCLUSIVE
    neither = series(18_000.0, 18_000.0, 18e6)
    assert neither.status == Status.INCONCLUSIVE
    assert "18.0 ms) leave nothing to judge for the first queue; the second" in neither.observed


def jitter(uniform_us: float, normal_us: float):
    """Delays that are uniform over both links: the second should be normal."""
    parts = [
        pd.DataFrame(
            {
                "scenario": "chance",
                "link": link,
                "stall_us": stall_us,
                "delay_ms": np.linspace(15, 25, 1000),
            }
        )
        for link, stall_us in (("uniform", uniform_us), ("normal", normal_us))
    ]
    setting = pd.DataFrame([{"scenario": "chance", "clock": "real"}])
    tables = Tables(chance=pd.concat(parts), setting=setting)
    return Fidelity(Fidelity.Parameters()).jitter_is_distributed(tables)


def test_jitter_that_was_judged_wrong_fails_beside_a_link_that_was_not_judged():
    assert jitter(0.0, 0.0).status == Status.FAIL
    assert jitter(9000.0, 0.0).status == Status.FAIL
    verdict = jitter(0.0, 9000.0)
    assert verdict.status == Status.INCONCLUSIVE
    assert "1000 of 1000 datagrams over the link 'normal'" in verdict.observed


def acks(**of_link: tuple[float, float]):
    """The claim on acknowledgements, by µs off and µs stalled of each link."""
    links = {
        "slow": "64 kbit/s, 100 ms",
        "mid": "1 Mbit/s, 50 ms",
        "ten": "10 Mbit/s, 200 ms",
        "hundred": "100 Mbit/s, 10 ms",
    }
    table = pd.concat(
        pd.DataFrame(
            {"scenario": "links", "link": link, "error_us": [error_us] * 40, "stall_us": stall_us}
        )
        for name, link in links.items()
        for error_us, stall_us in [of_link.get(name, (100.0, 0.0))]
    )
    setting = pd.DataFrame([{"scenario": "links", "clock": "real"}])
    tables = Tables(acks=table, setting=setting)
    return FidelityTcp(FidelityTcp.Parameters()).ack_path_is_exact(tables)


def test_acknowledgements_of_each_link_are_judged_or_named():
    assert acks().status == Status.PASS
    assert acks(slow=(5e5, 0.0)).status == Status.FAIL
    spoiled = acks(slow=(5e5, 9000.0))
    assert spoiled.status == Status.INCONCLUSIVE
    assert spoiled.observed.endswith("for the acknowledgements over 64 kbit/s, 100 ms")
    assert acks(slow=(5e5, 9000.0), ten=(5e5, 0.0)).status == Status.FAIL


def test_a_packet_that_a_long_stall_held_up_does_not_tell_how_long_a_queue_is():
    ms = 1_000_000
    sent = pd.DataFrame(
        {
            "time_ns": [0, 200 * ms, 400 * ms],
            "tcp_seq": [1, 2, 3],
            "ip_id": [1, 2, 3],
            "tcp_sport": SPORT,
            "tcp_payload_bytes": 1448,
        }
    )
    arrived = sent.assign(time_ns=[122 * ms, 320 * ms, 530 * ms])

    def longest_ms(stalled_ms: int) -> float:
        stall = {"began_ns": 410 * ms, "ended_ns": (410 + stalled_ms) * ms}
        data = SimpleNamespace(
            t0_ns=0,
            packets=lambda name, _: {"tx-eth0": sent, "rx-eth0": arrived}[name],
            stalls=lambda: pd.DataFrame([stall | {"longest_ns": stalled_ms * ms}]),
        )
        return FidelityNodes(FidelityNodes.Parameters())._longest_delay_ms(data)

    assert longest_ms(5) == 130
    assert longest_ms(8) == 122
