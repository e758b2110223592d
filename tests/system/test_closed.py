"""A run depends on its experiment alone: on another machine it has the same fingerprint."""

import json
import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from testbed.core.cache import cache_base
from testbed.core.project import PROJECT
from testbed.execution.runtime.sources import PACKAGES
from testbed.guest_init import visible

pytestmark = pytest.mark.guest

MACHINE = Path(__file__).with_name("other_machine.py")
RUN = """
import sys
from pathlib import Path
from testbed.execution.runner import Request, Watcher, build_and_run, plan
made = plan(Request(sys.argv[1], runtime="guest", out=Path(sys.argv[2]), image="none"))
failed = build_and_run({"": made}, Watcher())
assert not failed, failed
print(made.rundir.meta()["fingerprint"])
"""
EXPERIMENTS = ("arp", "dhcp", "tls")

OPENED = {
    "testbed/guest_init/visible.py": [('    "/usr/lib/python3/dist-packages",', "    #")],
    "testbed/guest_init/init.py": [
        (
            "[PROJECT, SITE, *standard]",
            '[PROJECT, SITE, *standard, "/usr/lib/python3/dist-packages"]',
        )
    ],
}
"""What shows a run Debian's Python packages again."""

OPENSSL = '"OPENSSL_ia32cap": "~0x200000200000000"'
GLIBC = '",".join(f"-{name}" for name in _OFF)'
CACHES = "glibc.cpu.x86_data_cache_size={0}:glibc.cpu.x86_shared_cache_size={0}"
PROCESSORS = {
    "with SSE2 alone": [(OPENSSL, OPENSSL), (OPENSSL, '"OPENSSL_ia32cap": "0x000007800011:0x0"')],
    "with all but AES": [(OPENSSL, OPENSSL), (OPENSSL, f'{OPENSSL[:-1]}:~0x0"')],
    "with other caches": [
        (GLIBC, f'{GLIBC} + ":{CACHES.format(size)}"') for size in ("0x00002000", "0x08000000")
    ],
}
"""Two processors each, as edits of what programs in a run are made to believe of theirs.

Addresses in a program's memory go into OpenSSL's random numbers, and the length of the environment
moves them: so it is the same for both, or nearly.
"""

WITH_AES = (OPENSSL, OPENSSL.replace("0x2000002", "0x0000000"))
ENVIRONMENT_OF_RUNS = "testbed/guest_init/__init__.py"


class Machines:
    """Runs an experiment on this machine or on another; gives its fingerprint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def run(self, experiment: str, *, elsewhere: bool, project: Path = PROJECT) -> str:
        self.count += 1
        own = self.folder / str(self.count)
        own.mkdir()
        command = [sys.executable, "-c", RUN, experiment, str(own / "runs")]
        if elsewhere:
            (own / "machine").mkdir()
            command = [sys.executable, str(MACHINE), str(own / "machine"), *command]
        environment = {
            **os.environ,
            "TESTBED_CACHE": str(cache_base()),
            "PYTHONPATH": str(project),
        }
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, cwd=project
        )
        if "no mount namespace" in done.stderr:
            pytest.skip("this user can have no mount namespace")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def machines(guest_kernel, tmp_path):
    return Machines(tmp_path)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_another_machine_gives_the_same_fingerprint(machines, experiment):
    here = machines.run(experiment, elsewhere=False)
    assert machines.run(experiment, elsewhere=True) == here


@pytest.mark.parametrize("processors", PROCESSORS)
def test_tls_is_the_same_on_another_processor(machines, tmp_path, processors):
    found = set()
    for number, edit in enumerate(PROCESSORS[processors]):
        project = changed(tmp_path / f"project{number}", {ENVIRONMENT_OF_RUNS: [edit]})
        found.add(machines.run("tls", elsewhere=False, project=project))
    assert len(found) == 1


def test_tls_shows_the_processor_where_it_is_not_pinned(machines, tmp_path):
    if " aes " not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no AES")
    project = changed(tmp_path / "project", {ENVIRONMENT_OF_RUNS: [WITH_AES]})
    here = machines.run("tls", elsewhere=False)
    assert machines.run("tls", elsewhere=False, project=project) != here


def test_the_other_machine_shows_where_the_list_is_not_closed(machines, tmp_path):
    project = changed(tmp_path / "opened", OPENED)
    here = machines.run("arp", elsewhere=False, project=project)
    assert machines.run("arp", elsewhere=True, project=project) != here


def changed(project: Path, edits: dict[str, list[tuple[str, str]]]) -> Path:
    """A copy of the project with other texts in some files."""
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / name, project / name, ignore=ignored)
    for file, pairs in edits.items():
        text = (project / file).read_text()
        for old, new in pairs:
            assert text.count(old) == 1, f"{file}: {old}"
            text = text.replace(old, new)
        (project / file).write_text(text)
    return project


def test_what_is_not_on_the_list_is_not_there(machines, guest_kernel, in_guest):
    folder, outcome = in_guest("surroundings")
    assert outcome["status"] == "complete", outcome
    seen = json.loads((folder / "seen.json").read_text())
    etc = PROJECT / "testbed/guest_init/etc"
    files = [path for path in etc.rglob("*") if path.is_file()]
    assert seen["etc"] == {path.relative_to(etc).as_posix(): path.read_text() for path in files}
    compiled = [f"{name}{EXTENSION_SUFFIXES[0]}" for name in visible.PYTHON_LIBRARIES]
    python = sorted([*visible.PYTHON_PACKAGES, *compiled])
    listed = {"/home": ["alice"], "/usr/lib/python3/dist-packages": python}
    assert {path: names for path, names in seen["empty"].items() if names} == listed
    assert seen["site"] == ["controllers", "mininet", "packaging", "pyroute2", "quic"]
    assert seen["cannot import"] == ["pexpect", "pip", "numpy", "rich"]
    assert not seen["written"]
