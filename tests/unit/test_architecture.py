"""Imports point one way, and every experiment file is loaded by a test that no one has to edit."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.experiment import PROJECT, experiment_files, load
from testbed.parameters import parameters_of

FORBIDDEN = {
    "analysis": {"mininet", "pyroute2", "topologies", "experiments", "controller"},
    "topologies": {"mininet", "pyroute2", "experiments", "analysis", "controller"},
    "experiments": {"mininet", "pyroute2", "controller", "labs"},
    "labs": {"mininet", "pyroute2", "controller", "experiments"},
    "testbed": {"experiments", "topologies", "controller", "labs"},
    "controller": {"mininet", "pyroute2", "experiments", "topologies"},
}


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("folder", sorted(FORBIDDEN))
def test_imports_point_one_way(folder):
    wrong = {
        str(path.relative_to(PROJECT)): bad
        for path in (PROJECT / folder).rglob("*.py")
        if (bad := _imports(path) & FORBIDDEN[folder])
    }
    assert not wrong


WITHOUT_MININET = """
import sys
sys.modules["mininet"] = None
from testbed.experiment import experiment_files, load
for name in experiment_files():
    cls = load(name)
    for params in cls(cls.Parameters()).scenarios().values():
        cls(params).topology()
        cls(params).inputs()
"""


def test_experiments_load_where_mininet_is_not():
    """A machine that reads runs, or runs from an image, need not have it."""
    argv = [sys.executable, "-c", WITHOUT_MININET]
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


IN_A_GUEST = """
import sys
from testbed import inside
inside.be_lazy()
from testbed.experiment import experiment_files, load
for name in experiment_files():
    cls = load(name)
    for params in cls(cls.Parameters()).scenarios().values():
        cls(params).topology()
    heavy = set(inside.loaded()) - {"analysis"}
    assert not heavy, f"{name} loads {heavy} in a guest; touch them in measure, claims, plots alone"
"""


def test_guests_import_no_library_that_run_does_not_use():
    """Loading pandas takes a guest longer than most networks take to run."""
    argv = [sys.executable, "-c", IN_A_GUEST]
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


WITHOUT_MATPLOTLIB = """
import sys
from testbed.lazy import LazyFinder
sys.meta_path.insert(0, LazyFinder("analysis.plots"))
from testbed.experiment import experiment_files, load
for name in experiment_files():
    load(name)
    assert "matplotlib" not in sys.modules, f"{name} loads it; import it in plot, or analysis.plots"
from analysis.plots import style
assert len(style.COLOURS) == 7 and "matplotlib" in sys.modules
"""


def test_the_command_loads_matplotlib_only_to_draw():
    """It takes half a second, which measuring can use."""
    argv = [sys.executable, "-c", WITHOUT_MATPLOTLIB]
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(experiment_files()))
def test_every_experiment_loads_and_says_what_it_claims(name):
    cls = load(name)
    assert cls.title().strip()
    assert cls.claims(), "an experiment without a claim shows nothing"
    for claim in cls.claims():
        assert claim.sentence.endswith(".") and claim.source
    for parameter in parameters_of(cls.Parameters):
        assert parameter.spec.help, f"{parameter.name} needs a help line"
    scenarios = cls(cls.Parameters()).scenarios()
    needed = {s for claim in cls.claims() for s in claim.scenarios}
    assert needed <= set(scenarios)
    for params in scenarios.values():
        cls(params).topology()


# ---- private names


PYTHONS_OWN = {
    "_exit",  # os._exit: documented
    "_base_executable",  # sys: no public name tells the Python that a virtual environment is of
    "_popen",  # Mininet's Node: what its own subclasses override; Debian has had 2.3.0 for years
}


def _defined(tree: ast.AST) -> set[str]:
    """Names with one underscore that a file gives to functions, classes, variables, attributes."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store(), value=ast.Name(id="self" | "cls")):
                found.add(name)
            case ast.alias(name=name, asname=asname):
                found.add(asname or name)
    return found


def _private_uses(tree: ast.AST) -> set[str]:
    """Private attributes that a file reads, and private modules that it imports from."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) if name[0] == "_" and not name.endswith("__"):
                found.add(name)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                words = [*module.split("."), *(alias.name for alias in names)]
                found |= {w for w in words if w[0] == "_" and not w.endswith("__")}
    return found


def foreign_private(texts):
    """File → private names in it that no file of ours defines: somebody else's."""
    trees = {name: ast.parse(text) for name, text in texts.items()}
    ours = PYTHONS_OWN.union(*(_defined(tree) for tree in trees.values()))
    ours |= {Path(name).stem for name in texts}
    found = {name: _private_uses(tree) - ours for name, tree in trees.items()}
    return {name: wrong for name, wrong in found.items() if wrong}


FOLDERS = (
    "analysis", "bench", "controller", "docs", "experiments", "labs", "scripts", "testbed", "tests",
    "topologies",
)  # fmt: skip


def test_nobody_uses_private_names_of_what_others_wrote():
    """They change from one version to the next, without a word."""
    files = [path for folder in FOLDERS for path in (PROJECT / folder).rglob("*.py")]
    texts = {str(path.relative_to(PROJECT)): path.read_text(encoding="utf-8") for path in files}
    assert len(texts) > 200
    assert foreign_private(texts) == {}


@pytest.mark.parametrize(
    "line",
    ["context._protected_args", "values._data[0]", "from pandas._libs import lib", "a._theirs()"],
)
def test_a_private_name_of_a_library_is_found(line):
    ours = "class A:\n    def _ours(self): return self._mine\n    _mine = 1\n"
    assert foreign_private({"a.py": ours}) == {}
    assert list(foreign_private({"a.py": ours, "b.py": line})) == ["b.py"]
