"""Statistics over seeds, and the verdict over repetitions."""

import json
import math

import numpy as np
import pytest

from analysis.statistics import (
    binomial_z,
    kolmogorov_critical,
    kolmogorov_distance,
    mean_interval,
    t_975,
)
from testbed.author.experiment import load
from testbed.core.claims import Status
from testbed.core.rundir import RunDir
from testbed.results.repetition import Repetition, claims_over, status_over, summarise
from testbed.results.report import mean_text

P, F, U = Status.PASS, Status.FAIL, Status.INCONCLUSIVE


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.706), (9, 2.262), (11, 2.2010), (29, 2.0452), (1000, 1.9623)]
)
def test_students_quantiles_are_those_of_the_tables(freedom, quantile):
    assert t_975(freedom) == pytest.approx(quantile, rel=2e-4)


def test_the_interval_covers_the_mean_as_often_as_it_says():
    chance = np.random.default_rng(1)
    hits = 0
    for values in chance.normal(5.0, 2.0, (2000, 6)):
        interval = mean_interval(values)
        hits += abs(interval.mean - 5.0) <= interval.half
    assert abs(hits / 2000 - 0.95) < 0.02
    assert math.isnan(mean_interval([1.0]).half)
    assert mean_interval([]).count == 0


def test_chance_is_told_from_a_wrong_setting():
    chance = np.random.default_rng(2)
    assert abs(binomial_z(int(chance.binomial(10_000, 0.01)), 10_000, 0.01)) < 4
    assert abs(binomial_z(200, 10_000, 0.01)) > 4
    uniform = chance.uniform(0, 1, 2000)
    assert kolmogorov_distance(uniform, lambda x: min(1, max(0, x))) < kolmogorov_critical(2000)
    assert kolmogorov_distance(uniform**1.2, lambda x: min(1, max(0, x))) > kolmogorov_critical(
        2000
    )


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ([P, P, P], P),
        ([P, P, F], U),
        ([P, F], F),
        ([F, F, P], F),
        ([F, U, U], U),
        ([F, F, U], F),
        ([P, P, U], U),
        ([P, U], U),
        ([U, U], U),
        ([], U),
    ],
)
def test_the_verdict_over_repetitions(statuses, verdict):
    assert status_over(statuses) is verdict


@pytest.fixture
def repetition(tmp_path) -> Repetition:
    claim = load("congestion").claims()[0].name
    for seed, (status, value) in enumerate([("PASS", 9.4), ("PASS", 9.6), ("FAIL", 8.0)], 1):
        run = RunDir(tmp_path / f"seed-{seed}")
        run.path.mkdir()
        parameters = {"rate_mbps": 12.5}
        run.write_meta(
            {
                "experiment": "congestion",
                "status": "complete",
                "reason": "",
                "seed": seed,
                "parameters": parameters,
                "scenarios": {},
                "runtime": "guest",
                "clock": "virtual",
                "testbed": "0.1.0",
                "kernel": {"version": "7.1.2"},
                "tools": {"iperf3": "3.12"},
            }
        )
        verdict = {
            "claim": claim,
            "status": status,
            "value": value,
            "unit": "Mbit/s",
            "observed": f"{value}",
            "expected": "9.5 Mbit/s",
            "tolerance": "±2 %",
        }
        (run.path / "verdicts.json").write_text(json.dumps([verdict]))
    failed = RunDir(tmp_path / "seed-10")
    failed.path.mkdir()
    failed.write_meta(
        {
            "experiment": "congestion",
            "status": "incomplete",
            "reason": "time limit",
            "seed": 10,
            "parameters": {},
            "scenarios": {},
        }
    )
    return Repetition.open(tmp_path)


def test_a_claims_numbers_are_averaged_and_its_verdicts_counted(repetition):
    (row,) = claims_over(repetition, load("congestion"))
    assert row["mean"] == pytest.approx(9.0)
    assert row["half_95"] == pytest.approx(4.3027 * np.std([9.4, 9.6, 8.0], ddof=1) / 3**0.5)
    assert row["counts"] == {"PASS": 2, "FAIL": 1}
    assert row["status"] == "INCONCLUSIVE"
    assert mean_text(row) == "9 ± 2.2 Mbit/s"


def test_the_summary_names_runs_that_did_not_end_and_draws_the_rest(repetition):
    summarise(repetition)
    data = json.loads((repetition.path / "repetition.json").read_text())
    assert data["failed"] == {"10": "time limit"}
    assert data["seeds"] == [1, 2, 3]
    page = (repetition.path / "report.html").read_text()
    assert "seed 10 did not finish: time limit" in page
    assert "2 / 3" in page
    for made in ("<dt>rate_mbps</dt><dd>12.5 Mbit/s", "<dd>7.1.2</dd>", "<dt>iperf3</dt><dd>3.12"):
        assert made in page
    assert "testbed run congestion --rate-mbps 12.5 --seed 1 --repeat 3" in page
    assert (repetition.path / "plots" / "claims_by_seed.png").stat().st_size > 1000
    assert "<figcaption>What each claim measured with each seed" in page
