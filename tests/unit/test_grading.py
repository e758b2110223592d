"""Grading's pure parts: manifests, variants, answers, hostile archives, configurations, books."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from testbed.author.topo import as_data
from testbed.cli.grade import _keep as keep
from testbed.cli.lab import lab_group
from testbed.core.claims import Status, Verdict, holds, inconclusive
from testbed.core.errors import CommandError, ConfigError
from testbed.core.project import PROJECT
from testbed.core.rundir import write_json
from testbed.execution.runtime import Outcome
from testbed.grading import (
    accept,
    bundle_trust,
    classroom,
    evaluate,
    export,
    grade,
    gradescope,
    graph_schema,
    library,
    manifest,
    pages,
    questions,
    statements,
    student_diagnostics,
)
from testbed.grading.answers import Answers
from testbed.grading.graphs import DataTopo
from testbed.grading.partial_credit import share_of
from testbed.grading.result import CheckResult, Mark, Result, mark_of
from testbed.grading.submission import Submission, SubmissionError, blamed
from testbed.grading.variants import SeededRandom

LETTER = PROJECT / "tests/labs/letter"
YAML = (LETTER / "lab.yaml").read_text()


@pytest.fixture(scope="module")
def lab():
    return library.open_folder(LETTER)


# ---- manifests

BAD = {
    "points: 10": ("points: ten", r"lab\.yaml:2: points: .*number"),
    "weight: 5": ("wieght: 5", r"lab\.yaml:8: checks\.word_arrives\.wieght: unknown \("),
    "kind: program": ("kind: programme", r"lab\.yaml:5: files\.say\.py\.kind: .*'program'"),
    "  say.py:": ("  ../say.py:", r"lab\.yaml:5: files\.\.\./say\.py: is not a plain name"),
    "loses: {port: 2}": (
        "loses: {prot: 2}",
        r"lab\.yaml:\d+: mutants\.forgets\.loses: 'prot' .*did"
        r" you mean 'port'",
    ),
    "hidden: true": ("hidden: false", r"checks\.no_more: is public, but in hidden\.py"),
    "  no_more: {weight": (
        "  no_mor: {weight",
        r"mutants\.chatters\.loses: 'no_more' does not exist",
    ),
    "title: A": ("title: [A", r"lab\.yaml:\d+: is not valid YAML: "),
    "title: A letter": (
        "titel: A letter",
        r"lab\.yaml:1: titel: unknown \(did you mean 'title'\?\); allowed: .*; missing: title$",
    ),
    "  no_more: {weight: 3": (
        "  status: {weight: 3",
        r"lab\.yaml:10: checks\.status: is the name of a gradebook column",
    ),
    "limits: {cpu_s: 20": ("limits: {cpu_s: -1", r"lab\.yaml:3: limits\.cpu_s: .*greater than 0"),
}


@pytest.mark.parametrize("right", BAD)
def test_a_bad_manifest_is_one_line_with_file_line_and_field(right, tmp_path):
    wrong, says = BAD[right]
    folder = tmp_path / "letter"
    folder.mkdir()
    for name in ("lab.py", "hidden.py"):
        (folder / name).write_bytes((LETTER / name).read_bytes())
    assert YAML.count(right) == 1
    (folder / "lab.yaml").write_text(YAML.replace(right, wrong))
    with pytest.raises(ConfigError, match=says) as error:
        library.open_folder(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("put", "says"),
    [(b"\xff", "is not UTF-8 text"), (b"\x00", "contains a character that YAML does not allow")],
)
def test_a_manifest_that_is_no_text_is_told_by_line(put, says, tmp_path):
    (tmp_path / "lab.yaml").write_bytes(YAML.encode().replace(b"points: 10", b"points: " + put))
    with pytest.raises(ConfigError, match=rf"lab\.yaml:2: {says}"):
        manifest.read(tmp_path)


def test_a_broken_lab_does_not_hide_the_others(tmp_path, monkeypatch, capfd):
    shutil.copytree(LETTER, tmp_path / "letter")
    (tmp_path / "aaa").mkdir()
    (tmp_path / "aaa/lab.yaml").write_text("title: [A")
    monkeypatch.setenv("TESTBED_LABS", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        lab_group(["list"])
    out, err = capfd.readouterr()
    assert ended.value.code == 2
    assert "A letter by UDP" in out
    assert "aaa/lab.yaml:1: is not valid YAML" in err
    shutil.rmtree(tmp_path / "aaa")
    with pytest.raises(SystemExit) as ended:
        lab_group(["list"])
    assert ended.value.code == 0


def test_an_edit_that_finds_nothing_is_told(lab):
    params = lab.variant("x", b"0123456789abcdef")
    edit = lab.manifest.mutants["chatters"].model_copy(
        update={"edits": [manifest.Edit(file="say.py", find="not there")]}
    )
    changed = lab.manifest.model_copy(update={"mutants": {"chatters": edit}})
    broken = library.LabFolder(lab.path, changed, lab.public, lab.full)
    with pytest.raises(ConfigError, match="occurs 0 times, must occur once"):
        broken.mutant("chatters", params)


# ---- variants


def test_a_variant_is_the_same_for_ever(lab):
    random = SeededRandom(b"secret", "rip", "ada")
    drawn = [random.integer(1, 254), random.choice("abc"), random.sample(range(10), 3)]
    assert drawn == DRAWN
    assert lab.variant("ada", b"a" * 16) == lab.variant("ada", b"a" * 16)


DRAWN = [120, "c", [9, 0, 2]]


def test_students_and_secrets_give_other_variants(lab):
    words = {lab.variant(f"student{i}", b"a" * 16)["word"] for i in range(50)}
    assert len(words) == 50
    assert lab.variant("student1", b"b" * 16)["word"] not in words


def test_draws_are_fair():
    random = SeededRandom(b"secret", "x", "y")
    counts = pd.Series([random.integer(0, 5) for _ in range(6000)]).value_counts()
    assert len(counts) == 6
    assert counts.between(850, 1150).all()


# ---- answers

GIVEN = Answers(
    {
        "n": 10.05,
        "unit": "5 ms",
        "bad": "many",
        "infinite": float("inf"),
        "yes": True,
        "ip": "010.0.0.1",
        "ip6": "fd00:0:0::1",
        "net": "10.1.0.0/16",
        "host": "10.1.0.1/16",
        "cc": " BBR ",
        "why": "Because the queue\nis SHORT.",
        "map": {"a": {"b": 3}},
        "rows": [{"to": "10.0.1.0/24", "via": "r2"}, {"to": "10.0.2.0/24", "via": "r9"}],
        "list": [1, 2],
    }
)


@pytest.mark.parametrize(
    ("verdict", "right"),
    [
        (GIVEN.number("n", 10, rel=0.01), True),
        (GIVEN.number("n", 10, abs=0.01), False),
        (GIVEN.number("unit", 5, abs=0), True),
        (GIVEN.number("bad", 5, abs=0), False),
        (GIVEN.number("infinite", 5, abs=0), False),
        (GIVEN.number("yes", 1, abs=0), False),
        (GIVEN.number("missing", 1, abs=0), False),
        (GIVEN.number("map.a.b", 3, abs=0), True),
        (GIVEN.number("map.a.b.c", 3, abs=0), False),
        (GIVEN.address("ip6", "fd00::1"), True),
        (GIVEN.address("ip", "10.0.0.1"), False),
        (GIVEN.address("list", "10.0.0.1"), False),
        (GIVEN.prefix("net", "10.1.0.0/16"), True),
        (GIVEN.prefix("host", "10.1.0.0/16"), False),
        (GIVEN.choice("cc", "bbr"), True),
        (GIVEN.choice("cc", "cubic"), False),
        (GIVEN.text("why", r"queue.*short", expected="a short queue"), True),
        (GIVEN.text("why", r"loss", expected="loss"), False),
        (GIVEN.text("map", r"a", expected="a"), False),
    ],
)
def test_answers(verdict, right):
    assert verdict.status == (Status.PASS if right else Status.FAIL)


def test_a_table_earns_what_is_right_and_listing_everything_does_not_help():
    rows = [{"to": "10.0.1.0/24", "via": "r2"}, {"to": "10.0.2.0/24", "via": "r3"}]
    assert GIVEN.table("rows", rows, by="to").score == 0.5
    assert GIVEN.table("missing", rows, by="to").score == 0
    assert GIVEN.table("rows", rows[:1], by="to").score == 0.5
    wrong = Answers({"rows": [rows[0], rows[1]]})
    assert wrong.table("rows", rows, by="to").status is Status.PASS


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &x [1]\nb: *x\n", "line 1: anchors and aliases"),
        ("a: 1\na: 2\n", "line"),
        ("- 1\n", "must be a map"),
        ("a: [1", "line"),
        ("[" * 9000, "nested too deeply"),
        ("- " * 9000, "nested too deeply"),
        ("a: !!python/object/apply:os.system [id]\n", "tags are not allowed"),
        ('a: !!int ""\n', "line 1: tags are not allowed"),
        ('a: "\\ud800"\n', "invalid characters"),
    ],
)
def test_answers_that_are_no_plain_map_are_refused(text, says):
    with pytest.raises(ValueError, match=says):
        accept.read_answers(text)


def test_an_empty_answers_file_answers_nothing():
    assert accept.read_answers("# nothing\n") == {}


# ---- partial credit


def test_a_share_counts_what_holds_and_open_stays_open():
    good, bad = (holds(x, observed="o", expected="e") for x in (True, False))
    assert mark_of(share_of([good, good])) == (Mark.PASS, 1.0)
    assert mark_of(share_of([good, bad, bad, bad])) == (Mark.PARTIAL, 0.25)
    assert mark_of(share_of([bad])) == (Mark.FAIL, 0.0)
    assert mark_of(share_of([good, bad, inconclusive("?")])) == (Mark.INCONCLUSIVE, 0.0)
    assert mark_of(Verdict(Status.FAIL, "", "", score=7)) == (Mark.PARTIAL, 1.0)


# ---- hostile archives


def read(path, lab):
    return accept.read(path, lab.manifest)


def test_links_are_not_followed(lab, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/say.py").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "x/answers.yaml")
    handed = read(tmp_path / "x", lab)
    assert handed.files == {}
    assert "say.py: is a symbolic link; hand in the file itself" in handed.problems
    assert "answers.yaml: is not a regular file" in handed.problems
    (tmp_path / "y").symlink_to(tmp_path / "x")
    assert "symbolic link" in read(tmp_path / "y", lab).problems[0]


def test_what_a_program_says_last_is_bounded_and_printable():
    error = CommandError("h1", ["x"], 1, "\x00\x1b[31m" + "boom" * 9000)
    with pytest.raises(SubmissionError) as caught, blamed("say.py"):
        raise error
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1200


@pytest.mark.parametrize("kind", ["app", "program", "run"])
def test_what_is_wrong_a_thousand_times_is_told_in_a_few_lines(lab, tmp_path, kind):
    taken = with_a_run(lab) if kind == "run" else lab.manifest
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(3000):
            link = zipfile.ZipInfo(f"{number}/say.py" if kind != "run" else f"run/{number}")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
    handed = accept.read(tmp_path / "a.zip", taken)
    assert len(handed.problems) <= 45
    assert any("answers.yaml: was not handed in" in problem for problem in handed.problems)


@pytest.mark.parametrize("data", [b"", b"PK\3\4junk", os.urandom(1000)])
@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_what_is_no_archive_is_told(lab, tmp_path, data, name):
    (tmp_path / name).write_bytes(data)
    handed = read(tmp_path / name, lab)
    assert handed.files == {}
    assert handed.problems


def test_one_folder_more_is_fine_and_the_nearest_counts(lab, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("home/old/say.py", "old")
        archive.writestr("home/say.py", "new")
        archive.writestr("home/answers.yaml", "port: 1")
    handed = read(tmp_path / "a.zip", lab)
    assert handed.files == {"say.py": b"new", "answers.yaml": b"port: 1"}
    assert handed.problems == []


def test_twins_are_told_by_path(lab, tmp_path):
    for folder in ("a", "b", "c/d"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "say.py").write_text(folder)
    (tmp_path / "answers.yaml").write_text("port: 1")
    handed = read(tmp_path, lab)
    assert handed.files["say.py"] == b"a"
    assert handed.problems == [
        "say.py: was handed in more than once; a/say.py was used, not b/say.py"
    ]
    (tmp_path / "say.py").write_text("top")
    assert read(tmp_path, lab).problems == []


@pytest.mark.parametrize("form", ["folder", "zip", "tar"])
def test_what_check_kept_is_no_part_of_a_submission(lab, tmp_path, form):
    work, scenarios = tmp_path / "work", tmp_path / "scenarios"
    (scenarios / "main/submission").mkdir(parents=True)
    (scenarios / "main/submission/say.py").write_text("old")
    work.mkdir(parents=True)
    (work / "answers.yaml").write_text("port: 1")
    keep(scenarios, work / "try1")
    path = work
    if form != "folder":  # the mark comes last: it must count for what was before it
        names = sorted(p for p in path.rglob("*") if p.is_file())
        names.sort(key=lambda p: p.name == accept.KEPT)
        path = tmp_path / f"a.{form}"
        with zipfile.ZipFile(path, "w") if form == "zip" else tarfile.open(path, "w") as archive:
            add = archive.write if form == "zip" else archive.add
            for name in names:
                add(name, name.relative_to(work))
    handed = read(path, lab)
    assert handed.files == {"answers.yaml": b"port: 1"}
    assert handed.problems == [
        "say.py: was not handed in (what 'check --keep' left in try1 does not count)"
    ]


def test_a_damaged_archive_is_read_up_to_the_damage(lab, tmp_path):
    data = {"say.py": "mine", f"try1/{accept.KEPT}": "", "answers.yaml": "port: 1\n" * 2000}
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, text in data.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    os.truncate(tmp_path / "a.tar", 4000)
    handed = read(tmp_path / "a.tar", lab)
    assert handed.files["say.py"] == b"mine"
    assert any("cannot be read to the end" in p for p in handed.problems)


def test_the_mark_of_kept_folders_hides_nothing_at_the_top_or_beside(lab, tmp_path):
    (tmp_path / "say.py").write_text("mine")
    (tmp_path / accept.KEPT).touch()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / accept.KEPT).touch()
    (tmp_path / "b").mkdir()
    (tmp_path / "b/answers.yaml").write_text("port: 1")
    handed = read(tmp_path, lab)
    assert handed.files == {"say.py": b"mine", "answers.yaml": b"port: 1"}
    assert handed.problems == []


# ---- keys that nobody asked for


def task_with(lab, answers):
    files = {"say.py": b"pass", "answers.yaml": answers}
    return grade.Task(lab, "ada", lab.parameters({}), accept.Handed(files), Path())


def test_a_misspelt_answer_is_told(lab):
    assert grade.accepted_of(task_with(lab, b"port: 5000")).problems == []
    accepted = grade.accepted_of(task_with(lab, b"prot: 5000"))
    assert accepted.problems == [
        "answers.yaml: prot: is not a question of this lab (did you mean 'port'?)",
        "answers.yaml: no answer yet to port",
    ]
    assert accepted.answers == {"prot": 5000}
    many = "".join(f"k{n}: 1\n" for n in range(100))
    assert len(grade.accepted_of(task_with(lab, many.encode())).problems) == 9


def test_a_misspelt_answer_is_told_in_a_bundle_too(lab, tmp_path):
    files = export.bundle(lab, "ada", b"0123456789abcdef")
    for name in ("lab.py", "lab.yaml"):
        (tmp_path / name).write_bytes(files[f"lab/letter/{name}"])
    bundled = library.open_folder(tmp_path)
    assert not (tmp_path / "starter").exists()
    assert questions.asked(bundled, bundled.parameters({})) == ("port",)
    asked = (LETTER / "starter/answers.yaml").read_bytes()
    assert gradescope._questions(lab) == {"starter/answers.yaml": asked}


def test_answers_in_maps_are_questions_by_their_path(lab):
    asked = ("home.qdisc", "home.pkts", "why")
    told = questions.strange(
        lab.manifest, {"home": {"qdsic": 1, "pkts": 2}, "why": {"x": 1}, "home.pkts": 3}, asked
    )
    assert told[0].endswith(
        "home.qdsic: is not a question of this lab (did you mean 'home.qdisc'?)"
    )
    assert len(told) == 2
    assert questions.strange(lab.manifest, {"x": 1}, ()) == []


# ---- run directories


def with_a_run(lab):
    """The lab with a run directory among what is handed in."""
    run = manifest.HandedFile(kind="run", max_kb=200)
    files = {"run": run, "answers.yaml": lab.manifest.files["answers.yaml"]}
    return lab.manifest.model_copy(update={"files": files})


def test_a_run_directory_is_read_like_any_run(lab, tmp_path):
    taken = with_a_run(lab)
    capture = (PROJECT / "tests/captures/rip.pcap").read_bytes()
    main = tmp_path / "in/run/scenarios/main"
    (main / "captures").mkdir(parents=True)
    (main / "captures/r1-eth0.pcap").write_bytes(capture)
    write_json(main / "captures/captures.json", {"r1-eth0": {"captured": 1, "dropped": 0}})
    (main / "events.jsonl").write_text('{"time_ns": 0, "event": "start", "monotonic_ns": 0}\n')
    (tmp_path / "in/run/link").symlink_to("/etc/passwd")
    accepted = accept.accept(accept.read(tmp_path / "in", taken), taken)
    assert any(p.startswith("run/link: is a symbolic link") for p in accepted.problems)
    accepted.write(tmp_path / "out")
    submission = Submission(tmp_path / "out/submission")
    with submission.reading("run") as run:
        assert len(run.packets("r1-eth0", ["frame"])) > 0
    with (
        pytest.raises(SubmissionError, match="no scenario 'other'"),
        submission.reading("run", "other"),
    ):
        pass


def test_a_run_directory_that_is_too_large_is_cut_off(lab, tmp_path):
    taken = with_a_run(lab)
    (tmp_path / "in/run").mkdir(parents=True)
    for number in range(3):
        (tmp_path / f"in/run/{number}").write_bytes(b"x" * (90 << 10))
    handed = accept.read(tmp_path / "in", taken)
    assert sorted(handed.files) == ["run/0", "run/1"]
    assert "run/2: is larger than 200 KiB" in handed.problems


ODD = (
    "a\nb",
    "a\x1b[2J",
    "x" * 200,
    "ü",
    "..",
    ".hidden",
    "con ",
    "/".join("abcdefghij"),
    "\udc80",
)


@pytest.mark.parametrize("odd", ODD)
def test_odd_names_in_a_run_directory_are_left_out_and_told(lab, tmp_path, odd):
    taken = with_a_run(lab)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in (
            f"run/{odd}",
            "run/good",
            "run/good/below",
            "run/x/y",
            "run/x",
            "answers.yaml",
        ):
            archive.addfile(tarfile.TarInfo(name))
    handed = accept.read(tmp_path / "a.tar", taken)
    assert sorted(handed.files) == ["answers.yaml", "run/good", "run/x/y"]
    assert "run/good/below: is inside a file" in handed.problems
    assert "run/x: is both a file and a folder" in handed.problems
    assert all(problem.isprintable() for problem in handed.problems)
    accept.accept(handed, taken).write(tmp_path / "out")
    left = [p for p in (tmp_path / "out/submission").rglob("*") if p.is_file()]
    assert len(left) == 3


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("events.jsonl", DEEP),
        ("events.jsonl", '{"time_ns": 1e400, "event": "start"}'),
        ("events.jsonl", '{"time_ns": 0, "event": "start"}'),
        ("events.jsonl", "\udcff"),
        ("captures/captures.json", DEEP),
        ("captures/captures.json", "[1]"),
        ("captures/captures.json", '{"r1-eth0": {"dropped": "many"}}'),
        ("captures/captures.json", '{"r1-eth0": 1}'),
        ("captures/r1-eth0.pcap", "no capture"),
        ("network.json", DEEP),
        ("network.json", "3"),
        ("topology.json", "null"),
        ("captures/captures.json", '{"r1-eth0": {"dropped": 1}}'),
        ("events.jsonl", ""),
    ],
)
def test_a_run_directory_that_cannot_be_read_is_the_submissions_doing(lab, tmp_path, file, text):
    taken = with_a_run(lab)
    main = tmp_path / "in/run/scenarios/main"
    (main / "captures").mkdir(parents=True)
    capture = (PROJECT / "tests/captures/rip.pcap").read_bytes()
    (main / "captures/r1-eth0.pcap").write_bytes(capture)
    write_json(main / "captures/captures.json", {"r1-eth0": {"captured": 1, "dropped": 0}})
    (main / "events.jsonl").write_text('{"time_ns": 0, "event": "start", "monotonic_ns": 0}\n')
    (main / file).write_bytes(text.encode(errors="surrogateescape"))
    accept.accept(accept.read(tmp_path / "in", taken), taken).write(tmp_path / "out")
    submission = Submission(tmp_path / "out/submission")
    with pytest.raises(SubmissionError), submission.reading("run") as run:
        run.packets("r1-eth0", ["frame"])
        assert run.network and run.topology


# ---- configurations


@pytest.mark.parametrize(
    "line",
    [
        "log file /run/lab/outcome.json",
        "password x",
        "enable password x",
        "banner motd file /x",
        "router bgp 1",
        "interface r1-eth0\n log file /x",
        "interface r1-eth0\n  no password",
        "vrf x\n netns /proc/1/ns/net",
        "router rip\n\tlog file /x",
        "do write",
        "include /etc/passwd",
    ],
)
def test_frr_statements_that_reach_beyond_routing_are_left_out(line):
    text, _ = statements.frr(f"hostname r1\n{line}\nrouter rip\n network 10.0.0.0/8\n")
    left = "hostname r1\n" + "interface r1-eth0\n" * line.startswith("interface")
    left += "router rip\n" * line.startswith("router rip")
    assert text == left + "router rip\n network 10.0.0.0/8\n"


def test_an_frr_configuration_as_the_daemon_shows_it_goes_through():
    shown = (
        "frr version 8.4.4\nfrr defaults traditional\nhostname r1\nlog syslog informational\n"
        "service integrated-vtysh-config\n!\ninterface r1-eth0\n ip ospf area 0\n"
        " ip ospf cost 10\nexit\n!\nrouter ospf\n ospf router-id 1.1.1.1\n"
        " network 10.0.0.0/8 area 0.0.0.0\n passive-interface r1-eth1\nexit\n!\n"
        "ip route 0.0.0.0/0 10.0.0.1\nend\n"
    )
    text, told = statements.frr(shown)
    assert told == []
    assert "ip route 0.0.0.0/0 10.0.0.1" in text and " ip ospf cost 10" in text


@pytest.mark.parametrize(
    "line",
    [
        "dhcp-script=/bin/sh",
        "conf-file=/etc/passwd",
        "log-facility=/run/lab/x",
        "user=frr",
        "dhcp-leasefile=/x",
        "addn-hosts=/x",
        "enable-tftp",
        "conf-dir=/x",
        "dhcp-luascript=/x",
        "pid-file=/x",
        "resolv-file=/x",
        "dhcp-range=1\x1b[2J",
    ],
)
def test_dnsmasq_options_that_name_files_or_programs_are_left_out(line):
    text, told = statements.dnsmasq(f"dhcp-range=10.0.0.5,10.0.0.9\n{line}\n")
    assert text == "dhcp-range=10.0.0.5,10.0.0.9\n\n"
    assert told and told[0].startswith("line 2: ") and "\x1b" not in told[0]


@pytest.mark.parametrize("line", ["$INCLUDE /etc/shadow", " $include x", "$GENERATE 1-9999 a A 1"])
def test_zones_include_and_generate_nothing(line):
    text, told = statements.zone(f"$ORIGIN x.\n$TTL 5\n@ SOA a b 1 2 3 4 5\n{line}\n")
    assert text == "$ORIGIN x.\n$TTL 5\n@ SOA a b 1 2 3 4 5\n\n"
    assert len(told) == 1


# ---- topologies as data


def test_a_topology_survives_being_data(tmp_path):
    graph = {
        "nodes": [{"name": "h1", "kind": "host"}, {"name": "r1", "kind": "router"}],
        "links": [
            {
                "node1": "h1",
                "node2": "r1",
                "interface1": "h1-eth0",
                "interface2": "r1-eth0",
                "shape1": {"delay_ms": 5.0},
                "shape2": {},
            }
        ],
    }
    write_json(tmp_path / "graph.json", graph)
    topo = DataTopo(graph_schema.read(tmp_path))
    assert as_data(topo)["links"] == graph["links"]


@pytest.mark.parametrize(
    "change",
    [
        {"nodes": [{"name": "../x", "kind": "host"}]},
        {"nodes": [{"name": "h1", "kind": "host"}] * 2},
        {"nodes": [], "links": []},
        {
            "links": [
                {"node1": "h1", "node2": "h9", "interface1": "h1-eth0", "interface2": "h9-eth0"}
            ]
        },
        {"run": "id"},
    ],
)
def test_data_that_is_no_topology_is_refused(change, tmp_path):
    graph = {"nodes": [{"name": "h1", "kind": "host"}], "links": []}
    write_json(tmp_path / "graph.json", graph | change)
    with pytest.raises(SubmissionError):
        graph_schema.read(tmp_path)


# ---- books and pages


def result(student, *marks):
    checks = tuple(
        CheckResult(
            f"check{i}",
            "A sentence.",
            "RFC 1",
            "",
            False,
            mark,
            5.0 if mark is Mark.PASS else 0.0,
            5.0,
            "seen",
            "wanted",
        )
        for i, mark in enumerate(marks)
    )
    return Result("letter", "A letter", student, "key", checks=checks)


RESULTS = [
    result("=HYPERLINK(1)", Mark.PASS, Mark.FAIL),
    result("<script>alert(1)</script>", Mark.PASS, Mark.INCONCLUSIVE),
]


def test_books_tell_open_points_apart_from_lost_ones(tmp_path):
    pages.write_class(RESULTS, {r.student: "x" for r in RESULTS}, tmp_path)
    rows = (tmp_path / "gradebook.csv").read_text().splitlines()
    assert rows[1:] == [
        "'=HYPERLINK(1),5,10,0,graded,,5,0",
        "<script>alert(1)</script>,5,10,5,regrade,,5,",
    ]
    table = pd.read_parquet(tmp_path / "gradebook.parquet")
    assert table["check1"].isna().tolist() == [False, True]
    assert "<script>" not in (tmp_path / "class.html").read_text()
    suites = ET.parse(tmp_path / "junit.xml").getroot()
    assert len(suites.findall(".//failure")) == len(suites.findall(".//skipped")) == 1


def test_gradescope_gets_no_score_for_what_is_open():
    assert pages.gradescope_results(RESULTS[0])["score"] == 5
    open_result = pages.gradescope_results(RESULTS[1])
    assert "score" not in open_result
    assert not any("score" in t for t in open_result["tests"])


def test_a_result_is_the_same_after_reading():
    assert Result.from_dict(RESULTS[0].as_dict()) == RESULTS[0]


# ---- who handed in what


def test_submissions_are_found_and_twins_refused(lab, tmp_path):
    (tmp_path / "ada").mkdir()
    (tmp_path / "bob.zip").write_bytes(b"")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "notes.txt").write_text("")
    assert [s.student for s in classroom.find([tmp_path], lab.manifest)] == ["ada", "bob"]
    (tmp_path / "ada.tar.gz").write_bytes(b"")
    with pytest.raises(ConfigError, match="'ada' has two submissions"):
        classroom.find([tmp_path], lab.manifest)


@pytest.mark.parametrize("other", ["ADA", "a\u0301da", "\u00e1da ", " \u00c1DA", "áda\u00a0"])
def test_ids_of_one_person_are_one(lab, tmp_path, other):
    name = "ada" if other == "ADA" else "áda"
    for student in (name, other):
        (tmp_path / student).mkdir()
    with pytest.raises(ConfigError, match="has two submissions"):
        classroom.find([tmp_path], lab.manifest)
    assert lab.variant(name, b"a" * 16) == lab.variant(other, b"a" * 16)


def test_folders_inside_a_submission_make_nobody_a_student(lab, tmp_path):
    for name in ("ada/bob", "cyd/homework"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "say.py").write_text("")
    paths = sorted(tmp_path.iterdir())
    for named in (paths, [tmp_path]):  # `submissions/*`, and `submissions`
        assert [s.student for s in classroom.find(named, lab.manifest)] == ["ada", "cyd"]
    with pytest.raises(ConfigError, match=r"holds nothing but 'bob'.*--student ID"):
        classroom.find(paths[:1], lab.manifest)
    assert classroom.find(paths[:1], lab.manifest, "Eve") == [classroom.Source("Eve", paths[0])]
    with pytest.raises(ConfigError, match=r"holds say\.py, so it is one student's"):
        classroom.find([tmp_path / "ada/bob"], lab.manifest)


def test_folders_of_strange_students_are_plain_and_their_own():
    names = {classroom.folder_name(s) for s in ("a/../b", "a_.._b", "../x", ".", "a\x1b[2Jb", "ü")}
    assert len(names) == 6
    assert all("/" not in n and not n.startswith(".") and n.isascii() for n in names)
    assert classroom.folder_name("ada@uni.edu") == "ada@uni.edu"


@pytest.mark.parametrize("student", ["", " ", "a\x1b[2Jb", "x" * 300])
def test_ids_that_are_none_are_refused(student):
    with pytest.raises(ConfigError):
        library.student_id(student)


def test_what_submissions_see_is_no_place_for_secrets(tmp_path, monkeypatch):
    grade.refuse_if_shown(tmp_path / "course.secret")
    (tmp_path / "link").symlink_to("/usr/local/course")
    for path in (Path("/usr/share/labs"), Path("/lib/course"), tmp_path / "link" / "secret"):
        with pytest.raises(ConfigError, match="submissions can read"):
            grade.refuse_if_shown(path)


# ---- whose fault it was

TOPOLOGY = manifest.HandedFile(kind="topology")


class _Guests:
    """A runtime in which every guest ends the same way."""

    name, clock = "guest", "virtual"

    def __init__(self, status):
        self.status = status

    def run(self, folder, **_):
        return Outcome(self.status, "so it was")


@pytest.mark.parametrize(
    ("status", "mark"),
    [
        ("killed", Mark.INCONCLUSIVE),
        ("panic", Mark.INCONCLUSIVE),
        ("failed", Mark.INCONCLUSIVE),
        ("time_limit", Mark.INCONCLUSIVE),
        ("cpu_limit", Mark.FAIL),
        ("disk_limit", Mark.FAIL),
        ("out_of_memory", Mark.FAIL),
    ],
)
def test_a_topology_that_the_grader_could_not_evaluate_is_open(lab, tmp_path, status, mark):
    class Drawn(lab.full):
        def topology(self):
            return self.submission.topo("net.py")

    changed = lab.manifest.model_copy(update={"files": {"net.py": TOPOLOGY}})
    drawn = library.LabFolder(lab.path, changed, Drawn, Drawn)
    task = grade.Task(
        drawn,
        "ada",
        lab.variant("ada", b"a" * 16),
        accept.Handed({"net.py": b""}),
        tmp_path / "ada",
    )
    found = grade.grade(task, _Guests(status))
    marks = {c.name: c.mark for c in found.checks}
    assert marks == {"word_arrives": mark, "no_more": mark, "port": Mark.FAIL}
    told = " ".join([*found.problems, *(c.observed for c in found.checks)])
    assert ("was ended" in told) == (mark is Mark.FAIL), told


# ---- what daemons and programs said


def test_what_frr_refused_is_told_by_file_and_line(tmp_path):
    (tmp_path / "main/logs").mkdir(parents=True)
    write_json(tmp_path / "main/configs.json", {"r1": "north.conf"})
    log = "[SHWNK-NWT5S][EC 1] {} on config line 3:  {}\n"
    (tmp_path / "main/logs/r1-ripd.log").write_text(
        log.format("No such command", "network 10.0.0.0/99")
        + log.format("Command returned Warning Config Failed", "timers basic 0 0 0")
    )
    text = b"router rip\n! mine\n network 10.0.0.0/99\n timers  basic 0 0 0\n"
    assert student_diagnostics.refused(tmp_path, {"north.conf": text}) == [
        "north.conf: line 3: FRR: No such command: 'network 10.0.0.0/99'; it was left out",
        "north.conf: line 4: FRR: Command returned Warning Config Failed: 'timers basic 0 0 0'; it"
        " was left out",
    ]


def test_what_nginx_refused_is_told_by_file_and_line(tmp_path):
    (tmp_path / "main/logs").mkdir(parents=True)
    (tmp_path / "main/logs/nginx.log").write_text(
        'nginx: [warn] the "user" directive makes sense only … in /nginx/nginx.conf:2\n'
        "nginx: [warn] 512 worker_connections exceed open file resource limit: 256\n"
        'nginx: [warn] conflicting server name "a.example" in /work/site.conf:2\n'
        'nginx: [emerg] unknown directive "ssl_cert" in /work/site.conf:1\n'
        'nginx: [emerg] cannot load certificate "/out/a.pem": BIO_new_file() failed\n'
        "nginx: [emerg] bind() to 0.0.0.0:443 failed (98: Address already in use)\n"
    )
    text = b"# ssl_certificate /out/a.pem;\nssl_certificate /out/a.pem;\n"
    assert student_diagnostics.nginx_said(tmp_path, {"site.conf": text}) == [
        'site.conf: line 2: nginx: conflicting server name "a.example"',
        'site.conf: line 1: nginx: unknown directive "ssl_cert"',
        'site.conf: line 2: nginx: cannot load certificate "/out/a.pem": BIO_new_file() failed',
        "nginx: bind() to 0.0.0.0:443 failed (98: Address already in use)",
    ]


def test_what_an_app_raised_is_told_by_file_and_line(tmp_path):
    (tmp_path / "main/logs").mkdir(parents=True)
    trace = (
        "Traceback (most recent call last):\n"
        '  File "/site/os_ken/base/app_manager.py", line 290, in _event_loop\n'
        '  File "/project/controller/guard.py", line 12, in packet_in\n    x = flows[7]\n'
        '  File "/usr/lib/python3.11/x.py", line 3, in y\n'
        "KeyError: 7\x1b[2J\n"
    )
    (tmp_path / "main/logs/c0-controller.log").write_text("hello\n" + trace * 3 + trace[:200])
    found = student_diagnostics.raised(tmp_path, {"guard.py": "app", "answers.yaml": "answers"})
    assert found == ["guard.py: line 12: KeyError: 7�[2J (3 times)"]
    assert student_diagnostics.raised(tmp_path, {"other.py": "app"}) == []


def said_in(tmp_path, text, kinds):
    (tmp_path / "main/logs").mkdir(parents=True)
    (tmp_path / "main/logs/both-errors.log").write_text(text)
    return student_diagnostics.raised(tmp_path, kinds)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("x = 1\nfor x in\n", "line 2: SyntaxError: invalid syntax"),
        ("def f():\nreturn 1\n", "line 2: IndentationError: expected an indented block after"),
        ("if 1:\n\tx = 1\n        y = 2\n", "line 3: TabError: inconsistent use of tabs"),
        (b"\xff = 1\n", "line 1: SyntaxError: "),
    ],
)
def test_a_program_that_is_not_python_is_told_by_file_and_line(tmp_path, source, error):
    path = tmp_path / "client.py"
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
    text = done.stderr.replace(str(path), "/work/client.py")
    (line,) = said_in(tmp_path, text, {"client.py": "program"})
    assert line.startswith(f"client.py: {error}")


def test_what_only_looks_like_such_an_error_is_no_error(tmp_path):
    text = '  File "/work/client.py", line 2\nhello\nSyntaxError: not here\n'
    text += '  File "/work/client.py", line 3\n' + "    x\n" * 9 + "SyntaxError: too late\n"
    assert said_in(tmp_path, text, {"client.py": "program"}) == []


# ---- a lab's code in a bundle


def test_code_in_a_bundle_runs_only_if_it_is_known_or_trusted(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TESTBED_LABS", str(LETTER.parent))
    folder = tmp_path / "lab" / "letter"
    files = export.bundle(lab, "ada", b"a" * 16)
    export.write(files, tmp_path / "bundle")
    shutil.copytree(tmp_path / "bundle/lab/letter", folder)
    evil = tmp_path / "evil"
    (folder / "lab").mkdir()  # what Python would take before lab.py
    (folder / "lab/__init__.py").write_text(f"open({str(evil)!r}, 'w')\n")
    bundle_trust.open_bundled(folder, tmp_path / "1", trust=False)  # the same as the installed one
    with (folder / "lab.py").open("a") as code:
        code.write("# changed\n")
    with pytest.raises(ConfigError, match="would run as you"):
        bundle_trust.open_bundled(folder, tmp_path / "2", trust=False)
    bundle_trust.open_bundled(folder, tmp_path / "3", trust=True)
    bundle_trust.open_bundled(folder, tmp_path / "4", trust=False)  # once is enough
    assert not evil.exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("given/answers.yaml", "answers.yaml is in given/ and starter/; rename one"),
        ("given/README.md", "README.md is a reserved name in bundles"),
        ("given/lab/letter/lab.py", "lab/letter/lab.py is a reserved name in bundles"),
    ],
)
def test_no_file_of_a_bundle_replaces_another(tmp_path, name, says):
    folder = shutil.copytree(LETTER, tmp_path / "letter")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("x: 1\n")
    with pytest.raises(ConfigError, match=re.escape(says)):
        export.bundle(library.open_folder(folder), "ada", b"a" * 16)


def test_gradescopes_setup_refuses_an_old_python(tmp_path):
    script = gradescope._SETUP.replace("/usr/bin/python3", str(tmp_path / "python3"))
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/none"},
    )
    assert done.returncode == 1
    assert "Python 3.11" in done.stderr and "Ubuntu 24.04" in done.stderr


def test_a_secret_must_be_one(tmp_path):
    (tmp_path / "short").write_text("abc")
    for name, says in (("short", "fewer than"), ("none", "testbed lab secret")):
        with pytest.raises(ConfigError, match=says):
            library.read_secret(Path(tmp_path / name))


def test_what_a_topology_file_sees_is_all_it_needs(tmp_path):
    """The sandbox shows it these files of ours and no others."""
    for name in evaluate.MODULES:
        (tmp_path / "testbed" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / "testbed" / name, tmp_path / "testbed" / name)
    code = "from testbed import LinkShape, Topo; from testbed.author.topo import as_data; Topo()"
    argv = [sys.executable, "-c", code]
    done = subprocess.run(
        argv, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_archives_of_bundles_hold_one_folder_and_the_platforms_none(lab, tmp_path):
    files = export.bundle(lab, "ada", b"a" * 16)
    export.write(files, tmp_path / "b.zip", frozenset({"README.md"}), top=lab.name)
    export.write({"setup.sh": b"", "lab.txt": b""}, tmp_path / "g.zip", frozenset({"setup.sh"}))
    modes = {}
    for name in ("b", "g"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip") as archive:
            modes |= {i.filename: i.external_attr >> 16 for i in archive.infolist()}
    assert set(modes) == {f"{lab.name}/{name}" for name in files} | {"setup.sh", "lab.txt"}
    assert modes[f"{lab.name}/README.md"] == modes["setup.sh"] == 0o755
    assert modes["lab.txt"] == 0o644
