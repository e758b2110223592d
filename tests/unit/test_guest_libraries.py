"""Python libraries of the guest's side."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.core.errors import MissingPrerequisiteError, TestbedError
from testbed.machine import libraries


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of Python packages with one distribution, ``fast-thing``."""
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    files = {
        "fast_thing/__init__.py": "",
        "fast_thing/part.abi3.so": "compiled",
        "fast_thing/tests/test_it.py": "",
        "tests/other.py": "",
        "alone.py": "",
        "fast_thing-1.0.dist-info/METADATA": "Name: fast-thing\nVersion: 1.0\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    record = tmp_path / "fast_thing-1.0.dist-info/RECORD"
    record.write_text("".join(f"{name},,\n" for name in files))
    monkeypatch.setattr(libraries, "LIBRARIES", ("fast-thing",))
    monkeypatch.setattr(libraries, "SETS", {})
    return tmp_path


def test_packages_and_modules_are_taken_without_tests(installed: Path) -> None:
    assert sorted(libraries.files(installed / "mininet")) == [
        "alone.py",
        "fast_thing-1.0.dist-info/METADATA",
        "fast_thing/__init__.py",
        "fast_thing/part.abi3.so",
    ]


def test_a_part_for_one_python_only_is_refused(installed: Path) -> None:
    (installed / "fast_thing/part.cpython-311-x86_64-linux-gnu.so").touch()
    with pytest.raises(TestbedError, match=r"fast-thing: has a compiled part, part\.cpython-311"):
        libraries.files(installed / "mininet")


def test_a_missing_library_names_the_command(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "SETS", {"quic": ("not-there",)})
    with pytest.raises(MissingPrerequisiteError, match=r"not-there.*make extra-quic"):
        libraries.require_sets()


def test_a_set_is_hashed_only_where_it_is_used() -> None:
    every, without = libraries.hashes(), libraries.hashes(["controllers"])
    assert {"aioquic", "cryptography", "pylsqpack"} <= set(every) - set(without)
    assert {"pyroute2", "mininet", "os_ken"} <= set(without)
    assert libraries.versions(["quic"]).keys() >= {"aioquic", "pyroute2"}
