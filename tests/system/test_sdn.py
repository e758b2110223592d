"""Each claim on software-defined networks holds with a sound controller, falls with a broken one.

What no controller of ours gets wrong is made wrong in the tables of a good run.
"""

from pathlib import Path

import pandas as pd
import pytest

from testbed.claims import Status
from testbed.daemons.controller import RYU_SITE
from testbed.errors import RunIncompleteError
from testbed.experiment import Tables, load
from testbed.rundir import RunDir
from testbed.runner import Request, run

pytestmark = pytest.mark.guest

EXPERIMENTS = ("sdn_learning", "sdn_failover", "sdn_firewall", "sdn_flood", "sdn_balance")

BROKEN = {
    ("sdn_learning", "app=hub", "learning,bridge"): {
        "first_packet_goes_to_controller", "first_packet_pays", "later_packets_are_as_fast",
        "unknown_is_flooded", "tables_grow_with_pairs",
    },
    ("sdn_learning", "idle_s=0", "learning"): {"idle_flows_end"},
    ("sdn_firewall", "app=learning_switch", ""): {
        "denied_does_not", "first_match_decides", "flows_count",
    },
    ("sdn_flood", "defend=no", "defended"): {"flood_is_dropped", "service_recovers"},
    ("sdn_flood", "limit_pps=5", "defended"): {"flood_is_found"},
    ("sdn_flood", "flood_mbps=1", "undefended"): {"flood_hurts"},
}  # fmt: skip
"""(experiment, parameter, scenarios) → claims that must fail."""


def _set(table, column, value, **where):
    """A forgery: a column of some rows gets another value."""

    def forge(tables):
        rows = pd.Series(True, index=tables[table].index)
        for name, wanted in where.items():
            rows &= tables[table][name] == wanted
        assert rows.any()
        tables[table][column] = tables[table][column].astype(object).where(~rows, value)

    return forge


def _swap(one, two):
    """A forgery: two scenarios' pings change places."""

    def forge(tables):
        names = {one: two, two: one}
        for table in ("pings", "steps"):
            old = tables[table]["scenario"]
            tables[table]["scenario"] = old.map(lambda s: names.get(s, s))

    return forge


FORGED = {
    ("sdn_learning", "flows_outlive_controller"): _set(
        "pings", "rtt_ms", None, scenario="secure", step="gone", host="h1"
    ),
    ("sdn_learning", "secure_waits"): _swap("secure", "standalone"),
    ("sdn_learning", "standalone_learns"): _set(
        "pings", "rtt_ms", None, scenario="standalone", step="away"
    ),
    ("sdn_failover", "controller_reroutes_at_once"): _set(
        "outages", "outage_s", 1.0, scenario="sdn-cut"
    ),
    ("sdn_failover", "silence_waits_for_lldp"): _set(
        "outages", "outage_s", 0.5, scenario="sdn-silent"
    ),
    ("sdn_failover", "ospf_reroutes_at_once"): _set(
        "outages", "outage_s", 30.0, scenario="ospf-cut"
    ),
    ("sdn_failover", "ospf_waits_for_dead_interval"): _set(
        "outages", "outage_s", 2.0, scenario="ospf-silent"
    ),
    ("sdn_failover", "nothing_lost_after"): _set("pings", "rtt_ms", None, scenario="ospf-cut"),
    ("sdn_firewall", "allowed_arrives"): _set("trials", "arrived", 0, client="h1"),
    ("sdn_flood", "source_returns"): _set("deeds", "time_s", 99.0, event="let-back"),
    ("sdn_balance", "all_are_served"): _set("connections", "server", None, client="h1"),
    ("sdn_balance", "shares_are_equal"): _set("connections", "server", "h4", server="h5"),
    ("sdn_balance", "clients_stay"): _set("connections", "client", "h1"),
    ("sdn_balance", "servers_are_hidden"): _set("seen", "from", "10.0.0.4", client="h2"),
    ("sdn_balance", "asked_once"): _set("asked", "scenario", "by_source", ip_src="10.0.0.1"),
}  # fmt: skip
"""(experiment, claim) → what is forged in the tables of a good run."""

CLAIMS = [(name, claim.name) for name in EXPERIMENTS for claim in load(name).claims()]


@pytest.fixture(scope="session")
def finished(guest_kernel, tmp_path_factory):
    """A run and its verdicts by claim; each is made once."""
    known = {}

    def of(name, parameter="", scenarios=""):
        key = (name, parameter, scenarios)
        if key not in known:
            given = dict([parameter.split("=")]) if parameter else {}
            request = Request(
                name, given, out=tmp_path_factory.mktemp("runs"), runtime="guest",
                only=tuple(filter(None, scenarios.split(","))),
            )  # fmt: skip
            result = run(request)
            known[key] = (result.run, {c.name: verdict for c, verdict in result.judged})
        return known[key]

    return of


def _tables(rundir: RunDir) -> Tables:
    return Tables({p.stem: pd.read_parquet(p) for p in rundir.tables.glob("*.parquet")})


@pytest.mark.parametrize(("experiment", "claim"), CLAIMS)
def test_the_claim_holds(experiment, claim, finished):
    verdict = finished(experiment)[1][claim]
    assert verdict.status is Status.PASS, verdict


@pytest.mark.parametrize("key", BROKEN, ids=" ".join)
def test_the_claims_fall_with_a_broken_controller(key, finished):
    verdicts = finished(*key)[1]
    held = {claim for claim in BROKEN[key] if verdicts[claim].status is not Status.FAIL}
    assert not held, {claim: verdicts[claim] for claim in held}


@pytest.mark.parametrize(("experiment", "claim"), FORGED)
def test_the_claim_falls_on_forged_tables(experiment, claim, finished):
    tables = _tables(finished(experiment)[0])
    FORGED[experiment, claim](tables)
    cls = load(experiment)
    check = next(c.check for c in cls.claims() if c.name == claim)
    verdict = check(cls(cls.Parameters()), tables)
    assert verdict.status is Status.FAIL, verdict


def test_every_claim_has_a_run_in_which_it_falls():
    broken = {(key[0], claim) for key, claims in BROKEN.items() for claim in claims}
    assert broken | set(FORGED) == set(CLAIMS)


def test_on_ryu_it_is_the_same(finished):
    if not RYU_SITE.is_dir():
        pytest.skip("Ryu is not installed (scripts/install-ryu.sh)")
    verdicts = finished("sdn_learning", "framework=ryu", "learning,bridge")[1]
    assert {v.status for v in verdicts.values()} == {Status.PASS}, verdicts


APPS = Path(__file__).with_name("programs") / "sdn_apps.py"


@pytest.mark.parametrize("claim", [c.name for c in load(str(APPS)).claims()])
def test_the_other_applications_work(claim, finished):
    verdict = finished(str(APPS))[1][claim]
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
