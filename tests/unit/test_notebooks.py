"""Notebooks: one an experiment, of prose and calls; how they find their run."""

import ast
import json
import re

import pytest

from testbed.author.experiment import experiment_files
from testbed.author.experiment_folder import handout
from testbed.results import notebook

NAMES = [name for name in experiment_files() if notebook.path_of(name).is_file()]


def cells(name):
    return json.loads(notebook.path_of(name).read_text(encoding="utf-8"))["cells"]


def sources(name, kind):
    return ["".join(c["source"]) for c in cells(name) if c["cell_type"] == kind]


def test_every_handout_has_a_notebook():
    roots = experiment_files()
    assert {name for name in roots if handout(roots[name]).is_file()} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_holds_prose_and_calls_only(name):
    for cell in cells(name):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
    for source in sources(name, "code"):
        statements = ast.parse(source).body
        kinds = {type(one) for one in statements}
        assert kinds <= {ast.Import, ast.ImportFrom, ast.Assign, ast.Expr}, source
        assert len(statements) <= 6, source


@pytest.mark.parametrize("name", NAMES)
def test_it_asks_and_says_what_to_look_for(name):
    text = "\n".join(sources(name, "markdown"))
    assert "**Before you look" in text or "**Before you run" in text or "**Predict" in text
    questions = text.split("## Questions")[1]
    assert len(re.findall(r"^\d\. ", questions, re.MULTILINE)) >= 3
    assert text.count("?") >= 5
