"""Each claim of each experiment holds on the real thing, and fails in a network gone wrong.

What must fail in which run is in the experiments' folders; a new experiment is tested without an
edit here.
"""

import json
import re

import pytest

from testbed.author import experiment_folder
from testbed.author.experiment import experiment_files, load
from testbed.core.claims import Status
from testbed.core.errors import MissingPrerequisiteError
from testbed.execution.runner import Request, run
from tests.system.emptying import EMPTY, judged_without

FILES = {name: root for name, root in experiment_files().items() if root.is_dir()}
ABOUT = {name: experiment_folder.about(root) for name, root in FILES.items()}
CLAIMS = {name: [claim.name for claim in load(name).claims()] for name in FILES}


def case(experiment, *values):
    """All tests of an experiment are one group: its runs are made once."""
    marks = [pytest.mark.guest, pytest.mark.xdist_group(experiment)]
    return pytest.param(
        experiment, *values, marks=marks, id="-".join([experiment, *map(str, values)])
    )


def must_fail(experiment, mutant):
    return mutant.fails or CLAIMS[experiment]


@pytest.fixture(scope="session")
def results(guest_kernel, tmp_path_factory):
    """The run of an experiment, or of a mutant of it; each is run once."""
    known = {}

    def of(experiment, number=None):
        if (experiment, number) not in known:
            mutant = experiment_folder.Mutant()
            if number is not None:
                mutant = ABOUT[experiment].mutants[number]
            file = FILES[experiment] / experiment_folder.MUTANTS / f"{mutant.file}.py"
            request = Request(
                str(file) if mutant.file else experiment,
                mutant.parameters,
                out=tmp_path_factory.mktemp("runs"),
                runtime="guest",
                only=mutant.scenarios,
            )
            try:
                result = run(request)
            except MissingPrerequisiteError as error:
                if not load(experiment).extras:
                    raise
                pytest.skip(str(error))  # an image has not all extras
            for outcome in result.run.path.glob("scenarios/*/outcome.json"):
                loaded = json.loads(outcome.read_text())["loaded"]
                assert set(loaded) <= {"analysis"}, "a guest imports nothing it does not need"
            known[experiment, number] = result
        return known[experiment, number]

    return of


@pytest.fixture(scope="session")
def verdicts(results):
    """Verdicts by claim of such a run."""

    def of(experiment, number=None):
        return {claim.name: verdict for claim, verdict in results(experiment, number).judged}

    return of


@pytest.mark.parametrize(
    ("experiment", "claim"), [case(name, claim) for name in FILES for claim in CLAIMS[name]]
)
def test_the_claim_holds(experiment, claim, verdicts):
    verdict = verdicts(experiment)[claim]
    assert verdict.status is Status.PASS, f"{verdict.observed}, expected {verdict.expected}"
    assert verdict.evidence or not ABOUT[experiment].evidence


RAISED = re.compile(r"\.py:\d+: in ")
"""A claim that raised an error of its own is INCONCLUSIVE as well, and names the line."""


@pytest.mark.parametrize(
    ("experiment", "what"), [case(name, what) for name in FILES for what in EMPTY]
)
def test_without_its_data_no_claim_raises_or_fails(experiment, what, results, tmp_path):
    found = judged_without(results(experiment).run.path, what, tmp_path / "run")
    raised = {name: v.observed for name, v in found.items() if RAISED.search(v.observed)}
    assert not raised
    failed = {name: v.observed for name, v in found.items() if v.status is Status.FAIL}
    assert not failed
    if what == "captures":
        assert {v.status for v in found.values()} <= {Status.INCONCLUSIVE}


@pytest.mark.parametrize("experiment", [case(name) for name in FILES])
def test_the_notebook_reads_the_run(experiment, verdicts, reads_notebook):
    verdicts(experiment)
    reads_notebook(experiment)


@pytest.mark.parametrize(
    ("experiment", "number", "claim"),
    [
        case(name, number, claim)
        for name in FILES
        for number, mutant in enumerate(ABOUT[name].mutants)
        for claim in must_fail(name, mutant)
    ],
)
def test_the_claim_fails_in_its_mutant(experiment, number, claim, verdicts):
    verdict = verdicts(experiment, number)[claim]
    assert verdict.status is Status.FAIL, f"{verdict.observed}, expected {verdict.expected}"


@pytest.mark.parametrize(
    ("experiment", "number", "claim"),
    [
        case(name, number, claim)
        for name in FILES
        for number, mutant in enumerate(ABOUT[name].mutants)
        for claim in mutant.says
    ],
)
def test_the_claim_says_what_is_wrong(experiment, number, claim, verdicts):
    expected = ABOUT[experiment].mutants[number].says[claim]
    assert expected in verdicts(experiment, number)[claim].observed
