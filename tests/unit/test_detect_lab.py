"""The lab detect without a network: reports and scores, and the capture in the bundle.

The capture and its answers are what `testbed lab test detect --only solution --out DIR` leaves in
``rounds`` of the example's run.
"""

import json
import os
import subprocess
import sys

import pytest

from testbed.grading import export, library

LAB = library.open_lab("detect")
SECRET = b"a secret for tests"
SCAN = (
    '{"kind": "port_scan", "attacker": "10.0.2.18", "victim": "10.0.1.17", '
    '"begin_s": 8, "end_s": 18}'
)


@pytest.fixture(scope="module")
def scoring():
    from labs.detect import scoring

    return scoring


def test_the_solution_finds_what_is_in_the_capture_of_the_bundle(tmp_path, scoring):
    files = export.bundle(LAB, "ada", SECRET)
    (tmp_path / "practice.pcap").write_bytes(files["practice.pcap"])
    (tmp_path / "packets.py").write_bytes(files["lab/detect/packets.py"])
    program = LAB.solution(LAB.variant("ada", SECRET))["detect.py"]
    (tmp_path / "detect.py").write_bytes(program)
    done = subprocess.run(
        [sys.executable, "detect.py", "practice.pcap"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    happened, problems = scoring.read(files["practice.jsonl"].decode())
    reports, wrong = scoring.read(done.stdout)
    assert not problems and not wrong
    assert len(happened) == 6
    assert scoring.score(happened, reports) == scoring.Score(6, 6, 0)


def test_bundles_have_nothing_of_the_hidden_captures():
    files = export.bundle(LAB, "ada", SECRET)
    assert "hidden" in LAB.variant("ada", SECRET)
    assert "hidden" not in json.loads(files["variant.json"])["variant"]
    assert not [name for name in files if "hidden" in name or "solution" in name]


def test_each_kind_is_in_two_hidden_captures():
    for student in ("ada", "bob", "cy", "dan"):
        rounds = LAB.instance(LAB.variant(student, SECRET)).rounds()
        kinds = [kind for plan in rounds[1:] for kind in plan.kinds]
        assert sorted(kinds) == sorted([*rounds[0].kinds] * 2)
        assert not rounds[-1].kinds


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("not JSON", "is not JSON"),
        ("[1]", "is not a JSON object"),
        ("[" * 1500, "is not JSON"),
        (SCAN.replace('"victim"', '"target"'), "has no victim"),
        (SCAN.replace("port_scan", "flood"), "kind is not one of"),
        (SCAN.replace("10.0.1.17", "h7"), "victim is not an IPv4 address"),
        (SCAN.replace('"10.0.2.18"', "{}"), "attacker is not an IPv4 address"),
        (SCAN.replace("port_scan", "arp_poisoning"), "attacker is neither a hardware address"),
        (SCAN.replace("18}", "NaN}"), "are not both numbers"),
        (SCAN.replace("18}", '"18"}'), "are not both numbers"),
    ],
)
def test_a_line_that_is_no_report_is_named(scoring, line, problem):
    reports, problems = scoring.read(f"{SCAN}\n\n{line}\n")
    assert len(reports) == 1
    assert problems[0].startswith("line 2: ") and problem in problems[0]


def test_endless_output_is_cut(scoring):
    reports, problems = scoring.read(f"{SCAN}\n" * 1000)
    assert len(reports) == scoring.MOST_LINES and problems


def test_a_report_must_cover_half_of_what_both_cover(scoring):
    (report,), _ = scoring.read(SCAN)
    (half,), _ = scoring.read(SCAN.replace("18}", "13}"))
    (less,), _ = scoring.read(SCAN.replace("18}", "12.9}"))
    assert report.same(half) and not report.same(less)


def test_two_reports_of_one_attack_are_one_and_a_false_alarm(scoring):
    (report,), _ = scoring.read(SCAN)
    once, twice = scoring.score([report], [report]), scoring.score([report], [report] * 2)
    assert (once.precision, once.recall, once.f1) == (1, 1, 1)
    assert (twice.precision, twice.recall) == (0.5, 1)
    assert scoring.score([report], []).f1 == 0
