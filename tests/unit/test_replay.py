"""What replay does where the data of a run is not enough."""

import logging
from dataclasses import dataclass

import pytest

from testbed import replay
from testbed.claims import Status, claim, near
from testbed.errors import ConfigError
from testbed.experiment import Experiment, Tables, load_file
from testbed.rundir import RunDir


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
    found = {c.name: verdict for c, verdict in replay.judge(run, Wrong, Tables())}
    assert [v.status for v in found.values()] == [
        Status.INCONCLUSIVE, Status.INCONCLUSIVE, Status.PASS
    ]  # fmt: skip
    line = Wrong.raises.__code__.co_firstlineno + 2
    words = f"test_replay.py:{line}: in claim raises: ZeroDivisionError"
    assert words in str(found["raises"].as_dict())
    assert "returned None, no verdict" in str(found["returns_nothing"].as_dict())


def test_a_file_that_raises_when_loaded_names_its_line(tmp_path):
    path = tmp_path / "thin.py"
    path.write_text("x = 1\ny = x / 0\n")
    with pytest.raises(ConfigError, match=r"thin\.py:2: ZeroDivisionError"):
        load_file(path)
