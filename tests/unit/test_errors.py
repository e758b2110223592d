"""Errors of ours keep their words, and cross from worker processes."""

import pickle

import pytest

from testbed import errors

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
