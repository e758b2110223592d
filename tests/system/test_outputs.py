"""Runs whose folder cannot be written, from the start or in the middle: one line, exit code 3."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testbed.core.rundir import RunDir, State

PROJECT = Path(__file__).resolve().parents[2]
TESTBED = (sys.executable, "-m", "testbed.cli.main")

pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a full disk"),
]

EXPERIMENT = '''
"""Many large pings, so that the capture fills the disk in the middle of the run."""
from dataclasses import dataclass
from testbed.core.claims import claim, holds
from testbed.author.experiment import Experiment
from testbed.core.parameters import param
from testbed.author.named_topologies import topology_class


class Pings(Experiment):
    """Pings."""

    @dataclass(frozen=True)
    class Parameters:
        count: int = param(10, "pings", low=1, high=1000)
        sleep_s: float = param(0.0, "first of all", unit="s", low=0, high=600)

    programs = ("ping",)
    memory_mb = 256

    def topology(self):
        return topology_class("single")()

    def scenarios(self):
        return {"first": self.params, "second": self.params}

    def run(self, net):
        assert net.scenario in ("first", "second") and net.path.name == "lab"
        net.event("scenario", name=net.scenario)
        net.capture("h1-eth0")
        net.sleep(self.params.sleep_s)
        net.exec("h1", "ping", "-c", str(self.params.count), "-i", "0.01", "-s", "1400",
                 net.address("h2"))

    def measure(self, data):
        events = data.events("scenario")
        assert list(events["name"]) == [data.name]
        return {"pings": data.packets("h1-eth0", ["frame"])}

    @claim("Answers come.", source="-")
    def answers(self, tables):
        return holds(len(tables.of("pings")) > 0, observed="some", expected="some")
'''


@pytest.fixture
def experiment(guest_kernel, tmp_path):
    path = tmp_path / "pings.py"
    path.write_text(EXPERIMENT)
    return path


def in_place(place: Path, options: str, *words: object, before: str = "") -> tuple[int, list[str]]:
    """`testbed WORDS` where `place` is a file system of its own; exit code and error lines."""
    place.mkdir(exist_ok=True)
    line = shlex.join(map(str, (*TESTBED, *words)))
    script = f"mount -t tmpfs -o {options} none {place}; {before or ':'}; {line}; code=$?"
    script += f"; cp -a {place} {place}-after; exit $code"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [x for x in done.stderr.splitlines() if x.startswith("error:")]


def test_the_scenarios_name_is_known_inside(experiment, tmp_path):
    place = tmp_path / "disk"
    code, errors = in_place(place, "size=20m", "run", experiment, "--out", place)
    assert (code, errors) == (0, [])
    (run,) = Path(f"{place}-after").glob("pings-*")
    assert RunDir(run).state is State.FINISHED


@pytest.mark.parametrize("size_kb", [16, 400, 1000])
def test_a_disk_that_fills_in_the_middle_gives_no_verdict(experiment, tmp_path, size_kb):
    place = tmp_path / "disk"
    words = ("run", experiment, "--count", 300, "--out", place)
    code, errors = in_place(place, f"size={size_kb}k", *words)
    assert (code, len(errors)) == (3, 1), errors
    assert "full" in errors[0]
    (run,) = Path(f"{place}-after").glob("pings-*")
    assert not (run / "verdicts.json").exists() and not list(run.rglob("*.part"))
    if (run / "run.json").exists():
        assert RunDir(run).state in (State.FAILED, State.INTERRUPTED)


@pytest.mark.parametrize("options", ["ro", "size=4k"])
@pytest.mark.parametrize(
    "words",
    [
        ("run", "EXPERIMENT", "--out", "PLACE/runs"),
        ("run", "EXPERIMENT", "--repeat", "2", "--out", "PLACE/runs"),
        ("verify", "RUN", "--out", "PLACE/runs"),
        ("grade", "letter", "HANDED", "--student", "ada", "--secret", "SECRET", "--out", "PLACE/g"),
        ("lab", "test", "letter", "--only", "solution", "--out", "PLACE/trial"),
        ("check", "letter", "--folder", "HANDED", "--report", "PLACE/page.html"),
        ("check", "letter", "--folder", "HANDED", "--keep", "PLACE/kept"),
        ("shell", "single", "--out", "PLACE/shell"),
    ],
    ids=lambda words: " ".join(w for w in words[:3] if w.islower() or w.startswith("-")),
)
def test_each_command_says_it_in_one_line(experiment, tmp_path, monkeypatch, words, options):
    monkeypatch.setenv("TESTBED_LABS", str(PROJECT / "tests/labs"))
    (tmp_path / "secret").write_text("0123456789abcdef" * 2)
    (tmp_path / "handed").mkdir()
    (tmp_path / "handed" / "say.py").write_text("print('x')\n")
    place = tmp_path / "disk"
    if "RUN" in words:
        in_place(tmp_path / "good", "size=20m", "run", experiment, "--out", tmp_path / "good")
        (run,) = Path(f"{tmp_path}/good-after").glob("pings-*")
        words = tuple(str(run) if w == "RUN" else w for w in words)
    known = {"EXPERIMENT": experiment, "HANDED": tmp_path / "handed", "SECRET": tmp_path / "secret"}
    line = [str(known.get(w, w)).replace("PLACE", str(place)) for w in words]
    code, errors = in_place(place, options, *line)
    assert (code, len(errors)) == (3, 1), errors
    left = [p.name for p in Path(f"{place}-after").rglob("*")]
    assert not [name for name in left if ".part" in name or name == "page.html"]


def test_a_killed_run_is_interrupted_and_beside_one_nobody_writes(experiment, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TESTBED_RUNS": str(tmp_path / "runs")}
    line = [*TESTBED, "run", experiment, "--clock", "real", "--sleep-s", "600"]
    process = subprocess.Popen(line, cwd=PROJECT, env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline_s = time.monotonic() + 60
        while not (found := list(tmp_path.glob("runs/pings-*/scenarios/*/events.jsonl"))):
            assert time.monotonic() < deadline_s and process.poll() is None
            time.sleep(0.05)
        run = RunDir(found[0].parents[2])
        assert run.state is State.UNDER_WAY
        before = sorted(p.name for p in run.path.iterdir()), (run.path / "run.json").read_bytes()
        for words in (("replay", run.path), ("report", run.path), ("replay", "latest")):
            done = subprocess.run(
                [*TESTBED, *words],
                cwd=PROJECT,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 2 and done.stderr.count("\n") == 1
            assert "is still running" in done.stderr or "no finished run" in done.stderr
        assert before == (
            sorted(p.name for p in run.path.iterdir()),
            (run.path / "run.json").read_bytes(),
        )
        process.send_signal(signal.SIGKILL)
        process.wait()
        while run.under_way:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        assert run.state is State.INTERRUPTED
    finally:
        process.kill()
        process.wait()
