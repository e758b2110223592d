"""Fidelity on the real clock: what a stall of the host fell on is not judged, all else is."""

import pandas as pd
import pytest

from experiments.fidelity import Fidelity
from testbed.claims import MissingDataError, Status
from testbed.experiment import Tables

GOOD = {"worst_delay_error_us": 400.0, "measured_mbps": 0.998, "wrong_pkts": 0}
BENT = {"worst_delay_error_us": 18_800.0, "measured_mbps": 0.9, "wrong_pkts": 9}
CLAIMS = ("delay_is_exact", "rate_is_exact", "queue_is_exact")


def judge(claim: str, *trains: dict[str, float], clock: str = "real"):
    """A claim's verdict over trains of one link each."""
    row = {"scenario": "links", "kind": "train", "rate_mbps": 1.0, "rtt_ms": 1.0,
           "sent_pkts": 60, "left_pkts": 21, "stall_us": 0.0}  # fmt: skip
    links = pd.DataFrame([row | {"link": f"l{i}"} | train for i, train in enumerate(trains)])
    setting = pd.DataFrame([{"scenario": "links", "clock": clock}])
    return getattr(Fidelity(Fidelity.Parameters()), claim)(Tables(links=links, setting=setting))


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_wrong_link_fails_on_a_quiet_host(claim):
    assert judge(claim, GOOD, GOOD, BENT).status == Status.FAIL
    assert judge(claim, GOOD, GOOD, BENT | {"stall_us": 1500.0}).status == Status.FAIL
    assert judge(claim, GOOD, GOOD, GOOD).status == Status.PASS


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_train_that_a_stall_fell_on_is_not_judged(claim):
    assert judge(claim, GOOD, GOOD, BENT | {"stall_us": 18_000.0}).status == Status.PASS
    assert judge(claim, GOOD, BENT, BENT | {"stall_us": 18_000.0}).status == Status.FAIL


@pytest.mark.parametrize("claim", CLAIMS)
def test_with_most_trains_disturbed_nothing_is(claim):
    stalled = {"stall_us": 18_000.0}
    with pytest.raises(MissingDataError, match=r"disturbed 4 of 5 .* up to 18\.0 ms"):
        judge(claim, GOOD, *[BENT | stalled] * 4)


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_real_clock_is_not_asked_for_more_than_it_carries(claim):
    fast = BENT | {"rate_mbps": 1000.0, "left_pkts": 60}
    assert judge(claim, GOOD, fast).status == Status.PASS


def series(stall_us: float, error_ns: float):
    queues = pd.DataFrame(
        [{"scenario": "series", "queue": queue, "sent_pkts": 80, "left_pkts": left,
          "wrong_pkts": 0, "stall_us": stall_us} for queue, left in (("first", 80), ("second", 60))]
    )  # fmt: skip
    times = pd.DataFrame([{"scenario": "series", "ideal_ns": 1e6, "left_ns": 1e6 + error_ns}])
    setting = pd.DataFrame([{"scenario": "series", "clock": "real"}])
    tables = Tables(queues=queues, series=times, setting=setting)
    return Fidelity(Fidelity.Parameters()).series_is_exact(tables)


def test_one_stall_on_the_train_of_the_series_leaves_nothing_to_judge():
    assert series(0.0, 18e6).status == Status.FAIL
    assert series(0.0, 1e6).status == Status.PASS
    with pytest.raises(MissingDataError, match="stalls of up to 18"):
        series(18_000.0, 18e6)
