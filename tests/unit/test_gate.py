"""The gate of the real clock: quiet hosts pass it, disturbed ones are told why not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from testbed import gate
from testbed.rundir import RunDir

QUIET = {
    "watched_s": 10.0, "late_s": 0.01, "worst_late_s": 0.003, "pressure_s": 1.0,
    "clock_step_s": 0.0, "backlog_drops": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({}, None),
        ({"late_s": 0.2}, "timers fired late for 2.0%"),
        ({"pressure_s": 7.0}, "waited for a CPU 70%"),
        ({"clock_step_s": 0.25}, "the clock was set by 250.0 ms"),
        ({"backlog_drops": 3}, "backlog dropped 3 packets"),
        ({"watched_s": 0.1, "late_s": 0.05, "pressure_s": 0.1}, None),
    ],
)
def test_each_disturbance_has_its_reason(seen, why):
    found = list(gate.host_disturbances(QUIET | seen))
    assert (found == []) if why is None else (why in found[0] and len(found) == 1)


@pytest.fixture
def run(tmp_path):
    made = RunDir(tmp_path)
    folder = made.scenario("main")
    (folder / "captures").mkdir(parents=True)

    def write(
        wire_drops: int = 0,
        loss_percent: float = 0.0,
        missed: int = 0,
        reshaped: float = 0.0,
    ) -> RunDir:
        link = {"node1": "h1", "node2": "h2", "interface1": "h1-eth0", "interface2": "h2-eth0",
                "shape1": {"loss_percent": loss_percent}, "shape2": {}}  # fmt: skip
        row = {"interface": "h1-eth0", "place": "wire", "dropped_pkts": wire_drops}
        queue = {"interface": "h1-eth0", "place": "sender", "dropped_pkts": 99}
        event = {"event": "reshape", "interface": "h1-eth0", "shape": {"loss_percent": reshaped}}
        (folder / gate.GATE).write_text(json.dumps(QUIET))
        (folder / "topology.json").write_text(json.dumps({"links": [link]}))
        (folder / "network_after.json").write_text(json.dumps({"qdiscs": [row, queue]}))
        (folder / "events.jsonl").write_text(json.dumps(event) + "\n")
        stats = {"h1-eth0": {"captured": 9, "dropped": missed}}
        (folder / "captures" / "captures.json").write_text(json.dumps(stats))
        return made

    return write


def test_drops_count_only_where_none_should_be(run):
    assert gate.reasons(run(), ["main"]) == ""
    assert "h1-eth0 dropped 5 packets" in gate.reasons(run(wire_drops=5), ["main"])
    assert gate.reasons(run(wire_drops=5, loss_percent=1.0), ["main"]) == ""
    assert gate.reasons(run(wire_drops=5, reshaped=100.0), ["main"]) == ""
    assert "capture h1-eth0 missed 2 packets" in gate.reasons(run(missed=2), ["main"])


def test_the_watch_sees_a_late_timer_a_step_and_the_time(monkeypatch):
    offsets = iter([0.0, 0.25, 0.25, 0.25, 0.25])
    monkeypatch.setattr(gate, "_clock_offset_s", lambda: next(offsets))
    monkeypatch.setattr(gate, "cpu_pressure_us", iter([0, 2_000_000]).__next__)
    watch = gate.Watch()
    watch._look_at_clocks()
    watch.start()
    watch.stop()
    assert watch.step_s == pytest.approx(0.25)
    assert watch.pressure_s == pytest.approx(2.0)
    assert watch.data()["watched_s"] >= 0


def test_nothing_is_watched_where_the_clock_is_virtual():
    with gate.watching(False) as watch:
        assert watch is None


@pytest.mark.skipif(not Path("/proc/pressure/cpu").exists(), reason="kernel without PSI")
def test_pressure_grows_when_programs_must_wait():
    before = gate.cpu_pressure_us()
    spin = [sys.executable, "-c", "import time\nend = time.process_time() + 0.2\n"
            "while time.process_time() < end: pass"]  # fmt: skip
    loops = [subprocess.Popen(spin) for _ in range(2 * (os.cpu_count() or 1) + 1)]
    for loop in loops:
        loop.wait()
    assert gate.cpu_pressure_us() > before


def test_a_kernel_that_tells_nothing_disturbs_nothing(tmp_path):
    assert gate.cpu_pressure_us(tmp_path / "none") == 0
    assert gate.backlog_drops(tmp_path / "none") == 0
    (tmp_path / "softnet").write_text("0a 00000003 0\n0b 00000001 0\n")
    assert gate.backlog_drops(tmp_path / "softnet") == 4
