"""How a run ended, from what it left behind."""

import json
import signal

import pytest

from testbed.execution.isolation import CANNOT_START
from testbed.execution.runtime.ending import ending_of


def left(folder, console="", exit_file=None, outcome=None):
    (folder / "console.log").write_text(console)
    if exit_file is not None:
        usual = {"exit_code": 0, "reason": "", "oom_kills": 0, "clock_s": 12.5, "lost": ""}
        (folder / "exit.json").write_text(json.dumps(usual | exit_file))
    if outcome is not None:
        (folder / "outcome.json").write_text(json.dumps(outcome))
    return folder


def test_complete(tmp_path):
    assert ending_of(left(tmp_path, exit_file={}), "", 0, 60) == ("complete", "", 0, 12.5)


@pytest.mark.parametrize(
    ("exit_file", "console", "outcome", "status", "reason"),
    [
        ({"exit_code": 2}, "", {"reason": "link rate_mbps: bad"}, "failed", "link rate_mbps: bad"),
        ({"exit_code": 1}, "KeyError: 'x'\n[ 1.0] reboot\n", None, "failed", "KeyError: 'x'"),
        ({"exit_code": 1}, "", {"reason": ""}, "failed", "ended with 1"),
        ({"exit_code": 70, "reason": "cannot mount"}, "", None, "failed", "cannot mount"),
        ({"exit_code": -11}, "", None, "failed", "SIGSEGV"),
        ({"exit_code": -9}, "", None, "failed", "SIGKILL"),
        ({"exit_code": -9, "oom_kills": 1}, "", None, "out_of_memory", "out of memory"),
        ({"lost": "No space left on device"}, "", None, "failed", "No space left"),
    ],
)
def test_ends_that_process_1_saw(tmp_path, exit_file, console, outcome, status, reason):
    folder = left(tmp_path, console, exit_file, outcome)
    found, why, code, clock_s = ending_of(folder, "", 0, 60)
    assert found == status
    assert reason in why
    assert code == exit_file.get("exit_code", 0)
    assert clock_s == 12.5


PANIC = "[    3.2] Kernel panic - not syncing: Segfault with no mm\n[ 3.2] Call Trace:\n"


@pytest.mark.parametrize(
    ("returncode", "console", "status", "reason"),
    [
        (134, PANIC, "panic", "Segfault with no mm"),
        (-signal.SIGABRT, PANIC, "panic", "Segfault with no mm"),
        (139, "some output\n", "panic", "SIGSEGV: some output"),
        (137, "", "killed", "SIGKILL"),
        (-signal.SIGTERM, "", "killed", "SIGTERM"),
        (1, "Out of memory: Killed process 7\n", "out_of_memory", "out of memory"),
        (137, "Out of memory: Killed process 7\n", "killed", "SIGKILL"),  # went on, until then
        (0, "[ 9.0] reboot: Power down\n", "killed", "shut down before its end"),
        (CANNOT_START, "testbed: cannot execute x\n", "failed", "cannot execute x"),
    ],
)
def test_ends_without_a_word_from_process_1(tmp_path, returncode, console, status, reason):
    found, why, code, _ = ending_of(left(tmp_path, console), "", returncode, 60)
    assert (found, code) == (status, None)
    assert reason in why


def test_ended_by_us(tmp_path):
    folder = left(tmp_path, exit_file={})
    assert ending_of(folder, "interrupted", -9, 60)[0] == "interrupted"
    status, why, code, _ = ending_of(folder, "time_limit", -9, 42)
    assert (status, code) == ("time_limit", None)
    assert "42 s" in why


def test_signals_without_a_name(tmp_path):
    assert "signal 63" in ending_of(left(tmp_path), "", 128 + 63, 60)[1]
