"""Links are what their parameters say, whatever else the machine does; wrong ones are found out."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.fidelity import Fidelity
from experiments.fidelity_nodes import FidelityNodes
from experiments.fidelity_tcp import FidelityTcp
from testbed import gate
from testbed.claims import Status
from testbed.rundir import RunDir
from testbed.runner import Request, run
from testbed.verify import verify

pytestmark = pytest.mark.guest

MUTANTS = Path(__file__).with_name("mutants")
SUITE = {"fidelity": Fidelity, "fidelity_tcp": FidelityTcp, "fidelity_nodes": FidelityNodes}
CLAIMS = [(name, claim.name) for name, cls in SUITE.items() for claim in cls.claims()]


@pytest.fixture(scope="session")
def verdicts(guest_kernel, tmp_path_factory):
    """Verdicts of an experiment, or of its mutant, by claim; each is run once."""
    known = {}

    def of(name: str):
        if name not in known:
            result = run(Request(name, out=tmp_path_factory.mktemp("runs"), runtime="guest"))
            known[name] = {claim.name: verdict for claim, verdict in result.judged}
        return known[name]

    return of


@pytest.mark.parametrize(("experiment", "claim"), CLAIMS)
def test_the_claim_holds(experiment, claim, verdicts):
    verdict = verdicts(experiment)[claim]
    assert verdict.status == Status.PASS, verdict


@pytest.mark.parametrize("experiment", SUITE)
def test_the_notebook_reads_the_run(experiment, verdicts, reads_notebook):
    verdicts(experiment)
    reads_notebook(experiment)


@pytest.mark.parametrize(("experiment", "claim"), CLAIMS)
def test_the_claim_fails_on_a_wrong_link(experiment, claim, verdicts):
    verdict = verdicts(str(MUTANTS / f"{experiment}_wrong.py"))[claim]
    assert verdict.status == Status.FAIL, verdict


def fingerprint(folder: Path, *prefix: str, seed: int = 1) -> str:
    """Of a run started by the command line, as a user does."""
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "testbed.cli.main", "run", "fidelity",
         "--scenario", "series", "--scenario", "chance", "--chance-pkts", "1000",
         "--seed", str(seed), "--json", "--runtime", "guest", "--out", str(folder)],
        capture_output=True, text=True, check=False, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return str(json.loads(done.stdout)["fingerprint"])


def test_load_does_not_matter_and_seeds_do(guest_kernel, tmp_path, request):
    alone = fingerprint(tmp_path)
    request.getfixturevalue("busy_machine")
    assert fingerprint(tmp_path) == alone, "all cores busy"
    slow = ("taskset", "-c", str(min(os.sched_getaffinity(0))), "nice", "-n", "10")
    assert fingerprint(tmp_path, *slow) == alone, "one slow processor beside a busy loop"
    assert fingerprint(tmp_path, seed=2) != alone


def test_on_the_real_clock_a_busy_machine_is_no_fail(guest_kernel, tmp_path, busy_machine):
    made = run(Request("fidelity", out=tmp_path, runtime="guest", clock="real", only=("series",)))
    assert [v.status for _, v in made.judged] == [Status.INCONCLUSIVE], made.judged
    assert gate.stalls(made.run.scenario("series"))


def test_verify_tells_the_same_run_from_an_edited_one(guest_kernel, tmp_path):
    made = run(Request("fidelity", out=tmp_path / "runs", runtime="guest", only=("series",))).run
    again = verify(made, tmp_path / "again")
    assert again.same, again.differences
    edited = RunDir(shutil.copytree(made.path, tmp_path / "edited"))
    capture = edited.scenario("series") / "captures" / "r1-eth0.pcap"
    capture.write_bytes(capture.read_bytes()[:-1] + b"\xff")
    wheres = [d.where for d in verify(edited, tmp_path / "third").differences]
    assert wheres[0] == "the recorded run's own files"
    assert wheres[1].startswith("scenarios/series/captures/r1-eth0.pcap packet ")
