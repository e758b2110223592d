"""The folder of an experiment: which files it has, its copies in runs, and its package.

::

    experiments/rip/
        experiment.py        the class; other modules beside it are imported by ``from .x import``
        experiment.toml      its sections in the book, and the runs in which its claims must fail
        handout.md           what to look for, and questions; handout.zh.md in Chinese
        notebook.ipynb       the same as a notebook
        zh.po                the Chinese of its title, claims, captions and parameters
        mutants/             the experiment gone wrong: a subclass per file
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
    """What a file needs to be loaded: the folder of a mutant's experiment, else itself."""
    folder = path.parent.parent
    return folder if path.parent.name == MUTANTS and (folder / MAIN).is_file() else path


def files_below(root: Path, suffix: str = "") -> Iterator[Path]:
    """The files of a folder in order, without what Python and editors leave; or the file itself."""
    if root.is_file():
        yield root
        return
    for path in sorted(root.rglob(f"*{suffix}")):
        hidden = any(p.startswith(".") or p == "__pycache__" for p in path.relative_to(root).parts)
        if path.is_file() and not hidden and not path.name.endswith("~"):
            yield path


def package_of(root: Path, file: Path, shipped: Path) -> str:
    """The name of an experiment's module; for a folder, its package is made anew.

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
        folder: the scenario's.

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
    """The files that a run can depend on, by their names below the experiment's folder.

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


# ---- what is written about it


@dataclass(frozen=True)
class Mutant:
    """A run in which claims must fail.

    Attributes:
        file: of ``mutants``, without ``.py``; empty: the experiment itself.
        parameters: other values than the defaults.
        scenarios: those that are run; none: all.
        fails: the claims that must fail; none: all.
        says: claim → words that its observation must have.
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
    """What ``experiment.toml`` says.

    Attributes:
        sections: titles of the book's sections that show the experiment.
        evidence: every claim that holds has evidence.
        mutants: runs in which claims must fail.
        pinned: scenario → the parameters that it has whatever options are given.
    """

    sections: tuple[str, ...] = ()
    evidence: bool = False
    mutants: tuple[Mutant, ...] = ()
    pinned: dict[str, dict[str, Any]] = field(default_factory=dict)


def about(root: Path) -> About:
    """What is written about an experiment; a single file has nothing.

    Raises:
        ParseError: it is no TOML, or has a field that is not known.
    """
    path = root / ABOUT
    if not path.is_file():
        return About()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParseError(str(path), "text", str(error)) from None
    _check(path, "", data, {"sections": list, "evidence": bool, "pinned": dict, "mutant": list})
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
        mutants=tuple(mutants),
        pinned=data.get("pinned", {}),
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
