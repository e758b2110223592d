"""The lab detect without a network: reports and scores, and the capture in the bundle.

The capture and its answers were left in ``rounds`` by a run of the lab, before `BUNDLED` kept
other rounds from repeating them.
"""

import json
import os
import struct
import subprocess
import sys
import types
from ipaddress import IPv4Network

import pytest

from testbed.grading import export, library, secrecy, student_diagnostics
from testbed.net.plan import make_plan
from topologies.edge import Edge

LAB = library.open_lab("detect")
SECRET = b"a secret for tests"
STUDENTS = ("ada", "bob", "cy", "dan")
SCAN = (
    '{"kind": "port_scan", "attacker": "10.0.2.18", "victim": "10.0.1.17", '
    '"begin_s": 8, "end_s": 18}'
)


@pytest.fixture(scope="module")
def scoring():
    from labs.detect import scoring

    return scoring


@pytest.fixture(scope="module")
def solution():
    from labs.detect import packets

    made = types.ModuleType("detect")
    text = LAB.solution(LAB.variant("ada", SECRET))["detect.py"].decode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "packets", packets)
        exec(text, made.__dict__)
    return made


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


def rounds_of(student):
    return LAB.instance(LAB.variant(student, SECRET)).rounds()


def test_each_kind_is_in_two_hidden_captures_and_one_has_none():
    quiet = set()
    for student in STUDENTS:
        rounds = rounds_of(student)
        kinds = [kind for plan in rounds[1:] for kind in plan.kinds]
        assert sorted(kinds) == sorted([*rounds[0].kinds] * 2)
        assert [len(plan.kinds) for plan in rounds].count(0) == 1
        quiet |= {plan.name for plan in rounds if not plan.kinds}
    assert len(quiet) > 1


def test_hidden_captures_are_made_of_nothing_that_the_bundle_has(solution):
    from labs.detect import traffic

    here = IPv4Network("10.0.0.0/16")
    for student in STUDENTS:
        practice, *hidden = rounds_of(student)
        assert practice.material == traffic.PUBLIC
        for one in (plan.material for plan in hidden):
            for name in ("searches", "injections", "guesses"):
                assert not set(getattr(one, name)) & set(getattr(traffic.PUBLIC, name))
            assert not one.forged.overlaps(traffic.PUBLIC.forged) and not one.forged.overlaps(here)
            assert one.long_name != traffic.PUBLIC.long_name
            assert set(one.watched) - set(traffic.PUBLIC.watched)
            assert len(set(one.guesses)) >= traffic.MOST_GUESSES
            assert len(set(one.injections)) >= traffic.MOST_INJECTIONS
            assert all(solution.INJECTION.search(text) for text in one.injections)
            assert not any(solution.INJECTION.search(text) for text in one.searches)


def test_the_answers_of_the_bundle_fit_no_other_round(scoring):
    """Whatever the times are: attacker and victim together are others."""
    from labs.detect import traffic

    text = export.bundle(LAB, "ada", SECRET)["practice.jsonl"].decode()
    known = {(one.kind, one.attacker, one.victim) for one in scoring.read(text)[0]}
    ports = make_plan(Edge(traffic.INSIDE, traffic.OUTSIDE)).ports
    net = types.SimpleNamespace(address=lambda node: str(ports[node][0].ipv4.ip))
    assert {net.address(traffic.BUNDLED[name]) for name in ("web", "reflected")} <= {
        victim for _, _, victim in known
    }
    for student in STUDENTS:
        places = traffic.servers(LAB.variant(student, SECRET)["places"])
        for plan in rounds_of(student):
            this = traffic.Round(net, plan.number, places, plan.material)
            mac = bytes.fromhex(ports[this.insider][0].mac.replace(":", ""))
            wire = types.SimpleNamespace(getsockname=lambda m=mac: (*"abcd", m), send=print)
            attacks = this.attacks(types.SimpleNamespace(send=print), wire)
            assert {one.kind for one in attacks} == set(traffic.KINDS)
            assert not known & {(one.kind, one.attacker, one.victim) for one in attacks}


def test_a_capture_does_not_say_when_it_was_made():
    from labs.detect import lab, packets

    begin_s = 1_700_000_000
    times_ns = [begin_s * 10**9 + number * 700_000_000 for number in range(5)]
    head = b"\x4d\x3c\xb2\xa1" + bytes(20)
    records = [struct.pack("<IIII", *divmod(time_ns, 10**9), 3, 3) + b"abc" for time_ns in times_ns]
    cut = lab.cut(b"".join([head, *records]), times_ns[1], times_ns[3], begin_s)
    assert list(packets.records(cut)) == [
        (time_ns - begin_s * 10**9, b"abc", 3) for time_ns in times_ns[1:4]
    ]


def test_nothing_of_the_hidden_captures_stays_in_what_students_see(tmp_path):
    trace = (
        'Traceback (most recent call last):\n  File "/work/detect.py", line 7, in <module>\n'
        "ValueError: {}\n"
    )
    for name in ("practice", "hidden-1", "hidden-4"):
        for path, text in {
            f"rounds/{name}.pcap": name,
            f"out/{name}/stolen.pcap": name,
            f"out/{name}/deep/er/stolen.pcap": name,
            f"logs/{name}.log": trace.format(f"printed in {name}"),
            f"logs/{name}-errors.log": trace.format(f"raised in {name}"),
        }.items():
            (tmp_path / "main" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "main" / path).write_text(text)
    secrecy.remove(tmp_path / "main", LAB.full.secret_files)
    kept = [path for path in tmp_path.rglob("*") if "hidden" in path.name]
    assert not kept
    assert len([path for path in (tmp_path / "main").rglob("*") if path.is_file()]) == 5
    assert student_diagnostics.raised(tmp_path, {"detect.py": "program"}) == [
        "detect.py: line 7: ValueError: raised in practice",
        "detect.py: line 7: ValueError: printed in practice",
    ]


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
        (SCAN.replace("18}", "NaN}"), "are not both finite numbers"),
        (SCAN.replace("18}", '"18"}'), "are not both finite numbers"),
        (SCAN.replace("18}", "-Infinity}"), "are not both finite numbers"),
        (SCAN.replace('"begin_s": 8', f'"begin_s": 1{"0" * 400}'), "are not both finite numbers"),
        (SCAN.replace('"10.0.2.18"', "[" * 900 + "]" * 900), "attacker is not an IPv4 address"),
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
