"""Each claim on RIP and OSPF holds on real routers, and fails in a network gone wrong."""

from pathlib import Path

import pytest

from experiments.ospf import Ospf
from experiments.rip import Rip
from experiments.routing_comparison import RoutingComparison
from testbed.core.claims import Status
from testbed.core.project import PROJECT
from testbed.execution.runner import Request, run

pytestmark = pytest.mark.guest

MUTANTS = Path(__file__).with_name("mutants")
GRID = PROJECT / "bench" / "ospf_grid.py"
EXPERIMENTS = {"rip": Rip, "ospf": Ospf, "routing_comparison": RoutingComparison}


@pytest.fixture(scope="session")
def finished(guest_kernel, tmp_path_factory):
    """The run of an experiment or mutant and its verdicts by claim; each is run once."""
    known = {}

    def of(name):
        if name not in known:
            result = run(Request(name, out=tmp_path_factory.mktemp("runs"), runtime="guest"))
            known[name] = {c.name: verdict for c, verdict in result.judged}
        return known[name]

    return of


CLAIMS = [(name, c.name) for name, cls in EXPERIMENTS.items() for c in cls.claims()]


@pytest.mark.parametrize(("experiment", "claim"), CLAIMS)
def test_the_claim_holds(experiment, claim, finished):
    verdict = finished(experiment)[claim]
    assert verdict.status == Status.PASS, f"{verdict.observed}, expected {verdict.expected}"


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_notebook_reads_the_run(experiment, finished, reads_notebook):
    finished(experiment)
    reads_notebook(experiment)


@pytest.mark.parametrize(("experiment", "claim"), CLAIMS)
def test_the_claim_fails_in_a_network_gone_wrong(experiment, claim, finished):
    verdict = finished(str(MUTANTS / f"{experiment}_wrong.py"))[claim]
    assert verdict.status == Status.FAIL, f"{verdict.observed}, expected {verdict.expected}"


def test_neighbours_that_disagree_are_named(finished):
    """The failing claim says who differs in what, from the packets."""
    verdict = finished(str(MUTANTS / "ospf_wrong.py"))["adjacent"]
    assert "r1 and r2 differ in hello_interval_s: 10" in verdict.observed


@pytest.mark.parametrize(("r5_cost", "status"), [(0, Status.PASS), (50, Status.FAIL)])
def test_a_grid_has_all_routes_by_all_shortest_ways(r5_cost, status, guest_kernel, tmp_path):
    parameters = {"side": 3, "r5_cost": r5_cost}
    result = run(Request(str(GRID), parameters, out=tmp_path, runtime="guest"))
    assert [verdict.status for _, verdict in result.judged] == [status]


def test_missed_convergence_says_who_lacks_what(finished):
    """r5 of the campus speaks to nobody: the run goes on, and the claim tells what came of it."""
    observed = finished(str(MUTANTS / "rip_wrong.py"))["converges"].observed
    assert "campus: r1 lacks 10.0.3.0/24 and " in observed
