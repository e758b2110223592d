"""Fixtures of the tests that boot guests."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from testbed.machine import kernel

PROJECT = Path(__file__).resolve().parents[2]
COMMAND = Path("tests/system/command.py")


@pytest.fixture(scope="session")
def guest_kernel() -> kernel.GuestKernel:
    found = kernel.find()
    if found is None:
        pytest.skip(f"the guest kernel is not built ({kernel.BUILD_COMMAND})")
    return found


@pytest.fixture
def in_guest(guest_kernel: kernel.GuestKernel, tmp_path: Path) -> Callable[..., Any]:
    """Runs a module of tests/system/programs; returns its folder and its outcome as data."""
    numbers = iter(range(1000))

    def run(module: str, *options: str, **process: Any) -> tuple[Path, dict[str, Any]]:
        folder = process.pop("folder", None) or tmp_path / f"run{next(numbers)}"
        folder.mkdir(parents=True, exist_ok=True)
        command = process.pop("project", PROJECT) / COMMAND
        done = subprocess.run(
            [sys.executable, str(command), str(folder), module, *options],
            capture_output=True,
            text=True,
            check=False,
            **process,
        )
        assert done.returncode == 0, done.stderr
        return folder, json.loads(done.stdout)

    return run


@dataclass
class User:
    """Another user: a folder of theirs, and what starts a process as them."""

    folder: Path
    process: dict[str, Any]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that every user may enter; pytest's are its user's alone, and each session sees to it."""
    with tempfile.TemporaryDirectory(prefix="testbed-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def other_user(guest_kernel: kernel.GuestKernel, open_folder: Path) -> User:
    cache = open_folder / "cache"
    shutil.copytree(guest_kernel.path.parent, cache / "kernels" / guest_kernel.path.parent.name)
    try:
        subprocess.run(
            [sys.executable, str(PROJECT / COMMAND), "-h"],
            user="nobody",
            stdout=subprocess.DEVNULL,
            check=True,
        )
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("another user cannot read the project's folder")
    own = open_folder / "own"
    own.mkdir()
    shutil.chown(own, "nobody")
    environment = {**os.environ, "TESTBED_CACHE": str(cache), "HOME": str(own)}
    return User(own, {"user": "nobody", "env": environment})


@pytest.fixture
def busy_machine() -> Any:
    """One spinning process per processor."""
    spin = [sys.executable, "-c", "while True: pass"]
    loops = [subprocess.Popen(spin) for _ in os.sched_getaffinity(0)]
    yield
    for loop in loops:
        loop.kill()
        loop.wait()
