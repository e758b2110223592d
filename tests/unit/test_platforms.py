"""Points in the gradebooks that learning platforms export."""

import csv
import io
import zipfile

import pytest
from click.testing import CliRunner

from testbed.cli.lab import lab_group
from testbed.core.errors import ConfigError, ExitCode
from testbed.core.rundir import write_json
from testbed.grading import platforms
from testbed.grading.result import CheckResult, Mark, Result

MOODLE = """\
Identifier,"Full name",Username,"Email address",Status,Grade,"Maximum Grade",\
"Last modified (grade)","Feedback comments"
Participant 101,"Ada Lovelace",ada,ada@uni.edu,Submitted,,8.00,-,
Participant 102,"Bob ""B"" _Gray_",bob,bob@uni.edu,Submitted,3,8.00,-,
Participant 103,"Eve",eve,eve@uni.edu,,,8.00,-,
"""
CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,Lab 1 (991),Final Score
    Points Possible,,,,,8.0,(read only)
"Lovelace, Ada",7,s7,ADA,one,,90
"Gray, Bob",8,s8,bob,one,,80
"Student, Test",9,,,one,,
"""
BLACKBOARD = (
    '"Last Name"\t"First Name"\t"Username"\t"Lab 1 [Total Pts: 8 Score] |77"\n'
    '"Lovelace"\t"Ada"\t"ada"\t""\n"Gray"\t"Bob"\t"bob"\t""\n'
)


def result(student, *points, mark=None):
    checks = tuple(
        CheckResult(
            f"check{n}",
            "s",
            "",
            "",
            False,
            mark or (Mark.PASS if p == 4 else Mark.FAIL),
            p,
            4.0,
            "",
            "",
        )
        for n, p in enumerate(points)
    )
    return Result("letter", "A letter", student, "key", checks=checks)


RESULTS = [result("ada", 4.0, 4.0), result("bob", 4.0, 0.0)]


def roster(tmp_path, text, coding="utf-8"):
    path = tmp_path / "roster.csv"
    path.write_bytes(text.encode(coding))
    return path


def rows(data, coding="utf-8", **how):
    return list(csv.reader(io.StringIO(data.decode(coding), newline=""), **how))


def changed(before, after):
    """Cells that differ, as (row, column) → new value."""
    assert [len(r) for r in before] == [len(r) for r in after]
    return {
        (n, before[0][m]): new
        for n, (old_row, new_row) in enumerate(zip(before, after, strict=True))
        for m, (old, new) in enumerate(zip(old_row, new_row, strict=True))
        if old != new
    }


def test_moodles_worksheet_gets_points_and_a_line_of_feedback(tmp_path):
    done = platforms.fill(roster(tmp_path, MOODLE), RESULTS)
    assert changed(rows(MOODLE.encode()), rows(done.data)) == {
        (1, "Grade"): "8",
        (1, "Feedback comments"): "full points",
        (2, "Grade"): "4",
        (2, "Feedback comments"): "check1: 0 of 4",
    }
    assert done.feedback_folders == {
        "ada": "Ada Lovelace_101_assignfeedback_file_",
        "bob": "Bob  B   Gray_102_assignfeedback_file_",
    }


def test_canvas_keeps_its_row_of_maxima(tmp_path):
    done = platforms.fill(roster(tmp_path, CANVAS), RESULTS, points_column="Lab 1")
    assert done.student_column == "SIS Login ID"
    assert changed(rows(CANVAS.encode()), rows(done.data)) == {
        (2, "Lab 1 (991)"): "8",
        (3, "Lab 1 (991)"): "4",
    }
    assert done.feedback_folders == {}


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be"])
def test_blackboards_tabs_and_encoding_stay(tmp_path, coding):
    path = roster(tmp_path, f"\ufeff{BLACKBOARD}", coding)
    done = platforms.fill(path, RESULTS, points_column="Lab 1")
    assert done.data[:2] == path.read_bytes()[:2]
    assert rows(done.data, "utf-16", delimiter="\t")[1:] == [
        ["Lovelace", "Ada", "ada", "8"],
        ["Gray", "Bob", "bob", "4"],
    ]


def test_a_row_without_its_last_commas_is_filled(tmp_path):
    text = MOODLE.replace('"Ada Lovelace",ada,ada@uni.edu,Submitted,,8.00,-,', '"Ada Lovelace",ada')
    done = platforms.fill(roster(tmp_path, text), RESULTS)
    assert rows(done.data)[1][5] == "8"


def test_e_mail_addresses_are_ids_too(tmp_path):
    text = MOODLE.replace("Username", "Handle").replace(",ada,", ",x1,").replace(",bob,", ",x2,")
    done = platforms.fill(roster(tmp_path, text), RESULTS)
    assert (done.student_column, done.filled) == ("Email address", ["ada", "bob"])


def test_open_points_and_strangers_are_named_and_not_entered(tmp_path):
    graded = [
        result("ada", 0.0, mark=Mark.INCONCLUSIVE),
        result("bob", 4.0, 4.0),
        result("zoe", 4.0),
    ]
    graded[0] = result("ada", 0.0, 0.0, mark=Mark.INCONCLUSIVE)
    done = platforms.fill(roster(tmp_path, MOODLE), graded)
    assert (done.open, done.strangers, done.filled) == (["ada"], ["zoe"], ["bob"])
    assert rows(done.data)[1][5] == ""


@pytest.mark.parametrize(
    ("text", "how", "words"),
    [
        ("a,b\n1,2\n", {}, "roster.csv:1: has none of the known platforms' columns"),
        ("Identifier,Grade\n", {}, "has no rows of students"),
        (CANVAS, {}, "--points COLUMN: name the column for the points; there are Student, ID"),
        (CANVAS, {"points_column": "Lab 2"}, "--points Lab 2: is not a column of"),
        (CANVAS.replace("8.0", "100"), {"points_column": "Lab 1"}, "counts 100 points, the lab 8"),
        (MOODLE.replace("8.00", "10"), {}, "'Grade' counts 10 points, the lab 8; set the maximum"),
        (BLACKBOARD.replace("Pts: 8", "Pts: 9"), {"points_column": "Lab 1"}, "counts 9 points"),
        (MOODLE.replace("ada", "x").replace("bob", "y"), {}, "no graded student is in its columns"),
        (MOODLE.replace("eve", "ada"), {}, r"roster.csv:4: student 'ada' is in line 2, too"),
        (MOODLE, {"student_column": "Login"}, "--students Login: is not a column of"),
        ('Identifier,Grade\n"a,1\n', {}, "is not a CSV file"),
    ],
)
def test_what_cannot_be_filled_is_refused_in_a_line(tmp_path, text, how, words):
    with pytest.raises(ConfigError) as caught:
        platforms.fill(roster(tmp_path, text), RESULTS, **how)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_encoding_is_named(tmp_path):
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        platforms.fill(roster(tmp_path, MOODLE.replace("Ada", "Zoé"), "latin-1"), RESULTS)


def grades(tmp_path, results):
    for one in results:
        folder = tmp_path / "grades/students" / one.student
        folder.mkdir(parents=True)
        write_json(folder / "result.json", one.as_dict())
        (folder / "feedback.html").write_text(f"page of {one.student}")
    return tmp_path / "grades"


def command(*words):
    return CliRunner().invoke(lab_group, ["gradebook", *map(str, words)])


def test_the_command_writes_the_file_and_the_pages(tmp_path):
    folder, path = grades(tmp_path, RESULTS), roster(tmp_path, MOODLE)
    target, pages = tmp_path / "filled.csv", tmp_path / "pages.zip"
    done = command(path, "--grades", folder, "--out", target, "--feedback", pages)
    assert done.exit_code == ExitCode.PASS, done.output
    assert rows(target.read_bytes())[1][5] == "8"
    with zipfile.ZipFile(pages) as archive:
        name = "Ada Lovelace_101_assignfeedback_file_/feedback.html"
        assert archive.read(name) == b"page of ada"
    assert path.read_text() == MOODLE


def test_the_command_tells_by_its_exit_code_that_somebody_is_missing(tmp_path):
    folder = grades(tmp_path, [*RESULTS, result("zoe", 4.0, 4.0)])
    done = command(roster(tmp_path, MOODLE), "--grades", folder, "--out", tmp_path / "f.csv")
    assert done.exit_code == ExitCode.INCONCLUSIVE
    assert "zoe" in done.output


def test_damaged_grades_are_named(tmp_path):
    folder = grades(tmp_path, RESULTS)
    (folder / "students/bob/result.json").write_text('{"format": 1}')
    done = command(roster(tmp_path, MOODLE), "--grades", folder, "--out", tmp_path / "f.csv")
    assert isinstance(done.exception, ConfigError)
    assert "bob/result.json: is damaged" in str(done.exception)
    assert not (tmp_path / "f.csv").exists()
