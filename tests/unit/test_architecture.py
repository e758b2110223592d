"""Rooms import those below them alone; every experiment file is loaded, without a list of them."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import testbed
from testbed.author import named_topologies
from testbed.author.experiment import experiment_files, load
from testbed.author.topo import build_arguments
from testbed.book import rooms
from testbed.core.errors import ConfigError
from testbed.core.parameters import parameters_of
from testbed.core.project import PROJECT
from testbed.grading import library

LIBRARIES = {  # folder → what none of its modules imports
    "analysis": {"mininet", "pyroute2"},
    "topologies": {"mininet", "pyroute2", "analysis"},
    "experiments": {"mininet", "pyroute2"},
    "labs": {"mininet", "pyroute2"},
    "controller": {"mininet", "pyroute2"},
}

AUTHORS = {  # folder → what of ours its modules import
    "experiments": {"testbed", "testbed.daemons", "topologies", "analysis", "experiments"},
    "topologies": {"testbed", "testbed.daemons", "topologies"},
    "labs": {"testbed", "testbed.daemons", "topologies", "analysis", "labs"},
    "controller": {"controller"},
}


def _libraries(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("folder", sorted(LIBRARIES))
def test_only_the_machinery_knows_its_libraries(folder):
    found = {p.name: _libraries(p) & LIBRARIES[folder] for p in (PROJECT / folder).rglob("*.py")}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("folder", sorted(AUTHORS))
def test_authors_import_the_public_names_alone(folder):
    wrong = {
        (one.source, one.target)
        for one in rooms.imports()
        if one.source.split(".")[0] == folder and _surface(one.target) not in AUTHORS[folder]
    }
    assert wrong == set()


def _surface(module: str) -> str:
    """What a module counts as: ``from testbed.daemons import frr`` is an import of the package."""
    folder, _, rest = module.partition(".")
    if folder != "testbed":
        return folder
    room = rest.partition(".")[0]
    return {"daemons": "testbed.daemons", "programs": "testbed"}.get(room, module)


def test_modules_are_short_and_the_formatter_decides():
    texts = {
        path: path.read_text(encoding="utf-8")
        for folder in (*rooms.FOLDERS, "bench", "tests")
        for path in (PROJECT / folder).rglob("*.py")
    }
    long = {
        str(p) for p, t in texts.items() if "tests" not in p.parts and len(t.splitlines()) > 400
    }
    assert long == set()
    assert sum(text.count("# fmt" + ": skip") for text in texts.values()) <= 20


def _edges(found):
    edges = {}
    for one in found:
        edges.setdefault(one.source, set()).add(one.target)
    return edges


def test_no_module_imports_itself_on_a_way_round():
    """Imports in functions and those for types alone count, too."""
    assert rooms.circle(_edges(rooms.imports())) == []


def test_a_circle_is_found(tmp_path):
    files = {
        "analysis/a.py": "def f():\n    from testbed.core import b\n",
        "testbed/core/b.py": "if TYPE_CHECKING:\n    from testbed import c\n",
        "testbed/c.py": "import analysis.a\n",
        "testbed/d.py": "from testbed import c\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = rooms.imports(tmp_path)
    assert rooms.circle(_edges(found)) == [
        "analysis.a",
        "testbed.core.b",
        "testbed.c",
        "analysis.a",
    ]
    assert rooms.circle(_edges(one for one in found if not one.for_types)) == []


def test_rooms_import_those_below_alone():
    order = list(rooms.ROOMS)
    wrong = {
        (room, other)
        for room, others in rooms.between().items()
        for other in others
        if order.index(other) > order.index(room)
    }
    assert wrong == set()
    inside = {path.parent.name for path in (PROJECT / "testbed").glob("*/__init__.py")}
    assert inside | {"analysis"} == set(order)


@pytest.mark.parametrize(
    ("room", "allowed"),
    [
        ("core", set()),
        ("guest_init", set()),
        ("analysis", {"core"}),
        ("lifetime", {"core"}),
        ("results", {"core", "guest_init", "lifetime", "author", "analysis"}),
    ],
)
def test_a_room_knows_no_more_than_it_must(room, allowed):
    assert rooms.between().get(room, set()) <= allowed


def test_analysis_knows_no_machinery_even_for_types():
    targets = {one.target for one in rooms.imports() if one.source.startswith("analysis")}
    assert {rooms.room_of(target) for target in targets} == {"analysis", "core"}


def test_a_public_name_is_listed_once_and_leads_somewhere():
    names = [name for names in testbed._HOME.values() for name in names.split()]
    assert len(names) == len(set(names))
    assert {*names, "__version__"} == set(testbed.__all__)
    for name in names:
        assert getattr(testbed, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Experimend'"):
        _ = testbed.Experimend


WITHOUT_MININET = """
import sys
sys.modules["mininet"] = None
import testbed
from testbed.author.experiment import experiment_files, load
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
from testbed.execution import inside
inside.be_lazy()
import testbed
from testbed.author.experiment import experiment_files, load
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
from testbed.core.lazy import LazyFinder
sys.meta_path.insert(0, LazyFinder("analysis.plots"))
import testbed
from testbed.author.experiment import experiment_files, load
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
        for name in named_topologies.topology_files()
        for p in build_arguments(named_topologies.topology_class(name))
        if (isinstance(p.default, int | float) and not isinstance(p.default, bool))
        or str(p.annotation).startswith("float")
    ]


@pytest.mark.parametrize(("name", "argument"), numbers_of_topologies())
def test_every_number_of_a_topology_has_both_limits_which_are_told(name, argument):
    given = f"{name},file=x," if name == "graphml" else f"{name},"
    for value in ("1000000000", "-1"):
        with pytest.raises(ConfigError, match=rf"{value} is out of range; allowed: \d.* to \d"):
            named_topologies.load(f"{given}{argument}={value}")


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
    assert not wrong, "use testbed.core.files: whole or not at all, and one line if it fails"


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


def quoted_twice(text):
    """Docstrings of a module's text that have quotes of strings once joined to them."""
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Module)
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    texts = [ast.get_docstring(node) or "" for node in nodes]
    return [text for text in texts if re.search(r'"\n\s*"', text)]


def test_no_docstring_is_joined_from_strings():
    paths = [path for folder in FOLDERS for path in (PROJECT / folder).rglob("*.py")]
    found = {str(path): quoted_twice(path.read_text(encoding="utf-8")) for path in paths}
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def test_a_docstring_joined_from_strings_is_found():
    body = 'def f():\n    """One half, "\n    "and the other."""\n'
    assert quoted_twice(body) == ['One half, "\n"and the other.']
    assert quoted_twice('def f():\n    """Says "no"."""\n') == []
