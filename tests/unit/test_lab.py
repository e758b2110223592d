"""What an experiment asks of the lab and is not there is refused by name, with the asking line."""

import pytest

from testbed.author.experiment import load_file
from testbed.author.running_network import RunningNetwork
from testbed.core.errors import ConfigError, ExitCode
from testbed.core.rundir import read_json, write_json
from testbed.execution import inside

EXPERIMENT = """from dataclasses import dataclass
from testbed.author.experiment import Experiment
class Wrong(Experiment):
    @dataclass(frozen=True)
    class Parameters:
        pass
    def topology(self):
        {line}
"""


def test_a_node_that_is_not_there_is_named(tmp_path):
    with RunningNetwork({"h1": None, "h2": None}, tmp_path) as lab:
        for ask in (
            lambda: lab.address("h22"),
            lambda: lab.exec("h22", "true"),
            lambda: lab.sysctl("h22", "net.ipv4.ip_forward", 1),
        ):
            with pytest.raises(ConfigError, match=r"node 'h22': .*did you mean 'h2'"):
                ask()


@pytest.mark.parametrize(
    ("line", "says", "code"),
    [
        (
            "1 / 0",
            "wrong.py:8: ZeroDivisionError: division by zero (see logs/traceback.log)",
            ExitCode.USAGE,
        ),
        (
            "from testbed.net.shape import LinkShape; LinkShape(delay_ms=-1)",
            "link delay_ms: -1 is out of range; 0 or more and at most 600000 (wrong.py:8)",
            ExitCode.USAGE,
        ),
        ("from testbed import ConfigError; raise ConfigError('no')", "no", ExitCode.USAGE),
    ],
)
def test_the_line_of_an_experiments_own_mistake_is_told(tmp_path, monkeypatch, line, says, code):
    (tmp_path / "wrong.py").write_text(EXPERIMENT.format(line=line))
    write_json(tmp_path / "scenario.json", {"file": "wrong.py", "parameters": {}, "seed": 1})
    monkeypatch.setattr("sys.meta_path", [*__import__("sys").meta_path])
    assert inside.run_scenario(tmp_path, load_file) == code
    assert read_json(tmp_path / "outcome.json")["reason"] == says


def test_sizes_of_recorders_are_bounded(tmp_path):
    with RunningNetwork({"h1": None}, tmp_path, "reno") as lab:
        assert lab.scenario == "reno"
        with pytest.raises(ConfigError, match="snaplen_bytes: 262145 is out of range"):
            lab.capture("h1-eth0", snaplen_bytes=262_145)
        with pytest.raises(ConfigError, match="buffer_mb: 1025 is out of range; allowed: 1 to"):
            lab.trace("tcp_probe", buffer_mb=1025)


def test_a_full_disk_inside_is_the_machines_fault_and_not_the_experiments(tmp_path, monkeypatch):
    full = "raise OSError(28, 'No space left on device', 'captures/x')"
    (tmp_path / "wrong.py").write_text(EXPERIMENT.format(line=full))
    write_json(tmp_path / "scenario.json", {"file": "wrong.py", "parameters": {}, "seed": 1})
    monkeypatch.setattr("sys.meta_path", [*__import__("sys").meta_path])
    assert inside.run_scenario(tmp_path, load_file) == ExitCode.ENVIRONMENT
    reason = read_json(tmp_path / "outcome.json")["reason"]
    assert reason == "the run directory could not be written: the disk is full"
