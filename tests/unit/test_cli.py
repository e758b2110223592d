"""What the command line says to bad input: one line, the field, what is allowed, exit code 2."""

import json
import os
import signal
import subprocess
import sys

import pytest

from testbed.core.project import PROJECT


def run_testbed(*arguments, cwd=PROJECT, **environment):
    return subprocess.run(
        [sys.executable, "-m", "testbed.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin:/usr/sbin", "PYTHONPATH": str(PROJECT), **environment},
        timeout=60,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "congestoin"], ["'congestoin'", "did you mean 'congestion'"]),
        (["run", "nowhere.py"], ["nowhere.py: no such file"]),
        (["run", "congestion", "--rate-mbps", "10Mbit"], ["--rate-mbps", "Mbit/s"]),
        (["run", "congestion", "--rate-mbps", "-3"], ["--rate-mbps", "0.1 to 1000"]),
        (["run", "congestion", "--rate-mbps", "0"], ["--rate-mbps"]),
        (["run", "congestion", "--cc", "cubik"], ["--cc", "did you mean 'cubic'"]),
        (["run", "congestion", "--qdisc", "fq_codell"], ["--qdisc", "did you mean 'fq_codel'"]),
        (["run", "congestion", "--rate-mpbs", "1"], ["--rate-mpbs", "--rate-mbps"]),
        (["run", "congestion", "--ecn"], ["ecn", "'fifo' cannot mark"]),
        (["run", "congestion", "--scenario", "rino"], ["rino", "did you mean 'reno'"]),
        (["run", "congestion", "--seed", "-1"], ["--seed"]),
        (["run", "congestion", "--runtime", "cloud"], ["--runtime"]),
        (["replay", "/nonexistent"], ["no such run"]),
        (["describe", "congestin"], ["did you mean 'congestion'"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, words, tmp_path):
    done = run_testbed(*arguments, TESTBED_RUNS=str(tmp_path / "runs"))
    said = done.stderr.strip()
    assert done.returncode == 2, said
    assert "Traceback" not in said
    for word in words:
        assert word in said
    assert not (tmp_path / "runs").exists(), "nothing half-made is left"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    done = run_testbed("run", "congestion", "--out", str(tmp_path / "file" / "runs"))
    assert done.returncode in {2, 3}
    assert "Traceback" not in done.stderr


def test_a_run_of_another_format_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"format": 99}')
    done = run_testbed("replay", str(tmp_path))
    assert done.returncode == 3
    assert "format" in done.stderr and "99" in done.stderr


def test_lists_and_descriptions_can_be_read_by_programs():
    listed = json.loads(run_testbed("list", "--json").stdout)
    assert "congestion" in {row["name"] for row in listed}
    described = json.loads(run_testbed("describe", "congestion", "--json").stdout)
    assert {p["name"] for p in described["parameters"]} >= {"cc", "rate_mbps"}
    assert described["claims"][0]["source"]


def test_help_gives_units_and_defaults():
    text = run_testbed("run", "congestion", "--help").stdout
    assert "0.1 to 1000 Mbit/s" in text
    assert "[default: 40 ms]" in " ".join(text.split())


def test_a_drawing_takes_the_place_of_drawings_only(tmp_path):
    notes, drawn = tmp_path / "notes.txt", tmp_path / "net.svg"
    notes.write_text("mine")
    done = run_testbed("draw", "single", "-o", str(notes))
    assert done.returncode == 2 and "is not a drawing; choose another file" in done.stderr
    os.mkfifo(tmp_path / "pipe")
    done = run_testbed("draw", "single", "-o", str(tmp_path / "pipe"))
    assert done.returncode == 2 and "is not a drawing; choose another file" in done.stderr
    assert notes.read_text() == "mine"
    for _ in range(2):
        assert run_testbed("draw", "single", "-o", str(drawn)).returncode == 0
    assert run_testbed("draw", "single", "-o", str(tmp_path)).returncode == 3
    done = run_testbed("draw", "single,3", "-o", str(drawn))
    assert done.returncode == 0 and "replaced an older drawing" in done.stderr


def test_each_size_of_a_topology_is_drawn_into_a_file_of_its_own(tmp_path):
    for words in ("tree", "tree,2,3", "tree,depth=1"):
        assert run_testbed("draw", words, cwd=tmp_path).stderr == ""
    found = sorted(p.name for p in tmp_path.iterdir())
    assert found == ["tree-2-3.svg", "tree-depth=1.svg", "tree.svg"]


def test_what_no_drawing_can_show_is_refused_at_once(tmp_path):
    done = run_testbed("draw", "linear,1000", cwd=tmp_path)
    assert done.returncode == 2 and "a drawing shows at most 1000; draw a smaller" in done.stderr
    assert not list(tmp_path.iterdir())


def test_clean_says_in_words_that_there_is_nothing(tmp_path):
    done = run_testbed("clean", "--dry-run", TESTBED_CACHE=str(tmp_path))
    assert done.stdout.startswith("nothing to remove: no dead command left")


def test_the_report_of_a_repetition_is_found(tmp_path):
    for name in ("repetition.json", "report.html"):
        (tmp_path / name).write_text("{}")
    assert run_testbed("report", str(tmp_path)).stdout.strip() == f"{tmp_path}/report.html"


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("draw",),
        ("draw", "single", "--nonsense"),
        ("run", "arp", "--repeat", "0"),
        ("run", "arp", "--delay-ms", "x"),
        ("kernel", "import", __file__),
        ("draw", "tree,x"),
        ("runs", "prune", "--keep", "-1"),
        ("run", "arp", "--repeat", "1001"),
        ("grade", "letter", "x", "--jobs", "257"),
    ],
)
def test_errors_have_one_spelling_and_one_line(words):
    done = run_testbed(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1


def test_a_kernels_import_speaks_of_kernels():
    assert (
        "was not made by 'testbed kernel export'"
        in run_testbed("kernel", "import", __file__).stderr
    )


def test_a_page_that_cannot_be_shown_is_said(tmp_path):
    for name in ("repetition.json", "report.html"):
        (tmp_path / name).write_text("{}")
    nowhere = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "WSL_DISTRO_NAME": ""}
    done = run_testbed("report", str(tmp_path), "--open", **nowhere)
    assert done.returncode == 3 and done.stdout.strip() == f"{tmp_path}/report.html"
    said = f"error: --open: no display here; open {tmp_path}/report.html in a browser"
    assert done.stderr.strip() == said


def test_output_that_nobody_reads_is_no_success(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-m", "testbed", "list", "--json"]
    done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_a_group_without_a_command_shows_its_help():
    assert "Usage:" in run_testbed("lab").stderr + run_testbed("lab").stdout
