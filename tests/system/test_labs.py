"""Every lab of the project on itself: solutions earn all points, mutants lose what they must."""

import pytest

from testbed.grading import library, trial
from testbed.grading.grade import grading_runtime

pytestmark = pytest.mark.guest

LABS = library.names()


@pytest.mark.parametrize("name", LABS)
def test_a_lab_earns_and_loses_what_it_must(name, guest_kernel, tmp_path):
    lab = library.open_lab(name)
    assert len(lab.manifest.mutants) >= 4, "too few mutants"
    found = trial.run(lab, trial.names(lab), ["ada"], tmp_path, grading_runtime())
    assert {t.name: t.wrong for t in found if t.wrong} == {}
