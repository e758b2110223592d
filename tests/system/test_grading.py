"""Grading a class in which some are hostile: a clear result for each, and no effect on others."""

import dataclasses
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from testbed.core.errors import OutputError
from testbed.core.project import PROJECT
from testbed.execution.cluster import Cluster
from testbed.execution.shared import Shared
from testbed.grading import classroom, library

pytestmark = pytest.mark.guest

LETTER = PROJECT / "tests/labs/letter"
HOSTILE = Path(__file__).with_name("hostile")
SECRET = b"a secret for these tests"
HOSTS_OWN = str(PROJECT / "tests/labs/letter/solution/say.py.j2")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The lab with limits that a hostile program reaches soon."""
    folder = tmp_path_factory.mktemp("labs") / "letter"
    shutil.copytree(LETTER, folder)
    manifest = (folder / "lab.yaml").read_text()
    limits = "limits: {cpu_s: 20, memory_mb: 256, disk_mb: 16}"
    assert limits in manifest
    tight = "limits: {cpu_s: 30, memory_mb: 256, disk_mb: 16}"
    (folder / "lab.yaml").write_text(manifest.replace(limits, tight))
    return library.open_folder(folder)


@pytest.fixture(scope="module")
def submissions(lab, tmp_path_factory):
    """Two honest students and four that are not."""
    root = tmp_path_factory.mktemp("submissions")
    for student in ("ada", "curious", "endless", "flood", "greedy"):
        word = lab.variant(student, SECRET)["word"]
        files = lab.solution(lab.variant(student, SECRET), student)
        hostile = HOSTILE / f"{student}.py"
        if hostile.is_file():
            text = hostile.read_text().replace("WORD", word)
            text = text.replace("*sys.argv[2:]", f"{HOSTS_OWN!r}, {str(root)!r}")
            files["say.py"] = text.encode()
        (root / student).mkdir()
        for name, data in files.items():
            (root / student / name).write_bytes(data)
    (root / "ada" / "result.json").write_text('{"points": 100}')
    bob = lab.mutant("chatters", lab.variant("bob", SECRET), "bob")
    with zipfile.ZipFile(root / "bob.zip", "w") as archive:
        for name, data in bob.items():
            archive.writestr(f"homework/{name}", data)
        archive.writestr("../../../../../../tmp/escaped", "x")
    return root


def grade(lab, submissions, out, *, workers=2, students=None, where=""):
    sources = [
        s
        for s in classroom.find([submissions], lab.manifest)
        if students is None or s.student in students
    ]
    request = classroom.Request(lab, SECRET, sources, out, Cluster(where, workers))
    return {g.result.student: g.result for g in classroom.grade_class(request)}


@pytest.fixture(scope="module")
def graded(lab, submissions, guest_kernel, tmp_path_factory):
    out = tmp_path_factory.mktemp("grades")
    rest = ("ada", "bob", "curious", "flood", "greedy")
    results = grade(lab, submissions, out, students=rest)
    limits = lab.manifest.limits.model_copy(update={"cpu_s": 3})  # so that 'endless' ends soon
    manifest = lab.manifest.model_copy(update={"limits": limits})
    impatient = dataclasses.replace(lab, manifest=manifest)
    return results | grade(impatient, submissions, out, workers=1, students=["endless"]), out


def marks(result):
    return {c.name: str(c.mark) for c in result.checks}


def scenario(out, student):
    return out / "students" / student / "run/scenarios/main"


def test_honest_students_get_what_they_earned(graded):
    results, _ = graded
    assert results["ada"].points == 10
    assert marks(results["bob"]) == {"word_arrives": "PASS", "port": "PASS", "no_more": "FAIL"}
    assert not Path("/tmp/escaped").exists()


def test_a_curious_program_sees_and_reaches_nothing(graded):
    results, out = graded
    found = json.loads((scenario(out, "curious") / "out/say/could.json").read_text())
    assert found["could"] == []
    assert len(found["tried"]) >= 65
    assert (
        results["curious"].points == 10
    )  # killing 'all' killed itself alone: the capture is whole


def test_only_regular_files_leave_the_sandbox(graded):
    _, out = graded
    left = scenario(out, "curious") / "out/say"
    names = {"could.json", "result.json", "outcome.json", "exit.json", "verdicts.json"}
    assert {p.name for p in left.iterdir()} == names
    assert all(p.is_file() and not p.is_symlink() for p in left.iterdir())


def test_greed_ends_at_its_limits_and_costs_nothing_else(graded):
    results, out = graded
    assert results["greedy"].points == 10
    folder = scenario(out, "greedy")
    assert (folder / "logs/say.log").stat().st_size <= 4 << 20
    assert sum(p.stat().st_size for p in (folder / "out/say").iterdir()) <= 8 << 20
    assert not (folder / "out/say/late").exists()  # nor a second datagram: its daemon ended with it


@pytest.mark.parametrize(
    ("student", "why"),
    [("endless", "exceeded its processor time (3 s)"), ("flood", "wrote more than 16 MiB")],
)
def test_what_never_ends_is_ended_and_fails(graded, student, why):
    result = graded[0][student]
    assert marks(result) == {"word_arrives": "FAIL", "port": "PASS", "no_more": "FAIL"}
    assert all(why in c.observed for c in result.checks if c.name != "port")
    assert result.conclusive


def test_pages_hold_no_control_characters_and_no_students_markup(graded):
    _, out = graded
    pages = [*out.glob("*.*"), *out.glob("students/*/feedback.html")]
    for page in (p for p in pages if p.suffix != ".parquet"):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\x1b]", page.read_text()), page


def test_hidden_checks_do_not_stay_beside_students_files(graded):
    _, out = graded
    assert not list((out / "students").rglob("hidden.py"))


def files_of(out, student):
    """What must be the same: results, pages, and what Gradescope gets."""
    folder = out / "students" / student
    return {n: (folder / n).read_bytes() for n in ("result.json", "feedback.html", "results.json")}


def test_again_in_another_order_on_a_busy_machine_is_the_same_to_the_byte(
    graded, lab, submissions, busy_machine, tmp_path
):
    chosen = ("curious", "bob")
    for student in chosen:  # one after the other, the other way round, in this process
        grade(lab, submissions, tmp_path, workers=1, students=[student])
        assert files_of(tmp_path, student) == files_of(graded[1], student)


# ---- the command


def started(*arguments, cwd=PROJECT):
    return subprocess.Popen(
        [sys.executable, "-m", "testbed.cli.main", *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "TESTBED_LABS": str(LETTER.parent)},
    )


def ended(process, code=0):
    said, errors = process.communicate(timeout=600)
    assert process.returncode == code, said + errors
    return said


def command(*arguments, code=0, cwd=PROJECT):
    return ended(started(*arguments, cwd=cwd), code)


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "course.secret"
    path.write_bytes(SECRET)
    return path


@pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="Dask is missing: make extra-cluster"
)
def test_workers_of_a_cluster_give_the_same_points(lab, submissions, guest_kernel, tmp_path):
    students = ("ada", "bob")
    found = grade(lab, submissions, tmp_path / "out", students=students, where="local")
    assert {name: result.points for name, result in found.items()} == {"ada": 10, "bob": 7}
    assert (tmp_path / "out/class.html").is_file()
    with pytest.raises(OutputError, match="does not see"):
        Shared(tmp_path / "out", "another folder's").require()


def test_two_commands_at_once_and_one_given_again(lab, submissions, secret, tmp_path):
    """Whoever comes second waits, and grades nothing again; later, what changed is graded."""
    for student in ("ada", "bob.zip"):
        source, target = submissions / student, tmp_path / "in" / student
        target.parent.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    line = ("grade", "letter", tmp_path / "in", "--secret", secret, "--out", tmp_path / "out")
    both = [started(*line, "--json") for _ in range(2)]
    said = [json.loads(ended(process)) for process in both]
    assert sorted([r["unchanged"] for r in one] for one in said) == [[False] * 2, [True] * 2]
    first = said[0]
    assert [r["checks"] for r in first] == [r["checks"] for r in said[1]]
    (tmp_path / "out/students/ada/result.json").unlink()  # as after an interruption
    (tmp_path / "out/class.html").unlink()
    again = json.loads(command(*line, "--json"))
    assert [r["unchanged"] for r in again] == [False, True]
    assert [r["points"] for r in again] == [r["points"] for r in first] == [10, 7]
    book = (tmp_path / "out/gradebook.csv").read_text().splitlines()
    assert book[1:] == ["ada,10,10,0,graded,,5,2,3", "bob,7,10,0,graded,,5,2,0"]
    assert (tmp_path / "out/class.html").is_file() and (tmp_path / "out/junit.xml").is_file()


def test_a_bundle_checks_itself_and_holds_nothing_secret(lab, secret, tmp_path):
    command(
        "lab", "export", "letter", "--student", "ada", "--secret", secret, "--out", tmp_path / "b"
    )
    assert not leaks(tmp_path / "b")
    solution = lab.solution(lab.variant("ada", SECRET), "ada")
    command("check", cwd=tmp_path / "b", code=1)
    for name, data in solution.items():
        (tmp_path / "b" / name).write_bytes(data)
    said = json.loads(command("check", "--json", cwd=tmp_path / "b"))
    assert [c["name"] for c in said["checks"]] == ["word_arrives", "port"]
    assert said["points"] == said["of"] == 7
    assert leaks(tmp_path / "b")  # the student's own work, found: so the search works


def leaks(folder, lab=LETTER):
    """Lines of a bundle that stand only in what students must not have."""

    def lines(paths):
        return {
            s
            for p in paths
            if p.is_file()
            for x in p.read_text().splitlines()
            if len(s := x.strip()) > 10
        }

    public = lines([lab / "lab.py", lab / "handout.md", *(lab / "starter").rglob("*")])
    manifest = (lab / "lab.yaml").read_text()
    hidden = lines(
        [lab / "hidden.py", *(lab / "solution").rglob("*"), *(lab / "mutants").rglob("*")]
    )
    hidden |= {x.strip() for x in manifest[manifest.index("mutants:") :].splitlines()}
    hidden |= {x.strip() for x in manifest.splitlines() if "hidden: true" in x}
    everything = "\n".join(p.read_text() for p in folder.rglob("*") if p.is_file())
    return {x for x in hidden - public if x in everything}


def test_gradescopes_autograder_grades_as_an_ordinary_user(lab, secret, other_user, tmp_path):
    root = other_user.folder
    command("lab", "gradescope", "letter", "--secret", secret, "--out", root / "source")
    (root / "source/venv").symlink_to(Path(sys.prefix))
    (root / "submission").mkdir()
    for name, data in lab.solution(lab.variant("ada@uni", SECRET), "ada@uni").items():
        (root / "submission" / name).write_bytes(data)
    metadata = {"users": [{"email": "ada@uni"}]}
    (root / "submission_metadata.json").write_text(json.dumps(metadata))
    (root / "results").mkdir()
    shutil.chown(root / "results", "nobody")
    environment = {**other_user.process["env"], "AUTOGRADER": str(root)}
    done = subprocess.run(
        [root / "source/run_autograder"],
        user="nobody",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((root / "results/results.json").read_text())
    assert results["score"] == 10
    assert {t["visibility"] for t in results["tests"]} == {"visible", "after_published"}
