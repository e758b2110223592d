"""An experiment's folder: it loads anywhere, its copies are whole, and what is wrong is said."""

import re
import shutil
import sys

import pytest

from testbed.author import experiment_folder
from testbed.author.experiment import experiment_files, load, load_file
from testbed.core.errors import ConfigError, ParseError
from testbed.core.project import PROJECT
from testbed.core.rundir import RunDir, write_json

MAIN = '''
"""Counts."""
from dataclasses import dataclass
from testbed import Experiment, claim, near
from .numbers_of import NUMBER

class Own(Experiment):
    """Counts."""
    @dataclass(frozen=True)
    class Parameters:
        pass
    @claim("It counts.", source="-")
    def counts(self, tables):
        return near(NUMBER, 1, abs=0, unit="things")
'''
MUTANT = '''
from ..experiment import Own

class Wrong(Own):
    """Counts wrong."""
'''


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "counting"
    (root / "mutants").mkdir(parents=True)
    (root / "experiment.py").write_text(MAIN)
    (root / "numbers_of.py").write_text("NUMBER = 1\n")
    (root / "mutants" / "wrong.py").write_text(MUTANT)
    (root / "handout.md").write_text("# Counting\n")
    return root


def number(cls):
    return cls.claims()[0].check(None, None).value


def test_a_folder_is_an_experiment_by_its_path(folder):
    cls = load(str(folder))
    assert (cls.name, number(cls)) == ("counting", 1)
    assert load_file(folder) is cls, "what did not change is not executed again"
    (folder / "numbers_of.py").write_text("NUMBER = 22\n")
    assert number(load_file(folder)) == 22


def test_two_copies_do_not_share_their_modules(folder, tmp_path):
    first = load_file(folder)
    # compiled files know a source by its second and size, which the edit here does not change
    without = shutil.ignore_patterns("__pycache__")
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "counting", ignore=without)
    (copy / "numbers_of.py").write_text("NUMBER = 3\n")
    second = load_file(copy)
    assert (number(first), number(second)) == (1, 3)
    assert first.__module__ != second.__module__
    assert number(load_file(folder)) == 1


def test_a_mutant_is_loaded_with_its_experiment(folder):
    cls = load(str(folder / "mutants" / "wrong.py"))
    assert (cls.name, number(cls)) == ("counting_wrong", 1)
    assert experiment_folder.root_of(folder / "mutants" / "wrong.py") == folder


def test_a_run_keeps_the_whole_folder_and_loads_from_it_alone(folder, tmp_path):
    run = RunDir(tmp_path / "run")
    scenario = run.scenario("main")
    scenario.mkdir(parents=True)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_text("")
    mutant = folder / "mutants" / "wrong.py"
    write_json(scenario / "scenario.json", {"file": experiment_folder.copy(mutant, "x", scenario)})
    shutil.rmtree(folder)
    (copy,) = experiment_folder.copies(run)
    assert copy.relative_to(scenario).as_posix() == "experiment/counting/mutants/wrong.py"
    assert number(load_file(copy)) == 1
    kept = {p.name for p in experiment_folder.files_below(scenario / "experiment")}
    assert kept == {"experiment.py", "numbers_of.py", "wrong.py", "handout.md"}


def test_every_shipped_experiment_loads_from_a_copy_of_its_folder_alone(tmp_path):
    for name, root in experiment_files().items():
        (tmp_path / name).mkdir()
        copy = tmp_path / name / experiment_folder.copy(root, name, tmp_path / name)
        cls = load_file(copy)
        assert [c.name for c in cls.claims()] == [c.name for c in load(name).claims()]
        modules = [m for m in sys.modules if m.startswith(cls.__module__.rpartition(".")[0])]
        for module in modules:
            file = getattr(sys.modules[module], "__file__", None)
            assert file is None or file.startswith(str(tmp_path)), file


def test_texts_and_other_mutants_do_not_change_a_run(folder):
    before = experiment_folder.code(folder)
    assert set(before) == {"experiment.py", "numbers_of.py"}
    (folder / "handout.md").write_text("other words")
    (folder / "mutants" / "wrong.py").write_text("# other")
    assert experiment_folder.code(folder) == before
    mutant = folder / "mutants" / "wrong.py"
    assert "mutants/wrong.py" in experiment_folder.code(mutant)
    (folder / "numbers_of.py").write_text("NUMBER = 2\n")
    assert experiment_folder.code(folder) != before


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("numbers_of.py", "NUMBER = (\n", r"numbers_of\.py:1: '\(' was never closed"),
        ("numbers_of.py", "\nNUMBER = 1 / 0\n", r"numbers_of\.py:2: ZeroDivisionError"),
        ("experiment.py", "x = 1\n", r"experiment\.py: holds 0 Experiment classes"),
    ],
)
def test_a_mistake_is_said_with_its_file_and_line(folder, file, text, says):
    (folder / file).write_text(text)
    with pytest.raises(ConfigError, match=says):
        load_file(folder)


def test_a_file_and_a_folder_of_one_name_are_refused(folder):
    (folder.parent / "counting.py").write_text(MAIN)
    with pytest.raises(ConfigError, match=r"counting\.py: .*counting has the same name"):
        experiment_files(folder.parent)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sections =", "text: "),
        ('section = ["RIP"]\n', r"section: unknown \(did you mean 'sections'\?\)"),
        ('[[mutant]]\nfail = ["x"]\n', r"mutant 1: fail: unknown \(did you mean 'fails'\?\)"),
        ('[[mutant]]\nfails = "x"\n', "mutant 1: fails: must be a list"),
        ("mutant = [3]\n", "mutant 1: must be a table"),
    ],
)
def test_a_wrong_description_is_refused(folder, text, says):
    (folder / "experiment.toml").write_text(text)
    with pytest.raises(ParseError, match=says):
        experiment_folder.about(folder)


@pytest.mark.parametrize("name", experiment_files())
def test_every_claim_has_a_run_in_which_it_must_fail(name):
    root = experiment_files()[name]
    if not root.is_dir():
        pytest.skip("a file of one's own needs no mutants")
    claims = {claim.name for claim in load(name).claims()}
    mutants = experiment_folder.about(root).mutants
    listed = {claim for mutant in mutants for claim in mutant.fails or claims}
    assert listed == claims
    for mutant in mutants:
        assert not mutant.file or (root / "mutants" / f"{mutant.file}.py").is_file(), mutant
        assert set(mutant.says) <= claims
    files = {m.file for m in mutants if m.file}
    assert files == {p.stem for p in (root / "mutants").glob("*.py")}


GENERATED = {"README.md", "README.zh.md", "docs/coverage.md"}
ABOUT_RESULTS = {"docs/fidelity.md", "CHANGELOG.md"}
_WORD = re.compile(r"(?<![\w./])(?:experiments[./])?(\w+)")
"""Not the parts of other paths: a lab or a module may have the name of an experiment."""


def test_only_its_folder_and_generated_texts_name_an_experiment():
    """Adding one is adding one folder. (Names of one word are words of the field, too.)"""
    names = {name for name in experiment_files() if "_" in name}
    folders = ("testbed", "analysis", "topologies", "controller", "bench", "scripts", "docs")
    paths = [path for folder in folders for path in (PROJECT / folder).rglob("*")]
    kinds = {".py", ".sh", ".toml", ".txt", ".md", ".yml", ".po"}
    named = {
        path.relative_to(PROJECT).as_posix()
        for path in [*PROJECT.glob("*"), *paths]
        if path.is_file() and path.suffix in kinds and names & set(_WORD.findall(_text(path)))
    }
    assert named - GENERATED - ABOUT_RESULTS == set()


def _text(path):
    return path.read_text(encoding="utf-8", errors="replace")
