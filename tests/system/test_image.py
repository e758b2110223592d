"""Runs from an image: the same bytes whatever the host is like, and nothing of the host inside."""

import ctypes
import hashlib
import json
import os
import resource
import shutil
import tempfile
from pathlib import Path

import pytest

from testbed.core.errors import ParseError
from testbed.execution.runtime import choose
from testbed.machine.image import choice, store
from tests.system import small_image

pytestmark = pytest.mark.guest
ADDRESS_SPACE_BYTES = 2 << 30
FILES = ("h2.pcap", "seen.json", "iperf3.json")


@pytest.fixture(scope="module")
def cache(guest_kernel):
    """A cache with one image in it, on the disk; other users can read it."""
    with tempfile.TemporaryDirectory(prefix="testbed-image-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TESTBED_CACHE", folder)
            choice.use(small_image.make(guest_kernel))
            yield Path(folder)


@pytest.fixture
def flow(in_guest, cache):
    """Digests of what a flow over a lossy link leaves, made from the image."""

    def run(*options, environment=None, **process):
        base = process.pop("env", None) or os.environ
        env = {**base, "TESTBED_CACHE": str(cache), **(environment or {})}
        folder, outcome = in_guest("flow", *options, env=env, **process)
        assert outcome["status"] == "complete", outcome
        assert (folder / "h2.pcap").stat().st_size > 100_000
        return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}

    return run


@pytest.fixture(scope="module")
def first():
    """The first run's digests, once for this module."""
    return {}


@pytest.fixture
def usual(flow, first):
    first.update(first or flow())
    return first


def test_time_zone_locale_home_processors_and_memory_do_not_show(flow, usual, tmp_path):
    """On a machine of one processor, in a fraction of the memory."""
    cpu = max(os.sched_getaffinity(0))

    def shrink() -> None:
        os.sched_setaffinity(0, {cpu})
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES,) * 2)

    environment = {
        "HOME": str(tmp_path / "home of somebody else"),
        "TZ": "Asia/Kathmandu",
        "LANG": "tr_TR.UTF-8",
        "LC_ALL": "tr_TR.UTF-8",
        "PYTHONHASHSEED": "7",
        "USER": "somebody",
    }
    elsewhere = tmp_path / "a longer path" / "to a run"
    assert flow(folder=elsewhere, environment=environment, preexec_fn=shrink, umask=0o077) == usual


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_user_does_not_show(flow, usual, other_user):
    assert flow(folder=other_user.folder, **other_user.process) == usual


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount another file system")
def test_the_file_system_does_not_show(flow, usual, cache, tmp_path):
    """The image on a file system in memory, in a cache at another path."""
    memory = tmp_path / "another cache"
    memory.mkdir()

    def move() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(0x20000) == 0, "no mount namespace"
        assert libc.mount(None, b"/", None, 0x44000, None) == 0
        assert libc.mount(b"tmpfs", bytes(memory), b"tmpfs", 0, None) == 0
        shutil.copytree(cache, memory, symlinks=True, dirs_exist_ok=True)

    assert flow(environment={"TESTBED_CACHE": str(memory)}, preexec_fn=move) == usual
    assert not list(memory.iterdir())


def test_another_seed_does_show(flow, usual):
    """That the comparisons above can fail."""
    assert flow("--seed", "2") != usual


def test_nothing_of_the_host_is_seen(cache, tmp_path):
    """What tells one machine from another, looked for from inside."""
    runtime = choose("guest")
    assert runtime.why.startswith(f"image {runtime.image.id}: chosen")
    assert runtime.image.which("tcpdump") and not runtime.image.which("apt-get")
    outcome = runtime.run(tmp_path, seed=1, module="tests.system.programs.host_traces")
    assert outcome.ok, outcome.reason
    seen = json.loads((tmp_path / "traces.json").read_text())
    everything = json.dumps(seen)
    model = next(x for x in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in x)
    for trace in (
        model.split(":")[1].strip(),
        os.uname().release,
        os.uname().nodename,
        str(cache),
        str(Path.cwd()),
        str(tmp_path),
        "apt-get",
    ):
        assert trace not in everything, trace
    assert seen["processors"] == 1
    assert seen["dates"] == [1_700_000_000]
    assert seen["owners"] == [0]
    assert seen["usr"] == sorted(p.name for p in (runtime.image.root / "usr").iterdir())


def test_a_changed_image_is_refused_before_the_run(cache, monkeypatch, tmp_path):
    moved = tmp_path / "cache"
    shutil.copytree(cache, moved, symlinks=True)
    monkeypatch.setenv("TESTBED_CACHE", str(moved))
    (name,) = store.ids()
    with (moved / "images" / name / "root/usr/bin/tcpdump").open("ab") as program:
        program.write(b"x")
    with pytest.raises(ParseError, match="usr/bin/tcpdump: was changed"):
        choose("guest")
