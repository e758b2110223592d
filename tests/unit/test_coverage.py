"""The table of the course's statements and the claims that show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.author.experiment import experiment_files
from testbed.book import coverage
from testbed.core.errors import ParseError

SECTION = '[[section]]\ntitle = "s"\n[section.statements]\n'


def test_the_page_shows_open_and_covered_statements_and_what_goes_beyond() -> None:
    page = coverage.table(coverage.PLAN.with_suffix(".md"))
    assert "[arp](../experiments/arp/handout.md): `answer_is_cached`" in page
    statements = coverage.read()
    shown = coverage.claims(statements)
    opened = [one for one in statements if not shown[one.key] and not one.unshown]
    assert page.count("| open") == len(opened)


def covering(tmp_path: Path, covers: str) -> dict[str, Path]:
    """A copy of an experiment that covers something else."""
    root = experiment_files()["arp"]
    folder = tmp_path / "arp"
    folder.mkdir()
    for file in root.glob("*.py"):
        (folder / file.name).write_text(file.read_text())
    (folder / "experiment.toml").write_text(f"[covers]\n{covers}\n")
    return {"arp": folder}


@pytest.mark.parametrize(
    ("covers", "message"),
    [
        ('k = ["answer_is_cahced"]', r"experiment\.toml: covers: k: no claim .* \(did"),
        ('kk = ["answer_is_cached"]', r"covers: kk: no such statement in coverage\.toml \(did you"),
        ('k = "answer_is_cached"', "covers: k: must be a list"),
    ],
)
def test_wrong_names_are_refused(tmp_path: Path, covers: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        coverage.claims([coverage.Statement("s", "k", "t")], covering(tmp_path, covers))


@pytest.mark.parametrize(
    "text",
    ["[[section]]\n", "section = 3 4", f"{SECTION}k = 3\n", f'{SECTION}k = {{ txet = "t" }}\n'],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    plan = tmp_path / "coverage.toml"
    plan.write_text(text)
    with pytest.raises(ParseError, match=r"coverage\.toml"):
        coverage.read(plan)


def test_a_key_is_used_once(tmp_path: Path) -> None:
    plan = tmp_path / "coverage.toml"
    plan.write_text(f'{SECTION}k = "t"\n{SECTION}k = "u"\n')
    with pytest.raises(ParseError, match=r"coverage\.toml: k: this key is used twice"):
        coverage.read(plan)
