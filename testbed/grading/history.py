"""What became of students' points over time: one row per change, never rewritten."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from testbed.core.files import write_text
from testbed.grading.result import Result, points_text
from testbed.grading.tables import cell, csv_lines

FILE = "history.csv"
COLUMNS = ("time", "student", "points", "of", "open_points", "note")


def add(folder: Path, results: Sequence[Result], note: str = "") -> None:
    """Adds the results that differ from the last row of their student; with a note, in any case.

    Args:
        folder: of the class's results.
        results: of the students who were graded now.
        note: why, in the teacher's words.
    """
    rows = _rows(folder)
    last = {row[1]: row[2:5] for row in rows}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    new = []
    for result in results:
        points = [points_text(p) for p in (result.points, result.of, result.open_points)]
        if note or last.get(cell(result.student)) != points:
            new.append([now, result.student, *points, " ".join(note.split())])
    if new:
        text = csv_lines([COLUMNS, *rows], escaped=True) + csv_lines(new)
        write_text(folder / FILE, text, durable=True)


def last_notes(folder: Path) -> dict[str, str]:
    """Student, as a `cell` → the note of the last regrade, with the points before and after it."""
    found: dict[str, str] = {}
    before: dict[str, str] = {}
    for _, student, points, _, _, note in _rows(folder):
        if note:
            change = f"{before[student]} → {points} points" if student in before else points
            found[student] = f"graded again: {note} ({change})"
        before[student] = points
    return found


def _rows(folder: Path) -> list[list[str]]:
    path = folder / FILE
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.reader(file) if len(row) == len(COLUMNS)][1:]
