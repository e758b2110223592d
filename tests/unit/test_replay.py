"""What replay does where the data of a run is not enough."""

import logging

from testbed import replay
from testbed.claims import MissingDataError
from testbed.experiment import Experiment, Tables


class Drawing(Experiment):
    def plot(self, tables):
        if "queue" not in tables:
            raise MissingDataError("no table 'queue' in this run")
        return {"queue": "<svg/>"}


def test_figures_are_the_experiments():
    assert replay._figures(Drawing(None), Tables(queue=None)) == {"queue": "<svg/>"}


def test_a_run_without_the_data_has_no_figures_but_goes_on(caplog):
    with caplog.at_level(logging.WARNING):
        assert replay._figures(Drawing(None), Tables(other=None)) == {}
    assert "no figures: no table 'queue'" in caplog.text
