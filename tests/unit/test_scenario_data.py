"""What a scenario's folder gives, and what it refuses."""

import shutil
from pathlib import Path

import pytest

from analysis import packets
from testbed.core.claims import MissingDataError
from testbed.core.rundir import write_json
from testbed.results.data import ScenarioData

CAPTURES = Path(__file__).parents[1] / "captures"


def folder_with(tmp_path, *taken, gone=()):
    captures = tmp_path / "captures"
    captures.mkdir()
    for name in taken:
        (captures / f"{name}.pcap").touch()
    stats = {name: {"captured": 1, "dropped": 0} for name in (*taken, *gone)}
    write_json(captures / "captures.json", stats)
    return ScenarioData("main", tmp_path, None)


def test_a_capture_whose_file_is_gone_is_named_and_refused(tmp_path):
    data = folder_with(tmp_path, "h1-eth0", gone=["r1-eth0"])
    assert data.captures() == ["h1-eth0", "r1-eth0"]
    with pytest.raises(MissingDataError, match="'r1-eth0' was taken, but its file is missing"):
        data.packets("r1-eth0")


def test_a_capture_that_was_never_taken_is_not_known(tmp_path):
    data = folder_with(tmp_path, "h1-eth0")
    assert data.captures() == ["h1-eth0"]
    with pytest.raises(MissingDataError, match="no capture 'h2-eth0'"):
        data.packets("h2-eth0")


def test_captures_without_any_packet_are_known(tmp_path):
    data = folder_with(tmp_path, "h1-eth0", "r1-eth0")
    for name in ("h1-eth0", "r1-eth0"):
        (tmp_path / "captures" / f"{name}.pcap").write_bytes(bytes(24))
    assert data.heard_nothing
    (tmp_path / "captures" / "r1-eth0.pcap").write_bytes(bytes(100))
    assert not data.heard_nothing


def test_an_event_that_never_came_is_named(tmp_path):
    data = ScenarioData("main", tmp_path, None)
    start = '{"time_ns": 1000000000, "monotonic_ns": 0, "event": "start"}\n'
    (tmp_path / "events.jsonl").write_text(start)
    assert data.moment("start") == 0
    with pytest.raises(MissingDataError, match="no event 'ends'"):
        data.moment("ends")


@pytest.mark.parametrize("name", ["tls", "quic"])
def test_key_logs_of_another_run_are_refused(tmp_path, name):
    folder_with(tmp_path, "h1-eth0")
    (tmp_path / "events.jsonl").write_text('{"time_ns": 0, "monotonic_ns": 0, "event": "start"}\n')
    shutil.copy(CAPTURES / f"{name}.pcapng", tmp_path / "captures" / "h1-eth0.pcap")
    own = packets.read(CAPTURES / f"{name}.pcapng", ["frame"]).attrs["key_logs"][0]
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "h1.log").write_bytes(own)
    assert len(ScenarioData("main", tmp_path, None).packets("h1-eth0", ["frame"]))
    (keys / "h2.log").write_text(f"CLIENT_RANDOM {'ab' * 32} {'cd' * 48}\n")
    with pytest.raises(MissingDataError, match=r"h2\.log: no connection in the captures has its"):
        ScenarioData("main", tmp_path, None).packets("h1-eth0", ["frame"])
    (keys / "h1.log").unlink()
    with pytest.raises(MissingDataError, match="is it of another run"):
        ScenarioData("main", tmp_path, None).packets("h1-eth0", ["frame"])
