"""`testbed new`: what it writes, and what it refuses."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from testbed.author.experiment import load_file
from testbed.cli import new
from testbed.cli.main import cli
from testbed.core.errors import ConfigError, OutputError
from testbed.core.project import PROJECT
from testbed.grading import library


@pytest.fixture
def labs(tmp_path, monkeypatch):
    monkeypatch.setattr(new, "labs_folder", lambda: tmp_path / "labs")
    return tmp_path / "labs"


def test_an_experiment_is_one_file_in_our_style(tmp_path):
    path = new.new_experiment("queue_length", tmp_path)
    cls = load_file(path)
    assert (cls.__name__, cls.name, len(cls.claims())) == ("QueueLength", "queue_length", 1)
    assert "round_trips" in cls.captions()
    for tool in (("ruff", "check"), ("ruff", "format", "--check")):
        config = ("--config", str(PROJECT / "pyproject.toml"))
        argv = [sys.executable, "-m", *tool, *config, str(path)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_every_part_of_it_has_a_sentence(tmp_path):
    cls = load_file(new.new_experiment("mine", tmp_path))
    parts = [cls, cls.Parameters, *(vars(cls)[name] for name in vars(cls) if name[0] != "_")]
    missing = [part for part in parts if callable(part) and not part.__doc__]
    assert missing == []


def test_a_lab_is_a_folder_that_can_be_opened(labs, tmp_path, monkeypatch):
    path = new.new_lab("first_lab")
    assert path == labs / "first_lab"
    assert "from labs.first_lab.lab import Lab" in (path / "hidden.py").read_text()
    assert not list(path.rglob("*.txt"))
    monkeypatch.setattr(library, "labs_folder", lambda: labs)
    found = library.open_lab("first_lab")
    assert set(found.manifest.checks) == {"answered", "round_trip", "hops"}


@pytest.mark.parametrize("name", ["Big", "1st", "a-b", "../x", "a.py", "", "ä", "x" * 61])
def test_a_bad_name_is_refused(tmp_path, labs, name):
    for make in (lambda: new.new_experiment(name, tmp_path), lambda: new.new_lab(name)):
        with pytest.raises(ConfigError, match="not a valid name"):
            make()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["class", "lab"])
def test_a_reserved_word_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="is a reserved word"):
        new.new_experiment(name, tmp_path)


def test_what_exists_stays_as_it_is(tmp_path, labs):
    (tmp_path / "mine.py").write_text("precious")
    (labs / "mine").mkdir(parents=True)
    for make in (lambda: new.new_experiment("mine", tmp_path), lambda: new.new_lab("mine")):
        with pytest.raises(ConfigError, match="'mine': already exists"):
            make()
    (tmp_path / "_mine.py").symlink_to("mine.py")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/experiment.py").write_text("precious, too")
    with pytest.raises(ConfigError, match="already exists"):
        new.new_experiment("folder", tmp_path)
    assert (tmp_path / "mine.py").read_text() == "precious"


def test_a_folder_that_is_missing_is_one_line(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        new.new_experiment("mine", tmp_path / "none")


@pytest.mark.parametrize("words", [["lab"], ["lab", "a", "b"], ["experiment", "a"], ["congestion"]])
def test_the_command_refuses_what_it_does_not_know(words):
    result = CliRunner().invoke(cli, ["new", *words])
    assert isinstance(result.exception, ConfigError) and result.exception.exit_code == 2
