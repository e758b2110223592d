"""The project's labs: what can be known of them without a network."""

import ipaddress
import subprocess
import sys

import pytest

from testbed.core.project import PROJECT
from testbed.grading import accept, export, library, questions

STUDENTS = [f"student-{number}" for number in range(40)]
SECRET = b"a secret for tests"


@pytest.fixture(params=library.names())
def lab(request):
    return library.open_lab(request.param)


def test_every_lab_has_four_mutants_or_more(lab):
    assert len(lab.manifest.mutants) >= 4


def test_every_check_has_a_hint(lab):
    assert all(check.hint for check in lab.manifest.checks.values())


def test_every_file_of_the_solution_is_asked_for_and_has_a_beginning(lab):
    params = lab.variant("s1", SECRET)
    assert set(lab.solution(params)) == set(lab.manifest.files)
    assert set(lab.starter(params)) == set(lab.manifest.files)


def test_variants_are_of_the_parameters_and_make_handouts_and_mutants(lab):
    for student in STUDENTS[:4]:
        params = lab.variant(student, SECRET)
        for language in ("", *lab.languages()):
            assert student in lab.handout(params, student, language)
        solution = lab.solution(params, student)
        for mutant in lab.manifest.mutants:
            assert lab.mutant(mutant, params, student) != solution


def test_the_starter_asks_for_every_answer_of_the_solution(lab):
    params = lab.variant("ada", SECRET)
    name = questions.answers_file(lab.manifest)
    if name is None:
        pytest.skip("the lab asks no questions")
    answers = accept.read_answers(lab.solution(params)[name].decode())
    asked = questions.asked(lab, params)
    assert asked
    assert questions.strange(lab.manifest, answers, asked) == []
    assert set(lab.manifest.files[name].formats) == set(asked)
    assert questions.malformed(lab.manifest, answers) == []


def test_students_get_variants_of_their_own(lab):
    found = {str(lab.variant(student, SECRET)) for student in STUDENTS}
    assert len(found) > len(STUDENTS) // 2


def test_a_lab_of_subnets_can_be_solved_in_every_variant():
    lab = library.open_lab("subnetting")
    for student in STUDENTS:
        plan = lab.instance(lab.variant(student, SECRET)).plan()
        block = ipaddress.ip_network(lab.variant(student, SECRET)["block"])
        nets = list(plan.values())
        assert all(net.subnet_of(block) for net in nets)
        assert not any(a.overlaps(b) for a in nets for b in nets if a is not b)
        assert sum(net.num_addresses for net in nets) < block.num_addresses


LIGHT = """
import sys
from testbed.execution import inside
from testbed.grading import library, loading
inside.be_lazy()
for name in library.names():
    loading.load_lab(library.labs_folder() / name)
assert set(inside.loaded()) <= {"analysis"}, inside.loaded()
"""


def test_a_guest_that_loads_a_lab_runs_no_library_that_it_does_not_use():
    """Pandas costs it a second, which is a third of a grading."""
    done = subprocess.run(
        [sys.executable, "-c", LIGHT], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_bundles_hold_the_translated_handouts(lab):
    files = export.bundle(lab, "ada", SECRET)
    for language in lab.languages():
        assert files[f"README.{language}.md"] != files["README.md"]
