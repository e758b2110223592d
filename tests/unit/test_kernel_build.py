"""The guest kernel's builder, without building one: its steps on small inputs."""

import os
import select
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from testbed.core.errors import CommandError, TestbedError
from testbed.machine.kernel import builder, commands, recipe, source
from testbed.machine.kernel.__main__ import _Printer

ROOT = Path(__file__).parents[2]

PATCH = "Why.\n\n--- a/file\n+++ b/file\n@@ -1 +1 @@\n-{old}\n+{new}\n"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    if shutil.which("patch") is None:
        pytest.skip("patch is not installed")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("old\n")
    (tmp_path / "patches").mkdir()
    monkeypatch.setattr(builder, "PATCHES", tmp_path / "patches")
    return tmp_path


def test_patches_are_applied_in_order(tree):
    (tree / "patches" / "0001-hz.patch").write_text(PATCH.format(old="old", new="newer"))
    (tree / "patches" / "0009-more.patch").write_text(PATCH.format(old="newer", new="newest"))
    assert builder._patch(tree / "tree") == []
    assert (tree / "tree" / "file").read_text() == "newest\n"


def test_a_patch_that_does_not_fit_is_recorded_unless_essential(tree):
    (tree / "patches" / "0009-more.patch").write_text(PATCH.format(old="other", new="new"))
    assert builder._patch(tree / "tree") == ["0009-more"]
    assert (tree / "tree" / "file").read_text() == "old\n"
    (tree / "patches" / "0001-hz.patch").write_text(PATCH.format(old="other", new="new"))
    with pytest.raises(CommandError):
        builder._patch(tree / "tree")


def test_essential_patches_exist():
    assert set(recipe.ESSENTIAL_PATCHES) <= {p.stem for p in recipe.PATCHES.glob("*.patch")}


def test_an_essential_option_must_be_taken(tmp_path):
    config = tmp_path / ".config"
    config.write_text("".join(f"CONFIG_{name}=y\n" for name in recipe.options()))
    assert builder._absent_options(config) == []
    config.write_text(config.read_text().replace("CONFIG_NET_SCH_HHF=y\n", ""))
    assert builder._absent_options(config) == ["NET_SCH_HHF"]
    config.write_text(config.read_text().replace("CONFIG_VETH=y", "# CONFIG_VETH is not set"))
    with pytest.raises(CommandError, match="no VETH"):
        builder._absent_options(config)


def test_the_preferred_series_comes_first():
    names = ["linux-source-6.1", "linux-source-7.10", "linux-source-7.2", "linux-source-7.9"]
    assert max(names, key=source._preference) == f"linux-source-{source.SERIES}"
    names.remove(f"linux-source-{source.SERIES}")
    assert max(names, key=source._preference) == "linux-source-7.10"


def test_no_space_is_told_before_anything_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path))
    monkeypatch.setattr(builder, "_check_prerequisites", lambda: None)
    monkeypatch.setattr(builder, "_NEEDED_BYTES", 10**18)
    with pytest.raises(TestbedError, match=r"GB free.*TESTBED_CACHE"):
        builder.build()


def test_no_candidate_is_told_with_all_reasons(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path))
    monkeypatch.setattr(builder, "_check_prerequisites", lambda: None)
    candidate = source.Source("suite", "linux-source-1.0", "1.0-1", 1, tmp_path)
    monkeypatch.setattr(source, "candidates", lambda *_: iter([candidate]))

    def fails(*_):
        raise CommandError("build", ["make"], 2, stderr="no luck")

    monkeypatch.setattr(builder, "_build_one", fails)
    with pytest.raises(TestbedError, match=r"linux-source-1\.0_1\.0-1: .*no luck"):
        builder.build()
    assert not list((tmp_path / "kernels").glob("work-*"))


def test_leftovers_of_a_killed_build_are_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path))
    monkeypatch.setattr(builder, "_check_prerequisites", lambda: None)
    monkeypatch.setattr(source, "candidates", lambda *_: iter([]))
    (tmp_path / "kernels" / "work-old").mkdir(parents=True)
    with pytest.raises(TestbedError, match="no suite"):
        builder.build()
    assert [p.name for p in (tmp_path / "kernels").iterdir()] == ["lock"]


def test_the_second_of_two_builds_waits(tmp_path):
    heard = []
    first_in, second_told = threading.Event(), threading.Event()

    def first() -> None:
        with builder._locked(tmp_path, heard.append):
            first_in.set()
            assert second_told.wait(30)
            heard.append("first ends")

    def tell(progress: builder.BuildProgress) -> None:
        heard.append(progress.stage)
        second_told.set()

    thread = threading.Thread(target=first)
    thread.start()
    assert first_in.wait(30)
    with builder._locked(tmp_path, tell):
        heard.append("second begins")
    thread.join()
    assert heard == ["wait", "first ends", "second begins"]


def test_a_failed_command_carries_its_last_words():
    with pytest.raises(CommandError, match="ended with 3: oh no"):
        commands.run(["sh", "-c", "echo oh no; exit 3"])


def test_a_command_ends_with_all_its_children():
    reader, writer = os.pipe()

    def interrupt() -> None:
        raise KeyboardInterrupt

    # all of them hold the pipe's end: it closes when the last one is gone
    argv = ["sh", "-c", "exec 3<&0; sh -c 'sleep 1000 & sleep 1000' & sleep 1000"]
    with open(writer, "rb") as end, pytest.raises(KeyboardInterrupt):  # noqa: PTH123
        commands.run(argv, stdin=end, on_tick=interrupt)
    readable, _, _ = select.select([reader], [], [], 30)
    assert readable and os.read(reader, 1) == b""
    os.close(reader)


def test_progress_is_told_every_tenth_where_there_is_no_terminal(capsys):
    printer = _Printer()
    told = [("look", None), ("compile", 0.0), *(("compile", x / 100) for x in range(25))]
    for stage, fraction in told:
        printer(builder.BuildProgress(stage, fraction, "linux 7.2"))
    printer.end()
    assert capsys.readouterr().err.splitlines() == [
        "guest kernel: linux 7.2",
        "guest kernel: compiling linux 7.2",
        "guest kernel: compiling linux 7.2, 10%",
        "guest kernel: compiling linux 7.2, 20%",
    ]


def test_on_a_terminal_a_stage_counts_up_in_its_line(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("testbed.machine.kernel.__main__._MIN_GAP_S", 0.0)
    printer = _Printer()
    for stage, fraction in (("look", None), ("compile", 0.1), ("compile", 0.2), ("install", None)):
        printer(builder.BuildProgress(stage, fraction, stage.upper()))
    printer.end()
    assert capsys.readouterr().err.replace("\033[K", "") == (
        "guest kernel: LOOK\nguest kernel: compiling COMPILE, 10%"
        "\rguest kernel: compiling COMPILE, 20%\nguest kernel: installing INSTALL\n"
    )


def test_a_stage_says_how_long_it_still_takes(capsys, monkeypatch):
    clock = {"now_s": 100.0}
    monkeypatch.setattr("testbed.machine.kernel.__main__.time.monotonic", lambda: clock["now_s"])
    printer = _Printer()
    for fraction, took_s in ((0.0, 0), (0.1, 30), (0.2, 60), (1.0, 300)):
        clock["now_s"] = 100.0 + took_s
        printer(builder.BuildProgress("compile", fraction, "linux 7.2"))
    assert capsys.readouterr().err.splitlines() == [
        "guest kernel: compiling linux 7.2",
        "guest kernel: compiling linux 7.2, 10%, about 4 min left",
        "guest kernel: compiling linux 7.2, 20%, about 4 min left",
        "guest kernel: compiling linux 7.2, 100%, 0 s left",
    ]


def test_the_command_line_refuses_what_it_does_not_know():
    argv = [sys.executable, "-m", "testbed.machine.kernel", "bild"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "build|info" in done.stderr
