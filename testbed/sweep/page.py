"""The report of a sweep: one HTML page, with figures as files next to it as well."""

from __future__ import annotations

from pathlib import Path

from testbed.core import files
from testbed.core.rundir import REPORT
from testbed.results.html import template
from testbed.sweep.drive import comparisons
from testbed.sweep.jobs import State
from testbed.sweep.opened import Sweep, verdict_of

PLOTS = "plots"


def write(sweep: Sweep) -> Path:
    """Draws all figures and writes the page; returns its path."""
    folder = files.make_folder(sweep.path / PLOTS)
    for old in folder.glob("*.png"):
        with files.refused(old):
            old.unlink()
    for name, picture in sweep.figures.items():
        files.write_bytes(folder / f"{name}.png", picture.data)
    wrong = [row for row in sweep.rows() if row.state in (State.FAILED, State.SET_ASIDE)]
    held = sweep.held().to_dict("records")
    page = template("sweep.html.j2").render(
        title=sweep.experiment.title().rstrip("."),
        about=sweep.about | {"experiment": sweep.experiment.name},
        counts={str(state): count for state, count in sweep.counts().items() if count},
        claims=[{**row, "verdict": verdict_of(row)} for row in held],
        varied=[
            {"name": name, "values": ", ".join(map(_text, sweep.about["values"][name]))}
            for name in sweep.varied
        ],
        wrong=wrong,
        figures=[{"src": p.src, "caption": p.caption} for p in sweep.figures.values()],
        compared=comparisons(sweep.rows()),
    )
    files.write_text(sweep.path / REPORT, page)
    return sweep.path / REPORT


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
