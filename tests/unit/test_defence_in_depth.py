"""The table of attacks and defences, and the book's page that gathers it from runs."""

import re
from types import SimpleNamespace

import pandas as pd
import pytest

from analysis.plots import defences as plots
from testbed.author import experiment
from testbed.author.defences import NO_DEFENCE, AttackExperiment, Defence, Layer, Outcome
from testbed.book import defence_in_depth, pages, words
from testbed.book.defence_in_depth import together
from testbed.core.claims import MissingDataError, claim, holds
from testbed.core.errors import ConfigError
from testbed.core.rundir import REPORT, VERDICTS, RunDir, write_json
from testbed.core.tables import Tables
from testbed.programs import defences as programs
from testbed.results import defended

ALL = {
    name: cls
    for name in experiment.experiment_files()
    if issubclass(cls := experiment.load(name), AttackExperiment)
}


class Castle(AttackExperiment):
    """A castle."""

    attacks = {"ladder": "ladders at the wall", "ruse": "a horse of wood"}  # noqa: RUF012
    defences = {  # noqa: RUF012
        NO_DEFENCE: Defence("no defence", None, "walls_hold"),
        "wall": Defence("a wall", Layer.NETWORK, "walls_hold"),
        "guard": Defence("a guard", Layer.HOST, "guards_look"),
        "moat": Defence("a moat", Layer.NETWORK, "guards_look"),
    }

    @claim("Walls hold.", source="-", scenarios=("siege",))
    def walls_hold(self, tables):
        """Never judged here."""
        return holds(True, observed="", expected="")

    @claim("Guards <look>.", source="-")
    def guards_look(self, tables):
        """The same."""
        return holds(True, observed="", expected="")

    def outcome(self, tables, attack, defence):
        """What the table `seen` says."""
        if defence == "moat":
            return None
        if defence == "guard" and attack == "ruse":
            raise MissingDataError("the guard slept")
        rows = tables.of("seen", attack=attack)
        return Outcome.of(bool(rows.iloc[0][defence]), harder=defence == "wall")


def seen(**works):
    rows = [{"attack": "ladder", **works}, {"attack": "ruse", **works}]
    return Tables(seen=pd.DataFrame(rows).assign(scenario="siege"))


# ---- the table


def test_each_pair_that_was_tried_has_a_row_and_missing_data_are_named():
    table = defended.table(Castle(None), seen(none=True, wall=True, guard=False))
    assert list(table["scenario"].unique()) == ["siege"]
    assert {(r.attack, r.defence): r.outcome for r in table.itertuples()} == {
        ("ladder", "none"): "works",
        ("ladder", "wall"): "hindered",
        ("ladder", "guard"): "stopped",
        ("ruse", "none"): "works",
        ("ruse", "wall"): "hindered",
        ("ruse", "guard"): "no data",
    }


def test_an_experiment_without_attacks_has_no_such_table():
    assert defended.tables(experiment.load("icmp")(None), seen()) == {}


def test_a_mistake_in_outcome_names_the_pair():
    with pytest.raises(ConfigError, match=r"outcome of 'ladder' against 'none'.*KeyError"):
        defended.table(Castle(None), seen(wall=True))


def test_the_figure_has_every_word_and_a_dash_for_the_others():
    table = defended.table(Castle(None), seen(none=True, wall=True, guard=False))
    figure = plots.table(table[:-1], ["guard", "moat", "wall", "none"])
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said == ["stopped", "hindered", "works", "–", "hindered", "works"]


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([], Outcome.MISSING),
        ([Outcome.MISSING], Outcome.MISSING),
        ([Outcome.STOPPED, Outcome.STOPPED], Outcome.STOPPED),
        ([Outcome.STOPPED, Outcome.MISSING], Outcome.MISSING),
        ([Outcome.STOPPED, Outcome.WORKS], Outcome.HINDERED),
        ([Outcome.WORKS, Outcome.WORKS], Outcome.WORKS),
    ],
)
def test_several_outcomes_together(parts, whole):
    assert together(parts) is whole


# ---- the project's own


@pytest.mark.parametrize("name", ALL)
def test_each_defence_has_a_claim_and_a_layer(name):
    cls = ALL[name]
    known = {claim.name for claim in cls.claims()}
    assert {one.claim for one in cls.defences.values()} <= known
    assert [name for name, one in cls.defences.items() if one.layer is None] == [NO_DEFENCE]


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("csrf", programs.BANK),
        ("session_theft", programs.MEMBERS),
        ("sql_injection", programs.SHOP),
        ("xss", programs.BOARD),
    ],
)
def test_an_experiment_has_the_defences_of_its_program(name, program):
    assert list(ALL[name].defences) == list(program)


def test_the_attacks_of_the_course_are_there():
    """One that is missing lost its base class; new ones need no edit here."""
    wanted = {"arp", "csrf", "ddos", "dns_spoofing", "session_theft", "sql_injection"}
    assert ALL.keys() >= wanted | {"syn_flood", "xss"}


# ---- the page


@pytest.fixture
def castle(tmp_path, monkeypatch):
    """The page of one experiment; returns what makes its run."""
    monkeypatch.setattr(experiment, "experiment_files", lambda: {"castle": tmp_path})
    monkeypatch.setattr(experiment, "load", lambda _: Castle)
    monkeypatch.setattr(pages, "handout", lambda *_: SimpleNamespace(title="Castles"))
    found = []
    monkeypatch.setattr(defence_in_depth, "latest", lambda _: found[0] if found else None)

    def run(table=None, status="PASS", report=True):
        path = tmp_path / "castle-20260101-000000"
        (path / "tables").mkdir(parents=True)
        if table is not None:
            table.to_parquet(path / "tables" / "defences.parquet")
        rows = [{"claim": c.name, "status": status} for c in Castle.claims()]
        write_json(path / VERDICTS, rows)
        if report:
            (path / REPORT).write_text("report")
        found.append(RunDir(path))

    return run


def page(language="en"):
    return defence_in_depth.page(words.words(language))


def cells(text):
    """Attack → its row of outcomes, in words."""
    found = re.findall(r"<tr><th scope='row'>([^<]+)</th>(.*?)</tr>", text, re.S)
    return {head: re.sub(r"<[^>]+>", " ", row).split() for head, row in found}


def test_the_page_shows_what_the_run_says(castle):
    table = defended.table(Castle(None), seen(none=True, wall=True, guard=False))
    castle(table)
    text = page()
    assert cells(text) == {
        "ladders at the wall": ["✗", "works", "◐", "hindered", "✓", "stopped"],
        "a horse of wood": ["✗", "works", "◐", "hindered", "?", "no", "data"],
    }
    assert "6 pairs from the runs of 1 of 1 experiments. Of 2 single defences, 0 stop" in text
    assert "href='reports/castle.html#walls_hold'>◐ a wall <small>0/2</small></a>" in text
    assert "a moat" not in re.sub(r"(?s)<table class='depth'.*?</table>", "", text)
    assert "title='Guards &lt;look&gt;.'" in text


def test_another_run_makes_another_page(castle):
    castle(defended.table(Castle(None), seen(none=True, wall=False, guard=True)))
    assert cells(page())["ladders at the wall"] == ["✗", "works", "✓", "stopped", "✗", "works"]


def test_a_claim_that_does_not_hold_is_marked(castle):
    table = defended.table(Castle(None), seen(none=True, wall=True, guard=False))
    castle(table, status="FAIL")
    assert "a wall <small>0/2</small> <b>FAIL</b></a>" in page()


def test_without_a_report_nothing_is_linked(castle):
    castle(defended.table(Castle(None), seen(none=True, wall=True, guard=False)), report=False)
    assert "reports/castle" not in page()


def test_without_a_run_the_page_says_how_to_make_one(castle):
    assert page().count("not run here yet: <code>make exp-castle</code>") == 2


def test_a_run_without_the_table_is_to_be_replayed(castle):
    castle()
    text = "does not have this table: <code>testbed replay castle-20260101-000000</code>"
    assert text in page()


def test_the_page_in_chinese_leads_to_the_same_reports(castle):
    castle(defended.table(Castle(None), seen(none=True, wall=True, guard=False)))
    text = page("zh")
    assert "# 纵深防御\n" in text and "被挡住" in text
    assert "href='../../experiments/reports/castle.html#walls_hold'" in text
