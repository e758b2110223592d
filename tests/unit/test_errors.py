"""Errors of ours keep their words, and cross from worker processes."""

import io
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from testbed.cli.show import RunView
from testbed.core import errors

EXAMPLES = [
    errors.TestbedError("plain"),
    errors.ConfigError("--rate-mbps: 0 is out of range"),
    errors.MissingPrerequisiteError("iperf3", "sudo apt-get install iperf3", "traffic"),
    errors.CommandError("h1", ["ping", "h2"], 1, "out", "no route"),
    errors.ConvergenceError("routes", 30, "none yet"),
    errors.ParseError("run.json", "line 3", "no JSON"),
    errors.CaptureError("x.pcap", 24, "cut short", ["a packet"]),
    errors.OutputError("runs: cannot be written: the disk is full"),
    errors.RunIncompleteError("reno: time limit"),
]


def concrete(cls=errors.TestbedError):
    return {cls}.union(
        *(concrete(c) for c in cls.__subclasses__() if c.__module__ == cls.__module__)
    )


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
def test_it_survives_pickling(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert again.exit_code == error.exit_code


def test_none_is_forgotten():
    assert {type(e) for e in EXAMPLES} == concrete()


@pytest.mark.parametrize(
    ("reasons", "count", "said"),
    [
        ({"reno": "no room"}, 1, "reno: no room"),
        ({"reno": "no room", "cubic": "no room"}, 2, "all 2: no room"),
        ({"reno": "no room", "cubic": "no room"}, 3, "reno, cubic: no room"),
        (
            {"reno": "no room", "bbr": "killed", "cubic": "no room"},
            3,
            "reno, cubic: no room; bbr: killed",
        ),
    ],
)
def test_a_reason_of_many_is_said_once(reasons, count, said):
    assert errors.said_once(reasons, count) == said


def test_scenarios_that_fail_alike_show_the_reason_once():
    shown = Console(record=True, width=200, file=io.StringIO())
    view = RunView(shown)
    run = SimpleNamespace(path=Path("arp-1"))
    view.started(run, SimpleNamespace(name="host", clock="real", why="asked for"), ["a", "b"])
    for scenario in ("a", "b"):
        view.finished(scenario, SimpleNamespace(ok=False, reason="netem is missing", wall_s=1.0))
    assert shown.export_text().count("netem is missing") == 1
