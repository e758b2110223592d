"""Each claim on software-defined networks holds with a sound controller, falls in a broken run."""

from pathlib import Path

import pytest

from testbed.author.experiment import load
from testbed.core.claims import Status
from testbed.core.errors import RunIncompleteError
from testbed.daemons.controller import RYU_SITE
from testbed.execution.runner import Request, run

pytestmark = pytest.mark.guest

EXPERIMENTS = ("sdn_learning", "sdn_failover", "sdn_firewall", "sdn_flood", "sdn_balance")

MUTANTS = Path(__file__).with_name("mutants")

BROKEN = {
    ("sdn_learning", "app=hub", "learning,bridge"): {
        "first_packet_goes_to_controller", "first_packet_pays", "later_packets_are_as_fast",
        "unknown_is_flooded", "tables_grow_with_pairs",
    },
    ("sdn_learning", "app=hub", "secure,standalone"): {"flows_outlive_controller"},
    ("sdn_learning", "idle_s=0", "learning"): {"idle_flows_end"},
    ("sdn_learning_swapped", "", ""): {"secure_waits", "standalone_learns"},
    ("sdn_failover_swapped", "", ""): {
        "controller_reroutes_at_once", "silence_waits_for_lldp", "ospf_reroutes_at_once",
        "ospf_waits_for_dead_interval", "nothing_lost_after",
    },
    ("sdn_firewall", "app=learning_switch", ""): {
        "denied_does_not", "first_match_decides", "flows_count",
    },
    ("sdn_firewall_strict", "", ""): {"allowed_arrives"},
    ("sdn_flood", "defend=no", "defended"): {"flood_is_dropped", "service_recovers"},
    ("sdn_flood", "limit_pps=5", "defended"): {"flood_is_found"},
    ("sdn_flood", "flood_mbps=1", "undefended"): {"flood_hurts"},
    ("sdn_flood_cautious", "", ""): {"source_returns"},
    ("sdn_balance_wrong", "", ""): {"clients_stay", "all_are_served"},
    ("sdn_balance_direct", "app=hub", ""): {
        "shares_are_equal", "servers_are_hidden", "asked_once",
    },
}  # fmt: skip
"""(experiment or mutant of it, parameter, scenarios) → claims that must fail."""

CLAIMS = [(name, claim.name) for name in EXPERIMENTS for claim in load(name).claims()]


@pytest.fixture(scope="session")
def finished(guest_kernel, tmp_path_factory):
    """Verdicts of a run by claim; each is made once."""
    known = {}

    def of(name, parameter="", scenarios=""):
        key = (name, parameter, scenarios)
        if key not in known:
            given = dict([parameter.split("=")]) if parameter else {}
            mutant = MUTANTS / f"{name}.py"
            request = Request(
                str(mutant) if mutant.is_file() else name,
                given,
                out=tmp_path_factory.mktemp("runs"),
                runtime="guest",
                only=tuple(filter(None, scenarios.split(","))),
            )
            result = run(request)
            known[key] = {c.name: verdict for c, verdict in result.judged}
        return known[key]

    return of


@pytest.mark.parametrize(("experiment", "claim"), CLAIMS)
def test_the_claim_holds(experiment, claim, finished):
    verdict = finished(experiment)[claim]
    assert verdict.status is Status.PASS, verdict


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_notebook_reads_the_run(experiment, finished, reads_notebook):
    finished(experiment)
    reads_notebook(experiment)


@pytest.mark.parametrize("key", BROKEN, ids=" ".join)
def test_the_claims_fall_with_a_broken_controller(key, finished):
    verdicts = finished(*key)
    held = {claim for claim in BROKEN[key] if verdicts[claim].status is not Status.FAIL}
    assert not held, {claim: verdicts[claim] for claim in held}


def test_every_claim_has_a_run_in_which_it_falls():
    names = {(e, claim) for (run, _, _), claims in BROKEN.items() for claim in claims
             for e in EXPERIMENTS if run.startswith(e)}  # fmt: skip
    assert names == set(CLAIMS)


def test_on_ryu_it_is_the_same(finished):
    if not RYU_SITE.is_dir():
        pytest.skip("Ryu is not installed (scripts/install-ryu.sh)")
    verdicts = finished("sdn_learning", "framework=ryu", "learning,bridge")
    assert {v.status for v in verdicts.values()} == {Status.PASS}, verdicts


APPS = Path(__file__).with_name("programs") / "sdn_apps.py"


@pytest.mark.parametrize("claim", [c.name for c in load(str(APPS)).claims()])
def test_the_other_applications_work(claim, finished):
    verdict = finished(str(APPS))[claim]
    assert verdict.status is Status.PASS, verdict


CRASH = """
from experiments.sdn_balance import SdnBalance

class Crash(SdnBalance):
    "A controller that ends as soon as it starts."
    def scenarios(self):
        return {"in_turn": self.params}
    def run(self, lab):
        from testbed.daemons import controller
        controller.start(lab, "load_balancer", {"servers": "10.0.0.4", "virtual": "nowhere"})
"""


def test_a_controller_that_crashes_on_start_ends_the_run(tmp_path: Path, guest_kernel):
    path = tmp_path / "crash.py"
    path.write_text(CRASH)
    with pytest.raises(RunIncompleteError) as caught:
        run(Request(str(path), out=tmp_path, runtime="guest", wall_limit_s=60))
    assert "setting virtual: 'nowhere' is no IPv4 address" in str(caught.value)
    assert "logs/c0-controller.log" in str(caught.value)
