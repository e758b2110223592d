"""The folder of an experiment: which files it has, its copies in runs, and its package.

::

    experiments/rip/
        experiment.py        the class; other modules next to it are imported by ``from .x import``
        experiment.toml      its place in the book and course, and runs in which its claims fail
        handout.md           what to look for, and questions; handout.zh.md in Chinese
        notebook.ipynb       the same as a notebook
        zh.po                the Chinese of its title, claims, captions and parameters
        mutants/             broken versions of the experiment: a subclass per file
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from testbed.core import files
from testbed.core.errors import ParseError, nearest
from testbed.core.language import Words, words
from testbed.core.rundir import SCENARIO, RunDir, read_json

MAIN = "experiment.py"
ABOUT = "experiment.toml"
NOTEBOOK = "notebook.ipynb"
MUTANTS = "mutants"
COPY = "experiment"
"""Folder of a scenario that holds the copy of an experiment's folder."""

_TEXTS = (".md", ".ipynb", ".toml", ".po")
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "*~")


def root_of(path: Path) -> Path:
    """What is needed to load a file: the folder of a mutant's experiment, else the file itself."""
    folder = path.parent.parent
    return folder if path.parent.name == MUTANTS and (folder / MAIN).is_file() else path


def files_below(root: Path, suffix: str = "") -> Iterator[Path]:
    """A folder's files in order, without leftovers of Python and editors; or the file itself."""
    if root.is_file():
        yield root
        return
    for path in sorted(root.rglob(f"*{suffix}")):
        hidden = any(p.startswith(".") or p == "__pycache__" for p in path.relative_to(root).parts)
        if path.is_file() and not hidden and not path.name.endswith("~"):
            yield path


def package_of(root: Path, file: Path, shipped: Path) -> str:
    """The name of an experiment's module; for a folder, its package is recreated.

    Two copies of one experiment have packages of their own.

    Args:
        root: the experiment's folder or file.
        file: the file to be imported.
        shipped: the folder of the project's own experiments.
    """
    name = root.stem
    if root.parent != shipped:
        name = f"{name}_{hashlib.sha256(str(root).encode()).hexdigest()[:12]}"
    name = f"experiments.{name}"
    if root == file:
        return name
    known = sys.modules.get(name)
    if known is None or list(getattr(known, "__path__", ())) != [str(root)]:
        _forget(name)
        package = ModuleType(name)
        package.__path__ = [str(root)]
        sys.modules[name] = package
    elif file.name == MAIN:
        _forget(f"{name}.")
    return ".".join((name, *file.relative_to(root).with_suffix("").parts))


def _forget(prefix: str) -> None:
    for name in [n for n in sys.modules if n.startswith(prefix)]:
        del sys.modules[name]


def copy(path: Path, name: str, folder: Path) -> str:
    """Copies an experiment into a scenario's folder.

    Args:
        path: its folder or file, or a mutant in its folder.
        name: the experiment's.
        folder: the scenario's folder.

    Returns:
        What to load there, relative to the scenario's folder.
    """
    root = root_of(path)
    if root.is_file():
        files.write_bytes(folder / f"{name}.py", root.read_bytes())
        return f"{name}.py"
    target = folder / COPY / root.name
    with files.refused(target):
        shutil.copytree(root, target, ignore=_NOT_COPIED)
    return str(Path(COPY, root.name, path.relative_to(root)))


def copies(run: RunDir) -> list[Path]:
    """The copies of its experiment that a run keeps, one per scenario."""
    found = []
    for scenario in sorted(run.path.glob(f"scenarios/*/{SCENARIO}")):
        file = read_json(scenario).get("file")
        if file and (scenario.parent / file).exists():
            found.append(scenario.parent / file)
    return found


def code(path: Path) -> dict[str, bytes]:
    """The files that a run can depend on, by their paths in the experiment's folder.

    Texts about the experiment, and mutants that were not run, are left out.
    """
    root = root_of(path)
    if root.is_file():
        return {"": root.read_bytes()}
    return {
        str(file.relative_to(root)): file.read_bytes()
        for file in files_below(root)
        if file.suffix not in _TEXTS and (file.parent.name != MUTANTS or file == path)
    }


# ---- descriptions of an experiment


@dataclass(frozen=True)
class Mutant:
    """A run in which claims must fail.

    Attributes:
        file: of ``mutants``, without ``.py``; empty: the experiment itself.
        parameters: values other than the defaults.
        scenarios: those to run; empty: all.
        fails: the claims that must fail; empty: all.
        says: claim → words that its observation must contain.
    """

    file: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    scenarios: tuple[str, ...] = ()
    fails: tuple[str, ...] = ()
    says: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its parts in one line, for lists of tests."""
        given = (f"{key}={_listed(value)}" for key, value in self.parameters.items())
        return " ".join(filter(None, (self.file, *given, _listed(self.scenarios))))


@dataclass(frozen=True)
class About:
    """Contents of ``experiment.toml``.

    Attributes:
        sections: titles of the book's sections that show the experiment.
        evidence: every claim that holds has evidence.
        fidelity: it checks the emulation itself, and is part of ``testbed fidelity``.
        mutants: runs in which claims must fail.
        pinned: scenario → the parameters that it keeps whatever options are given.
        covers: statement of the course (its key in ``docs/coverage.toml``) → claims that show it.
    """

    sections: tuple[str, ...] = ()
    evidence: bool = False
    fidelity: bool = False
    mutants: tuple[Mutant, ...] = ()
    pinned: dict[str, dict[str, Any]] = field(default_factory=dict)
    covers: dict[str, tuple[str, ...]] = field(default_factory=dict)


_KINDS = {
    "sections": list,
    "evidence": bool,
    "fidelity": bool,
    "covers": dict,
    "pinned": dict,
    "mutant": list,
}


def about(root: Path) -> About:
    """The description of an experiment; empty for a single file.

    Raises:
        ParseError: it is not valid TOML, or has an unknown field.
    """
    path = root / ABOUT
    if not path.is_file():
        return About()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParseError(str(path), "text", str(error)) from None
    _check(path, "", data, _KINDS)
    covers = data.get("covers", {})
    _check(path, "covers: ", covers, dict.fromkeys(covers, list))
    kinds = {f.name: type(getattr(Mutant(), f.name)) for f in fields(Mutant)}
    kinds = {name: list if kind is tuple else kind for name, kind in kinds.items()}
    mutants = []
    for number, one in enumerate(data.get("mutant", ()), 1):
        _check(path, f"mutant {number}: ", one, kinds)
        given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in one.items()}
        mutants.append(Mutant(**given))
    return About(
        sections=tuple(data.get("sections", ())),
        evidence=data.get("evidence", False),
        fidelity=data.get("fidelity", False),
        mutants=tuple(mutants),
        pinned=data.get("pinned", {}),
        covers={key: tuple(map(str, claims)) for key, claims in covers.items()},
    )


def _check(path: Path, where: str, data: Any, kinds: dict[str, type]) -> None:
    if not isinstance(data, dict):
        raise ParseError(str(path), where.removesuffix(": "), "must be a table")
    for name, value in data.items():
        if name not in kinds:
            known = f"{nearest(name, kinds)}; known: {', '.join(kinds)}"
            raise ParseError(str(path), f"{where}{name}", f"unknown{known}")
        if not isinstance(value, kinds[name]):
            raise ParseError(str(path), f"{where}{name}", f"must be a {kinds[name].__name__}")


def _listed(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def handout(root: Path, language: str = "en") -> Path:
    """Where an experiment's handout is, or would be."""
    return root / ("handout.md" if language == "en" else f"handout.{language}.md")


def catalogue(root: Path, language: str = "zh") -> Path:
    """Where the translations of an experiment's texts are, or would be."""
    return root / f"{language}.po"


def texts(root: Path, language: str = "") -> Words:
    """An experiment's texts in a language, by default the chosen one."""
    return words(catalogue(root), language=language)
