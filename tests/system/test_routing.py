"""Each claim on RIP and OSPF holds on real routers, and fails on badly configured ones.

What no configuration of FRR can get wrong (a port number, a TTL) is made wrong in the tables.
"""

from pathlib import Path

import pandas as pd
import pytest

from experiments.ospf import Ospf
from experiments.rip import Rip
from experiments.routing_comparison import RoutingComparison
from testbed.claims import Status
from testbed.experiment import Tables, load
from testbed.rundir import RunDir
from testbed.runner import Request, run

pytestmark = pytest.mark.guest

MUTANTS = Path(__file__).with_name("mutants")
EXPERIMENTS = {"rip": Rip, "ospf": Ospf, "routing_comparison": RoutingComparison}


def _set(table, column, value, **where):
    """A forgery: a column of some rows gets another value."""

    def forge(tables):
        rows = pd.Series(True, index=tables[table].index)
        for name, wanted in where.items():
            rows &= tables[table][name] == wanted
        assert rows.any()
        column_now = tables[table][column].astype(object)
        tables[table][column] = column_now.where(~rows, value)

    return forge


def _drop(table, **where):
    """A forgery: some rows are gone."""

    def forge(tables):
        rows = pd.Series(True, index=tables[table].index)
        for name, wanted in where.items():
            rows &= tables[table][name] == wanted
        assert rows.any()
        tables[table] = tables[table][~rows]

    return forge


FORGED = {
    ("rip", "udp_port_520"): _set("messages", "udp_sport", 521, sender="r2"),
    ("rip", "request_on_start"): _drop("messages", command="request"),
    ("rip", "neighbours_only"): _set(
        "messages", "ip_src", "10.0.3.1", capture="r1-eth1", sender="r3"
    ),
    ("ospf", "protocol_89"): _set("packets", "ip_ttl", 64, scenario="campus", sender="r2"),
    ("ospf", "adjacency_steps"): _drop("packets", scenario="quiet", type="request"),
    ("ospf", "same_database"): _set("databases", "checksum", 7, scenario="campus", node="r2"),
    ("routing_comparison", "same_paths"): _set("paths", "node", "r2", scenario="rip-cut", hop=2),
    ("routing_comparison", "cut"): _set("result", "outage_s", 0.1, scenario="rip-cut"),
    ("routing_comparison", "silence"): _set("result", "outage_s", 9.0, scenario="ospf-silence"),
    ("routing_comparison", "losses_match_routes"): _set("pings", "lost", False, scenario="rip-cut"),
}
"""(experiment, claim) → what is forged in the tables of a good run."""


@pytest.fixture(scope="session")
def finished(guest_kernel, tmp_path_factory):
    """The run of an experiment or mutant and its verdicts by claim; each is run once."""
    known = {}

    def of(name):
        if name not in known:
            result = run(Request(name, out=tmp_path_factory.mktemp("runs"), runtime="guest"))
            known[name] = (result.run, {c.name: verdict for c, verdict in result.judged})
        return known[name]

    return of


def _tables(rundir: RunDir) -> Tables:
    return Tables({p.stem: pd.read_parquet(p) for p in rundir.tables.glob("*.parquet")})


CLAIMS = [(name, c.name) for name, cls in EXPERIMENTS.items() for c in cls.claims()]


@pytest.mark.parametrize(("experiment", "claim"), CLAIMS)
def test_the_claim_holds(experiment, claim, finished):
    verdict = finished(experiment)[1][claim]
    assert verdict.status == Status.PASS, f"{verdict.observed}, expected {verdict.expected}"


@pytest.mark.parametrize(("experiment", "claim"), [c for c in CLAIMS if c not in FORGED])
def test_the_claim_fails_on_bad_configurations(experiment, claim, finished):
    verdict = finished(str(MUTANTS / f"{experiment}_wrong.py"))[1][claim]
    assert verdict.status == Status.FAIL, f"{verdict.observed}, expected {verdict.expected}"


@pytest.mark.parametrize(("experiment", "claim"), sorted(FORGED))
def test_the_claim_fails_on_forged_tables(experiment, claim, finished):
    rundir, _ = finished(experiment)
    tables = _tables(rundir)
    cls = load(experiment)
    check = getattr(cls(cls.Parameters()), claim)
    assert check(tables).status == Status.PASS
    FORGED[experiment, claim](tables)
    assert check(tables).status == Status.FAIL


def test_neighbours_that_disagree_are_named(finished):
    """The failing claim says who differs in what, from the packets."""
    verdict = finished(str(MUTANTS / "ospf_wrong.py"))[1]["adjacent"]
    assert "r1 and r2 differ in hello_interval_s: 10" in verdict.observed
