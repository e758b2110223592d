"""Whatever ends a run, nothing of it stays, nothing else is touched, and the reason is reported."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

COMMAND = Path(__file__).with_name("command.py")
PATIENCE_S = 120.0

pytestmark = pytest.mark.guest

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="root only")


def wait_until(what: str, predicate: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not predicate():
        assert time.monotonic() < deadline_s, f"{what}: not after {PATIENCE_S:g} s"
        time.sleep(0.02)


def processes() -> dict[tuple[int, int], int]:
    """(Process id, start time) → parent's id, of all processes but zombies."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = text[text.rindex(")") + 2 :].split()
        if fields[0] != "Z":
            found[int(stat.parent.name), int(fields[19])] = int(fields[1])
    return found


def descendants(root: int) -> set[tuple[int, int]]:
    everyone = processes()
    family, found = {root}, set()
    while True:
        new = {key for key, parent in everyone.items() if parent in family} - found
        if not new:
            return found
        found |= new
        family |= {pid for pid, _ in new}


def traces() -> set[str]:
    """What runs of ours left on the host: files of User-Mode Linux, mounts of a run's folders."""
    files = [*Path("/dev/shm").iterdir(), *Path("/tmp").iterdir(), *Path.home().iterdir()]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return {str(p) for p in files if p.name.startswith((".uml", "uml-", "vm_file"))} | {
        line for line in mounts if "/run/lab" in line or "hostfs" in line
    }


def hear_signals() -> None:
    """Before a command starts: nohup's children ignore SIGHUP, and hand that down."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Running:
    """A command whose run is under way."""

    def __init__(self, folder: Path, *options: str, **process: object) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(COMMAND), str(folder), "sleep", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hear_signals,  # noqa: PLW1509
            **process,
        )
        wait_until("the program inside starts", (folder / "started").exists)
        self.family = descendants(self.process.pid)

    def guest(self) -> int:
        """The process that is the guest's kernel."""
        for pid, _ in self.family:
            if Path(f"/proc/{pid}/exe").resolve().name == "linux":
                return pid
        raise AssertionError("no guest")

    def all_gone(self) -> bool:
        return not self.family & processes().keys()


@pytest.fixture
def running(guest_kernel, tmp_path) -> Iterator[Running]:
    before = traces()
    run = Running(tmp_path)
    assert len(run.family) >= 3  # the guest and a helper for each process inside
    yield run
    wait_until("all processes of the run are gone", run.all_gone)
    assert traces() <= before
    run.process.communicate()


def test_sigkill_of_the_command(running):
    running.process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_to_the_command(running, number):
    running.process.send_signal(number)


def test_a_killed_guest_is_told(running):
    os.kill(running.guest(), signal.SIGKILL)
    out, err = running.process.communicate(timeout=PATIENCE_S)
    outcome = json.loads(out)
    assert (outcome["status"], outcome["exit_code"]) == ("killed", None), err
    assert "SIGKILL" in outcome["reason"]


@needs_root
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_ordinary_users_run_leaves_nothing(other_user, number):
    run = Running(other_user.folder, **other_user.process)
    run.process.send_signal(number)
    wait_until("all processes of the run are gone", run.all_gone)
    run.process.communicate()


@needs_root
@pytest.mark.root
def test_the_host_runtime_leaves_nothing(tmp_path):
    before = traces()
    run = Running(tmp_path, "--runtime", "host")
    assert len(run.family) >= 5
    run.process.kill()
    wait_until("all processes of the run are gone", run.all_gone)
    run.process.communicate()
    assert traces() <= before


def misbehave(in_guest, folder: Path, how: str, *options: str, **process) -> dict:
    (folder / "misbehaviour").write_text(how)
    return in_guest("misbehave", *options, folder=folder, **process)[1]


@pytest.mark.parametrize(
    ("how", "options", "status", "reason"),
    [
        ("exit", (), "failed", "ended with 7"),
        ("raise", (), "failed", "division by zero"),
        ("memory", ("--memory-mb", "128"), "out_of_memory", "out of memory"),
        ("panic", ("--memory-mb", "128"), "out_of_memory", "out of memory"),
        ("switch off", (), "killed", "shut down before its end"),
        ("spin", ("--wall-limit-s", "3"), "time_limit", "3 s of wall time"),
    ],
)
def test_bad_ends_are_told(in_guest, tmp_path, how, options, status, reason):
    before = traces()
    outcome = misbehave(in_guest, tmp_path, how, *options)
    assert outcome["status"] == status
    assert reason in outcome["reason"]
    assert traces() <= before


def test_a_good_end_is_told_too(in_guest):
    folder, outcome = in_guest("flow")
    assert (outcome["status"], outcome["reason"], outcome["exit_code"]) == ("complete", "", 0)
    assert not list(folder.glob("*.part"))


@needs_root
def test_a_full_disk_is_told(in_guest, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(small)]
    subprocess.run(mount, check=True)
    try:
        outcome = misbehave(in_guest, small, "fill disk")
        left = {p.name for p in small.iterdir()}
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert outcome["status"] == "failed"
    assert "could not be written" in outcome["reason"]
    assert left == {"big", "console.log", "misbehaviour"}


@needs_root
def test_a_read_only_folder_is_refused(guest_kernel, tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(tmp_path)]
    subprocess.run(mount, check=True)
    try:
        argv = [sys.executable, str(COMMAND), str(tmp_path), "flow"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    last = done.stderr.splitlines()[-1]
    assert "OutputError" in last and str(tmp_path) in last and "read-only" in last


def written_elsewhere(in_guest, folder: Path, **process) -> dict[str, object]:
    """What root inside could do to a file of the user who started it."""
    target = folder / "outside" / "file"
    target.parent.mkdir()
    target.write_text("unchanged")
    if "user" in process:
        for path in (target, target.parent):
            os.chown(path, 65534, 65534)
    run = folder / "run"
    run.mkdir()
    if "user" in process:
        os.chown(run, 65534, 65534)
    (run / "target").write_text(str(target))
    mode = target.stat().st_mode
    outcome = misbehave(in_guest, run, "elsewhere", **process)
    assert outcome["status"] == "complete", outcome
    assert target.read_text() == "unchanged"
    assert target.stat().st_mode == mode
    assert [p.name for p in target.parent.iterdir()] == ["file"]
    return eval((run / "results").read_text())


def test_only_the_run_directory_can_be_written(in_guest, tmp_path):
    results = written_elsewhere(in_guest, tmp_path)
    assert results.pop("seen") == "unchanged"
    assert all(str(r).startswith("refused") for r in results.values()), results


@needs_root
def test_only_the_run_directory_can_be_written_by_an_ordinary_user(in_guest, other_user):
    results = written_elsewhere(in_guest, other_user.folder, **other_user.process)
    assert results.pop("seen") == "unchanged"
    assert all(str(r).startswith("refused") for r in results.values()), results
