"""Sweeps: which runs there are, the table of jobs, and who makes what when workers fail."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import pandas as pd
import pytest

from testbed.author.experiment import load
from testbed.core import rundir
from testbed.core.errors import ConfigError, OutputError, ParseError, RunIncompleteError
from testbed.core.parameters import param
from testbed.core.project import PROJECT
from testbed.core.rundir import RUN, VERDICTS, write_json
from testbed.execution.cluster import Cluster
from testbed.execution.engine import Ended
from testbed.execution.plan import Request
from testbed.sweep import collect, drive, figures, grid, inputs, values, work
from testbed.sweep.drive import Drive, Watcher
from testbed.sweep.inputs import OtherVersionsError, Task
from testbed.sweep.jobs import FILE, Jobs, State
from testbed.sweep.opened import SWEEP, Sweep, verdict_of
from testbed.sweep.work import Done

ECHO = PROJECT / "tests/sweeps/echo.py"


@dataclass(frozen=True)
class Parameters:
    rate_mbps: float = param(10.0, "rate", unit="Mbit/s", low=1, high=100)
    rtt_ms: float = param(10.0, "round-trip time", unit="ms", low=1, high=1000)
    flows: int = param(1, "flows", low=1, high=9)
    ecn: bool = param(False, "marks")
    cc: tuple[str, ...] = param(("reno",), "controls", choices=("reno", "cubic", "bbr"))


class Reserved:
    """An experiment with a parameter of the name of a column."""

    name = "reserved"

    @dataclass(frozen=True)
    class Parameters:
        value: float = param(1.0, "a value", low=0, high=2)


# ---- which runs


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,10,100", ["1", "10", "100"]),
        ("1..4", [1, 2, 3, 4]),
        ("0..1:0.25", [0, 0.25, 0.5, 0.75, 1]),
        ("0.1..0.3:0.1", [0.1, 0.2, 0.3]),
        ("1..3,10", [1, 2, 3, "10"]),
        ("-2..2:2", [-2, 0, 2]),
    ],
)
def test_lists_and_ranges(text, found):
    assert values.listed(text, "--x") == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,,2", "has an empty value"),
        ("3..1", "is empty"),
        ("1..2:0", "is empty"),
        ("1..2:x", "is not a range"),
        ("0.5..2", "needs a step"),
        ("1..9999999", "9,999,999 values; at most"),
    ],
)
def test_what_is_not_a_range_names_its_option(text, says):
    with pytest.raises(ConfigError, match=rf"^--x .*{says}|^--x: .*{says}"):
        values.listed(text, "--x")


def test_every_combination_is_a_point_and_runs_with_every_seed():
    found = grid.read(Parameters, {"rate_mbps": ["1,10"], "ecn": ["yes,no"]}, "1..3")
    assert found.points == [
        {"rate_mbps": rate, "ecn": ecn} for rate in (1.0, 10.0) for ecn in (True, False)
    ]
    assert found.runs == 12
    assert found.varied == ("rate_mbps", "ecn")


def test_values_that_are_lists_are_one_value_for_each_occurrence():
    found = grid.read(Parameters, {"cc": ["reno", "reno,cubic"], "flows": ["1..2", "5"]})
    assert [point["cc"] for point in found.points[::3]] == [("reno",), ("reno", "cubic")]
    assert [point["flows"] for point in found.points[:3]] == [1, 2, 5]


def test_the_same_point_is_one_run():
    assert grid.read(Parameters, {"flows": ["1,1,01"]}).runs == 1


FILE_OF_ALL_PARTS = """
seeds = [1, 7]
[grid]
rate_mbps = [1, 100]
[zip]
rtt_ms = { from = 1, to = 1000, count = 4, scale = "log" }
flows = "1..4"
[random]
count = 5
cc = [["reno"], ["cubic"]]
"""


def test_a_file_has_ranges_zipped_lists_and_samples(tmp_path):
    (tmp_path / "grid.toml").write_text(FILE_OF_ALL_PARTS)
    found = grid.read(Parameters, {}, path=tmp_path / "grid.toml")
    assert found.seeds == [1, 7]
    pairs = {(point["rtt_ms"], point["flows"]) for point in found.points}
    assert pairs == {(1.0, 1), (10.0, 2), (100.0, 3), (1000.0, 4)}
    assert {point["cc"] for point in found.points} == {("reno",), ("cubic",)}
    assert len(found.points) <= 2 * 4 * 5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[grid]\nrate = [1, 2]",
            r"rate: no such parameter \(did you mean 'rate_mbps'\?\).*2 runs",
        ),
        ("[grid]\nrate_mbps = [1, 200]", r"200 is out of range; .*no run was made of 2 runs"),
        ("[zip]\nrate_mbps = [1, 2]\nflows = [1]", "rate_mbps has 2, flows has 1"),
        ("[random]\nrate_mbps = [1]", "count: None; allowed: 1 to"),
        ("[random]\ncount = 2\nrate_mbps = { from = 3 }", "to: None is not a number"),
        ("[random]\ncount = 2\nrate_mbps = { from = 3, to = 9, step = 1 }", "give a list, or a"),
        ("[grid]\nrtt_ms = { from = 3, to = 9 }", "either step or count"),
        ("[grid]\nrtt_ms = { from = 3, to = 9, steps = 2 }", "steps: unknown"),
        ("[grid]\nrtt_ms = { from = 0, to = 9, count = 3, scale = 'log' }", "begins above 0"),
        ("[girds]\n", "girds: unknown"),
        ("grid = 1", "grid: must be a table"),
        ("[grid", "Expected ']'"),
        ("seeds = []", "seeds: is empty; give at least one seed"),
        ("[grid]\nflows = []", "grid: flows: is empty; give at least one value"),
        ("[zip]\nflows = []", "zip: flows: is empty; give at least one value"),
        ("seeds = [-1]", "seeds: -1; allowed: whole numbers from 0"),
        ("seeds = '1..2000000'", "2,000,000 values; at most"),
        ("[grid]\nflows = [1]\n[zip]\nflows = [2]", "flows: is given twice"),
    ],
)
def test_a_bad_file_is_named_with_the_number_of_runs(tmp_path, text, says):
    path = tmp_path / "grid.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        grid.read(Parameters, {}, path=path)


def test_a_latin_hypercube_meets_each_part_of_each_range_once():
    found = values.latin_shares(50, ["a", "b"], seed=3)
    for shares in found.values():
        assert sorted(int(50 * share) for share in shares) == list(range(50))
    assert found["a"] != found["b"]
    assert found == values.latin_shares(50, ["b", "a"], seed=3)
    assert found != values.latin_shares(50, ["a", "b"], seed=4)


def test_more_random_samples_begin_with_those_that_are_there():
    few, many = (values.random_shares(count, ["a"], seed=1)["a"] for count in (5, 9))
    assert many[:5] == few
    assert few[0] == pytest.approx(0.8386210972871566)
    assert all(0 <= share < 1 for share in many)


def test_each_whole_number_of_a_sampled_range_has_the_same_chance():
    [flows] = [p for p in grid.parameters_of(Parameters) if p.name == "flows"]
    shares = [(n + 0.5) / 900 for n in range(900)]
    drawn = values.sampled(flows, {"from": 1, "to": 9}, shares, "flows")
    assert pd.Series(drawn).value_counts().to_dict() == dict.fromkeys(range(1, 10), 100)


# ---- the hash of a run's inputs


def test_whatever_a_result_depends_on_changes_the_hash_and_nothing_else_does():
    base, used = Request("echo", {"delay_ms": 1.0}, seed=1), {"kernel": "a"}
    key = inputs.key_of(base, used)
    for other in (
        Request("echo", {"delay_ms": 2.0}, seed=1),
        Request("echo", {"delay_ms": 1.0}, seed=2),
        Request("other", {"delay_ms": 1.0}, seed=1),
        Request("echo", {"delay_ms": 1.0}, seed=1, perturb_percent=1),
        Request("echo", {"delay_ms": 1.0}, seed=1, only=("main",)),
    ):
        assert inputs.key_of(other, used) != key
    assert inputs.key_of(base, {"kernel": "b"}) != key
    same = Request("echo", {"delay_ms": 1.0}, seed=1, out=ECHO, wall_limit_s=1)
    assert inputs.key_of(same, used) == key


def test_a_machine_that_would_do_the_work_differently_says_what_it_has():
    with pytest.raises(
        OtherVersionsError, match="worker w: guest kernel is b, not a; x is missing"
    ):
        inputs.refuse_other_versions(
            {"guest kernel": "a", "x": "1"}, {"guest kernel": "b"}, "worker w"
        )
    inputs.refuse_other_versions({"a": "1"}, {"a": "1"}, "")


# ---- the table of jobs


def tasks(home, count=4):
    return {
        f"{n:024x}": Task(
            f"{n:024x}", Request("echo", {"n": n}, seed=n, out=home), {}, "tables", ""
        )
        for n in range(count)
    }


def wanted(given):
    return [(key, task.request.parameters, task.request.seed) for key, task in given.items()]


def finish(home, key):
    folder = home / work.RUNS / key
    folder.mkdir(parents=True)
    write_json(folder / RUN, {"format": rundir.FORMAT})


def test_what_is_there_is_done_and_what_is_gone_is_to_do(tmp_path):
    some = tasks(tmp_path)
    first, second, *_ = some
    finish(tmp_path, first)
    jobs = Jobs(tmp_path)
    jobs.want(wanted(some))
    assert [row.state for row in jobs.rows()] == [State.DONE, *[State.TO_DO] * 3]
    jobs.done(second, "w", 1.5, 10, "f")  # by the table alone: its folder is not there
    jobs.close()
    jobs = Jobs(tmp_path)
    jobs.want(wanted(some))
    assert jobs.counts()[State.TO_DO] == 3
    assert jobs.mean_cost() == (1.5, 10)


def test_fewer_values_leave_runs_out_and_more_bring_them_back(tmp_path):
    some = tasks(tmp_path)
    jobs = Jobs(tmp_path)
    jobs.want(wanted(some))
    jobs.want(wanted(some)[:1])
    assert len(jobs.rows()) == 1
    jobs.want(reversed(wanted(some)))
    assert [row.seed for row in jobs.rows()] == [3, 2, 1, 0]


def test_what_failed_is_tried_again_and_what_was_set_aside_only_if_asked(tmp_path):
    some = tasks(tmp_path, 2)
    one, two = some
    jobs = Jobs(tmp_path)
    jobs.want(wanted(some))
    assert jobs.failed(one, "no room", 1) is State.FAILED
    assert jobs.died(two, "killed", 2) is State.TO_DO
    assert jobs.died(two, "killed", 2) is State.SET_ASIDE
    jobs.want(wanted(some))
    assert [row.state for row in jobs.rows()] == [State.TO_DO, State.SET_ASIDE]
    assert jobs.rows()[1].reason == "killed"
    jobs.want(wanted(some), again=True)
    assert [row.deaths for row in jobs.rows(State.TO_DO)] == [0, 0]


def test_a_table_that_is_none_of_ours_is_named(tmp_path):
    (tmp_path / FILE).write_text("not a table " * 100)
    with pytest.raises(ParseError, match="remove the file"):
        Jobs(tmp_path)
    with pytest.raises(OutputError, match="cannot be written"):
        Jobs(tmp_path / "no" / "folder")


# ---- who makes what


class Fake:
    """An engine of two workers; `what(worker, task)` gives what becomes of a task."""

    def __init__(self, what, names=("one", "two")):
        self.what, self.names, self.log, self.queue = what, list(names), [], []

    def workers(self):
        return self.names

    def submit(self, ticket, job_of, task, avoid=()):
        others = [name for name in self.names if name not in avoid]
        worker = (others or self.names)[ticket % len(others or self.names)]
        self.log.append((worker, task.key))
        found = self.what(worker, task)
        if isinstance(found, str):
            ended = Ended(ticket, worker, died=found)
        elif isinstance(found, Exception):
            ended = Ended(ticket, worker, error=found)
        else:
            ended = Ended(ticket, worker, found)
        self.queue.append(ended)

    def ended(self, timeout_s):
        queue, self.queue = self.queue, []
        return queue

    def doing(self, ticket):
        return []


class Notes(Watcher):
    def __init__(self):
        self.said = []

    def note(self, text):
        self.said.append(text)


def driven(tmp_path, what, *, count=4, verify=0.0, names=("one", "two")):
    some = tasks(tmp_path, count)
    jobs, notes, engine = Jobs(tmp_path), Notes(), Fake(what, names)
    jobs.want(wanted(some))
    Drive(engine, jobs, some, notes, verify).run()
    return jobs, engine, notes.said


GOOD = Done(1.0, 10, "same")


def test_a_run_that_ends_three_workers_is_set_aside_and_the_rest_is_made(tmp_path):
    jobs, engine, _ = driven(
        tmp_path, lambda _, task: "was killed by signal 9" if task.request.seed == 1 else GOOD
    )
    rows = jobs.rows()
    assert [row.state for row in rows] == [State.DONE, State.SET_ASIDE, State.DONE, State.DONE]
    assert rows[1].deaths == 3
    assert rows[1].reason.endswith("was killed by signal 9")
    assert sum(key == rows[1].key for _, key in engine.log) == 3


def test_a_run_whose_worker_has_a_full_disk_is_made_by_another(tmp_path):
    full = OutputError("/tmp: cannot be written: the disk is full")
    jobs, _, _ = driven(tmp_path, lambda worker, _: full if worker == "one" else GOOD)
    assert jobs.counts() == {State.TO_DO: 0, State.DONE: 4, State.FAILED: 0, State.SET_ASIDE: 0}
    assert {row.worker for row in jobs.rows()} == {"two"}


@pytest.mark.parametrize(
    ("error", "tries"),
    [(ConfigError("bad"), 1), (RunIncompleteError("no route"), 2), (OutputError("full"), 3)],
)
def test_how_often_a_run_is_tried_depends_on_why_it_failed(tmp_path, error, tries):
    jobs, engine, _ = driven(tmp_path, lambda *_: error, count=1)
    assert len(engine.log) == tries
    assert jobs.rows()[0].state is State.FAILED
    assert jobs.rows()[0].reason == str(error)


def test_a_worker_with_other_versions_gets_no_more_work(tmp_path):
    other = OtherVersionsError("worker one: guest kernel is b, not a")
    jobs, _, said = driven(tmp_path, lambda worker, _: other if worker == "one" else GOOD)
    assert jobs.counts()[State.DONE] == 4
    assert said == ["worker one: guest kernel is b, not a; it gets no more work"]


def test_a_sweep_whose_workers_are_all_refused_waits_for_another_and_then_ends(
    tmp_path, monkeypatch
):
    other = OtherVersionsError("worker one: guest kernel is b, not a")

    class Late(Fake):
        """The second worker comes when the first one was refused."""

        def ended(self, timeout_s):
            self.names = ["one", "two"] if self.log else ["one"]
            return super().ended(timeout_s)

    some = tasks(tmp_path)
    jobs, engine = Jobs(tmp_path), Late(lambda n, _: other if n == "one" else GOOD, ["one"])
    jobs.want(wanted(some))
    Drive(engine, jobs, some, Notes()).run()
    assert jobs.counts()[State.DONE] == 4
    monkeypatch.setattr(drive, "_GRACE_S", 0.0)
    (tmp_path / "alone").mkdir()
    with pytest.raises(OtherVersionsError, match="guest kernel is b"):
        driven(tmp_path / "alone", lambda *_: other, names=("one",))


def test_a_refused_worker_is_no_slot(tmp_path):
    other = OtherVersionsError("worker one: guest kernel is b, not a")
    most = []

    class Counting(Fake):
        def ended(self, timeout_s):
            most.append(len(self.queue))
            return super().ended(timeout_s)

    some = tasks(tmp_path)
    jobs, engine = Jobs(tmp_path), Counting(lambda n, _: other if n == "one" else GOOD)
    jobs.want(wanted(some))
    Drive(engine, jobs, some, Notes()).run()
    assert most[0] == 2
    assert set(most[1:]) == {1}


def test_a_sample_is_made_twice_by_another_worker_and_compared(tmp_path):
    jobs, engine, said = driven(tmp_path, lambda *_: GOOD, verify=100)
    assert len(engine.log) == 8
    assert all(row.verified.startswith("same: ") for row in jobs.rows())
    for row in jobs.rows():
        assert len({worker for worker, key in engine.log if key == row.key}) == 2
    assert said == []


def test_a_sample_that_nobody_else_can_make_is_not_compared_and_tried_again(tmp_path):
    jobs, engine, _ = driven(tmp_path, lambda *_: GOOD, verify=100, names=("one",))
    assert len(engine.log) == 4
    assert drive.comparisons(jobs.rows()) == {"not compared": 4}
    some = tasks(tmp_path)
    for key in some:
        finish(tmp_path, key)
    jobs.want(wanted(some))
    again = Fake(lambda *_: GOOD)
    Drive(again, jobs, some, Notes(), 100).run()
    assert {worker for worker, _ in again.log} == {"two"}
    assert drive.comparisons(jobs.rows()) == {"same": 4}
    jobs.want(wanted(some))
    assert drive.to_verify(jobs.rows(State.DONE), 100) == []


@pytest.mark.parametrize("what", ["was killed", OutputError("full"), Done(1.0, 10, "")])
def test_a_second_run_that_shows_nothing_is_counted_apart(tmp_path, what):
    jobs, _, _ = driven(tmp_path, lambda _, task: what if task.check else GOOD, verify=100)
    assert drive.comparisons(jobs.rows()) == {"not compared": 4}


def test_the_fingerprint_of_a_run_that_the_table_does_not_know_is_the_runs(tmp_path):
    some = tasks(tmp_path, 1)
    [key] = some
    finish(tmp_path, key)
    write_json(
        tmp_path / work.RUNS / key / RUN, {"format": rundir.FORMAT, "fingerprint": "from the run"}
    )
    jobs = Jobs(tmp_path)
    jobs.want(wanted(some))
    assert jobs.rows()[0].fingerprint == "from the run"


def test_fingerprints_that_differ_are_reported(tmp_path):
    def what(worker, task):
        return Done(1.0, 10, "other" if task.check else "one")

    jobs, _, said = driven(tmp_path, what, verify=100, count=1)
    assert jobs.rows()[0].verified.startswith("different: ")
    assert "its fingerprints differ" in said[0]


def test_an_idle_worker_takes_over_a_slow_run_and_the_first_one_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(drive, "_SLOW_S", 0.0)
    monkeypatch.setattr(drive, "_SLOW", 0.0)

    class Slow(Fake):
        def submit(self, ticket, job_of, task, avoid=()):
            super().submit(ticket, job_of, task, avoid)
            if task.request.seed == 1 and sum(key == task.key for _, key in self.log) == 1:
                self.queue.pop()  # it never ends

        def doing(self, ticket):
            return [self.log[ticket - 1][0]]

    some = tasks(tmp_path, 4)
    jobs, engine = Jobs(tmp_path), Slow(lambda *_: GOOD)
    jobs.want(wanted(some))
    Drive(engine, jobs, some, Notes()).run()
    assert jobs.counts()[State.DONE] == 4
    slow = [worker for worker, key in engine.log if key == list(some)[1]]
    assert len(slow) == len(set(slow)) == 2


def test_nothing_is_made_twice_without_being_asked(tmp_path):
    assert len(driven(tmp_path, lambda *_: GOOD)[1].log) == 4


# ---- joint tables and figures


def claims_table(varied):
    return pd.DataFrame(
        [
            {**point, "seed": seed, "claim": name, "value": value + seed, "unit": "ms"}
            | {"verdict": "FAIL" if value > 50 else "PASS"}
            for name in ("twice_the_delay", "nothing_lost")
            for seed in (1, 2, 3)
            for point, value in varied
        ]
    )


def drawn(points, varied):
    from analysis.plots import style

    cls = load(str(ECHO))
    with style.applied():
        found = {
            name: caption for name, caption, _ in figures.figures(cls, claims_table(points), varied)
        }
    assert all(found.values())
    return list(found)


def test_two_numbers_give_lines_and_a_map_for_each_claim():
    points = [
        ({"delay_ms": d, "loss_percent": p}, d) for d in (1.0, 10.0, 100.0) for p in (0.0, 5.0)
    ]
    assert drawn(points, ["delay_ms", "loss_percent"]) == [
        "1_where_claims_hold",
        "2_twice_the_delay_lines",
        "2_twice_the_delay_map",
        "2_nothing_lost_lines",
        "2_nothing_lost_map",
    ]


def test_many_samples_are_points_and_words_have_lines_too():
    points = [({"delay_ms": 1.0 + n, "loss_percent": n / 10}, n) for n in range(60)]
    names = drawn(points, ["delay_ms", "loss_percent"])
    assert names == ["2_twice_the_delay_samples", "2_nothing_lost_samples"]
    words = [({"trap": word}, 1.0) for word in ("a", "b")]
    assert drawn(words, ["trap"])[1:] == ["2_twice_the_delay_lines", "2_nothing_lost_lines"]
    assert len(drawn([({}, 1.0)], [])) == 1


def picture(name, *given):
    """Titles and texts of a figure, its bands, and its frames."""
    import matplotlib.pyplot as plt

    from analysis.plots import style
    from analysis.plots import sweep as plots

    with style.applied():
        figure = getattr(plots, name)(*given)
        axes = figure.axes[0]
        texts = [text.get_text() for text in axes.texts]
        titles = (axes.get_title(), figure.get_suptitle())
        plt.close(figure)
    return titles, texts, list(axes.collections), list(axes.patches)


def test_inconclusive_runs_are_no_failures_in_figures_and_tables(tmp_path):
    table = claims_table([({"delay_ms": d}, d) for d in (1.0, 10.0, 60.0)])
    table.loc[(table["delay_ms"] == 10) & (table["seed"] > 1), "verdict"] = "INCONCLUSIVE"
    table.loc[table["delay_ms"] == 1, "verdict"] = "INCONCLUSIVE"
    _, texts, _, _ = picture("where_claims_hold", table, ["delay_ms"], {})
    assert texts == ["100%", "0%", "100%", "0%"]  # nothing is said of 1 ms
    one = table[table["claim"] == "nothing_lost"].assign(loss_percent=0.0)
    _, _, _, frames = picture("maps", one, "delay_ms", "loss_percent", [], {}, "")
    assert [frame.get_x() for frame in frames] == [2 - 0.46]
    counts = {"held": 1, "failed": 0, "inconclusive": 2}
    assert verdict_of(counts) == "INCONCLUSIVE"
    assert verdict_of(counts | {"failed": 1}) == "FAIL"
    assert verdict_of(counts | {"inconclusive": 0}) == "PASS"
    write_json(tmp_path / SWEEP, {"format": 1, "varied": ["delay_ms"], "experiment": str(ECHO)})
    made = Sweep(tmp_path)
    made.__dict__["claims"] = table
    assert set(made.held()["fails_at"]) == {"delay_ms 60"}


def test_a_figure_says_what_it_leaves_out_and_one_run_has_no_band():
    points = [({"delay_ms": d, "trap": str(n)}, d) for n in range(20) for d in (1.0, 10.0)]
    table = claims_table(points)
    one = table[table["claim"] == "nothing_lost"]
    titles, _, bands, _ = picture("lines", one, "delay_ms", ["trap"], {}, "it")
    assert titles[0] == "it (12 of 20 combinations)"
    assert len(bands) == 12
    single = one[one["seed"] == 1]
    assert picture("lines", single[single["trap"] == "1"], "delay_ms", [], {}, "it")[2] == []
    given = one.assign(loss_percent=0.0), "delay_ms", "loss_percent", ["trap"], {}, "it"
    assert picture("maps", *given)[0][1] == "it (6 of 20 combinations)"
    cls = load(str(ECHO))
    for rows, words in ((one, "95 % confidence band"), (single, "One run per point")):
        captions = [text for _, text, _ in figures.figures(cls, rows, ["delay_ms", "trap"])]
        assert words in captions[-1]


def test_joint_tables_are_read_as_one_by_whoever_reads_parquet(tmp_path):
    some = tasks(tmp_path, 3)
    jobs = Jobs(tmp_path)
    for key in some:
        finish(tmp_path, key)
        folder = tmp_path / work.RUNS / key
        verdict = {"claim": "lost", "status": "PASS", "value": 2.0, "unit": "ms"}
        verdict |= {"observed": "2 ms", "expected": "2 ms", "tolerance": "± 1"}
        write_json(folder / VERDICTS, [verdict, verdict | {"claim": "kept", "value": None}])
        (folder / "tables").mkdir()
        pd.DataFrame({"n": [1], "rtt_ms": [2.0]}).to_parquet(folder / "tables/pings.parquet")
    jobs.want(wanted(some))
    rows = jobs.rows(State.DONE)
    claims, pings = collect.claims_of(tmp_path, rows), collect.table_of(tmp_path, rows, "pings")
    assert list(claims.columns[:5]) == ["run", "seed", "n", "claim", "verdict"]
    assert claims["expected"].unique().tolist() == ["2 ms ± 1"]
    collect.write(tmp_path, claims, {"pings": pings})
    collect.write(tmp_path, claims, {"pings": pings})  # again, in place of the first
    read = pd.read_parquet(tmp_path / collect.CLAIMS)
    assert len(read) == 6
    assert set(read["claim"]) == {"lost", "kept"}
    assert read["value"].count() == 3
    assert len(pd.read_parquet(tmp_path / "tables/pings")) == 3
    assert list(pings.columns) == ["run", "seed", "n", "rtt_ms"]
    collect.refuse_reserved(load(str(ECHO)))
    with pytest.raises(ConfigError, match=r"parameter 'value': a sweep's tables have a column"):
        collect.refuse_reserved(Reserved)
    with pytest.raises(ConfigError, match=r"'ping': no run .*\(did you mean 'pings'\?\)"):
        collect.table_of(tmp_path, rows, "ping")


# ---- options


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"where": "slrum"}, r"unknown \(did you mean 'slurm'\?\)"),
        ({"where": "tcp:1.2.3.4"}, "known: local, tcp://HOST:PORT"),
        ({"where": "tcp://10.1.2.3:8786"}, "executes what it is sent; use tls://"),
        ({"where": "tls://10.1.2.3:8786"}, "needs --tls FOLDER"),
        ({"where": "ssh:hosts.txt"}, "unknown"),
        ({"interface": "lo"}, "--interface: only with"),
        ({"where": "local", "interface": "lo"}, "--interface: only with"),
        ({"tls": PROJECT}, "--tls: only with"),
        ({"job": {"walltime": "1"}}, "--job: only jobs of slurm and pbs"),
        (
            {"where": "slurm", "job": {"wall": "1"}},
            r"--job wall: unknown \(did you mean 'walltime'",
        ),
        ({"where": "local", "tls": PROJECT}, "has no ca.pem"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused_by_its_option(given, says):
    with pytest.raises(ConfigError, match=says):
        Cluster(**given).check()


def test_the_table_is_plain_sqlite(tmp_path):
    Jobs(tmp_path).want(wanted(tasks(tmp_path)))
    found = sqlite3.connect(tmp_path / FILE).execute("SELECT count(*) FROM job").fetchone()
    assert found == (4,)
