"""Late days, extensions, regrades with a note, and what the gradebook keeps of them."""

import csv

import pytest

from testbed.core.errors import ConfigError
from testbed.core.project import PROJECT
from testbed.grading import classroom, deadlines, history, library, pages, platforms
from testbed.grading.deadlines import Late
from testbed.grading.result import CheckResult, Mark, Result

FILE = """due: 2026-11-20T23:59+01:00
free_days: 1
percent_per_day: 10
latest_days: 5
extensions: {Eve@uni: 2026-11-22T23:59+01:00}
handed_in: handins.csv
"""
TIMES = {
    "ada": "2026-11-20T22:59Z",  # the last moment, in another zone
    "bob": "2026-11-21T00:00+01:00",
    "cyd": "2026-11-22T12:00+01:00",
    "eve@uni": "2026-11-24T00:00+01:00",
    "fay": "2026-11-27T00:00+01:00",
}


@pytest.fixture
def rules(tmp_path):
    rows = "".join(f"{who},{time}\n" for who, time in TIMES.items())
    (tmp_path / "handins.csv").write_text(f"student,time\nbob,2026-11-01T00:00Z\n{rows}")
    (tmp_path / "deadlines.yaml").write_text(FILE)
    return deadlines.read(tmp_path / "deadlines.yaml")


@pytest.mark.parametrize(
    ("student", "days", "share"),
    [
        ("ada", 0, 0),
        ("BOB", 1, 0),
        ("cyd", 2, 0.1),
        ("eve@uni", 2, 0.1),
        ("fay", 7, 1),
        ("x", 0, 0),
    ],
)
def test_late_days_cost_what_the_file_says(rules, student, days, share):
    late = rules.late(student)
    assert (late.days, late.share) == (days, pytest.approx(share))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("free_days: 1", "free_day: 1", r"free_day: Extra .* \(did you mean 'free_days'\?\)"),
        ("23:59+01:00\nfree", "23:59\nfree", r"due: Input should have timezone info"),
        ("percent_per_day: 10", "percent_per_day: many", r"percent_per_day: Input should be a"),
        ("due:", "due: [", r"is not valid YAML"),
        ("handins.csv", "none.csv", r"none\.csv"),
    ],
)
def test_a_wrong_file_is_told_by_field(rules, tmp_path, old, new, says):
    assert FILE.count(old) == 1
    (tmp_path / "deadlines.yaml").write_text(FILE.replace(old, new))
    with pytest.raises(ConfigError, match=says) as error:
        deadlines.read(tmp_path / "deadlines.yaml")
    assert "\n" not in str(error.value)


def test_a_wrong_time_is_told_by_line(rules, tmp_path):
    (tmp_path / "handins.csv").write_text("student,time\nada,2026-11-20T22:59Z\nbob,yesterday\n")
    with pytest.raises(ConfigError, match=r"handins\.csv:3: needs a student and a time"):
        deadlines.read(tmp_path / "deadlines.yaml")


def result(student, points, open_points=False):
    mark = Mark.PASS if points == 10 else Mark.FAIL
    check = CheckResult("port", "P.", "", "", False, mark, points, 10, "seen", "wanted")
    left = CheckResult("word", "W.", "", "", False, Mark.INCONCLUSIVE, 0, 5, "", "")
    return Result("letter", "A", student, "k", checks=(check, left) if open_points else (check,))


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_gradebook_has_what_lateness_costs_and_open_points_are_no_zeros(tmp_path, rules):
    results = [result("ada", 10), result("cyd", 10), result("eve@uni", 8, open_points=True)]
    late = {r.student: rules.late(r.student) for r in results}
    pages.write_class(results, {r.student: "x" for r in results}, tmp_path, late=late)
    book = rows(tmp_path / "gradebook.csv")
    assert [r["final"] for r in book] == ["10", "9", ""]
    assert [r["late_days"] for r in book] == ["0", "2", "2"]
    page = (tmp_path / "class.html").read_text()
    assert "2 days late: loses 1" in page and "Hand-ins by day" in page
    assert page.count('<span class="note">2026-11-') == 5  # 20 to 24, those without any as well
    deadlines.record(tmp_path, late)
    assert deadlines.recorded(tmp_path) == late


def test_platforms_get_what_is_left(tmp_path):
    roster = tmp_path / "moodle.csv"
    roster.write_text("Identifier,Username,Grade,Feedback comments\nParticipant 1,ada,,\n")
    lost = {"ada": Late("", 2, 0.1).lost(result("ada", 10))}
    filled = platforms.fill(roster, [result("ada", 10)], lost=lost)
    assert b"Participant 1,ada,9," in filled.data and b"late: loses 1" in filled.data


def test_a_regrade_keeps_the_others_and_the_history(tmp_path, monkeypatch):
    """One student again, with a note: everybody stays in the book, and each change has its row."""
    lab = library.open_folder(PROJECT / "tests/labs/letter")
    found = {"ada": result("ada", 10), "bob": result("bob", 2)}

    def graded(request, *_):
        for source in request.sources:
            one = found[source.student]
            folder = request.out / "students" / source.student
            folder.mkdir(parents=True, exist_ok=True)
            pages.write_json(folder / "result.json", one.as_dict())
            yield classroom.Graded(one)

    monkeypatch.setattr(classroom, "_each", graded)
    monkeypatch.setattr(classroom.grade, "grading_runtime", lambda _: None)
    monkeypatch.setattr(classroom.grade, "versions_hash", lambda _: "v")
    monkeypatch.setattr(classroom.integrity, "fits", lambda *_: [])

    def grade(*students, **more):
        sources = [classroom.Source(s, tmp_path) for s in students]
        request = classroom.Request(lab, b"s" * 16, sources, tmp_path / "out", **more)
        classroom.grade_class(request)

    grade("ada", "bob")
    grade("ada", "bob")
    found["bob"] = result("bob", 7)
    deadlines.record(tmp_path / "out", {"bob": Late("2026-11-24T00:00:00+01:00", 2, 0.1)})
    grade("bob", alone=True, note="the capture was\ncut")
    book = rows(tmp_path / "out/gradebook.csv")
    assert [(r["student"], r["points"]) for r in book] == [("ada", "10"), ("bob", "7")]
    assert book[1]["notes"] == "graded again: the capture was cut (2 → 7 points)"
    page = (tmp_path / "out/students/bob/feedback.html").read_text()
    assert "Days late: 2. 0.7 points are lost, 6.3 count." in page
    past = rows(tmp_path / "out" / history.FILE)
    assert [(r["student"], r["points"], r["note"]) for r in past] == [
        ("ada", "10", ""),
        ("bob", "2", ""),
        ("bob", "7", "the capture was cut"),
    ]


def test_a_students_name_is_no_formula_in_the_history(tmp_path):
    for _ in range(2):
        history.add(tmp_path, [result("=1+1", 10)])
    history.add(tmp_path, [result("=1+1", 10)], "why")
    assert [r["student"] for r in rows(tmp_path / history.FILE)] == ["'=1+1"] * 2
    assert history.last_notes(tmp_path) == {"'=1+1": "graded again: why (10 → 10 points)"}
