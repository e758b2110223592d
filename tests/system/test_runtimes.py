"""Both runtimes show a program the same world, and tell how far it is."""

import json
import os
import re
import threading
from pathlib import Path

import pytest

from testbed import guest_init
from testbed.core.errors import ConfigError, OutputError
from testbed.execution.runtime import choose

PROGRAMS = "tests.system.programs"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the host runtime needs root")
RUNTIMES = [
    pytest.param("guest", marks=pytest.mark.guest),
    pytest.param("host", marks=[needs_root, pytest.mark.root]),
]


@pytest.fixture
def runtime(request, guest_kernel):
    return choose(request.param)


@pytest.fixture
def guest(guest_kernel):
    return choose("guest")


@pytest.mark.parametrize("runtime", RUNTIMES, indirect=True)
def test_the_world_inside(runtime, tmp_path):
    outcome = runtime.run(tmp_path, seed=1, module=f"{PROGRAMS}.look")
    assert outcome.ok, outcome.reason
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["arguments"] == [guest_init.LAB]
    assert seen["folder"] == guest_init.LAB
    assert seen["environment"] == guest_init.ENVIRONMENT
    assert seen["host name"] == guest_init.HOSTNAME
    assert seen["interfaces"] == ["lo"]
    assert (seen["user"], seen["owner"]) == (0, 0)
    assert seen["empty"].pop("/home") == ["alice"]  # the account that servers know
    assert not any(seen["empty"].values())
    assert seen["package"] == "json"
    assert not Path("/etc/forgotten").exists()
    assert json.loads((tmp_path / guest_init.EXIT_FILE).read_text())["exit_code"] == 0


@pytest.mark.guest
def test_the_virtual_clock_jumps(guest, tmp_path):
    assert guest.clock == "virtual"
    outcome = guest.run(tmp_path, seed=1, memory_mb=200, module=f"{PROGRAMS}.look")
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["began_s"] == pytest.approx(guest_init.FIRST_S, abs=0.01)
    assert seen["slept_s"] == pytest.approx(100, abs=1e-4)
    assert seen["epoch_s"] == pytest.approx(1_700_000_110, abs=0.01)
    assert outcome.run_s == pytest.approx(110, abs=0.01)
    assert outcome.wall_s < 100
    assert 180_000 < seen["memory_kb"] < 245_000
    assert seen["sorted"]


@pytest.mark.guest
def test_a_program_that_asks_over_and_over_but_not_for_the_time_gets_on(guest, tmp_path):
    outcome = guest.run(tmp_path, seed=1, module=f"{PROGRAMS}.spin", wall_limit_s=60)
    assert outcome.ok, outcome.reason
    seen = json.loads((tmp_path / "spin.json").read_text())
    assert seen["took_s"] == pytest.approx(0.2, abs=0.001)
    assert seen["asked"] > 2**15, "the first ones take no time"


@pytest.mark.guest
def test_programs_that_work_take_no_time(guest, tmp_path):
    """An error takes 1 µs (the compiler looks for files that are not there), all else nothing."""
    outcome = guest.run(tmp_path, seed=1, module=f"{PROGRAMS}.work", wall_limit_s=120)
    assert outcome.ok, outcome.reason
    took_s = json.loads((tmp_path / "work.json").read_text())
    assert {"dd", "sort", "gzip", "python"} <= set(took_s)
    assert max(took_s.values()) < 0.005, took_s


@pytest.mark.guest
def test_a_program_that_works_without_end_is_named(guest, tmp_path):
    outcome = guest.run(tmp_path, seed=1, module=f"{PROGRAMS}.endless", wall_limit_s=20)
    assert outcome.status == "time_limit"
    assert re.search(r"the last of them read\(\) by 'python3\S*' \(process \d+\)", outcome.reason)


@pytest.mark.guest
def test_the_real_clock_does_not(guest_kernel, tmp_path):
    runtime = choose("guest", clock="real")
    assert runtime.clock == "real"
    outcome = runtime.run(tmp_path, seed=1, module=f"{PROGRAMS}.sleep", wall_limit_s=5)
    assert outcome.status == "time_limit"
    assert outcome.run_s < 6


@pytest.mark.guest
def test_progress_is_told(guest, tmp_path):
    heard = []
    outcome = guest.run(tmp_path, seed=1, module=f"{PROGRAMS}.look", on_progress=heard.append)
    assert outcome.ok
    assert heard[-1].message == "looking"
    assert heard[-1].run_s >= 109
    assert [p.run_s for p in heard] == sorted(p.run_s for p in heard)
    assert outcome.isolation in {"namespaces", "landlock", "process"}


@pytest.mark.guest
def test_a_run_is_stopped_from_another_thread(guest, tmp_path):
    stop = threading.Event()

    def once_alive(_: object) -> None:
        if (tmp_path / "started").exists():
            stop.set()

    outcome = guest.run(
        tmp_path, seed=1, module=f"{PROGRAMS}.sleep", stop=stop, on_progress=once_alive
    )
    assert (outcome.status, outcome.exit_code) == ("interrupted", None)


@pytest.mark.guest
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"memory_mb": 5}, "memory_mb: 5 is out of range"),
        ({"seed": -1}, "seed: -1 is out of range"),
        ({"wall_limit_s": 0.0}, "wall_limit_s: 0.0 is out of range"),
        ({"wall_limit_s": float("nan")}, "wall_limit_s: nan is out of range"),
    ],
)
def test_numbers_out_of_range_are_refused(guest, tmp_path, wrong, message):
    with pytest.raises(ConfigError, match=message):
        guest.run(tmp_path, **{"seed": 1, **wrong})


@pytest.mark.guest
def test_a_missing_folder_is_named(guest, tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        guest.run(tmp_path / "nowhere", seed=1)
