"""What stands below figures: of every experiment, in reports and in the book."""

import ast
import inspect
import re
import textwrap

import pytest

from testbed.author.experiment import Experiment, experiment_files, load
from testbed.book import pages, words
from testbed.core import language
from testbed.core.rundir import RunDir
from testbed.results import pictures, report

_NAME = re.compile(r"\d+_[A-Za-z]\S*")


def drawn(cls):
    """Names of figures in the code of `plot` and `plot_repeated`: as said there, or as begun."""
    methods = (vars(cls)[name] for name in ("plot", "plot_repeated") if name in vars(cls))
    return {name for method in methods for name in _names(method)}


def _names(function):
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if _NAME.fullmatch(node.value):
                yield node.value
        elif isinstance(node, ast.Name):  # a table of figures
            table = function.__globals__.get(node.id)
            yield from filter(_NAME.fullmatch, table if isinstance(table, dict) else ())
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Call):
            called = node.value.func  # all that is drawn, by one function of analysis.plots
            if isinstance(called, ast.Attribute) and ast.unparse(called.value) == "plots":
                yield from _names(getattr(function.__globals__["plots"], called.attr))


@pytest.mark.parametrize("name", experiment_files())
def test_every_figure_has_its_sentence_and_every_sentence_its_figure(name):
    cls = load(name)
    told, figures = set(cls.captions()) - set(Experiment.captions()), drawn(cls)
    assert figures
    assert {f for f in figures if not f.startswith(tuple(told))} == set()
    assert {key for key in told if not any(f.startswith(key) for f in figures)} == set()
    assert all(sentence.endswith((".", "?")) for sentence in cls.captions().values())


class Own(Experiment):
    def plot(self, tables):
        """Draws.

        Figures:
            2_tables: Routes over
                time: look.
            2_tables_of_all: All "routes".
        """
        return {f"2_tables_{tables}": "<svg/>", "3_two_words": "<svg/>", "4_none": "<svg/>"}


class Loose(Experiment):
    def plot(self, tables):
        """Draws.

        Figures:
          1: One.

          2_b:
            Two, on a line of its own.

        No more.
        """


def test_a_sentence_may_stand_on_the_next_line_and_belongs_to_whole_words():
    assert Loose.caption("1") == ("", "One.")
    assert Loose.caption("2_b_x") == ("x", "Two, on a line of its own.")
    assert Loose.caption("10_x")[1] == Loose.caption("2_bx")[1] == ""


class Derived(Own):
    def plot(self, tables):
        return super().plot(tables)


def test_a_sentence_is_for_all_figures_whose_names_begin_so():
    for cls in (Own, Derived):
        assert cls.caption("2_tables") == ("", "Routes over time: look.")
        assert cls.caption("2_tables_campus") == ("campus", "Routes over time: look.")
        assert cls.caption("2_tables_of_all") == ("", 'All "routes".')
        assert cls.caption("3_two_words") == ("two words", "")
        assert cls.caption("claims_by_seed")[1]


def test_a_figure_without_a_sentence_is_found():
    assert drawn(Own) == {"2_tables_", "3_two_words", "4_none"}
    assert not any(name.startswith(tuple(Own.captions())) for name in drawn(Own) - {"2_tables_"})


def test_a_report_shows_the_sentence_or_the_name(tmp_path):
    for name in ("2_tables_campus", "3_two_words"):
        (tmp_path / f"{name}.svg").write_text("<svg/>")
    shown = [
        report._plot(Own, path, language.Words("en"))["caption"]
        for path in pictures.figure_files(tmp_path)
    ]
    assert shown == ["campus: Routes over time: look.", "two words"]


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "campus: The kernels&#x27; routes, coloured"), ("zh", "campus：各内核的路由")],
)
def test_the_book_shows_it_in_its_language(tmp_path, language, said):
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "2_tables_campus.png").write_bytes(b"")
    page = "".join(pages._figures("ospf", RunDir(tmp_path), words.words(language)))
    assert f"<figcaption>{said}" in page
