"""What a class's page and gradebook say about the class and about each check."""

import math

import pytest

from testbed.grading import class_statistics, pages
from testbed.grading.result import CheckResult, Mark, Result

MARKS = {1.0: Mark.PASS, 0.0: Mark.FAIL}


def check(name, share, observed="seen"):
    """A check worth 4 points of which a share was earned; None: open."""
    mark = Mark.INCONCLUSIVE if share is None else MARKS.get(share, Mark.PARTIAL)
    return CheckResult(
        name, f"{name} works.", "", "", False, mark, 4.0 * (share or 0), 4.0, observed, "x"
    )


def student(name, *shares, observed="seen", problems=()):
    checks = tuple(check(f"check{i}", share, observed) for i, share in enumerate(shares))
    return Result("letter", "A letter", name, "key", tuple(problems), checks=checks)


def test_open_points_are_not_zeros_in_the_average():
    results = [student("a", 1.0, 1.0), student("b", 1.0, 0.0), student("c", None, None)]
    assert class_statistics.mean_points(results) == 6
    assert class_statistics.mean_points(results[2:]) is None
    assert sum(b.count for b in class_statistics.histogram(results)) == 2


def test_checks_are_ordered_by_what_the_class_earned():
    results = [student("a", 1.0, 0.0, None), student("b", 1.0, 0.5, None)]
    found = class_statistics.items(results)
    assert [i.name for i in found] == ["check1", "check0", "check2"]
    assert [i.earned for i in found[:2]] == [0.25, 1.0]
    assert math.isnan(found[2].earned)
    assert found[2].marks["INCONCLUSIVE"] == 2


def test_discrimination_is_the_correlation_with_the_other_checks():
    good = [(1.0, 1.0, 0.0), (1.0, 1.0, 0.0), (0.5, 0.5, 0.5)]
    weak = [(0.0, 0.0, 1.0), (0.0, 0.0, 1.0)]
    results = [student(str(n), *shares) for n, shares in enumerate(good + weak)]
    found = {i.name: i.discrimination for i in class_statistics.items(results)}
    # check0 over (1, 1, .5, 0, 0) against check1 + check2 over (4, 4, 4, 4, 4): does not vary
    assert math.isnan(found["check0"])
    # check2 over (0, 0, .5, 1, 1) against check0 + check1 over (8, 8, 4, 0, 0)
    assert found["check2"] == pytest.approx(-1.0)
    few = class_statistics.items(results[:4])
    assert all(math.isnan(i.discrimination) for i in few)


def test_wrong_values_that_several_students_gave_are_counted():
    values = ["10.0.0.3", "10.0.0.3", " 10.0.0.3\n", "no answer", "no answer", "alone"]
    results = [student(str(n), 0.0, observed=value) for n, value in enumerate(values)]
    results.append(student("right", 1.0, observed="10.0.0.3"))
    (item,) = class_statistics.items(results)
    assert item.wrong == (("10.0.0.3", 3), ("no answer", 2))


def test_the_class_page_shows_faults_of_submissions_and_limits(tmp_path):
    ended = "the submission was ended: it exceeded its processor time (60 s): an endless loop?"
    results = [
        student("ada", 1.0),
        student("bob", 0.0, observed=ended),
        student("eve", 0.0, problems=[f"say.py: <b>{n}</b>" for n in range(5)]),
    ]
    pages.write_class(results, {r.student: "x" for r in results}, tmp_path)
    page = (tmp_path / "class.html").read_text()
    assert ended in page
    assert "say.py: &lt;b&gt;2&lt;/b&gt;" in page
    assert "say.py: &lt;b&gt;3" not in page
    assert "and 2 more" in page
    book = (tmp_path / "gradebook.csv").read_text()
    assert f"bob,0,4,0,graded,{ended},0" in book
    checks = (tmp_path / "checks.csv").read_text().splitlines()
    assert checks[0] == "check,earned,discrimination,pass,partial,fail,inconclusive,frequent"
    assert checks[1] == "check0,0.33,,1,0,2,0,"


def test_a_class_without_a_judged_student_has_no_average(tmp_path):
    results = [student("ada", None)]
    pages.write_class(results, {"ada": "x"}, tmp_path)
    assert "on average" not in (tmp_path / "class.html").read_text()
