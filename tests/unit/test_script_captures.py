"""Captures of networks that a script left running end, even if one of them cannot."""

from pathlib import Path
from typing import Any

import pytest

from testbed.core.errors import OutputError
from testbed.execution import script_captures
from testbed.net import dropin


class Running:
    """A network's captures, and what is in the folder when they end."""

    def __init__(self, net: str, folder: Path) -> None:
        self.net, self.folder = net, folder

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *error: object) -> None:
        (self.folder / "captures").mkdir()
        (self.folder / "captures" / f"{self.net}.pcap").write_text(self.net)

    def capture(self, *interfaces: str) -> None:
        pass


def test_each_capture_is_ended_and_written_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(script_captures, "RunningNetwork", Running)
    monkeypatch.setattr(dropin.session, "started", None)
    (tmp_path / "parts").mkdir()
    (tmp_path / "bad.pcap").mkdir()
    nets: Any = ["one", "bad", "two", "two"]
    with (
        pytest.raises(OutputError, match=r"bad\.pcap: cannot be written"),
        script_captures.capturing(["s1-eth1"], tmp_path / "parts"),
    ):
        for net in nets:
            dropin.session.started(net)  # type: ignore[misc]
    assert (tmp_path / "one.pcap").read_text() == "one"
    assert (tmp_path / "two.pcap").read_text() == (tmp_path / "two-2.pcap").read_text() == "two"
