"""Every lab of the project on itself: solutions earn all points, mutants lose what they must."""

import re

import pytest

from testbed.grading import library, trial

pytestmark = pytest.mark.guest

LABS = library.names()

SAID = {
    "rip": ("plain_split_horizon", r"r3\.conf: line \d+: FRR: No such command: '.*poisened"),
}
"""What a student must learn about a mistake, in addition to the points it costs."""


@pytest.mark.parametrize("name", LABS)
def test_a_lab_earns_and_loses_what_it_must(name, guest_kernel, tmp_path):
    lab = library.open_lab(name)
    found = trial.run(lab, trial.names(lab), ["ada"], tmp_path)
    assert {t.name: t.wrong for t in found if t.wrong} == {}
    mutant, words = SAID.get(name, ("solution", ""))
    problems = next(t.result.problems for t in found if t.name == mutant)
    assert any(re.match(words, problem) for problem in problems) or not words, problems
