"""Imports point one way, and every experiment file is loaded by a test that no one has to edit."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from testbed import topologies
from testbed.errors import ConfigError
from testbed.experiment import PROJECT, experiment_files, load
from testbed.grading import library
from testbed.parameters import parameters_of
from testbed.topo import build_arguments

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
sys.meta_path.insert(0, inside._LazyFinder())
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


def unbounded(cls: type) -> list[str]:
    return [
        p.name
        for p in parameters_of(cls)
        if p.element_type in (int, float) and (p.spec.low is None or p.spec.high is None)
    ]


@pytest.mark.parametrize("name", sorted(experiment_files()))
def test_every_number_of_an_experiment_has_both_limits(name):
    assert not unbounded(load(name).Parameters)


@pytest.mark.parametrize("name", library.names())
def test_every_number_of_a_lab_has_both_limits(name):
    assert not unbounded(library.open_lab(name).full.Parameters)


def numbers_of_topologies() -> list[tuple[str, str]]:
    return [
        (name, p.name)
        for name in topologies.topology_files()
        for p in build_arguments(topologies.topology_class(name))
        if (isinstance(p.default, int | float) and not isinstance(p.default, bool))
        or str(p.annotation).startswith("float")
    ]


@pytest.mark.parametrize(("name", "argument"), numbers_of_topologies())
def test_every_number_of_a_topology_has_both_limits_which_are_told(name, argument):
    given = f"{name},file=x," if name == "graphml" else f"{name},"
    for value in ("1000000000", "-1"):
        with pytest.raises(ConfigError, match=rf"{value} is out of range; allowed: \d.* to \d"):
            topologies.load(f"{given}{argument}={value}")


WRITERS = (
    "diff", "docs", "draw", "export", "pages", "repeat", "replay", "report", "rundir", "runner",
    "runs", "shell",
)  # fmt: skip
"""Modules of `testbed`, wherever they are, that write what users keep."""


def test_what_users_keep_is_written_in_one_way():
    found = [*(PROJECT / "analysis").rglob("*.py"), *(PROJECT / "testbed/cli").glob("*.py")]
    found += [p for name in WRITERS for p in (PROJECT / "testbed").rglob(f"{name}.py")]
    assert len(found) > 40
    by_hand = re.compile(r"(?<!files)\.write_(text|bytes)\(|\bopen\(\s*[\"'][wax]")
    wrong = {p.name: by_hand.findall(p.read_text()) for p in found if by_hand.search(p.read_text())}
    assert not wrong, "use testbed.files: whole or not at all, and one line if it fails"
