"""Commands that cannot write say so in one line with exit code 3, and leave nothing half-made."""

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from testbed import docs
from testbed.core import files
from testbed.core.errors import ConfigError, OutputError
from testbed.core.rundir import RunDir, State
from testbed.machine.image import container, store
from tests.unit import outputs
from tests.unit.test_image import described, small

ROOT = Path(__file__).parents[2]


def finished_run(path: Path, rows: tuple[int, ...] = (1, 2)) -> RunDir:
    run = RunDir(path)
    run.tables.mkdir(parents=True)
    run.plots.mkdir()
    (run.scenario("main") / "captures").mkdir(parents=True)
    pd.DataFrame({"n": rows}).to_parquet(run.tables / "t.parquet")
    (run.plots / "x.svg").write_text("<svg/>")
    (path / "verdicts.json").write_text("[]")
    run.write_meta(
        {
            "experiment": "arp",
            "title": "ARP",
            "parameters": {},
            "scenarios": {},
            "seed": 1,
            "runtime": "guest",
            "clock": "virtual",
            "status": "complete",
            "state": State.FINISHED,
            "runtime_why": "",
            "kernel": {"version": "7", "sha256": "0"},
            "tools": {},
            "testbed": "0",
            "started": "2026-01-01T00:00:00Z",
            "host": {},
            "image": None,
            "wall_s": {},
        }
    )
    return run


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("only root may mount a full disk")
    scratch = tmp_path_factory.mktemp("outputs")
    finished_run(scratch / "one")
    finished_run(scratch / "two", (1, 3))
    finished_run(scratch / "run")
    (scratch / "secret").write_text("0123456789abcdef" * 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTBED_CACHE", str(scratch / "cache"))
        folder = small(scratch / "made", "hello")
        (folder / "root/usr/bin/big").write_bytes(os.urandom(600_000))
        container.write(scratch / "hello.xz", *described(folder), folder, lambda _: None)
        store.bring_in(scratch / "hello.xz")
    environment = {
        **os.environ,
        "TESTBED_CACHE": str(scratch / "cache"),
        "PYTHONPATH": str(ROOT),
        "TESTBED_LABS": str(ROOT / "tests/labs"),
        "TESTBED_RUNS": str(scratch),
    }
    done = subprocess.run(
        [sys.executable, outputs.__file__, str(scratch)],
        env=environment,
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def fails(command: str, place: str) -> bool:
    """Where a command of this kind cannot write."""
    into_folders = command in ("replay", "report", "bundle-folder", "image")
    if place == "good" or (place == "a folder" and into_folders):
        return False
    # they make the folders above what they write
    return not (place == "missing" and command == "bundle-folder")


@pytest.mark.parametrize("place", outputs.PLACES)
@pytest.mark.parametrize("command", outputs.COMMANDS)
def test_a_place_that_cannot_be_written_is_one_line_and_exit_code_3(cases, command, place):
    found = cases[f"{command} {place}"]
    said = found["said"].strip()
    if not fails(command, place):
        assert found["code"] in (0, 4), said  # the claims of an empty run are inconclusive
        return
    lines = [line for line in said.splitlines() if line.startswith("error:")]
    expected = 2 if place in ("missing", "in a file") and command in ("replay", "report") else 3
    assert (found["code"], len(lines)) == (expected, 1), said
    assert "Traceback" not in said
    if command not in ("replay", "report"):
        assert found["new"] == [] and found["gone"] == []
    assert not [name for name in found["new"] if ".part" in name]
    if command in outputs.KEEPS_OLD and place in ("full", "read-only"):
        assert found["old"] is True
    words = {"full": "the disk is full", "read-only": "read-only", "a folder": "is a folder"}
    if place in words:
        assert words[place] in lines[0] or "exists already" in lines[0], said


# ---- the one way to write


def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "x.txt"
    with pytest.raises(ValueError, match="mistake"), files.writing(path) as file:
        file.write(b"half")
        raise ValueError("mistake")
    assert list(tmp_path.iterdir()) == []
    files.write_text(path, "old")
    with pytest.raises(OutputError, match=r"x\.txt: cannot be written: the disk is full"):  # noqa: SIM117
        with files.writing(path) as file:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_a_missing_input_is_not_blamed_on_the_output(tmp_path):
    missing = tmp_path / "inputs" / "missing"
    with pytest.raises(FileNotFoundError, match="missing"), files.writing(tmp_path / "out") as out:
        out.write(missing.read_bytes())
    with (
        pytest.raises(OutputError, match="out: cannot be written"),
        files.refused(tmp_path / "out"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_inputs_are_files_of_limited_size(tmp_path):
    (tmp_path / "good").write_bytes(b"1234")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert files.read_input(tmp_path / "good", most_bytes=4) == b"1234"
    for name, says in (
        ("folder", "is not a file"),
        ("pipe", "is not a file"),
        ("none", "No such file"),
        ("good", "more than 3 bytes"),
    ):
        with pytest.raises(ConfigError, match=f"--secret .*{name}: .*{says}"):
            files.read_input(tmp_path / name, most_bytes=3, what="--secret")
    with pytest.raises(ConfigError, match="/dev/zero: is not a file"):
        files.read_input(Path("/dev/zero"))


def test_modes_and_links_are_kept(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_text(tmp_path / "new", "x")
        with files.writing(tmp_path / "secret", mode=0o600, new=True) as file:
            file.write(b"x")
    finally:
        os.umask(before)
    mode = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    assert mode == {"new": 0o640, "secret": 0o600}
    (tmp_path / "new").chmod(0o604)
    (tmp_path / "link").symlink_to("new")
    files.write_text(tmp_path / "link", "y", durable=True)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "new").read_text() == "y"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o604
    with (
        pytest.raises(OutputError, match="exists already"),
        files.writing(tmp_path / "secret", new=True),
    ):
        pass
    with (
        pytest.raises(OutputError, match="exists already"),
        files.writing(tmp_path / "raced", new=True) as file,
    ):
        file.write(b"late")
        (tmp_path / "raced").write_text("early")
    assert (tmp_path / "raced").read_text() == "early"
    assert not list(tmp_path.glob(".testbed-*"))


def test_a_device_is_written_to_directly(tmp_path):
    files.write_text(Path(os.devnull), "x")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    with pytest.raises(OutputError, match="/dev/full: cannot be written: the disk is full"):
        files.write_text(Path("/dev/full"), "x")


def test_a_folder_is_whole_or_not_there(tmp_path):
    with pytest.raises(ValueError, match="mistake"), files.building(tmp_path / "new") as part:
        (part / "x").write_text("half")
        raise ValueError("mistake")
    assert list(tmp_path.iterdir()) == []
    files.write_tree(tmp_path / "new", {"a/b": b"x", "run": b"y"}, frozenset({"run"}))
    assert stat.S_IMODE((tmp_path / "new/run").stat().st_mode) == 0o755
    with pytest.raises(OutputError, match="exists already"):
        files.write_tree(tmp_path / "new", {}, frozenset())


def test_the_documentation_is_not_cut_off(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.mkdir()
    monkeypatch.setattr(docs, "stale", lambda: {page: "text"})
    with pytest.raises(OutputError, match="is a folder"):
        docs.main([])


@pytest.mark.parametrize("unnamed", [True, False])
def test_a_killed_writer_leaves_nothing(tmp_path, monkeypatch, unnamed):
    if not unnamed:  # a file system without files that have no name
        monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)
    path = tmp_path / ("x" * 200)
    with files.writing(path) as file:
        file.write(b"whole")
        file.flush()
        assert len(list(tmp_path.iterdir())) == (0 if unnamed else 1)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"whole"]
