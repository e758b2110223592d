"""Fills the gradebook that a learning platform exported (Moodle, Canvas, Blackboard) with points.

The platform's own file is the roster: each of its rows, columns, and its encoding stay as they are,
so that the platform takes it back; only the cells for points (and feedback) change. All of it is
data of strangers: it is never a formula, a path or a pattern.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from testbed.core.errors import ConfigError, nearest
from testbed.core.files import reason
from testbed.grading.library import same_person
from testbed.grading.result import Result, points_text

_LARGEST_BYTES = 16 << 20
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""Byte order mark → encoding."""
_PARTICIPANT = re.compile(r"\D*(\d{1,18})")
_TOTAL_OF_BLACKBOARD = re.compile(r"\[Total Pts: ([\d.]+)[^]]*\]")


@dataclass(frozen=True)
class Platform:
    """What a platform's export looks like.

    Attributes:
        name: for messages.
        mark: columns from which it is recognised.
        students: columns that may hold the students' IDs; the one with most of them counts.
        points: column for points; empty: the teacher must name it.
        feedback: column for a line of feedback; empty if there is none.
    """

    name: str
    mark: frozenset[str]
    students: tuple[str, ...]
    points: str = ""
    feedback: str = ""


PLATFORMS = (
    Platform(
        "Moodle (grading worksheet)",
        frozenset({"Identifier", "Grade"}),
        ("Username", "ID number", "Email address", "Full name"),
        points="Grade",
        feedback="Feedback comments",
    ),
    Platform(
        "Canvas",
        frozenset({"Student", "ID", "Section"}),
        ("SIS Login ID", "SIS User ID", "ID", "Student"),
    ),
    Platform("Blackboard", frozenset({"Last Name", "First Name"}), ("Username", "Student ID")),
)


@dataclass
class Filled:
    """A filled gradebook.

    Attributes:
        data: the file's new content.
        platform: its name.
        student_column: the column in which students were found.
        points_column: the column that was filled.
        filled: IDs of students whose points were entered.
        open: those who have open points, and got none.
        strangers: graded students who are not in the roster.
        feedback_folders: student ID → folder of Moodle's zip of feedback files.
    """

    data: bytes = b""
    platform: str = ""
    student_column: str = ""
    points_column: str = ""
    filled: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    feedback_folders: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Sheet:
    path: Path
    mark: bytes
    coding: str
    dialect: type[csv.Dialect] | csv.Dialect
    header: list[str]
    rows: list[list[str]]

    def column(self, name: str, option: str) -> int:
        """A column's place by its name, or by the name of the assignment that begins it."""
        found = [n for n, there in enumerate(self.header) if there == name]
        found = found or [n for n, there in enumerate(self.header) if there.startswith(f"{name} ")]
        if len(found) == 1:
            return found[0]
        if found:
            raise ConfigError(f"{option} {name}: {self.path} has {len(found)} such columns")
        known = [there for there in self.header if there]
        raise ConfigError(
            f"{option} {name}: is not a column of {self.path}{nearest(name, known)}; "
            f"there are {', '.join(known)}"
        )

    def bytes(self) -> bytes:
        out = io.StringIO()
        csv.writer(out, self.dialect).writerows([self.header, *self.rows])
        return self.mark + out.getvalue().encode(self.coding)


def fill(
    roster: Path,
    results: Sequence[Result],
    *,
    student_column: str = "",
    points_column: str = "",
    lost: Mapping[str, float] | None = None,
) -> Filled:
    """Enters the points of one lab.

    Args:
        roster: the platform's exported CSV file.
        results: of the lab.
        student_column: the column with the students' IDs; default: the platform's column in
            which most of the graded students are found.
        points_column: the column for the points; default: the platform's own, if it has one.
        lost: student → points that lateness costs.

    Raises:
        ConfigError: not such a file, no such column, or the column counts other points.
    """
    sheet = _read(roster)
    platform = _platform(sheet)
    people = {same_person(r.student): r for r in results}
    at = _student_column(sheet, platform, student_column, people)
    name = points_column or platform.points
    if not name:
        raise ConfigError(
            f"{roster}: --points COLUMN: name the column for the points; "
            f"there are {', '.join(filter(None, sheet.header))}"
        )
    to = sheet.column(name, "--points")
    _check_total(sheet, to, results[0].of)
    done = Filled(platform=platform.name, student_column=sheet.header[at])
    done.points_column = sheet.header[to]
    _enter(sheet, platform, done, people, at, to, lost or {})
    met = {same_person(s) for s in (*done.filled, *done.open)}
    done.strangers = sorted(r.student for key, r in people.items() if key not in met)
    done.data = sheet.bytes()
    return done


def _enter(
    sheet: _Sheet,
    platform: Platform,
    done: Filled,
    people: Mapping[str, Result],
    at: int,
    to: int,
    lost: Mapping[str, float],
) -> None:
    note = sheet.header.index(platform.feedback) if platform.feedback in sheet.header else -1
    lines: dict[str, int] = {}
    for line, row in enumerate(sheet.rows, 2):
        result = _result_of(row[at] if at < len(row) else "", people)
        if result is None:
            continue
        row.extend([""] * (len(sheet.header) - len(row)))  # trailing commas may be left out
        if before := lines.setdefault(result.student, line) - line:
            raise ConfigError(
                f"{sheet.path}:{line}: student {result.student!r} is in line {line + before}, too; "
                "name a column in which IDs are unique: --students COLUMN"
            )
        if not result.conclusive:
            done.open.append(result.student)
            continue
        done.filled.append(result.student)
        late = lost.get(result.student, 0.0)
        row[to] = points_text(result.points - late)
        if note >= 0:
            row[note] = (
                f"{_lost(result)}; late: loses {points_text(late)}" if late else _lost(result)
            )
        if folder := _moodle_folder(sheet.header, row):
            done.feedback_folders[result.student] = folder


def _result_of(cell: str, people: Mapping[str, Result]) -> Result | None:
    """The result of the student whom a cell names: by ID, or an address by what precedes @."""
    for name in (cell.strip(), cell.strip().partition("@")[0]):
        with suppress(ConfigError):  # such as an empty cell: not an ID
            if found := people.get(same_person(name)):
                return found
    return None


def _lost(result: Result) -> str:
    """One line for the student: where points were lost. Our own words alone."""
    lost = [
        f"{c.name}: {points_text(c.points)} of {points_text(c.of)}"
        for c in result.checks
        if c.points < c.of
    ]
    return "; ".join(lost) or "full points"


def _moodle_folder(header: Sequence[str], row: Sequence[str]) -> str:
    """Where Moodle looks for a participant's files in a zip; empty for other platforms.

    Moodle splits the name at underscores: full name, participant's number, plugin.
    """
    cells = dict(zip(header, row, strict=False))
    number = _PARTICIPANT.fullmatch(cells.get("Identifier", ""))
    if number is None:
        return ""
    name = re.sub(r"[^\w .-]|_", " ", cells.get("Full name", "")).strip(" .") or "participant"
    return f"{name}_{number[1]}_assignfeedback_file_"


def _platform(sheet: _Sheet) -> Platform:
    for platform in PLATFORMS:
        if platform.mark <= set(sheet.header):
            return platform
    names = "; ".join(f"{p.name}: {', '.join(sorted(p.mark))}" for p in PLATFORMS)
    raise ConfigError(
        f"{sheet.path}:1: has none of the known platforms' columns ({names}); export the gradebook "
        "as CSV there, in English"
    )


def _student_column(
    sheet: _Sheet, platform: Platform, given: str, people: Mapping[str, Result]
) -> int:
    if given:
        return sheet.column(given, "--students")
    places = [sheet.header.index(name) for name in platform.students if name in sheet.header]
    met = {
        at: sum(_result_of(row[at], people) is not None for row in sheet.rows if at < len(row))
        for at in places
    }
    if any(met.values()):
        return max(met, key=met.__getitem__)
    tried = ", ".join(name for name in platform.students if name in sheet.header) or "none"
    raise ConfigError(
        f"{sheet.path}: no graded student is in its columns ({tried}); name the column with their "
        "IDs: --students COLUMN"
    )


def _check_total(sheet: _Sheet, to: int, of: float) -> None:
    """Raises ConfigError if the platform counts another number of points."""
    for place, text in _totals(sheet, to):
        try:
            total = float(text)
        except ValueError:
            continue
        if abs(total - of) > 0.005:
            raise ConfigError(
                f"{sheet.path}:{place}: '{sheet.header[to]}' counts {points_text(total)} points, "
                f"the lab {points_text(of)}; set the maximum to {points_text(of)} there"
            )


def _totals(sheet: _Sheet, to: int) -> Iterator[tuple[int, str]]:
    """The column's maximum as the file has it: (line, text)."""
    if found := _TOTAL_OF_BLACKBOARD.search(sheet.header[to]):
        yield 1, found[1]
    if "Maximum Grade" in sheet.header:
        at = sheet.header.index("Maximum Grade")
        yield from ((n, row[at]) for n, row in enumerate(sheet.rows, 2) if at < len(row))
    for number, row in enumerate(sheet.rows[:2], 2):
        if row and row[0].strip() == "Points Possible" and to < len(row):
            yield number, row[to]


def _read(path: Path) -> _Sheet:
    try:
        data = path.read_bytes() if path.stat().st_size <= _LARGEST_BYTES else None
    except OSError as error:
        raise ConfigError(f"{path}: {reason(error)}") from error
    if data is None:
        raise ConfigError(f"{path}: is larger than {_LARGEST_BYTES >> 20} MiB")
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    coding = _MARKS.get(mark, "utf-8")
    try:
        text = data[len(mark) :].decode(coding)
        first = text.partition("\n")[0]
        dialect = csv.excel_tab() if first.count("\t") > first.count(",") else csv.excel()
        dialect.lineterminator = "\r\n" if "\r\n" in text else "\n"
        rows = list(csv.reader(io.StringIO(text, newline=""), dialect, strict=True))
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text; export it as CSV in UTF-8") from None
    except csv.Error as error:
        raise ConfigError(f"{path}: is not a CSV file: {error}") from None
    if len(rows) < 2:
        raise ConfigError(f"{path}: has no rows of students")
    return _Sheet(path, mark, coding, dialect, rows[0], rows[1:])
