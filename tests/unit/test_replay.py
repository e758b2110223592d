"""What replay does where the data of a run is not enough."""

import logging
import os
import re
import signal
from dataclasses import dataclass

import pandas as pd
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from testbed.author.experiment import Experiment, check_claims, experiment_files, load, load_file
from testbed.cli.main import cli
from testbed.core.claims import Status, claim, near
from testbed.core.errors import ConfigError, TestbedError
from testbed.core.project import PROJECT
from testbed.core.rundir import OUTCOME, SCENARIO, RunDir, write_json
from testbed.core.tables import Tables
from testbed.execution.plan import scenarios_of
from testbed.results import replay
from testbed.results.data import ScenarioData


class Drawing(Experiment):
    def plot(self, tables):
        tables["queue"]
        return {"queue": "<svg/>"}


def test_figures_are_the_experiments():
    assert replay._figures(Drawing(None), Tables(queue=None)) == {"queue": "<svg/>"}


def test_a_run_without_the_data_has_no_figures_but_goes_on(caplog):
    with caplog.at_level(logging.WARNING):
        assert replay._figures(Drawing(None), Tables(other=None)) == {}
    assert "no figures: no table 'queue'" in caplog.text


class Wrong(Experiment):
    @dataclass(frozen=True)
    class Parameters:
        pass

    @claim("Raises.", source="-")
    def raises(self, tables):
        return near(1 / len(tables), 1, abs=0)

    @claim("Forgets its verdict.", source="-")
    def returns_nothing(self, tables):
        pass

    @claim("Holds.", source="-")
    def holds(self, tables):
        return near(1.0, 1, abs=0)


def test_a_claim_that_raises_takes_no_other_with_it(tmp_path):
    run = RunDir(tmp_path)
    run.write_meta({"parameters": {}, "scenarios": {}})
    found = {
        c.name: verdict for c, verdict in replay.judge(run, Wrong(Wrong.Parameters()), Tables())
    }
    assert [v.status for v in found.values()] == [
        Status.INCONCLUSIVE,
        Status.INCONCLUSIVE,
        Status.PASS,
    ]
    line = Wrong.raises.__code__.co_firstlineno + 2
    words = f"test_replay.py:{line}: in claim raises: ZeroDivisionError"
    assert words in str(found["raises"].as_dict())
    assert "returned None, not a Verdict" in str(found["returns_nothing"].as_dict())


def test_a_claim_on_a_scenario_that_could_not_be_measured_is_inconclusive(tmp_path):
    run = RunDir(tmp_path)
    run.write_meta({"parameters": {}, "scenarios": {"main": {}}})
    missing = pd.DataFrame({"scenario": ["main"], "reason": ["no capture has a packet"]})
    judged = replay.judge(run, Wrong(Wrong.Parameters()), Tables(missing=missing))
    assert {v.status for _, v in judged} == {Status.INCONCLUSIVE}
    assert {v.observed for _, v in judged} == {"scenario 'main': no capture has a packet"}


def test_a_file_that_raises_when_loaded_names_its_line(tmp_path):
    path = tmp_path / "thin.py"
    path.write_text("x = 1\ny = x / 0\n")
    with pytest.raises(ConfigError, match=r"thin\.py:2: ZeroDivisionError"):
        load_file(path)


MISSPELT = """
from dataclasses import dataclass
from testbed.core.claims import claim, near
from testbed.author.experiment import Experiment
class Own(Experiment):
    @dataclass(frozen=True)
    class Parameters:
        cut: bool = True
    def scenarios(self):
        return {"calm": self.params} | ({"outage": self.params} if self.params.cut else {})
    @claim("Holds.", source="-", scenarios=("outtage",))
    def holds(self, tables):
        return near(1.0, 1, abs=0)
"""


def test_a_claim_on_a_scenario_that_is_not_there_is_refused(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(MISSPELT)
    cls = load_file(path)
    words = (
        f"{path}:11: claim holds: scenario 'outtage': unknown (did you mean 'outage'?); "
        "known: calm, outage"
    )
    with pytest.raises(ConfigError, match=re.escape(words)):
        scenarios_of(cls, cls.Parameters(), only=("calm",))
    run = RunDir(tmp_path / "run")
    run.scenario("calm").mkdir(parents=True)
    (run.scenario("calm") / path.name).write_text(MISSPELT)
    write_json(run.scenario("calm") / SCENARIO, {"file": path.name})
    run.write_meta({"experiment": "own", "parameters": {}, "scenarios": {"calm": {}}})
    with pytest.raises(ConfigError, match="claim holds: scenario 'outtage': unknown"):
        replay.replay(run)
    described = CliRunner().invoke(cli, ["describe", str(path)])
    assert isinstance(described.exception, ConfigError)
    assert words in str(described.exception)


def test_the_known_scenarios_are_those_of_the_runs_parameters(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(MISSPELT.replace("outtage", "outage"))
    cls = load_file(path)
    check_claims(cls(cls.Parameters()))
    with pytest.raises(ConfigError, match=r"scenario 'outage': unknown; known: calm$"):
        check_claims(cls(cls.Parameters(cut=False)))


def test_no_experiment_and_no_mutant_claims_of_a_scenario_it_lacks():
    """A mutant may leave out scenarios of the experiment that it derives from."""
    broken = sorted((PROJECT / "experiments").glob("*/mutants/*.py"))
    assert broken
    for path in [*experiment_files().values(), *broken]:
        cls = load_file(path)
        check_claims(cls(cls.Parameters()))


class Returning(Experiment):
    """Returns what the test says."""

    found: object = None

    @dataclass(frozen=True)
    class Parameters:
        pass

    def measure(self, data):
        return type(self).found

    def plot(self, tables):
        return type(self).found


TABLE = pd.DataFrame({"x": [1]})


@pytest.mark.parametrize(
    ("found", "said"),
    [(None, "None"), (TABLE, "DataFrame"), ({"q": TABLE, "t": [1, 2]}, "list as 't'")],
)
def test_what_measure_returns_must_be_tables_by_name(tmp_path, monkeypatch, found, said):
    data = ScenarioData("main", tmp_path, Returning.Parameters())
    monkeypatch.setattr(Returning, "found", found)
    words = f"{__file__}: measure returned {said}; must be a dict of DataFrames"
    with pytest.raises(ConfigError, match=f"^{re.escape(words)}$"):
        replay._measure_one(Returning, data)
    monkeypatch.setattr(Returning, "found", {"t": TABLE})
    assert replay._measure_one(Returning, data) == {"t": TABLE}


@pytest.mark.parametrize(
    ("found", "said"),
    [(None, "None"), (Figure(), "Figure"), ({"a": Figure(), "b": [1]}, "list as 'b'")],
)
def test_what_plot_returns_must_be_figures_by_name(monkeypatch, found, said):
    monkeypatch.setattr(Returning, "found", found)
    words = f"{__file__}: plot returned {said}; must be a dict of name → Figure (or SVG text)"
    with pytest.raises(ConfigError, match=f"^{re.escape(words)}$"):
        replay._figures(Returning(None), Tables(t=TABLE))
    good = {"a": Figure(), "b": "<svg/>"}
    monkeypatch.setattr(Returning, "found", good)
    assert replay._figures(Returning(None), Tables(t=TABLE)) == good


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("away/nothere.py", "away/nothere.py: no such file"),
        ("nothere.py", "nothere.py: no such file"),
        ("away/icmp", "away/icmp: no such file"),
        ("folder", "folder: has no experiment.py; give an experiment's name, folder or .py file"),
        ("README.md", "README.md: is not a .py file"),
    ],
)
def test_a_path_without_an_experiment_is_told_as_a_path(tmp_path, monkeypatch, word, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "README.md").write_text("# Read me\n")
    with pytest.raises(ConfigError, match=f"^{re.escape(says)}$"):
        load(word)


def test_a_misspelt_name_has_the_nearest(tmp_path, monkeypatch):
    (tmp_path / "icmp").mkdir()  # an experiment's name is no path
    monkeypatch.chdir(tmp_path)
    assert load("icmp").name == "icmp"
    with pytest.raises(ConfigError, match=r"^experiment 'icmpp': unknown \(did you mean 'icmp'\?"):
        load("icmpp")


def test_an_import_that_fails_names_its_line(tmp_path):
    path = tmp_path / "thin.py"
    path.write_text("x = 1\nfrom testbed.author.named_topologies import Dumbbel\n")
    with pytest.raises(ConfigError, match=r"thin\.py:2: cannot import name 'Dumbbel'"):
        load_file(path)


MEASURING = """
from dataclasses import dataclass
from testbed.author.experiment import Experiment
class Own(Experiment):
    @dataclass(frozen=True)
    class Parameters:
        pass
    def measure(self, data):
        return 1 / 0
"""


def test_replay_uses_the_file_given_while_it_is_there_and_then_the_copy(tmp_path, caplog):
    path = tmp_path / "own.py"
    path.write_text(MEASURING)
    run = RunDir(tmp_path / "run")
    folder = run.scenario("main")
    folder.mkdir(parents=True)
    (folder / "own.py").write_text("\n\n" + MEASURING)
    write_json(folder / SCENARIO, {"file": "own.py", "parameters": {}})
    write_json(folder / OUTCOME, {"status": "complete"})
    meta = {"experiment": "own", "file": str(path), "parameters": {}, "scenarios": {"main": {}}}
    run.write_meta(meta)
    with pytest.raises(ConfigError, match=re.escape(f"{path}:9: in measure, scenario 'main'")):
        replay.replay(run)
    assert not caplog.text
    path.unlink()
    with pytest.raises(ConfigError, match=re.escape(f"{folder / 'own.py'}:11: in measure")):
        replay.replay(run)
    assert f"{path} does not exist; replay uses the copy {folder / 'own.py'}" in caplog.text
    assert len(caplog.records) == 1


OWN = """
from dataclasses import dataclass
import pandas as pd
from matplotlib.figure import Figure
from testbed.core.claims import at_most, claim
from testbed.author.experiment import Experiment
class Own(Experiment):
    @dataclass(frozen=True)
    class Parameters:
        pass
    def measure(self, data):
        return {"t": pd.DataFrame({"rtt_s": [0.01, 0.02]})}
    @claim("It is quick.", source="-")
    def quick(self, tables):
        return at_most(tables["t"]["rtt_s"].max(), 1, unit="s")
    def plot(self, tables):
        tables["t"]["rtt_s"] *= 1000  # in ms, for the axis
        good, other = Figure(), Figure()
        other.suptitle(TITLE)
        return {"1_good": good, "2_other": other}
"""


@pytest.fixture
def own_run(tmp_path):
    def made(title):
        file = tmp_path / "own.py"
        file.write_text(OWN.replace("TITLE", repr(title)))
        run = RunDir(tmp_path / "run")
        folder = run.scenario("main")
        folder.mkdir(parents=True)
        write_json(folder / SCENARIO, {"parameters": {}})
        write_json(folder / OUTCOME, {"status": "complete"})
        write_json(folder / "topology.json", {"nodes": [], "links": []})
        meta = {"experiment": "own", "file": str(file), "parameters": {}, "scenarios": ["main"]}
        made_by = {"testbed": "0", "kernel": "7", "tools": {}, "host": {"kernel": "6", "cpus": 2}}
        how = {"runtime": "guest", "clock": "virtual", "seed": 1, "fingerprint": "0" * 64}
        run.write_meta(meta | made_by | how)
        return run

    return made


def test_what_plot_does_to_its_tables_changes_no_verdict(own_run):
    run = own_run("fine")
    ((_, verdict),) = replay.replay(run)
    assert verdict.status == Status.PASS
    assert list(pd.read_parquet(run.tables / "t.parquet")["rtt_s"]) == [0.01, 0.02]


def test_a_figure_that_cannot_be_drawn_costs_no_other_result(own_run):
    run = own_run(r"$\nosuch{$")
    with pytest.raises(
        replay.DrawingError, match=r"own\.py: in figure 2_other: ValueError"
    ) as seen:
        replay.replay(run)
    assert [verdict.status for _, verdict in seen.value.judged] == [Status.PASS]
    found = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert found >= {"verdicts.json", "tables/t.parquet", "report.html", "plots/1_good.png"}


def test_a_worker_that_is_killed_is_told(monkeypatch):
    monkeypatch.setattr("multiprocessing.cpu_count", lambda: 2)
    with pytest.raises(TestbedError, match="worker process was killed"):
        replay._side_by_side(_die, [1, 2])


def _die(_):
    os.kill(os.getpid(), signal.SIGKILL)
