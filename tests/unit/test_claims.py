import ast
import math

import numpy as np
import pandas as pd
import pytest

from testbed.core.claims import (
    Evidence,
    MissingDataError,
    Status,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    claims_of,
    first,
    inconclusive,
    last,
    near,
    presuming,
    same,
)
from testbed.core.project import PROJECT
from testbed.core.tables import Tables


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (near(9.5, 9.56, rel=0.02), Status.PASS),
        (near(9.0, 9.56, rel=0.02), Status.FAIL),
        (near(10.4, 10.0, abs=0.5), Status.PASS),
        (near(math.nan, 1.0, abs=1.0), Status.INCONCLUSIVE),
        (near(None, 1.0, abs=1.0), Status.INCONCLUSIVE),
        (near(1.0, math.nan, rel=0.1), Status.INCONCLUSIVE),
        (at_least(1.0, math.nan), Status.INCONCLUSIVE),
        (at_most(1.0, math.nan, unit="ms"), Status.INCONCLUSIVE),
        (between(1.0, 0.0, math.nan), Status.INCONCLUSIVE),
        (at_least(3, 3), Status.PASS),
        (at_least(2.9, 3), Status.FAIL),
        (at_most(3.1, 3), Status.FAIL),
        (between(5, 1, 4), Status.FAIL),
        (between(4, 1, 4), Status.PASS),
    ],
)
def test_numbers_are_judged_and_gaps_are_not(verdict, status):
    assert verdict.status == status


def test_one_failure_fails_all_and_one_gap_leaves_it_open():
    good, bad, gap = at_least(2, 1), at_least(0, 1), inconclusive("nothing seen")
    assert all_of(good, good).status == Status.PASS
    assert all_of(good, gap).status == Status.INCONCLUSIVE
    assert all_of(gap, bad, good).status == Status.FAIL
    assert all_of().status == Status.INCONCLUSIVE


def test_an_unmet_premise_leaves_a_claim_open():
    met, unmet = (at_least(n, 3, unit="datagrams lost") for n in (5, 2))
    good, bad = at_least(2, 1), at_least(0, 1)
    assert presuming(met, good).status == Status.PASS
    assert presuming(met, bad).status == Status.FAIL
    for said in (good, bad):
        open_ = presuming(unmet, said)
        assert (open_.status, open_.observed) == (Status.INCONCLUSIVE, "2 datagrams lost")
    assert presuming(inconclusive("nothing seen"), bad).observed == "nothing seen"
    assert presuming(all_of(met, unmet), bad).status == Status.INCONCLUSIVE


def test_what_was_observed_stays_next_to_what_was_expected():
    parts = [near(n, n, abs=0, unit=unit) for n, unit in ((4, "acks"), (1, "syn"), (4, "acks"))]
    verdict = all_of(*parts)
    assert (verdict.observed, verdict.expected) == ("4 acks; 1 syn", "4 acks; 1 syn")
    gaps = all_of(*(near(g, w, abs=1, unit="s") for g, w in ((1, 1), (1, 2), (2, 2))))
    assert (gaps.observed, gaps.expected) == ("1 s; 1 s; 2 s", "1 s; 2 s; 2 s")
    many = all_of(*(at_most(n, 0, unit="resets") for n in range(1, 9)))
    assert many.expected == "0 resets"
    assert many.observed == "; ".join(
        ["1 reset", *(f"{n} resets" for n in range(2, 7)), "… (2 more)"]
    )
    assert len(many.cases) == 8


def test_rows_that_are_missing_are_named():
    rows = pd.DataFrame({"x": [1, 2]})
    assert (first(rows, "row")["x"], last(rows, "row")["x"]) == (1, 2)
    with pytest.raises(MissingDataError, match="no SYN in step 'open'"):
        first(rows.head(0), "SYN in step 'open'")


def test_a_failing_case_is_what_the_verdict_shows():
    verdict = all_of(near(1.0, 1.0, abs=0.1), near(5.0, 1.0, abs=0.1))
    assert verdict.observed == "5"


def test_a_claim_about_contents_bears_any_stall_and_one_about_time_says_what():
    class Two:
        @claim("Contents.", source="RFC 1")
        def contents(self, tables):
            return at_least(1, 1)

        @claim("Time.", source="RFC 1", bears_stall_s=0.1)
        def time(self, tables):
            return at_least(1, 1)

    assert [c.bears_stall_s for c in claims_of(Two)] == [math.inf, 0.1]


PACKETS = pd.DataFrame(
    {"scenario": ["main"] * 3, "capture": ["a", "b", "a"], "frame": [1, 2, 5], "x": [0.12345] * 3}
)


def test_packets_are_evidence_by_their_numbers():
    shown = at_least(1, 1).because("seen", PACKETS).evidence
    assert shown == (
        Evidence("seen", "main", "a", frames=(1, 5)),
        Evidence("seen", "main", "b", frames=(2,)),
    )
    (one,) = at_least(1, 1).because("seen", [7, 9], scenario="main", capture="a").evidence
    assert (one.frames, one.rows) == ((7, 9), ())
    (table,) = at_least(1, 1).because("seen", PACKETS, scenario="s", capture="c").evidence
    assert (table.scenario, table.capture, table.frames) == ("s", "c", (1, 2, 5))


def test_rows_are_evidence_as_they_are():
    (one,) = at_least(1, 1).because("sizes", PACKETS[["x"]], scenario="main").evidence
    assert (one.scenario, one.frames, one.rows[0]) == ("main", (), {"x": 0.1234})
    (scenarios_rows,) = at_least(1, 1).because("all", PACKETS, scenario="main").evidence
    assert scenarios_rows.rows[2]["frame"] == 5
    both = at_least(1, 1).because("one", PACKETS[["x"]]).because("two", PACKETS[["x"]])
    assert [e.what for e in both.evidence] == ["one", "two"]


def test_a_row_is_the_first_of_those_asked_for():
    tables = Tables(flows=pd.DataFrame({"scenario": ["reno", "bbr"], "x": [1, 2]}))
    assert tables.row("flows", scenario="bbr")["x"] == 2
    assert tables.scenarios == ["reno", "bbr"]
    with pytest.raises(MissingDataError, match="scenario=cubic"):
        tables.row("flows", scenario="cubic")


def test_tables_without_rows_are_missing_data():
    tables = Tables(flows=pd.DataFrame({"scenario": ["reno"], "x": [1]}))
    assert tables.of("flows", scenario="reno")["x"].iloc[0] == 1
    with pytest.raises(MissingDataError, match="scenario=bbr"):
        tables.of("flows", scenario="bbr")
    with pytest.raises(MissingDataError, match="no table 'queue'"):
        tables.of("queue")


def test_claims_are_found_in_the_order_of_the_file():
    class Two:
        @claim("First.", source="RFC 1")
        def z_first(self, tables):
            return at_least(1, 1)

        @claim("Second.", source="RFC 2", scenarios=("main",))
        def a_second(self, tables):
            return at_least(1, 1)

    assert [c.name for c in claims_of(Two)] == ["z_first", "a_second"]
    assert claims_of(Two)[1].scenarios == ("main",)


@pytest.mark.parametrize(
    ("observed", "expected", "words"),
    [
        (["n1", "n2"], ["n1", "n2"], "asked: n1, n2"),
        ({2, 1}, {1, 2}, "asked: 1, 2"),
        ([], ["n1"], "asked: none"),
        ({"cold": 3}, {"cold": 3}, "asked: cold 3"),
    ],
)
def test_same_tells_what_it_compared(observed, expected, words):
    verdict = same(observed, expected, "asked")
    assert verdict.status == ("PASS" if observed == expected else "FAIL")
    assert verdict.observed == words


def test_counts_are_told_in_full_and_measurements_by_four_digits():
    assert near(65536, 65536, abs=0, unit="answers").observed == "65536 answers"
    assert near(0.123456, 0.1, abs=1, unit="s").observed == "0.1235 s"


def test_numbers_beside_each_other_say_what_they_are():
    found = all_of(
        near(3, 3, abs=1, unit="pings", what="2 s"),
        at_most(None, 5, unit="ms", what="wait"),
        between(9, 1, 2, what="ratio"),
    )
    assert (found.observed, found.expected) == ("ratio: 9", "ratio: 1 to 2")
    assert at_most(None, 5, unit="ms", what="wait").observed == "wait: no measurement"
    both = all_of(near(3, 3, abs=1, unit="pings", what="2 s"), at_least(5, 4, what="hops"))
    assert both.observed == "2 s: 3 pings; hops: 5"


JUDGES = {"near", "at_least", "at_most", "between"}


def bare_numbers(text):
    """Lines that judge a number and say neither its unit nor what it is."""
    for node in ast.walk(ast.parse(text)):
        judges = isinstance(node, ast.Call) and getattr(node.func, "id", "") in JUDGES
        if judges and not {"unit", "what"} & {k.arg for k in node.keywords}:
            yield node.lineno


@pytest.mark.parametrize(
    "path",
    [*(PROJECT / "experiments").rglob("*.py"), *(PROJECT / "docs/examples").glob("*.py")],
    ids=lambda p: p.stem,
)
def test_every_number_of_a_claim_says_what_it_is(path):
    assert not list(bare_numbers(path.read_text(encoding="utf-8")))


def test_a_bare_number_is_found():
    assert list(bare_numbers("near(1, 2, abs=1, unit='s')\nat_most(3, 4)")) == [2]


@pytest.mark.parametrize(
    ("unit", "told"),
    [
        ("segments per RTT", "1 segment per RTT"),
        ("entries", "1 entry"),
        ("addresses", "1 address"),
        ("matches of r1", "1 match of r1"),
        ("lies", "1 lie"),
        ("ms", "1 ms"),
        ("loss", "1 loss"),
        ("Mbit/s", "1 Mbit/s"),
        ("Jain's index", "1 Jain's index"),
        ("old segments", "1 old segment"),
        ("resets to the third", "1 reset to the third"),
        ("retries", "1 retry"),
        ("of the streams read wrongly", "1 of the streams read wrongly"),
        ("repetitions; losses", "1 repetition; losses"),
        ("series", "1 series"),
        ("boxes", "1 boxes"),
        ("", "1"),
    ],
)
def test_one_of_something_is_told_in_the_singular(unit, told):
    assert near(1.0, 1, abs=0, unit=unit).observed == told
    assert near(2, 2, abs=0, unit=unit).observed == f"2 {unit}".strip()


@pytest.mark.parametrize(
    ("limit", "shown"),
    [(0, "0 errors"), (3, "≤ 3 errors"), (0.0, "≤ 0 errors"), (np.float64(2.5), "≤ 2.5 errors")],
)
def test_a_limit_of_no_occurrences_reads_as_none(limit, shown):
    assert at_most(0, limit, unit="errors").expected == shown
