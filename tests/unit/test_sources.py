"""The copy of the project that a run sees: the same everywhere, made once, never changed."""

import fcntl
import importlib.util
import os
import subprocess
import sys
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from testbed.core.errors import ConfigError, OutputError
from testbed.execution.runtime import sources
from testbed.execution.runtime.sources import copied

MODULE = "testbed.execution.inside"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def project(tmp_path):
    return made(tmp_path / "project")


def made(root: Path) -> Path:
    for name, text in {
        "testbed/__init__.py": "",
        "testbed/t.j2": "x",
        "testbed/execution/inside.py": "import testbed\n",
        "experiments/rip.py": "RIP = 2\n",
        "experiments/broken.py": "def (\n",
        "README.md": "x",
        "testbed/__pycache__/inside.cpython-311.pyc": "old",
        "testbed/.inside.py.swp": "x",
        "testbed/execution/inside.py~": "x",
        "tests/program.py": "x = 1\n",
        "runs/x/run.json": "{}",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def seen(folder: Path) -> dict[str, object]:
    """All that a run could tell copies apart by."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        name = str(path.relative_to(folder))
        found[name] = (status.st_mode, int(status.st_mtime), content)
    return found


def compiled(folder: Path, name: str) -> Path:
    return Path(importlib.util.cache_from_source(str(folder / name), optimization=""))


def test_what_is_read_is_there_and_nothing_else(project):
    with copied(project, MODULE) as copy:
        files = {n for n, (_, _, data) in seen(copy).items() if (copy / n).is_file()}
        assert {n for n in files if not n.endswith(".pyc")} == {
            "experiments/broken.py",
            "experiments/rip.py",
            "testbed/__init__.py",
            "testbed/execution/inside.py",
            "testbed/t.j2",
        }
        assert compiled(copy, "testbed/execution/inside.py").read_bytes()[:4] == MAGIC_NUMBER
        assert not compiled(copy, "experiments/broken.py").exists()
    with copied(project, "tests.program") as copy:
        assert compiled(copy, "tests/program.py").exists()


def test_the_copy_is_the_same_whoever_makes_it(project, tmp_path, monkeypatch):
    """Another path, other dates, another mask, a folder that cannot be written."""
    with copied(project, MODULE) as copy:
        first = seen(copy)
    other = made(tmp_path / "a much longer path" / "project")
    for path in other.rglob("*"):
        os.utime(path, (5, 5))
        path.chmod(0o555 if path.is_dir() else 0o444)
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "other"))
    before = os.umask(0o077)
    try:
        with copied(other, MODULE) as copy:
            assert copy.is_relative_to(tmp_path / "other")
            assert seen(copy) == first
    finally:
        os.umask(before)
        for path in [other, *other.rglob("*")]:
            path.chmod(0o755)


@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_a_script_can_be_run_whatever_an_archive_made_of_it(project, mode):
    script = project / "testbed" / "hook.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(mode)
    with copied(project, MODULE) as copy:
        assert (copy / "testbed" / "hook.sh").stat().st_mode & 0o777 == 0o755


def test_another_python_compiles_the_same(project, tmp_path, monkeypatch):
    """As a process of its own, which is the way of an image's Python."""
    with copied(project, MODULE) as copy:
        first = seen(copy)
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "other"))
    kinds = iter(("a-1", "b-2", "c-3"))
    monkeypatch.setattr(sources, "_kind", lambda _: next(kinds))
    monkeypatch.setattr(sources, "_PYTHON", Path(sys._base_executable).resolve())
    with copied(project, MODULE) as copy:
        assert copy.parent.name.startswith("a-1-")
        assert seen(copy) == first


def test_compiled_files_are_taken_as_they_are(project):
    """Python may not compile again, whatever the dates are."""
    (project / "testbed/execution/inside.py").write_text("print(__file__, __cached__)\n")
    with copied(project, MODULE) as copy:
        os.utime(copy / "testbed/execution/inside.py", (9, 9))
        code = "import testbed.execution.inside; print((lambda: 0).__code__ is not None)"
        argv = [sys.executable, "-B", "-v", "-c", code]
        done = subprocess.run(argv, cwd=copy, capture_output=True, text=True, check=True)
        assert f"code object from '{copy}/testbed/execution/__pycache__/inside." in done.stderr


def test_one_state_has_one_copy_and_an_edit_makes_another(project):
    with copied(project, MODULE) as first, copied(project, MODULE) as again:
        assert first == again
        unchanged = compiled(first, "testbed/execution/inside.py").stat().st_ino
        (project / "experiments/rip.py").write_text("RIP = 3\n")
        with copied(project, MODULE) as other:
            assert other != first
            assert (other / "experiments/rip.py").read_text() == "RIP = 3\n"
            assert b"\x03" in compiled(other, "experiments/rip.py").read_bytes()[16:]
            assert compiled(other, "testbed/execution/inside.py").stat().st_ino == unchanged
        assert (first / "experiments/rip.py").read_text() == "RIP = 2\n"


def test_old_copies_go_and_those_in_use_stay(project, cache, monkeypatch):
    monkeypatch.setattr(sources, "_KEPT", 2)
    with copied(project, MODULE) as held:
        for number in range(4):
            (project / "experiments/rip.py").write_text(f"RIP = {number}0\n")
            with copied(project, MODULE) as newest:
                pass
        left = {p.parent for p in (cache / "sources").glob("*/project")}
        assert len(left) == 3 and {held.parent, newest.parent} < left
        assert not list((cache / "sources").glob("work-*"))


def test_a_copy_that_vanishes_before_it_is_held_is_made_again(project, monkeypatch):
    real, calls = fcntl.flock, []

    def flock(file, how):
        if how == fcntl.LOCK_SH and not calls:
            calls.append(how)
            folder = Path(file.name).parent
            (folder / "project").rename(folder.parent / "gone")
            (folder / "lock").unlink()
            folder.rmdir()
        real(file, how)

    monkeypatch.setattr(sources.fcntl, "flock", flock)
    with copied(project, MODULE) as copy:
        assert calls and (copy / "testbed/execution/inside.py").exists()


def test_without_a_cache_to_write_a_folder_of_the_moment_serves(project, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "file"))
    with copied(project, MODULE) as copy, copied(project, MODULE) as again:
        assert copy == again and (copy / "testbed/execution/inside.py").exists()
        assert not copy.is_relative_to(tmp_path / "file")


def test_a_full_disk_is_said_and_leaves_nothing(project, cache, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"x: the disk is full; set TESTBED_CACHE"):
        copied(project, MODULE).__enter__()
    assert [p.name for p in (cache / "sources").iterdir()] == ["lock"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_named(project):
    (project / "experiments/rip.py").chmod(0)
    with pytest.raises(ConfigError, match=r"rip\.py: cannot be read: Permission denied"):
        copied(project, MODULE).__enter__()


def test_ryu_comes_along_as_it_is(project):
    ryu = project / "build/ryu/ryu"
    (ryu / "__pycache__").mkdir(parents=True)
    (ryu / "app.py").write_text("x = 1\n")
    (ryu / "__pycache__/app.cpython-311.pyc").write_bytes(b"as pip made it")
    os.utime(ryu / "app.py", (1000, 1000))
    with copied(project, MODULE) as copy:
        assert (copy / "build/ryu/ryu/app.py").stat().st_mtime == 1000
        made_by_pip = copy / "build/ryu/ryu/__pycache__/app.cpython-311.pyc"
        assert made_by_pip.read_bytes() == b"as pip made it"
        (project / "experiments/rip.py").write_text("RIP = 3\n")
        with copied(project, MODULE) as other:
            again = other / "build/ryu/ryu/app.py"
            assert again.stat().st_ino == (copy / "build/ryu/ryu/app.py").stat().st_ino
