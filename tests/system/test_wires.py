"""Links do to packets what their shapes say: measured at both ends, on the virtual clock."""

import itertools
import json
from pathlib import Path

import pytest

from testbed.execution.runtime import choose

pytestmark = pytest.mark.guest

FRAME_BYTES, BURST_PKTS = 1514, 200
READ_NS = 2_000
"""A clock read or an interrupt takes up to so long in the guest."""


@pytest.fixture(scope="module")
def wires(guest_kernel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wires")
    outcome = choose("guest").run(
        folder, seed=1, module="tests.system.programs.wires", wall_limit_s=120
    )
    assert outcome.ok, (outcome, (Path(folder) / "console.log").read_text()[-3000:])
    return json.loads((folder / "wires.json").read_text())


def frame_ns(rate_mbps):
    return FRAME_BYTES * 8 / rate_mbps * 1000


def times(packets):
    return [time_ns for time_ns, _, _ in packets]


@pytest.mark.parametrize(
    ("name", "passed"),
    [("fifo", 21), ("fifo-bytes", 11), ("one", 2), ("fast", 101), ("slow", 4), ("codel", 21)],
)
def test_queue_is_exact_to_the_packet(wires, name, passed):
    """One packet is being sent, the queue's length waits, the rest is dropped, the last first."""
    burst = wires["bursts"][name]
    numbers = [number for _, _, number in burst["received"]]
    assert numbers == list(range(passed))
    dropped = {q["dropped_pkts"] for q in burst["qdiscs"] if q["place"] == "sender"}
    assert dropped - {0} == {BURST_PKTS - passed}


@pytest.mark.parametrize(("name", "rate_mbps"), [("fifo", 10), ("fast", 100), ("slow", 1)])
def test_rate_is_exact(wires, name, rate_mbps):
    arrivals = times(wires["bursts"][name]["received"])
    measured_ns = (arrivals[-1] - arrivals[0]) / (len(arrivals) - 1)
    assert measured_ns == pytest.approx(frame_ns(rate_mbps), rel=0.005)
    if rate_mbps <= 10:
        assert measured_ns == pytest.approx(frame_ns(rate_mbps), rel=0.001)


@pytest.mark.parametrize(
    ("name", "rate_mbps", "delay_ms"),
    [("fifo", 10, 5), ("one", 10, 0), ("fast", 100, 1), ("slow", 1, 0.001), ("delay", None, 7)],
)
def test_first_packet_takes_transmission_plus_propagation(wires, name, rate_mbps, delay_ms):
    burst = wires["bursts"][name]
    took_ns = burst["received"][0][0] - burst["sent"][0][0]
    expected_ns = delay_ms * 1e6 + (frame_ns(rate_mbps) if rate_mbps else 0)
    assert took_ns == pytest.approx(expected_ns, abs=READ_NS)


def test_sender_sees_packets_leave_one_by_one(wires):
    left = times(wires["bursts"]["fifo"]["sent"])
    gaps = [b - a for a, b in itertools.pairwise(left)]
    assert gaps == pytest.approx([frame_ns(10)] * len(gaps), abs=READ_NS)


def test_jitter_spreads_but_keeps_order(wires):
    """Uniform where packets are far apart; close behind one another they wait, in order."""
    burst = wires["bursts"]["spaced"]
    took = [b[0] - a[0] for a, b in zip(burst["sent"], burst["received"], strict=True)]
    assert min(took) >= 3e6 - READ_NS and max(took) <= 7e6 + READ_NS
    assert max(took) - min(took) > 3.8e6
    assert sum(took) / len(took) == pytest.approx(5e6, abs=0.3e6)
    for name in ("spaced", "jitter"):
        assert [n for *_, n in wires["bursts"][name]["received"]] == list(range(BURST_PKTS))


@pytest.mark.parametrize(
    ("name", "low", "high"), [("loss", 135, 185), ("duplicate", 215, 265), ("plain", 200, 200)]
)
def test_loss_and_duplication(wires, name, low, high):
    assert low <= len(wires["bursts"][name]["received"]) <= high
    assert len(wires["bursts"][name]["sent"]) == BURST_PKTS


def test_reordering_only_on_request(wires):
    numbers = [n for *_, n in wires["bursts"]["reorder"]["received"]]
    assert sorted(numbers) == list(range(BURST_PKTS)) != numbers
    for name in ("loss", "duplicate", "plain", "delay"):
        numbers = [n for *_, n in wires["bursts"][name]["received"]]
        assert numbers == sorted(numbers)


def test_wire_never_drops_for_want_of_room(wires):
    for name in ("fifo", "fast", "delay", "jitter"):
        wire = [q for q in wires["bursts"][name]["qdiscs"] if q["kind"] == "netem"]
        assert [q["dropped_pkts"] for q in wire] == [0]


@pytest.mark.parametrize("name", ["fast", "delay"])
def test_no_packet_is_larger_than_the_mtu(wires, name):
    assert wires["tcp"][name]["largest_bytes"] == FRAME_BYTES


def test_plain_links_do_have_large_packets(wires):
    """Else the test above would show nothing."""
    assert wires["tcp"]["plain"]["largest_bytes"] > FRAME_BYTES


def test_reshaping_a_running_link(wires):
    found = wires["reshaped"]
    transmission_ms = 98 * 8 / 10e6 * 1e3  # of the request; the way back is plain
    expected = [delay_ms + transmission_ms for delay_ms in (5, 50, 5)]
    assert found["rtts_ms"] == pytest.approx(expected, abs=0.1)
    assert found["lost"]
    assert found["plain_rtt_ms"] == pytest.approx(30, abs=0.1)


def test_links_between_open_vswitches_keep_their_shape(guest_kernel, tmp_path):
    """Two full frames a round trip, each 1.2112 ms at 10 Mbit/s, and 10 ms each way."""
    outcome = choose("guest").run(
        tmp_path, seed=1, module="tests.system.programs.ovs_links", wall_limit_s=120
    )
    assert outcome.ok, (outcome, (tmp_path / "console.log").read_text()[-3000:])
    found = json.loads((tmp_path / "ovs.json").read_text())
    rtt_ms = 2 * (10 + FRAME_BYTES * 8 / 10e6 * 1e3)
    assert found["ours"]["rtts_ms"] == pytest.approx([rtt_ms] * 3, abs=0.15)
    assert found["ours"]["kinds"].count("tbf") == 2
    assert "tbf" not in found["careless"]["kinds"], "it would take them away"
