"""Finished runs in Python: how they are found, what they show, what they refuse."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest

import testbed
from analysis import packets
from testbed.core.errors import ConfigError, OutputError
from testbed.core.rundir import RunDir, State, write_json
from testbed.results import notebook
from testbed.results.finished import RepeatedRun, Run

EXPERIMENT = '''
"""Tiny."""
from dataclasses import dataclass
from testbed import Experiment, claim, near, param

class Tiny(Experiment):
    """A title with <b>.

    A paragraph.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options."""
        rate_mbps: float = param(10.0, "rate", unit="Mbit/s", low=1)

    def plot(self, tables):
        """Draws.

        Figures:
            1_rate: Look here.
        """
'''

VERDICT = {
    "claim": "is_fast",
    "sentence": "It is <i>fast</i>.",
    "source": "RFC 1",
    "status": "FAIL",
    "observed": "9 Mbit/s",
    "expected": "10 Mbit/s",
    "tolerance": "±1 %",
    "value": 9.0,
    "unit": "Mbit/s",
    "evidence": [],
}

SVG = "<svg xmlns='http://www.w3.org/2000/svg'/>"


def make_run(path: Path, experiment: str = "tiny", number: int = 0, **meta) -> RunDir:
    """A run directory as a finished run leaves it; the larger the number, the later."""
    file = path.parent / "tiny.py"
    (path / "tables").mkdir(parents=True)
    (path / "plots").mkdir()
    (path / "scenarios/main/captures").mkdir(parents=True)
    file.write_text(EXPERIMENT)
    run = RunDir(path)
    write_json(path / "scenarios/main/scenario.json", {"parameters": {}})
    write_json(path / "scenarios/main/outcome.json", {"status": "complete"})
    write_json(path / "verdicts.json", [VERDICT])
    (path / "plots/1_rate.svg").write_text(SVG)
    table = pd.DataFrame({"scenario": ["main"], "goodput_mbps": [9.0]})
    table.to_parquet(path / "tables/flows.parquet")
    facts = {"seed": 1, "status": "complete", "state": State.FINISHED, "runtime": "guest"}
    facts |= {
        "started": f"2026-01-01T00:00:{number:02}Z",
        "experiment": experiment,
        "file": str(file),
        "parameters": {"rate_mbps": 10.0},
    }
    run.write_meta(facts | {"scenarios": {"main": {}}} | meta)
    os.utime(path / "run.json", (number, number))
    return run


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTBED_RUNS", str(tmp_path))
    monkeypatch.delenv("TESTBED_RUN", raising=False)
    return tmp_path


# ---- which run


def test_a_run_is_found_by_path_name_experiment_and_as_the_latest(runs, monkeypatch):
    for number, name in enumerate(("tiny-1", "tiny-2", "other-1")):
        make_run(runs / name, name.split("-")[0], number)
    make_run(runs / "tiny-x", "other", 9)  # only its name begins so
    elsewhere = make_run(runs / "deep/tiny-9", number=5)
    found = {where: testbed.open(where).path.name for where in ("tiny-1", "tiny", "latest")}
    assert found == {"tiny-1": "tiny-1", "tiny": "tiny-2", "latest": "tiny-x"}
    assert testbed.open(elsewhere.path).path == elsewhere.path
    assert testbed.open(runs / "deep/latest").path == elsewhere.path
    monkeypatch.chdir(runs / "tiny-1")
    assert testbed.open(".").path.name == "tiny-1"


def test_the_run_that_the_environment_names_takes_the_place_of_the_latest(runs, monkeypatch):
    for number, name in enumerate(("tiny-1", "tiny-2", "other-1")):
        make_run(runs / name, name.split("-")[0], number)
    monkeypatch.setenv("TESTBED_RUN", str(runs / "tiny-1"))
    found = {w: testbed.open(w).path.name for w in ("latest", "tiny", "other", "tiny-2")}
    assert found == {"latest": "tiny-1", "tiny": "tiny-1", "other": "other-1", "tiny-2": "tiny-2"}


def test_a_run_that_is_not_finished_is_refused_and_passed_over(runs):
    make_run(runs / "tiny-1", number=1)
    make_run(runs / "tiny-2", number=2, state=State.FAILED, status="incomplete", reason="no room")
    assert testbed.open("tiny").path.name == "tiny-1"
    with pytest.raises(ConfigError, match="tiny-2: is failed \\(no room\\)"):
        testbed.open("tiny-2")


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("tiny", "tiny: no finished run .*; give the folder of a run$"),
        ("no/such/run", "no/such/run: no such run"),
        ("latest", "latest: no finished run"),
    ],
)
def test_without_a_run_it_says_how_to_make_one(runs, where, words):
    with pytest.raises(ConfigError, match=words):
        testbed.open(where)


def test_runs_of_notebooks_are_the_projects(monkeypatch):
    from testbed.core.project import PROJECT
    from testbed.core.rundir import default_runs

    monkeypatch.delenv("TESTBED_RUNS", raising=False)
    monkeypatch.chdir(PROJECT / "experiments/icmp")
    assert default_runs() == PROJECT / "runs"
    monkeypatch.chdir("/tmp")
    assert default_runs() == Path("/tmp/runs")


# ---- what it shows


def test_its_parts_are_tables_figures_and_paths(runs):
    run = Run(make_run(runs / "tiny-1"))
    (claim,) = run.claims.to_dict("records")
    assert list(claim) == [
        "claim",
        "sentence",
        "verdict",
        "observed",
        "expected",
        "value",
        "unit",
        "source",
    ]
    assert claim["verdict"] == "FAIL" and claim["expected"] == "10 Mbit/s ±1 %"
    assert run.tables["flows"]["goodput_mbps"].tolist() == [9.0]
    assert run.parameters.rate_mbps == 10 and run.scenarios == ["main"]
    assert list(run.figures) == ["1_rate"] and run.figures["1_rate"].caption == "Look here."
    assert run.report == run.path / "report.html"
    assert repr(run) == "<Run tiny-1: 1 FAIL>"


def test_jupyter_is_shown_verdicts_and_figures(runs):
    html = Run(make_run(runs / "tiny-1"))._repr_html_()
    assert ">FAIL</td>" in html and "9 Mbit/s" in html and "data:image/svg+xml;base64" in html
    assert "It is &lt;i&gt;fast&lt;/i&gt;." in html and "A title with &lt;b&gt;" in html
    assert Run(make_run(runs / "tiny-2")).figures["1_rate"]._repr_mimebundle_() == {
        "image/svg+xml": SVG
    }


def test_what_is_not_in_a_run_is_refused_with_what_there_is(runs):
    run = Run(make_run(runs / "tiny-1"))
    (run.path / "scenarios/main/captures/h1-eth0.pcap").touch()
    with pytest.raises(ConfigError, match=r"figure '1_rates': .*did you mean '1_rate'"):
        run.figures["1_rates"]
    with pytest.raises(ConfigError, match=r"scenario 'mian': .*did you mean 'main'"):
        run.packets("mian", "h1-eth0")
    with pytest.raises(ConfigError, match=r"capture 'h1-eth': .*there are: h1-eth0"):
        run.packets("main", "h1-eth")
    with pytest.raises(testbed.TestbedError, match="no table 'flow' in this run"):
        run.tables["flow"]


def test_a_repetition_has_the_same_parts_over_its_seeds(runs):
    folder = runs / "tiny-1-x2"
    for seed in (1, 2):
        make_run(folder / f"seed-{seed}", seed=seed)
    row = {k: VERDICT[k] for k in ("claim", "sentence", "source", "status", "expected", "unit")}
    row |= {"counts": {"PASS": 1, "FAIL": 1}, "mean": 9.5, "half_95": None}
    write_json(folder / "repetition.json", {"claims": [row]})
    (folder / "plots").mkdir()
    found = testbed.open("tiny-1-x2")
    assert isinstance(found, RepeatedRun) and list(found.runs) == [1, 2]
    (claim,) = found.claims.to_dict("records")
    assert (claim["held"], claim["seeds"], claim["mean"]) == (1, 2, 9.5)
    assert found.tables["flows"]["seed"].tolist() == [1, 2]
    assert ">FAIL</td>" in found._repr_html_()


# ---- making runs


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scenario": "reno"}, "did you mean 'scenarios'"),
        ({"scenarios": "reno"}, r"give a list, such as \['reno'\]"),
        ({"scenarios": ["rneo"]}, "did you mean 'reno'"),
        ({"repeat": 0}, "allowed: 1 to 1000"),
        ({"rate": 3}, "no such parameter"),
        ({"rate_mbps": -1}, "out of range"),
    ],
)
def test_a_bad_request_is_refused_before_anything_is_made(runs, options, words):
    with pytest.raises(ConfigError, match=words):
        testbed.run("congestion", **options)
    assert list(runs.iterdir()) == []


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, testbed; print([m for m in ('pandas', 'numpy', 'rich', 'testbed.cli', "
        "'testbed.results') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# ---- the notebook of a run


def test_an_experiment_without_a_notebook_gets_one_in_the_run(runs):
    run = make_run(runs / "tiny-1")
    path = notebook.file_for(run)
    assert path == run.path / "notebook.ipynb"
    nbformat.validate(nbformat.read(path, as_version=4))
    sources = "\n".join(c["source"] for c in nbformat.read(path, as_version=4).cells)
    for part in ("# A title", "run.claims", "run.figures", 'run.tables["flows"]', 'testbed.run("'):
        assert part in sources
    path.write_text("mine")
    assert notebook.file_for(run).read_text() == "mine"


def test_a_notebook_that_cannot_be_written_is_one_line(runs, monkeypatch):
    run = make_run(runs / "tiny-1")

    def full(*_, **__):
        raise OutputError("the disk is full")

    monkeypatch.setattr("testbed.core.files.write_text", full)
    with pytest.raises(OutputError, match="the disk is full"):
        notebook.file_for(run)


def test_a_shipped_experiment_opens_its_own(runs):
    run = make_run(runs / "icmp-1", "icmp")
    assert notebook.file_for(run) == notebook.path_of("icmp")
    assert json.loads(notebook.path_of("icmp").read_text())["nbformat"] == 4


def test_a_ladder_has_the_words_and_marks_of_the_command(runs, monkeypatch):
    capture = Path(__file__).parents[1] / "captures" / "tcp-random-0.pcap.gz"
    addresses = [{"node": "h1", "ipv4": "10.0.0.1/24", "ipv6": None, "mac": None}]
    monkeypatch.setattr(Run, "packets", lambda *_: packets.read(capture, packets.COLUMNS))
    monkeypatch.setattr(Run, "data", lambda *_: SimpleNamespace(network={"addresses": addresses}))
    make_run(runs / "one")
    drawn = testbed.open().ladder("main", "h1-eth0", where="tcp.analysis.duplicate_ack", most=5)
    assert "duplicate ACK 1 of frame" in drawn.data.decode()
    assert "seq " in drawn.data.decode()
