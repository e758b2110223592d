"""Submissions written for another student's variant are named, with evidence, and only these."""

import pytest

from testbed.grading import integrity, library, pages
from testbed.grading.result import CheckResult, Mark, Result

SECRET = b"0123456789abcdef"
CLASS = ["ada", "bob", "eve", "joe"]


@pytest.fixture(scope="module")
def lab():
    return library.open_lab("office")


def solution(lab, student):
    return lab.solution(lab.variant(student, SECRET), student)


def test_who_solved_their_own_variant_is_not_named(lab):
    assert integrity.fits(lab, SECRET, {who: solution(lab, who) for who in CLASS}) == []


def test_who_handed_in_another_variant_is_named(lab):
    handed = {who: solution(lab, who) for who in CLASS}
    handed["eve"] = solution(lab, "bob")
    (fit,) = integrity.fits(lab, SECRET, handed)
    assert (fit.student, fit.other, fit.share) == ("eve", "bob", 1.0)
    assert fit.own < 0.5
    text = b"\n".join(solution(lab, "bob").values()).decode()
    assert all(value in text for value in fit.values)


def test_copied_answers_in_an_own_network_are_too_little(lab):
    handed = {who: solution(lab, who) for who in CLASS}
    handed["eve"] = solution(lab, "eve") | {"answers.yaml": solution(lab, "bob")["answers.yaml"]}
    assert integrity.fits(lab, SECRET, handed) == []


def test_starter_files_fit_nobody(lab):
    handed = {who: lab.starter(lab.variant(who, SECRET), who) for who in CLASS}
    assert integrity.fits(lab, SECRET, handed) == []
    assert integrity.fits(lab, SECRET, {"ada": {}}) == []


@pytest.mark.parametrize("text", [b"a" * 10_000_000, b"a." * 5_000_000, b"1" * 10_000_000])
def test_a_file_made_to_be_slow_is_read_once(lab, text):
    assert integrity.fits(lab, SECRET, {"ada": {"office.zone": text}, "bob": {}}) == []


def test_hostile_values_are_shortened_and_escaped(tmp_path):
    check = CheckResult("a", "A.", "", "", False, Mark.PASS, 4.0, 4.0, "", "")
    result = Result("x", "X", "eve", "key", checks=(check,))
    fit = integrity.Fit("eve", "<b>bob</b>", 0.9, 0.1, ("1<script>",))
    pages.write_class([result], {"eve": "x"}, tmp_path, [fit])
    page = (tmp_path / "class.html").read_text()
    assert "<script>" not in page and "<b>bob" not in page
    assert "90 %" in page
