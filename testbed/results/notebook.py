"""The notebook of a run: its experiment's own, or a generic one in the run directory.

The generic one opens the run in its own folder, so the folder can be moved and shared.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from testbed.author.experiment import experiment_files
from testbed.author.experiment_folder import NOTEBOOK
from testbed.core import files
from testbed.core.project import PROJECT
from testbed.core.rundir import RunDir
from testbed.results.finished import Run

_ROWS = 20
"""Rows, packets and messages that a generic notebook shows of each table and capture."""

_COLUMNS = ("frame", "protocol", "ip_src", "ip_dst", "wire_bytes")


def path_of(experiment: str) -> Path:
    """The experiment's own notebook: where it is, or would be."""
    root = experiment_files().get(experiment)
    return (root or PROJECT / "experiments" / experiment) / NOTEBOOK


def file_for(run: RunDir) -> Path:
    """The notebook for a run: the experiment's own, else one in the run directory.

    It is written if it is missing; changes by the user are kept.

    Raises:
        OutputError: it cannot be written.
    """
    own, made = path_of(run.meta()["experiment"]), run.path / NOTEBOOK
    if own.is_file():
        return own
    if not made.is_file():
        files.write_text(made, json.dumps(_notebook(Run(run)), indent=1, ensure_ascii=False) + "\n")
    return made


def _notebook(run: Run) -> dict[str, Any]:
    """A notebook that shows all of a run, in the format of Jupyter (nbformat 4.5)."""
    cells = [_cell(number, kind, text) for number, (kind, text) in enumerate(_parts(run))]
    return {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}


_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def _parts(run: Run) -> list[tuple[str, str]]:
    """Kind and source of each cell."""
    text = "\n\n".join([f"# {run.experiment.title()}", *run.experiment.paragraphs()])
    parts = [
        ("markdown", text),
        (
            "code",
            'import testbed\n\nrun = testbed.open(".")  # the run in this folder\nrun.summary()',
        ),
        ("markdown", "## Verdicts\n\nWhat the experiment claims, and what this run shows."),
        ("code", "run.claims"),
    ]
    if run.figures:
        parts += [("markdown", "## Figures"), ("code", "run.figures")]
    if run.tables:
        parts.append(("markdown", "## Tables\n\nWhat the experiment measured, as DataFrames."))
        parts += [("code", f'run.tables["{name}"].head({_ROWS})') for name in run.tables]
    for scenario in run.scenarios:
        parts += _packets(run, scenario)
    again = f'run = testbed.run("{_name(run)}", {_example(run)}seed=2)'
    parts.append(("markdown", f"## Run it again\n\nIn a cell of its own:\n\n    {again}\n    run"))
    return parts


def _packets(run: Run, scenario: str) -> list[tuple[str, str]]:
    captures = run.data(scenario).captures()
    if not captures:
        return []
    where = f'"{scenario}", "{captures[0]}"'
    columns = ", ".join(f'"{name}"' for name in _COLUMNS)
    return [
        (
            "markdown",
            f"## Packets of {scenario}\n\nThe columns are described in "
            "docs/packet-columns.md; `where=` is a filter over them.",
        ),
        ("code", f'run.captures("{scenario}")'),
        ("code", f"run.packets({where}, columns=[{columns}]).head({_ROWS})"),
        ("code", f"run.ladder({where}, most={_ROWS})"),
    ]


def _name(run: Run) -> str:
    """The experiment's name for `testbed.run`."""
    known = run.meta["experiment"] in experiment_files()
    return str(run.meta["experiment"] if known else run.meta.get("file", "FILE"))


def _example(run: Run) -> str:
    """One of the run's parameters, as an argument."""
    for name, value in run.meta["parameters"].items():
        return f"{name}={value!r}, "
    return ""


def _cell(number: int, kind: str, text: str) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell | {"source": text.splitlines(keepends=True)}
