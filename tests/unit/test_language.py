"""The language of what people read at run time."""

import re

import polib
import pytest
from click.testing import CliRunner

from testbed import docs
from testbed.author.experiment import load, source_of
from testbed.author.experiment_folder import texts
from testbed.book import runtime_texts, words
from testbed.cli.grade import check_command
from testbed.cli.main import cli
from testbed.core import language
from testbed.core.errors import ExitCode
from testbed.grading import export, library, pages

LOCALES = ("LC_ALL", "LC_MESSAGES", "LANG", language.VARIABLE)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "de_DE.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "zh_TW"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", language.VARIABLE: "en"}, "en"),
        ({"LANG": "zh_CN.UTF-8", language.VARIABLE: "klingon"}, "zh"),
    ],
)
def test_the_users_choice_comes_before_the_systems(monkeypatch, variables, expected):
    for name in LOCALES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language.chosen() == expected


def test_an_unknown_language_is_refused(monkeypatch):
    monkeypatch.setenv(language.VARIABLE, "en")
    done = CliRunner().invoke(cli, ["run", "arp", "--lang", "fr"])
    assert done.exit_code == ExitCode.USAGE
    assert "'fr' is not one of 'en', 'zh'" in done.output


def test_an_experiment_speaks_chinese_and_falls_back_to_english(tmp_path):
    cls = load("arp")
    chinese = texts(source_of(cls), "zh")
    assert chinese(cls.title()) != cls.title()
    assert chinese("not in any catalogue") == "not in any catalogue"
    assert texts(source_of(cls), "en")(cls.title()) == cls.title()


@pytest.mark.parametrize("text", [b"msgid \xff", b'msgid "a"\nmsgstr "b', b"\0" * 9])
def test_a_damaged_catalogue_leaves_english(tmp_path, text):
    path = tmp_path / "zh.po"
    path.write_bytes(text)
    assert language.words(path, language="zh")("PASS") == "PASS"


def test_every_marked_text_is_in_the_catalogue_and_has_the_same_gaps():
    entries = {e.msgid: e.msgstr for e in polib.pofile(str(language.COMMON), encoding="utf-8")}
    marked = {text for text, _ in runtime_texts.marked()}
    assert {"Verdict", "{points} of {of}"} < marked
    assert marked <= set(entries)
    gaps = re.compile(r"\{\w+\}")
    wrong = [t for t in marked if sorted(gaps.findall(t)) != sorted(gaps.findall(entries[t]))]
    assert wrong == []


def test_texts_without_chinese_are_listed(monkeypatch, tmp_path, capsys):
    catalogue = tmp_path / "zh.po"
    catalogue.write_text('msgid "one"\nmsgstr "一"\n\nmsgid "two"\nmsgstr ""\n', encoding="utf-8")
    monkeypatch.setattr(words, "catalogues", lambda: [catalogue])
    monkeypatch.setattr(docs, "PROJECT", tmp_path)
    assert docs.main(["--untranslated"]) == 1
    assert capsys.readouterr().out == "zh.po: two\n"


def test_a_bundle_has_the_chinese_of_public_checks_alone(monkeypatch, tmp_path):
    lab = library.open_lab("firewall")
    files = export.bundle(lab, "ada", b"0123456789abcdef")
    told = files["lab/firewall/zh.po"].decode()
    public, hidden = (p.read_text(encoding="utf-8") for p in sorted(lab.path.glob("*zh.po"))[::-1])
    assert told == public and "switch_decides_alone" not in told
    sentences = {c.name: c.sentence for c in lab.full.claims()}
    for name, check in lab.manifest.checks.items():
        chinese = language.translations(lab.path / "hidden.zh.po").get(sentences[name], "")
        assert bool(chinese) == check.hidden
        assert not chinese or (chinese in hidden.replace('"\n"', "") and chinese not in told)


def test_points_are_told_in_chinese(monkeypatch, tmp_path):
    monkeypatch.setenv(language.VARIABLE, "en")
    done = CliRunner().invoke(check_command, ["--lang", "zh", "--folder", str(tmp_path)])
    assert done.exit_code != 0  # there is no bundle; the choice was made before
    assert language.chosen() == "zh"


def test_a_page_in_another_language_is_written_again(monkeypatch, tmp_path):
    (tmp_path / pages.FEEDBACK).write_text('\n<!doctype html>\n<html lang="en">\n<p>points')
    monkeypatch.setenv(language.VARIABLE, "en")
    assert pages.is_written(tmp_path)
    monkeypatch.setenv(language.VARIABLE, "zh")
    assert not pages.is_written(tmp_path)
