"""The gate of the real clock: quiet hosts pass it, disturbed ones learn why not."""

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.author.experiment import Experiment, load
from testbed.core.claims import claim, near, same
from testbed.core.rundir import RunDir
from testbed.core.tables import Tables
from testbed.guest_init import init, stalls
from testbed.guest_init.stalls import STALLS, Stalls
from testbed.results import gate, replay

QUIET = {"watched_s": 10.0, "pressure_s": 1.0, "clock_step_s": 0.0, "backlog_drops": 0}
MS = 1_000_000
START_NS, END_NS = 5_000 * MS, 15_000 * MS
"""Between these `run` went on, by the run's monotonic clock."""


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({}, None),
        ({"pressure_s": 9.9}, None),
        ({"clock_step_s": 0.25}, "the clock was set by 250.0 ms"),
        ({"backlog_drops": 3}, "backlog dropped 3 packets"),
    ],
)
def test_each_disturbance_has_its_reason(seen, why):
    found = list(gate.host_disturbances(QUIET | seen))
    assert (found == []) if why is None else (why in found[0] and len(found) == 1)


def record(folder: Path, *stalls: tuple[int, int], pressure_s: float = 1.0) -> None:
    """A scenario's folder with stalls: ms after `run` began, and how many ms late."""
    folder.mkdir(parents=True, exist_ok=True)
    noted = [(START_NS + at * MS, late * MS) for at, late in stalls]
    stalls_json = {"nap_s": 0.001, "cpus": 1, "stalls": noted}
    (folder / STALLS).write_text(json.dumps(stalls_json))
    (folder / gate.GATE).write_text(json.dumps(QUIET | {"pressure_s": pressure_s}))
    rows = [
        {"time_ns": ns, "event": event, "monotonic_ns": ns}
        for event, ns in (("start", START_NS), ("end", END_NS))
    ]
    (folder / "events.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "topology.json").write_text(json.dumps({"links": []}))


def test_a_stall_lies_between_falling_asleep_and_waking(tmp_path):
    record(tmp_path, (100, 18))
    (stall,) = gate.stalls(tmp_path)
    assert (stall.began_ns, stall.ended_ns) == (START_NS + 99 * MS, START_NS + 118 * MS)


def test_what_was_before_or_after_the_run_is_no_matter(tmp_path):
    record(tmp_path, (-50, 40), (10_500, 40))
    assert gate.stalls(tmp_path) == []
    record(tmp_path, (-5, 40), (10_000, 40))
    assert len(gate.stalls(tmp_path)) == 2


def test_timers_late_for_much_of_a_run_make_it_mean_nothing(tmp_path):
    run = RunDir(tmp_path)
    record(run.scenario("main"), *((100 * i, 7) for i in range(99)))
    assert gate.reasons(run, ["main"]) == ""
    record(run.scenario("main"), *((100 * i, 20) for i in range(99)), pressure_s=9.0)
    assert gate.reasons(run, ["main"]) == (
        "main: timers fired late for 19.8% of the time (at most 12%; worst 20.0 ms); "
        "programs waited for a CPU 90% of the time"
    )


def test_where_nobody_watched_nothing_is_known(tmp_path):
    run = RunDir(tmp_path)
    record(run.scenario("main"))
    assert gate.reasons(run, ["main"]) == ""
    (run.scenario("main") / STALLS).unlink()
    assert gate.reasons(run, ["main"]) == "main: its timers were not watched (no stalls.json)"


def test_only_a_stall_longer_than_the_claim_bears_can_be_the_cause(tmp_path):
    run = RunDir(tmp_path)
    record(run.scenario("main"), (100, 18), (200, 3))
    why = gate.stalled(run, ["main"], 0.002)
    assert why.startswith("main: a timer fired 18.0 ms late (the claim tolerates 2 ms)")
    assert gate.stalled(run, ["main"], 0.018) == ""
    assert gate.stalled(run, ["main"], 0.0179)


class Claims(Experiment):
    """One claim that does not hold, of each of two scenarios and of both; one that does."""

    @dataclass(frozen=True)
    class Parameters:
        pass

    @claim("Wrong in one.", source="-", scenarios=("one",), bears_stall_s=0.002)
    def wrong_one(self, tables):
        return near(2.0, 1, abs=0)

    @claim("Wrong in two.", source="-", scenarios=("two",), bears_stall_s=0.002)
    def wrong_two(self, tables):
        return near(2.0, 1, abs=0)

    @claim("Wrong.", source="-", bears_stall_s=0.002)
    def wrong(self, tables):
        return near(2.0, 1, abs=0)

    @claim("Right in one.", source="-", scenarios=("one",), bears_stall_s=0.002)
    def right_one(self, tables):
        return near(1.0, 1, abs=0)


def statuses(path: Path, cls: type[Experiment] = Claims) -> list[str]:
    run = RunDir(path)
    run.write_meta({"parameters": {}, "scenarios": {"one": {}, "two": {}}, "clock": "real"})
    judged = replay.judge(run, cls(cls.Parameters()), Tables())
    return [str(verdict.status) for _, verdict in judged]


def test_what_does_not_hold_beside_a_stall_is_inconclusive_and_what_holds_holds(tmp_path):
    record(RunDir(tmp_path).scenario("one"), (100, 18))
    record(RunDir(tmp_path).scenario("two"))
    assert statuses(tmp_path) == ["INCONCLUSIVE", "FAIL", "INCONCLUSIVE", "PASS"]


def test_on_a_quiet_host_what_is_wrong_fails(tmp_path):
    record(RunDir(tmp_path).scenario("one"))
    record(RunDir(tmp_path).scenario("two"))
    assert statuses(tmp_path) == ["FAIL", "FAIL", "FAIL", "PASS"]


def test_claims_about_seconds_bear_a_stall_of_milliseconds(tmp_path):
    class Slow(Claims):
        @claim("Wrong by seconds, in one.", source="-", scenarios=("one",), bears_stall_s=0.1)
        def wrong_one(self, tables):
            return near(30.0, 1, abs=0, unit="s")

        @claim("Wrong routes.", source="-")
        def wrong(self, tables):
            return same("r2", "r3")

    record(RunDir(tmp_path).scenario("one"), (100, 20))
    record(RunDir(tmp_path).scenario("two"), (100, 20))
    assert statuses(tmp_path, Slow) == ["FAIL", "INCONCLUSIVE", "FAIL", "PASS"]
    record(RunDir(tmp_path).scenario("one"), (100, 101))
    assert statuses(tmp_path, Slow) == ["INCONCLUSIVE", "INCONCLUSIVE", "FAIL", "PASS"]


def test_a_claim_on_routes_bears_any_stall_and_one_on_seconds_a_tenth_of_them():
    bears = {c.name: c.bears_stall_s for c in load("routing_comparison").claims()}
    assert bears["same_paths"] == math.inf
    assert bears["cut"] == bears["silence"] == 0.1
    assert {c.name: c.bears_stall_s for c in load("fidelity_tcp").claims()} == {
        "no_super_packets": math.inf,
        "tcp_goodput_is_exact": 0.002,
        "ack_path_is_exact": math.inf,
        "fat_path_is_filled": 0.002,
    }


def test_a_host_too_busy_leaves_no_verdict_on_that_scenario(tmp_path):
    record(RunDir(tmp_path).scenario("one"), *((100 * i, 20) for i in range(99)))
    record(RunDir(tmp_path).scenario("two"))
    assert statuses(tmp_path) == ["INCONCLUSIVE", "FAIL", "INCONCLUSIVE", "INCONCLUSIVE"]


@pytest.fixture
def run(tmp_path):
    made = RunDir(tmp_path)
    folder = made.scenario("main")
    record(folder)
    (folder / "captures").mkdir(parents=True)

    def write(
        wire_drops: int = 0,
        loss_percent: float = 0.0,
        missed: int = 0,
        reshaped: float = 0.0,
    ) -> RunDir:
        link = {
            "node1": "h1",
            "node2": "h2",
            "interface1": "h1-eth0",
            "interface2": "h2-eth0",
            "shape1": {"loss_percent": loss_percent},
            "shape2": {},
        }
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
    assert "capture h1-eth0 lost 2 packets" in gate.reasons(run(missed=2), ["main"])


def test_the_watch_sees_a_step_and_the_time(monkeypatch):
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
    spin = [
        sys.executable,
        "-c",
        "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass",
    ]
    loops = [subprocess.Popen(spin) for _ in range(2 * (os.cpu_count() or 1) + 1)]
    for loop in loops:
        loop.wait()
    assert gate.cpu_pressure_us() > before


def test_a_kernel_that_tells_nothing_disturbs_nothing(tmp_path):
    assert gate.cpu_pressure_us(tmp_path / "none") == 0
    assert gate.backlog_drops(tmp_path / "none") == 0
    (tmp_path / "softnet").write_text("0a 00000003 0\n0b 00000001 0\n")
    assert gate.backlog_drops(tmp_path / "softnet") == 4


def test_a_run_has_no_more_processors_than_are_watched(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(3, 40)))
    assert stalls.watchable() == list(range(3, 11))


def test_a_stall_between_two_naps_is_seen(monkeypatch):
    now_ns = 0

    def sleep(seconds):
        nonlocal now_ns
        if now_ns > 20 * MS:
            raise KeyboardInterrupt
        now_ns += round(seconds * 1e9)

    def read():
        nonlocal now_ns
        then_ns, now_ns = now_ns, now_ns + (5 * MS if now_ns == 3 * MS else 0)
        return then_ns

    monkeypatch.setattr(stalls.time, "sleep", sleep)
    monkeypatch.setattr(stalls.time, "monotonic_ns", read)
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cpus: None)
    monkeypatch.setattr(os, "sched_setscheduler", lambda *settings: None)
    watched = Stalls([])
    with pytest.raises(KeyboardInterrupt):
        watched._watch(0)
    assert watched.found == [(4 * MS, 5 * MS)]


def test_the_watchers_notes_reach_the_gate(tmp_path):
    watched = Stalls([])
    watched.found += [(2 * MS, 5 * MS)]
    watched.write(str(tmp_path))
    assert [s.late_ns for s in gate.stalls(tmp_path)] == [5 * MS]
    assert [p.name for p in tmp_path.iterdir()] == [STALLS]


def test_notes_that_cannot_be_written_leave_the_programs_result(monkeypatch):
    class Full(Stalls):
        def write(self, folder):
            raise OSError(28, "No space left on device")

    order, left = [], []
    monkeypatch.setattr(init, "_prepare", lambda guest: None)
    monkeypatch.setattr(init, "_on_virtual_clock", lambda: False)
    monkeypatch.setattr(init, "watchable", lambda: [5, 6])
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cpus: order.append(cpus))
    monkeypatch.setattr(init, "_start", lambda module: order.append("program"))
    monkeypatch.setattr(init, "Stalls", lambda cpus: Full([]))
    monkeypatch.setattr(init, "_supervise", lambda pid: {"exit_code": 3, "reason": ""})
    monkeypatch.setattr(init, "_leave", lambda result, guest: left.append(result))
    init.main(["host", "module"])
    assert left == [{"exit_code": 3, "reason": ""}]
    assert order == [[5, 6], "program"], "the program runs where one watches"
