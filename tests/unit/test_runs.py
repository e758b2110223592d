"""States of runs, what readers take, `testbed runs`, `testbed diff` and `testbed runs prune`."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from testbed.cli.main import cli
from testbed.core.errors import ConfigError
from testbed.core.rundir import RUN, RunDir, State
from testbed.execution import runner
from testbed.lifetime.start import Interrupted
from testbed.results import diff, opening, replay, runs
from tests.unit.test_outputs import finished_run


def started(days_ago: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 86400 * days_ago))


def make(path: Path, state: State | None = State.FINISHED, days_ago: float = 0, **more) -> RunDir:
    run = finished_run(path)
    meta = run.meta() | {"started": started(days_ago), "state": state, **more}
    if state is None:
        del meta["state"]
    run.write_meta(meta)
    os.utime(path / RUN, (time.time() - 86400 * days_ago,) * 2)
    return run


def hold(path: Path) -> multiprocessing.Process:
    """Another process in which the run is under way."""
    ready = multiprocessing.get_context("fork").Event()

    def work() -> None:
        with RunDir(path).in_use():
            ready.set()
            time.sleep(60)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    assert ready.wait(10)
    return process


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTBED_RUNS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def testbed(*words, **options):
    return CliRunner().invoke(cli, list(map(str, words)), **options)


testbed.__test__ = False


# ---- states


@pytest.mark.parametrize(
    ("meta", "state"),
    [
        ({"state": State.FINISHED}, State.FINISHED),
        ({"state": State.FAILED}, State.FAILED),
        ({"state": State.UNDER_WAY}, State.INTERRUPTED),  # nobody holds it
        ({"state": None}, State.FINISHED),
        ({"state": None, "status": "running"}, State.INTERRUPTED),
        ({"state": None, "status": "incomplete", "reason": "interrupted"}, State.INTERRUPTED),
        ({"state": None, "status": "incomplete", "reason": "main: panic"}, State.FAILED),
    ],
)
def test_the_state_is_what_the_lock_and_the_last_write_say(tmp_path, meta, state):
    assert make(tmp_path / "r", **meta).state is state


def test_a_killed_runner_leaves_an_interrupted_run(folder):
    run = make(folder / "r", State.UNDER_WAY, status="running")
    process = hold(run.path)
    assert run.state is State.UNDER_WAY
    assert (RunDir(run.path / "seed-1").under_way) is True  # a repetition's run, by its parent
    with pytest.raises(ConfigError, match="r: is still running"), run.in_use():
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert run.state is State.INTERRUPTED
    with run.in_use():
        assert run.state is State.UNDER_WAY


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted(signal.SIGTERM)], ids=str)
def test_a_signal_while_a_run_is_judged_interrupts_it(folder, monkeypatch, error):
    def stopped(*_):
        raise error

    run = make(folder / "r")
    monkeypatch.setattr(replay, "_replay", stopped)
    with pytest.raises(type(error)):
        replay.replay(run)
    assert run.state is State.INTERRUPTED
    assert run.meta()["reason"].startswith("interrupted")


def test_a_run_whose_programs_cannot_be_hashed_has_failed(folder, monkeypatch):
    def unreadable(_):
        raise OSError(5, "the disk reports an error")

    run = make(folder / "r", State.UNDER_WAY, status="running")
    made = runner.Plan(None, None, None, {}, None, run, run.meta(), ())
    monkeypatch.setattr(runner, "_run_scenarios", lambda plans, _: {label: {} for label in plans})
    monkeypatch.setattr(runner, "_files", unreadable)
    with pytest.raises(OSError, match="disk"):
        runner.build_and_run({"": made}, runner.Watcher())
    assert run.state is State.FAILED and "disk" in run.meta()["reason"]


def test_readers_take_finished_runs(folder, monkeypatch):
    make(folder / "arp-old", days_ago=3)
    make(folder / "arp-cut", State.UNDER_WAY, days_ago=2, status="running")
    make(folder / "arp-failed", State.FAILED, days_ago=1, status="incomplete", reason="panic")
    now = make(folder / "arp-now", State.UNDER_WAY)
    process = hold(now.path)
    try:
        assert RunDir.open("latest", folder).path.name == "arp-old"
        monkeypatch.setenv("TESTBED_RUNS", str(folder))
        monkeypatch.delenv("TESTBED_RUN", raising=False)
        assert opening.open("arp").path.name == "arp-old"
        before = (now.path / RUN).read_bytes()
        for words in (("replay",), ("report",), ("verify",), ("diff", "arp-old")):
            done = subprocess.run(
                [sys.executable, "-m", "testbed.cli.main", *words, str(now.path)],
                capture_output=True,
                text=True,
                check=False,
                cwd=folder.parent,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )
            assert done.returncode == 2, done.stderr
            assert done.stderr == f"error: {now.path}: is still running; wait until it ends\n"
        assert (now.path / RUN).read_bytes() == before
    finally:
        process.kill()
        process.join()
    # its networks came to their end: 'replay' can finish it, the others say so
    assert RunDir.open("latest", folder).path.name == "arp-now"
    with pytest.raises(ConfigError, match="is interrupted; judge it with 'testbed replay"):
        RunDir(now.path).require_finished()
    with pytest.raises(ConfigError, match=r"is failed \(panic\); run it again"):
        RunDir(folder / "arp-failed").require_finished()


def test_latest_says_why_there_is_none(folder):
    make(folder / "arp-cut", State.UNDER_WAY, status="running")
    with pytest.raises(ConfigError, match=r"no finished run .* \(1 running, interrupted"):
        RunDir.open("latest", folder)


# ---- testbed runs


def test_runs_are_listed_with_state_verdicts_and_size(folder):
    good = make(folder / "arp-1", days_ago=2, fingerprint="f" * 64)
    (good.path / "verdicts.json").write_text('[{"status": "PASS"}, {"status": "FAIL"}]')
    make(folder / "arp-2", State.FAILED, days_ago=1, status="incomplete", reason="main: panic")
    (folder / "odd-1").mkdir()
    (folder / "odd-1" / RUN).write_text("{")
    repetition = folder / "rip-1-x2"
    for seed in (1, 2):
        make(repetition / f"seed-{seed}", days_ago=3)
    shown = testbed("runs").stdout
    for words in ("arp-1", "finished", "1 PASS, 1 FAIL", "f" * 16, "failed (main: panic)"):
        assert words in shown
    rows = {Path(r["path"]).name: r for r in json.loads(testbed("runs", "--json").stdout)}
    assert [rows[n]["state"] for n in ("arp-1", "arp-2", "odd-1", "rip-1-x2")] == [
        "finished",
        "failed",
        "damaged",
        "interrupted",
    ]
    assert rows["rip-1-x2"]["runs"] == 2 and rows["arp-1"]["size_bytes"] > 1000
    for name in ("repetition.json", "report.html"):
        (repetition / name).write_text('{"claims": [{"status": "PASS"}]}')
    assert runs.rows(folder)[0].state == State.FINISHED


def test_prune_removes_what_its_conditions_name_and_nothing_under_way(folder):
    for number in range(4):
        make(folder / f"arp-{number}", days_ago=number)
    make(folder / "rip-1", days_ago=9, experiment="rip")
    make(folder / "arp-cut", State.INTERRUPTED, days_ago=0.5)
    now = make(folder / "arp-now", State.UNDER_WAY, days_ago=30)
    process = hold(now.path)

    def left() -> set[str]:
        return {p.name for p in folder.iterdir()}

    try:
        every = left()
        assert testbed("runs", "prune", "--keep", "0", "--dry-run").exit_code == 0
        assert left() == every
        refused = testbed("runs", "prune")
        assert isinstance(refused.exception, ConfigError) and "add --yes" in str(refused.exception)
        assert left() == every
        testbed("runs", "prune", "--yes")
        assert left() == every - {"arp-cut"}
        testbed("runs", "prune", "--keep", "2", "--older-than", "2.5", "--yes")
        assert left() == every - {"arp-cut", "arp-3"}
        testbed("runs", "prune", "--keep", "1", "--yes")
        assert left() == {"arp-0", "rip-1", "arp-now"}
        testbed("runs", "prune", "--keep", "0", "--yes")
        assert left() == {"arp-now"}
        with pytest.raises(ConfigError, match="is still running"):
            runs.remove(now.path)
    finally:
        process.kill()
        process.join()


def test_folders_without_a_record_are_sessions_or_damaged_runs(folder):
    session, killed, new = (
        folder / "shell-tree-20260102-030405",
        folder / "arp-20260102-030406",
        folder / f"arp-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}",
    )
    for path in (session, killed, new, folder / "notes-2026"):
        path.mkdir()
    found = {row.path.name: row for row in runs.rows(folder)}
    assert {name: row.state for name, row in found.items()} == {
        session.name: runs.SESSION,
        killed.name: runs.DAMAGED,
        new.name: State.UNDER_WAY,  # its runner is about to write the record
    }
    assert found[session.name].started == "2026-01-02T03:04:05Z"
    testbed("runs", "prune", "--yes")
    assert not killed.exists() and session.exists() and new.exists()
    with RunDir(session).in_use():
        testbed("runs", "prune", "--keep", "0", "--yes")
        assert session.exists()
    testbed("runs", "prune", "--older-than", "1", "--yes")
    assert not session.exists() and (folder / "notes-2026").exists()


def test_a_run_of_a_later_version_is_not_pruned_as_damaged(folder):
    run = make(folder / "arp-20260102-030405")
    (run.path / RUN).write_text('{"format": 99}')
    assert [row.state for row in runs.rows(folder)] == [runs.LATER]
    testbed("runs", "prune", "--yes")
    assert run.path.exists()


def test_latest_is_the_run_that_started_last(folder):
    old = make(folder / "arp-1", days_ago=2)
    make(folder / "arp-2", days_ago=1)
    os.utime(old.path / RUN)  # judged again
    assert RunDir.open("latest", folder).path.name == "arp-2"
    same = [make(folder / f"rip-20260102-030405{n}", days_ago=0.5) for n in ("", "-2", "-10")]
    assert max(same, key=RunDir.when).path.name == "rip-20260102-030405-10"


def test_prune_leaves_what_may_be_somebody_elses(folder):
    elsewhere = make(folder / "archive" / "kept", State.FAILED, status="incomplete")
    (folder / "arp-link").symlink_to(elsewhere.path)
    damaged = folder / "arp-20260102-030405-2"
    for path in (folder / "other-tool", damaged):
        path.mkdir()
        (path / RUN).write_text("[]")
    testbed("runs", "prune", "--yes")
    testbed("runs", "prune", "--keep", "0", "--yes")
    assert {p.name for p in folder.iterdir()} == {"archive", "arp-link", "other-tool"}
    assert (elsewhere.path / RUN).is_file() and (folder / "other-tool" / RUN).is_file()
    with pytest.raises(ConfigError, match="arp-link: is a link"):
        runs.remove(folder / "arp-link")


def test_a_run_that_was_removed_in_part_is_interrupted(folder, monkeypatch):
    run = make(folder / "arp-1")
    monkeypatch.setattr(runs.shutil, "rmtree", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        runs.remove(run.path)
    assert run.state is State.INTERRUPTED
    monkeypatch.undo()
    runs.remove(run.path)
    assert not run.path.exists()


# ---- testbed diff


def test_diff_shows_both_runs_side_by_side(folder):
    rows = [{"sentence": "It fills.", "status": "PASS", "observed": "9 Mbit/s"}]
    for number, seed in ((1, 1), (2, 7)):
        run = make(folder / f"arp-{number}", seed=seed, parameters={"cc": ["reno"], "rtt": number})
        rows[0]["observed"] = f"{number} Mbit/s"
        (run.path / "verdicts.json").write_text(json.dumps(rows))
    other = finished_run(folder / "x", (1, 5, 6))
    (folder / "arp-2/tables/t.parquet").write_bytes((other.tables / "t.parquet").read_bytes())
    (folder / "arp-2/plots/y.svg").write_text("<svg/>")
    found = diff.diff(RunDir(folder / "arp-1"), RunDir(folder / "arp-2"))
    assert [(r.what, r.one, r.two) for r in found.parameters if not r.same] == [("rtt", "1", "2")]
    assert found.claims[0].two == "PASS: 2 Mbit/s" and not found.claims[0].same
    assert found.tables[0].note == "1 of 2 cells differ, in n; 1 rows more"
    assert [(r.what, r.same) for r in found.figures] == [("x.svg", True), ("y.svg", False)]
    done = testbed("diff", "arp-1", "arp-2", "--html", folder / "d.html")
    assert done.exit_code == 0 and "differ: made by: 1 of" in done.stdout
    page = (folder / "d.html").read_text()
    assert "PASS: 2 Mbit/s" in page and page.count("data:image/svg+xml") == 3
    data = json.loads(testbed("diff", "arp-1", "arp-2", "--json").stdout)
    assert data["same"] is False and data["Claims"][0]["two"] == "PASS: 2 Mbit/s"


def test_a_run_does_not_differ_from_itself(folder):
    make(folder / "arp-1")
    assert "nothing differs" in testbed("diff", "arp-1", "latest").stdout
