"""Texts that people read at run time: labs', and those that code and templates mark, ``t("…")``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import jinja2
from jinja2.ext import extract_from_ast

from testbed.core.project import PROJECT
from testbed.grading import library, loading
from testbed.grading.library import LabFolder

MARK = "t"
"""Name of the function that translates, see `testbed.core.language.Words`."""


def marked() -> Iterator[tuple[str, str]]:
    """Each marked text of our templates and modules, with the file that it is in."""
    folder = PROJECT / "testbed"
    for path in sorted(folder.glob("*/templates/*.j2")):
        tree = jinja2.Environment().parse(path.read_text(encoding="utf-8"))
        for _, _, texts in extract_from_ast(tree, (MARK,), babel_style=False):
            yield from ((text, _name(path)) for text in texts or () if text)
    for path in sorted(folder.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if f'{MARK}("' in source:
            yield from ((text, _name(path)) for text in _in_module(source))


def _name(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def _in_module(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == MARK and node.args:
            argument = node.args[0]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value


def of_labs() -> dict[Path, list[tuple[str, str]]]:
    """Catalogue → the texts of a lab: those that students have, and those of hidden checks."""
    found = {}
    for name in library.names():
        lab = library.open_lab(name)
        for catalogue in loading.catalogues(lab.path):
            hidden = loading.is_hidden(catalogue.name)
            found[catalogue] = [(text, name) for text in dict.fromkeys(_of_lab(lab, hidden=hidden))]
    return found


def _of_lab(lab: LabFolder, *, hidden: bool) -> Iterator[str]:
    sentences = {claim.name: claim.sentence for claim in lab.full.claims()}
    if not hidden:
        yield lab.manifest.title
        yield from (file.what for file in lab.manifest.files.values() if file.what)
    for name, check in lab.manifest.checks.items():
        if check.hidden == hidden:
            yield sentences[name]
            yield from filter(None, [check.hint])
