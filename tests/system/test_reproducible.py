"""Two runs with the same seed are the same, byte for byte; with another seed they are not."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from testbed.core.project import PROJECT
from testbed.execution.runtime.sources import PACKAGES
from testbed.machine.kernel.store import cache_root

pytestmark = pytest.mark.guest

FILES = ("h2.pcap", "seen.json", "iperf3.json")


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


def flow(in_guest, *options, **process) -> dict[str, str]:
    folder, outcome = in_guest("flow", *options, **process)
    assert outcome["status"] == "complete", outcome
    assert (folder / "h2.pcap").stat().st_size > 100_000
    return digests(folder)


def test_same_on_every_processor(in_guest):
    runs = [flow(in_guest, "--cpu", str(cpu)) for cpu in sorted(os.sched_getaffinity(0))]
    assert all(run == runs[0] for run in runs)
    assert flow(in_guest) == runs[0]


def test_same_on_a_busy_machine(in_guest, busy_machine):
    busy = flow(in_guest, "--cpu", "0")
    assert busy == flow(in_guest)


def test_same_in_another_folder_home_and_environment(in_guest, tmp_path):
    elsewhere = tmp_path / "a much longer path" / "with more" / "folders"
    environment = {
        "HOME": str(tmp_path),
        "TESTBED_CACHE": str(cache_root().parent),
        "PATH": os.environ["PATH"],
        "LANG": "de_DE.UTF-8",
        "TZ": "Asia/Shanghai",
        "PYTHONHASHSEED": "99",
        "TMPDIR": str(tmp_path),
        "CLUTTER": "x" * 5000,
    }
    assert flow(in_guest, folder=elsewhere, env=environment) == flow(in_guest)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_same_for_another_user_who_cannot_write_in_the_project(in_guest, other_user, open_folder):
    """As a course installs it for all: in another place, never compiled there."""
    project = open_folder / "opt" / "lab"
    for name in (*PACKAGES, "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / name, project / name, ignore=ignored)
    other = flow(in_guest, folder=other_user.folder, project=project, **other_user.process)
    assert not list(project.rglob("__pycache__"))
    assert other == flow(in_guest)


def test_another_seed_gives_another_run(in_guest):
    one, two = flow(in_guest, "--seed", "1"), flow(in_guest, "--seed", "2")
    assert one["h2.pcap"] != two["h2.pcap"]
    assert one["seen.json"] != two["seen.json"]
    assert two == flow(in_guest, "--seed", "2")
