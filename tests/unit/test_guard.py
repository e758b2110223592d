"""Nothing that a command starts or makes for a while outlives it, whatever ends it."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testbed.core.errors import RunIncompleteError, TestbedError
from testbed.core.project import PROJECT
from testbed.execution.engine import LocalEngine, each
from testbed.lifetime import abandoned, guard

LIMIT_S = 20.0

SLEEPS = "import os, signal; signal.alarm(60); signal.pause()"

HOLDS = """
import os, signal, subprocess, sys
from pathlib import Path
from testbed.lifetime import guard, start

def run():
    guard.use_own_folder()
    with guard.folder("some") as folder, guard.folder(within=Path(sys.argv[1])) as work:
        (folder / "file").write_text("x" * 1000)
        (work / "file").touch()
        # a program whose child has left its session, and whose own parent has ended
        orphan = "(setsid sleep 61 & echo $! > grandchild)"
        tree = ["sh", "-c", f"sleep 62 & cd {sys.argv[1]}; {orphan}; exec sleep 63"]
        with guard.started(tree), guard.forked(2) as pool:
            pool.submit(signal.pause)
            print(folder, flush=True)
            signal.alarm(60)
            while True:
                signal.pause()

start.command("holds", run)
"""


def environment(tmp_path):
    return {**os.environ, "TESTBED_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(PROJECT)}


@pytest.fixture
def holder(tmp_path):
    """A command that holds a bit of everything; and the temporary folder that it told."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    folder = Path(process.stdout.readline().strip())
    assert (folder / "file").is_file()
    wait_until((tmp_path / "grandchild").exists)
    yield process, folder
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.communicate()


def wait_until(holds):
    until_s = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def marked(folder):
    """Processes that have the command's temporary folder as theirs."""
    mark = f"TMPDIR={folder.parent}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            if state not in "ZX" and mark in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("number", [*guard.SIGNALS, signal.SIGKILL], ids=lambda n: n.name)
def test_nothing_is_left_after_a_signal(holder, tmp_path, number):
    process, folder = holder
    assert len(marked(folder)) >= 3, "the program, its child and the orphan"
    process.send_signal(number)
    _, said = process.communicate(timeout=LIMIT_S)
    if number == signal.SIGKILL:
        assert (process.returncode, said) == (-number, "")
    else:
        assert process.returncode == 128 + number
        assert said == f"interrupted ({number.name})\n"
    wait_until(lambda: not folder.parent.exists())
    wait_until(lambda: not list(tmp_path.glob(f"{guard.WORK}*")))
    wait_until(lambda: not marked(folder))


def test_without_its_sweeper_the_next_command_and_clean_find_what_is_left(
    holder, tmp_path, monkeypatch
):
    process, folder = holder
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "cache"))
    assert folder.parent not in guard.dead_folders(), "its owner lives"
    assert not abandoned.processes()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            status = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if b"testbed-sweeper" in words and int(status[1]) == process.pid:
                os.kill(int(entry.name), signal.SIGKILL)
    process.kill()
    process.wait()
    wait_until(lambda: guard.dead_folders() == [folder.parent])
    code = "from testbed.lifetime import guard; guard.use_own_folder()"
    subprocess.run([sys.executable, "-c", code], env=environment(tmp_path), check=True)
    assert not folder.parent.exists()


def test_a_folder_of_temporary_folders_that_is_a_link_is_never_looked_into(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "cache"))
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "some-body-elses").mkdir(parents=True)
    (elsewhere / guard.LOCK).touch()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "tmp").symlink_to(elsewhere)
    assert elsewhere / "some-body-elses" not in [p.resolve() for p in guard.dead_folders()]


def test_the_sweeper_takes_whole_names_alone_and_its_end_is_no_error(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    code = f"""
import os
from testbed.lifetime import guard, sweeper
guard.use_own_folder()
sweeper.note("/nowhere" + chr(10) + {str(kept)!r})
reader, sweeper._pipe = os.pipe()
os.close(reader)
sweeper.note("/nowhere")
"""
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, env=environment(tmp_path), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    wait_until(lambda: not list((tmp_path / "cache" / "tmp").glob("*-*-*")))
    assert kept.is_dir()


def test_a_second_signal_ends_at_once_and_one_that_is_ignored_stays_so(tmp_path):
    code = """
import signal, time
from testbed.lifetime import start
def run():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("ends", flush=True)
        time.sleep(60)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
start.command("slow", run)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "ends\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, said) == (130, "interrupted (SIGINT)\n")


@pytest.mark.parametrize(
    "long",
    [
        "try: signal.pause()\n    except BaseException: time.sleep(60)",
        "while True: ctypes.CDLL(None).sleep(60)",
    ],
    ids=["an end that takes long", "a call that takes long"],
)
def test_the_end_comes_whatever_goes_on(long):
    code = f"""
import ctypes, signal, time
from testbed.lifetime import start
start.GRACE_S = 0.1
def run():
    print("ready", flush=True)
    {long}
start.command("long", run)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.05)  # until it is in the call
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, said) == (143, "interrupted (SIGTERM)\n")


def _signalled_at_import(of: str, number: signal.Signals) -> tuple[int, str]:
    """Exit code and errors of a command that gets a signal when it imports a module."""
    code = f"""
import os, sys
class Signals:
    def find_spec(self, name, path=None, target=None):
        if name == {of!r}:
            os.kill(os.getpid(), {int(number)})
sys.meta_path.insert(0, Signals())
from testbed.__main__ import main
main()
"""
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=PROJECT)
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", guard.SIGNALS, ids=lambda n: n.name)
def test_a_signal_while_the_imports_go_on(number):
    said = f"interrupted ({number.name})\n"
    assert _signalled_at_import("testbed.cli.main", number) == (128 + number, said)


def test_ctrl_c_before_signals_are_heard_shows_no_list_of_calls():
    assert _signalled_at_import("testbed.lifetime.start", signal.SIGINT) == (-signal.SIGINT, "")


def test_a_program_ends_with_its_block_and_its_exit_code_is_told():
    assert guard.run(["sh", "-c", "exit 7"]) == 7
    assert guard.run(["sh", "-c", "kill -TERM $$"]) == 128 + signal.SIGTERM
    assert guard.run(["no-such-program"], stderr=subprocess.DEVNULL) == 127
    done = guard.result(["sh", "-c", "cat; echo no >&2; exit 3"], input="yes")
    assert (done.returncode, done.stdout, done.stderr) == (3, "yes", "no\n")
    with guard.started(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE) as program:
        child = int(program.stdout.readline())
    wait_until(lambda: not Path(f"/proc/{child}").exists())


def test_a_program_that_cannot_start_leaves_no_descriptor():
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(NotADirectoryError):
        guard.run(["true"], cwd="/dev/null")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_supervisor_takes_descriptors_above_1023():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.skip("this process may not open that many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    try:
        assert guard.run(["sh", "-c", "exit 7"], pass_fds=tuple(opened)) == 7
    finally:
        for number in opened:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("recipe", "is_recipe"),
    [("{python} script.py", True), ("sh -c '{python} script.py; true'", False)],
)
def test_only_what_make_itself_started_ends_with_it(tmp_path, recipe, is_recipe):
    code = "from testbed.lifetime import guard; print(guard._is_recipe())"
    (tmp_path / "script.py").write_text(code)
    line = recipe.format(python=sys.executable)
    (tmp_path / "Makefile").write_text(f"all:\n\t@{line}\n")
    env = {**os.environ, "PYTHONPATH": str(PROJECT)}
    argv = ["make", "-s", "-C", str(tmp_path)]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"{is_recipe}\n"


def test_what_is_half_made_in_a_store_is_left_alone_while_somebody_makes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path))
    half = tmp_path / "images" / f"{guard.WORK}1"
    half.mkdir(parents=True)
    (half.parent / "lock").touch()
    with held(half.parent):
        assert half not in abandoned.half_made()
    assert half in abandoned.half_made()


@contextlib.contextmanager
def held(store):
    code = (
        "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print();"
        "sys.stdout.flush(); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", code, str(store / "lock")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(argv, **pipes) as process:
        process.stdout.readline()
        yield
        process.stdin.close()


def test_earlier_versions_folders_go_only_if_nobody_uses_them(tmp_path, monkeypatch):
    monkeypatch.setattr(abandoned.tempfile, "gettempdir", lambda: str(tmp_path))
    names = ("testbed-image-old", "testbed-image-used", "testbed-image-new", "other-old")
    old, used, new, other = (tmp_path / name for name in names)
    for path in (old, used, new, other):
        path.mkdir()
        if path is not new:
            os.utime(path, (1, 1))
    with (used / "log").open("w"):
        os.utime(used, (1, 1))
        found = [p for p in abandoned.of_earlier_versions() if p.parent == tmp_path]
    assert found == [old]


def test_a_finished_folder_takes_the_place_of_another_in_one_step(tmp_path):
    for name in ("made", "target"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    guard.put_in_place(tmp_path / "made", tmp_path / "target")
    assert (tmp_path / "target" / "file").read_text() == "made"
    guard.put_in_place(tmp_path / "target", tmp_path / "new")
    assert (tmp_path / "new" / "file").read_text() == "made"


# ---- processes that grade


def number(job):
    if job == "ends":
        os._exit(1)
    if job == "fails":
        raise TestbedError("subnetting: no")
    return os.getpid(), job


def test_workers_answer_raise_and_one_that_dies_is_named_and_replaced():
    with LocalEngine(2) as engine:
        done = list(each(engine, number, list(range(6))))
        assert sorted(job for _, job in done) == list(range(6))
        assert os.getpid() not in {pid for pid, _ in done}
        with pytest.raises(TestbedError, match="subnetting: no"):
            list(each(engine, number, ["fails"]))
        with pytest.raises(RunIncompleteError, match=r"exit code 1.*run the same command again"):
            list(each(engine, number, ["ends"]))
        assert len(list(each(engine, number, list(range(4))))) == 4


def test_work_that_is_not_wanted_any_more_ends_with_its_engine():
    began_s = time.monotonic()
    with LocalEngine(1) as engine:
        engine.submit(1, time.sleep, 60)
        while not engine.doing(1):
            time.sleep(0.01)
    assert time.monotonic() - began_s < 30


SWALLOWS = """
import os, signal
from testbed.lifetime import start

class Ends:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        while True:
            pass

start.command("swallows", lambda: Ends() and None)
"""


def test_a_signal_in_a_finalizer_ends_the_command_with_one_line():
    argv = [sys.executable, "-c", SWALLOWS]
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (143, "interrupted (SIGTERM)\n")
