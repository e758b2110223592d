"""Scenarios are what their names say under any option, and say which options reach them."""

import pytest
from click.testing import CliRunner

from testbed.author import experiment_folder
from testbed.author.experiment import experiment_files, load, load_file
from testbed.author.scenarios import notes, table
from testbed.cli.main import cli
from testbed.core.errors import ConfigError
from testbed.core.parameters import build, parameters_of
from testbed.core.project import PROJECT

ROOTS = experiment_files()
SEVERAL = [n for n in ROOTS if len(load(n)(load(n).Parameters()).scenarios()) > 1]


def pinned(name):
    return experiment_folder.about(ROOTS[name]).pinned


def other_values(parameter):
    """Values that a user may give instead of the default."""
    spec, default = parameter.spec, parameter.default
    if spec.choices:
        return [(c,) if parameter.is_tuple else c for c in spec.choices]
    if parameter.element_type is bool:
        return [True, False]
    if parameter.element_type is str or parameter.is_tuple:
        return []
    values = [spec.low, spec.high, 2 * default, 20, 200]
    return [v for v in values if v is not None and allowed(parameter, v)]


def allowed(parameter, value):
    try:
        parameter.parse(value)
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize("name", SEVERAL)
def test_every_scenario_says_what_it_pins(name):
    assert set(pinned(name)) == set(load(name)(load(name).Parameters()).scenarios())


@pytest.mark.parametrize("name", SEVERAL)
def test_pinned_values_hold_under_any_option(name):
    cls = load(name)
    known = {p.name: p for p in parameters_of(cls.Parameters)}
    for option in (p for p in known.values() if p.name != "faults"):  # they break it on purpose
        for value in other_values(option):
            scenarios = cls(build(cls.Parameters, {option.name: value})).scenarios()
            for scenario, values in pinned(name).items():
                for key, promised in values.items():
                    found = getattr(scenarios[scenario], key)
                    said = f"{scenario}: {key} with {option.option} {value}"
                    assert found == known[key].parse(promised), said


def scenarios_of(name, **given):
    cls = load(name)
    return cls(build(cls.Parameters, given)).scenarios()


def test_red_with_marks_does_not_reach_the_scenarios_of_other_disciplines():
    found = scenarios_of("congestion", qdisc="red", ecn=True)
    assert (found["fifo"].qdisc, found["fifo"].ecn) == ("fifo", False)
    assert (found["fq_codel"].qdisc, found["fq_codel"].ecn) == ("fq_codel", False)
    assert (found["reno"].qdisc, found["reno"].ecn) == ("red", True)


def test_an_outage_is_the_scenario_outages_and_long_enough():
    found = scenarios_of("congestion", outage_at_s=25)
    assert found["outage"].outage_at_s == found["competing"].outage_at_s == 25
    assert {s.outage_at_s for n, s in found.items() if n not in ("outage", "competing")} == {0}
    assert found["outage"].duration_s >= 25 + found["outage"].outage_s
    short = scenarios_of("congestion", duration_s=10)["outage"]
    assert short.duration_s > short.outage_at_s + short.outage_s


def test_a_longer_run_lengthens_every_scenario():
    usual, longer = scenarios_of("congestion"), scenarios_of("congestion", duration_s=200)
    assert all(longer[name].duration_s > usual[name].duration_s for name in usual)


@pytest.mark.parametrize("name", ["rip", "ospf"])
def test_a_graph_of_ones_own_has_a_scenario_of_its_own(name):
    assert "own" not in scenarios_of(name)
    found = scenarios_of(name, topology="ring", size=6, fail="r2-eth1")
    assert (found["own"].topology, found["own"].fail) == ("ring", "r2-eth1")


def noted(cls, given, chosen):
    return notes(cls, build(cls.Parameters, given), given, chosen)


def test_an_option_says_which_scenarios_obey():
    cls = load("congestion")
    chosen = ["competing", "fifo", "fq_codel", "ecn"]
    assert noted(cls, {"qdisc": "red"}, chosen) == [
        "--qdisc red: used by competing; scenarios with their own value: "
        "fifo (fifo); fq_codel, ecn (fq_codel)"
    ]
    assert noted(cls, {"rate-mbps": "20"}, ["reno", "loss-1"]) == [
        "--rate-mbps 20 Mbit/s: used by reno; scenarios with their own value: loss-1 (50 Mbit/s)"
    ]
    assert noted(cls, {"rate_mbps": 20}, ["reno"]) == []
    assert noted(cls, {"duration_s": 200}, ["reno", "fair"]) == []
    assert noted(cls, {"cc": "bbr"}, ["reno"]) == [
        "--cc bbr: used by no scenario; scenarios with their own value: reno (reno)"
    ]


def test_an_option_that_makes_the_scenarios_is_used_by_all():
    cls = load_file(PROJECT / "docs/examples/outage.py")
    chosen = cls(cls.Parameters(outages_s=(0.2, 1.0))).scenarios()
    assert "1s" in cls(cls.Parameters()).scenarios() and list(chosen) == ["0.2s", "1s"]
    assert noted(cls, {"outages_s": "0.2,1"}, chosen) == []


def test_a_scenarios_own_values_are_described():
    found = table(load("congestion"))
    assert found["competing"] == ""
    assert "qdisc fq_codel, ecn yes" in found["ecn"]
    said = CliRunner().invoke(cli, ["describe", "sdn_flood"], env={"COLUMNS": "200"}).output
    assert "undefended  defend no" in " ".join(said.split("\n"))
