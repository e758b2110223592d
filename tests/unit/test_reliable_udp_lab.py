"""The lab on reliable UDP: transfers that cannot have come over the link earn nothing."""

import math

import pandas as pd
import pytest

from labs.reliable_udp.hidden import Hidden
from labs.reliable_udp.lab import FAST_BYTES, Lab
from testbed import Tables
from testbed.core.claims import Status


def judged(check, scenario, **values):
    row = {"scenario": scenario, "fault": "", "size_bytes": FAST_BYTES, **values}
    lab = Hidden(Lab.Parameters(rate_mbps=8.0, loss_percent=3.0))
    return getattr(lab, check)(Tables(transfers=pd.DataFrame([row])))


@pytest.mark.parametrize(
    ("seconds", "status", "observed"),
    [
        (1.6, Status.PASS, "5 Mbit/s"),
        (0.02, Status.FAIL, "400 Mbit/s"),
        (math.nan, Status.FAIL, "no datagram reached rx1"),
    ],
)
def test_the_link_is_used_by_what_came_over_it(seconds, status, observed):
    verdict = judged("link_is_used", "fast", seconds=seconds, file="fast")
    assert verdict.status is status
    assert verdict.observed.startswith(observed)


@pytest.mark.parametrize(("wire_bytes", "status"), [(0, Status.FAIL), (1_050_000, Status.PASS)])
def test_a_file_that_is_not_sent_spares_nothing(wire_bytes, status):
    verdict = judged("link_is_spared", "unseen", wire_bytes=wire_bytes, file="long and clean")
    assert verdict.status is status
