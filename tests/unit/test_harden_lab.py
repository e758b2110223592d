"""The hardening lab without a network: what its visitor reports, and what verdicts make of it."""

import json

import pandas as pd
import pytest

from labs.harden import visitor
from labs.harden.hidden import Hidden
from labs.harden.hidden_visits import MARKUP, TEXTS
from testbed import Tables
from testbed.core.claims import Status
from testbed.grading import export, library, secrecy

LAB = Hidden(Hidden.Parameters())
SECRET = b"a secret for tests"


def tables(*rows):
    """As measured from a visitor's reports."""
    blank = {"scenario": "main", "status": 200, "headers": {}, "cookies": [], "body": ""}
    return Tables(visits=pd.DataFrame([{**blank, **row} for row in rows]))


def test_what_is_decoded_or_only_in_attributes_is_found_too():
    reference = {"body": "&#89;ou are", "text": "You are bob.", "everything": ""}
    attribute = {"body": "&#89;ou are", "text": "", "everything": "title=You are bob."}
    nothing = {"body": "Log in", "text": "Log in", "everything": "Log in"}
    for row, status in ((reference, "FAIL"), (attribute, "FAIL"), (nothing, "PASS")):
        verdict = LAB.lacks(tables({"visit": "fixed", **row}), "fixed", "You are")
        assert verdict.status == Status[status]


def test_visits_that_brought_no_page_are_judged():
    row = LAB.got(tables({"visit": "markup"}), "markup")
    assert (row["text"], row["values"], row["places"]) == ("", [], [])


def test_a_page_that_fails_the_parser_is_reported_and_proves_nothing(monkeypatch):
    def fails(page):
        raise AssertionError(page)

    monkeypatch.setattr(visitor, "_elements", fails)
    one = visitor.Visitor("127.0.0.1", 9)
    page = {"status": 200, "headers": {"content-type": "text/html"}, "cookies": [], "body": "<p>"}
    monkeypatch.setattr(one, "_exchange", lambda *_: page)
    report = one.visit({"name": "fixed", "path": "/", "form": "/login"})
    assert report["unreadable"] == "AssertionError: <p>"
    assert LAB.lacks(tables(report), "fixed", "You are").status is Status.FAIL


@pytest.mark.parametrize(
    ("right", "status"),
    [
        ("order CASE 'm' is unknown", Status.PASS),
        ("Tent: 20 Ladder: 30", Status.PASS),
        ("Ladder: 30 Tent: 20", Status.FAIL),
    ],
)
def test_only_the_order_of_titles_answers_a_guess(right, status):
    wrong = "Tent: 20 Ladder: 30" if "Tent" in right else "order CASE '-' is unknown"
    visits = tables(
        {"visit": "guess-right", "text": right}, {"visit": "guess-wrong", "text": wrong}
    )
    same = LAB._titles(visits, "guess-right") == LAB._titles(visits, "guess-wrong")
    assert same is (status is Status.PASS)


def test_passwords_and_marks_are_the_students_own_and_not_in_the_bundle():
    lab = library.open_lab("harden")
    full = [lab.instance(lab.variant(student, SECRET)) for student in ("ada", "bob")]
    assert full[0].mark != full[1].mark
    assert not set(full[0].passwords.values()) & set(full[1].passwords.values())
    files = export.bundle(lab, "ada", SECRET)
    assert "hidden" not in json.loads(files["variant.json"])["variant"]
    hidden = [full[0].mark, *full[0].passwords.values()]
    assert not [word for word in hidden for data in files.values() if word.encode() in data]


def test_honest_texts_have_the_marks_of_attacks():
    attack = LAB.marked(TEXTS["a message with a script"])
    assert f"{LAB.mark}11" in attack and f"{LAB.mark}11" in LAB.marked(MARKUP)


def test_verdicts_do_not_name_hidden_texts():
    row = {"visit": "eve-after", "text": f"eve: {LAB.passwords['bob']}"}
    lacking = LAB.lacks(tables(row), "eve-after", LAB.passwords["bob"], called="a password")
    showing = LAB.shows(tables(row), "eve-after", LAB.mark, "a message with angle brackets")
    for verdict in (lacking, showing):
        assert verdict.status is Status.FAIL
        words = f"{verdict.observed} {verdict.expected}"
        assert LAB.mark not in words and LAB.passwords["bob"] not in words


def test_what_tells_hidden_visits_is_removed_after_measuring(tmp_path):
    goes = ["data.sql", "plan-attacks.json", "logs/visits-attacks.log", "out/server/nginx.log"]
    for name in [*goes, "captures/h1-eth0.pcap", "logs/app.log", "logs/nginx.log"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    secrecy.remove(tmp_path, LAB.secret_files)
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["app.log", "nginx.log"]
