"""`testbed new`: a skeleton experiment or lab, which runs at once."""

from __future__ import annotations

import keyword
import os
import re
from pathlib import Path
from string import Template

import click

from testbed.author.experiment import EXPERIMENTS, experiment_files
from testbed.cli.console import out
from testbed.core import files
from testbed.core.errors import ConfigError
from testbed.grading.library import labs_folder

_SKELETON = Path(__file__).parent / "skeleton"
_CODE = ".txt"
"""Suffix of the skeletons' Python files: they are not modules yet."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_LAB = "lab"


@click.command("new")
@click.argument("words", nargs=-1, required=True, metavar="[lab] NAME")
def command(words: tuple[str, ...]) -> None:
    """Write a skeleton experiment (experiments/NAME.py) or a skeleton lab (labs/NAME).

    It runs at once and passes. Each part has a sentence that says what belongs there.
    """
    kind, name = ("", words[0]) if len(words) == 1 else (words[0], words[-1])
    if len(words) > 2 or kind not in ("", _LAB) or words == (_LAB,):
        raise ConfigError(f"new {' '.join(words)}: write 'testbed new NAME' or 'new lab NAME'")
    if kind == _LAB:
        path = new_lab(name)
        out.print(f"{path}: try it with: testbed lab test {name}", soft_wrap=True, highlight=False)
    else:
        path = new_experiment(name)
        out.print(f"{path}: run it with: testbed run {name}", soft_wrap=True, highlight=False)


def new_experiment(name: str, folder: Path = EXPERIMENTS) -> Path:
    """Writes ``NAME.py``; returns its path.

    Raises:
        ConfigError: the name is not valid or exists already.
        OutputError: the file cannot be written.
    """
    _check(name, "experiment", known=name in experiment_files(folder))
    path = folder / f"{name}.py"
    with files.writing(path, new=True) as file:
        file.write(_text(_SKELETON / f"experiment.py{_CODE}", name))
    return path


def new_lab(name: str) -> Path:
    """Writes a folder ``NAME`` in the folder of labs; returns its path.

    Raises:
        ConfigError: the name is not valid or exists already.
        OutputError: the folder cannot be written.
    """
    path, skeleton = labs_folder() / name, _SKELETON / _LAB
    _check(name, _LAB, known=os.path.lexists(path))
    found = [p for p in sorted(skeleton.rglob("*")) if p.is_file()]
    names = [p.relative_to(skeleton).as_posix().removesuffix(_CODE) for p in found]
    texts = {n: _text(p, name) for n, p in zip(names, found, strict=True)}
    files.write_tree(path, texts, executable=frozenset())
    return path


def _check(name: str, kind: str, *, known: bool) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{kind} {name!r}: not a valid name; use lower-case letters, digits and _, "
            "starting with a letter"
        )
    if keyword.iskeyword(name) or name == _LAB:
        raise ConfigError(f"{kind} '{name}': is a reserved word; choose another name")
    if known:
        raise ConfigError(f"{kind} '{name}': already exists; choose another name")


def _text(path: Path, name: str) -> bytes:
    class_name = "".join(part.capitalize() for part in name.split("_"))
    text = path.read_text(encoding="utf-8")
    return Template(text).substitute({"name": name, "Class": class_name}).encode()
