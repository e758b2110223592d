"""Each claim of the congestion experiment holds on the real thing and fails on a broken one."""

import json
from pathlib import Path

import pytest

from experiments.congestion import Congestion
from testbed.core.claims import Status
from testbed.execution.runner import Request, run

pytestmark = pytest.mark.guest

MUTANTS = Path(__file__).with_name("mutants")

BROKEN_BY = {
    "slow_start_doubles": "wrong_algorithm",
    "congestion_avoidance_adds_one": "wrong_algorithm",
    "reno_halves": "wrong_algorithm",
    "cubic_keeps_seven_tenths": "wrong_algorithm",
    "three_duplicate_acks": "broken_stack",
    "recovery_ends_in_congestion_avoidance": "no_reduction",
    "timeout_starts_again": "wrong_algorithm",
    "timer_doubles": "broken_stack",
    "lone_flow_fills_the_bottleneck": "broken_stack",
    "like_flows_share": "wrong_algorithm",
    "mathis_law": "wrong_algorithm",
    "bbr_queues_less": "wrong_algorithm",
    "fq_codel_keeps_delay_low": "wrong_algorithm",
    "ecn_marks_replace_drops": "wrong_algorithm",
}
"""Claim → the mutant on which it must fail."""


@pytest.fixture(scope="session")
def verdicts(guest_kernel, tmp_path_factory):
    """Verdicts of the experiment, or of a mutant of it, by claim; each is run once."""
    known = {}

    def of(mutant: str = ""):
        if mutant not in known:
            name = str(MUTANTS / f"congestion_{mutant}.py") if mutant else "congestion"
            result = run(Request(name, out=tmp_path_factory.mktemp("runs"), runtime="guest"))
            known[mutant] = {claim.name: verdict for claim, verdict in result.judged}
            for outcome in result.run.path.glob("scenarios/*/outcome.json"):
                loaded = json.loads(outcome.read_text())["loaded"]
                assert set(loaded) <= {"analysis"}, "a guest imports nothing it does not need"
        return known[mutant]

    return of


@pytest.mark.parametrize("claim", [c.name for c in Congestion.claims()])
def test_the_claim_holds(claim, verdicts):
    verdict = verdicts()[claim]
    assert verdict.status == Status.PASS, f"{verdict.observed}, expected {verdict.expected}"


def test_the_notebook_reads_the_run(verdicts, reads_notebook):
    verdicts()
    reads_notebook("congestion")


@pytest.mark.parametrize("claim", [c.name for c in Congestion.claims()])
def test_the_claim_fails_on_its_mutant(claim, verdicts):
    verdict = verdicts(BROKEN_BY[claim])[claim]
    assert verdict.status == Status.FAIL, f"{verdict.observed}, expected {verdict.expected}"
