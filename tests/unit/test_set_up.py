"""Set-up's three jobs at once: the script itself, with stand-ins for what it starts."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ERRORS = "class TestbedError(Exception):\n    pass\n"
KERNEL = """
import time
from dataclasses import dataclass
from pathlib import Path
from testbed.core.errors import TestbedError

@dataclass
class BuildProgress:
    stage: str
    fraction: float | None
    message: str

def find():
    return None

def build(on_progress):
    Path("kernel").touch()
    on_progress(BuildProgress("download", 0.5, "source"))
    while not WAIT_FOR:
        on_progress(BuildProgress("compile", 0.25, "source"))
        time.sleep(0.01)
    if Path("broken").exists():
        raise TestbedError("no source")
    Path("built").touch()
"""
META = "#!/bin/sh\n"
WAIT = "while ! [ -e {} ]; do sleep 0.01; done\n"


@pytest.fixture
def place(tmp_path):
    """A folder in which set-up runs: both jobs end when the kernel's build is under way."""
    for folder in ("scripts", "testbed/core", "testbed/machine"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "scripts/setup.py", tmp_path / "scripts")
    (tmp_path / "testbed/__init__.py").touch()
    (tmp_path / "testbed/core/errors.py").write_text(ERRORS)
    for name in ("packages", "python"):
        job(tmp_path, name, f'echo "$@" >>{name}\n' + WAIT.format("kernel"))
    kernel(tmp_path, "Path('python').exists() and Path('packages').exists()")
    return tmp_path


def kernel(place: Path, until: str) -> None:
    (place / "testbed/machine/kernel.py").write_text(KERNEL.replace("WAIT_FOR", f"({until})"))


def job(place: Path, name: str, text: str) -> None:
    script = place / f"scripts/install-{name}.sh"
    script.write_text(META + text)
    script.chmod(0o755)


def start(place: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "scripts/setup.py"], cwd=place, stderr=subprocess.PIPE, text=True
    )


def test_kernel_packages_and_python_are_made_at_once(place):
    """Each waits for another that has begun: one after the other would never end."""
    process = start(place)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 0, said
    assert (place / "built").exists()
    assert "guest kernel done; Debian packages done; Python packages done" in said
    assert said.splitlines()[-1].startswith("set-up: done after ")


def test_what_fails_is_told_with_its_reason_and_the_rest_is_kept(place):
    job(place, "python", "touch python\necho 'ERROR: connection reset' >&2\nexit 3\n")
    process = start(place)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 3
    assert (
        "ERROR: connection reset\nPython packages are not installed; all of it: build/setup" in said
    )
    assert (place / "built").exists()
    assert said.splitlines()[-1].startswith("set-up: not complete: call the same command again")


def test_without_a_kernel_of_ours_debians_is_installed(place):
    (place / "broken").touch()
    process = start(place)
    said = process.communicate(timeout=30)[1]
    assert "no source\nthe guest kernel could not be built" in said
    assert (process.returncode, "guest kernel failed" in said) == (0, True)
    asked = (place / "packages").read_text().splitlines()
    if os.uname().machine == "x86_64":
        assert asked == ["", "user-mode-linux"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_runs_on_after_an_interrupt(place, number):
    kernel(place, "False")
    job(place, "python", "echo $$ >pid\nexec sleep 600\n")
    process = start(place)
    while not (place / "pid").exists() or not (place / "pid").read_text():
        assert process.poll() is None
    pid = int((place / "pid").read_text())
    process.send_signal(number)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("set-up: interrupted after ")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


SAID = """\
0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.
Get:1 bookworm/main a 1.0
Get:2 bookworm/main b 1.0
Unpacking a (1.0) ...
"""


def test_how_far_apt_is_shows_in_what_it_says(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("setting_up", ROOT / "scripts/setup.py")
    setup = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, setup)  # dataclasses look there
    spec.loader.exec_module(setup)
    assert setup.apt_fraction("") == setup.apt_fraction("Reading package lists...\n") == 0
    assert setup.apt_fraction(SAID) == 0.5
    assert setup.apt_fraction(SAID + "Unpacking b\nSetting up a\nSetting up b\n") == 1
    kernel = setup.Kernel()
    kernel(setup.BuildProgress("compile", 0.5, ""))
    kernel.compiling_s -= 100
    assert kernel.left_s() == pytest.approx(100, abs=5)
    kernel(setup.BuildProgress("install", None, ""))
    assert kernel.left_s() == 0


def test_under_nohup_it_outlives_its_terminal(place):
    kernel(place, "Path('hung up').exists()")
    process = subprocess.Popen(
        ["nohup", sys.executable, "scripts/setup.py"],
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (place / "kernel").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGHUP)
    (place / "hung up").touch()
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 0, said
    assert (place / "built").exists()
