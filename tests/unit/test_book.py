"""The book: its order, the runs it shows, and its Chinese."""

import inspect
import json
import re

import pytest

from testbed.author import experiment, experiment_folder, named_topologies
from testbed.author.experiment import load
from testbed.book import chapters, defence_in_depth, docstrings, pages, phrases, runs, titles, words
from testbed.core import language
from testbed.core.errors import ParseError
from testbed.core.parameters import parameters_of

# ---- order


def test_every_experiment_has_its_place():
    placed = {name for chapter in chapters.read() for name in chapter.experiments}
    assert placed == set(experiment.experiment_files())


def test_an_experiment_that_names_no_section_stands_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment_folder, "about", lambda _: experiment_folder.About())
    plan(tmp_path, monkeypatch, '[[chapter]]\ntitle = "A"\nsection = [{title = "B"}]\n')
    first, last = chapters.read()
    assert first.experiments == []
    assert last.title == chapters.FURTHER and "icmp" in last.experiments


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[chapter]]\ntitle =", "text"),
        ('[[chapter]]\nsection = [{title = "B"}]\n', "title: is missing"),
        (
            '[[chapter]]\ntitle = "A"\nsection = [{title = "Addresses"}]\n',
            "addressing/experiment.toml: sections: no 'Addresses, subnets, .*' in book.toml",
        ),
    ],
)
def test_a_wrong_plan_is_refused(tmp_path, monkeypatch, text, told):
    plan(tmp_path, monkeypatch, text)
    with pytest.raises(ParseError, match=told):
        chapters.read()


def plan(folder, monkeypatch, text):
    (folder / "book.toml").write_text(text)
    monkeypatch.setattr(chapters, "PLAN", folder / "book.toml")


def test_sections_to_come_are_listed_as_such(tmp_path, monkeypatch):
    section = '{ number = "9.9", title = "Something new" }'
    later = f'\n[[chapter]]\nnumber = "9.9"\ntitle = "Later"\nsection = [{section}]\n'
    plan(tmp_path, monkeypatch, chapters.PLAN.read_text() + later)
    text = pages.contents(words.words("en"))
    assert "9.9 Something new: *still to come*" in text
    assert "[ICMP](icmp.md)" in text


# ---- runs


def run_of(folder, name="arp", stamp="20260101-000000", **changed):
    """A run directory, as far as choosing one looks at it."""
    cls = experiment.load(name)
    scenarios = list(cls(cls.Parameters()).scenarios())
    meta = {
        "format": 1,
        "experiment": name,
        "status": "complete",
        "scenarios": scenarios,
        "parameters": {"delay_ms": 1.0, "faults": ["none"]},
        "runtime": "guest",
        "clock": "virtual",
        "seed": 1,
        **changed,
    }
    path = folder / f"{name}-{stamp}"
    for scenario in scenarios:
        (path / "scenarios" / scenario).mkdir(parents=True)
        folder = path / "scenarios" / scenario
        file = experiment_folder.copy(experiment.experiment_files()[name], name, folder)
        (folder / "scenario.json").write_text(json.dumps({"file": file}))
    (path / "run.json").write_text(json.dumps(meta))
    (path / "verdicts.json").write_text("[]")
    return path


def test_the_newest_complete_run_is_shown(tmp_path):
    run_of(tmp_path, stamp="20260101-000000")
    run_of(tmp_path, stamp="20260103-000000", status="incomplete")
    newest = run_of(tmp_path, stamp="20260102-000000")
    assert runs.latest("arp", tmp_path).path == newest


@pytest.mark.parametrize(
    "changed",
    [
        {"parameters": {"faults": ["mute"]}},
        {"scenarios": ["other"]},
        {"status": "incomplete"},
        {"experiment": "icmp"},
        {"format": 99},
    ],
)
def test_a_run_that_shows_something_else_is_not(tmp_path, changed):
    run_of(tmp_path, **changed)
    assert runs.latest("arp", tmp_path) is None


def test_a_run_of_an_older_file_is_outdated(tmp_path):
    path = run_of(tmp_path)
    assert "arp" not in runs.outdated(tmp_path)
    assert "icmp" in runs.outdated(tmp_path)
    copy = next(path.glob("scenarios/*/experiment/arp"))
    (copy / "handout.md").write_text("a text does not change a run\n")
    assert "arp" not in runs.outdated(tmp_path)
    (copy / "experiment.py").write_text("# of yesterday\n")
    assert "arp" in runs.outdated(tmp_path)


# ---- Chinese


def test_the_english_is_itself_and_a_missing_translation_too(tmp_path, monkeypatch):
    catalogue(tmp_path, monkeypatch, 'msgid "one"\nmsgstr "一"\n\nmsgid "two"\nmsgstr ""\n')
    chinese = words.words("zh")
    assert [chinese(text) for text in ("one", "two", "three")] == ["一", "two", "three"]
    assert chinese("two") == "two"
    assert chinese.missing == ["two", "three"]
    assert words.words("en")("one") == "one"


def catalogue(folder, monkeypatch, text):
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
    (folder / "messages.po").write_text(head + text)
    monkeypatch.setattr(words, "CATALOGUE", folder / "messages.po")


def test_a_changed_sentence_loses_its_translation_and_keeps_the_old_one_at_hand(
    tmp_path, monkeypatch
):
    catalogue(tmp_path, monkeypatch, 'msgid "an older sentence"\nmsgstr "旧句"\n')
    monkeypatch.setattr(
        words, "messages", lambda: {words.CATALOGUE: [("a newer sentence", "x.py")]}
    )
    text = words.fresh_catalogues()[words.CATALOGUE]
    assert 'msgid "a newer sentence"\nmsgstr ""' in text
    assert '#~ msgid "an older sentence"\n#~ msgstr "旧句"' in text
    words.CATALOGUE.write_text(text)
    assert words.fresh_catalogues()[words.CATALOGUE] == text


def test_every_text_of_the_book_is_in_the_catalogue():
    """`python -m testbed.docs` puts new ones there, to be translated; they show in English."""
    for path, texts in words.messages().items():
        listed = {str(message.id) for message in words.read_catalogue(path)}
        assert {text for text, _ in texts} <= listed, path


def test_the_pages_ask_for_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTBED_RUNS", str(tmp_path))
    run_of(tmp_path)
    known = {text for texts in words.messages().values() for text, _ in texts}
    chinese = language.Words("zh")
    for name in experiment.experiment_files():
        pages.page(name, chinese)
    pages.contents(chinese)
    defence_in_depth.page(chinese)
    assert set(chinese.missing) <= known


def test_a_translation_has_the_numbers_and_names_of_its_original():
    """What both languages write alike: numbers, addresses, names of messages, code."""
    found = words.all_translations()
    assert {en: left for en, zh in found.items() if (left := left_out(en, zh))} == {}


def left_out(english, chinese):
    """Words of the English that the Chinese lacks; an ACK may be 确认, and has no plural."""
    alike = re.findall(r"`[^`]+`|\d+(?:\.\d+)*|\b[A-Z][A-Z0-9-]+[A-Z0-9](?=s?\b)", english)
    there = chinese.replace("确认", "确认 ACK")
    return [w for w in alike if w not in there]


def test_a_wrong_translation_is_found():
    assert left_out("ACKs take 180 s, see `faults`.", "要 18 s") == ["ACK", "180", "`faults`"]
    assert left_out("Every 30 s, by UDP.", "每 30 s 用 UDP 一次") == []


def test_chinese_lines_are_joined_without_a_space_and_english_ones_stay():
    assert words.joined("数据包、\n相同的图\nReno\n和") == "数据包、相同的图\nReno\n和"
    assert words.joined("one\ntwo\n") == "one\ntwo\n"


def test_a_handout_that_begins_with_code_keeps_its_indentation():
    assert pages.handout("arp", "en").start.startswith("    make exp-arp")
    assert pages.handout("arp", "zh").start.startswith("    make exp-arp")


def test_labels_are_all_there():
    assert phrases.BOOK in phrases.LABELS and len(set(phrases.LABELS)) == len(phrases.LABELS)


def test_a_chinese_line_that_ends_at_a_mark_gets_no_space():
    assert words.joined("与用户无关。\n  指纹") == "与用户无关。指纹"
    assert words.joined("FAIL 或 INCONCLUSIVE\n  （无法判断），\nReno") == (
        "FAIL 或 INCONCLUSIVE（无法判断），Reno"
    )
    for kept in (
        "命令：\n\n    make",
        "一。\n- 二",
        "一。\n1. 二",
        "一：\n```text\n二\n```",
        "一。\n## 二",
    ):
        assert words.joined(kept) == kept


TOPOLOGY = """Two routers.

::

    h1 ── r<i>

      x

====  =========
node  towards
====  =========
r<i>  ``r1`` and
      so on
====  =========

| link | IPv4 |
| --- | --- |
| a | b |
"""


def test_a_topologys_text_becomes_a_drawing_and_tables():
    assert docstrings.markdown(TOPOLOGY.strip()).split("\n\n") == [
        "Two routers.",
        "```text\nh1 ── r<i>",
        "  x\n```",
        "| node | towards |\n| --- | --- |\n| r&lt;i> | `r1` and so on |",
        "| link | IPv4 |\n| --- | --- |\n| a | b |",
    ]


@pytest.mark.parametrize("name", named_topologies.topology_files())
def test_no_topologys_page_shows_markup(name):
    text = docstrings.markdown(inspect.getdoc(named_topologies.topology_class(name)))
    code = re.findall(r"```text\n.*?```", text, re.S)
    assert code and not any(mark in part for part in code for mark in ("====", "| ---", "``h"))
    assert "====" not in text and "::\n" not in text


def test_limits_are_told_in_the_readers_language():
    chinese = words.words("zh")
    told = [p.allowed_in(chinese) for p in parameters_of(load("congestion").Parameters)]
    assert "0.1 到 1000 Mbit/s" in told and "yes 或 no" in told and not chinese.missing


def test_every_page_has_a_title_in_chinese():
    chinese = words.words("zh")
    assert [title for title, _ in titles.texts() if chinese(title) == title] == []
    assert titles.title("labs/rip.md") and titles.title("gone.md") == ""
