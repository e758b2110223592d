"""The table of the course's statements and the claims that show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.author.experiment import load
from testbed.book import coverage
from testbed.core.errors import ConfigError, ParseError


def test_every_claim_stands_beside_a_statement() -> None:
    shown = {pair for one in coverage.read() for pair in one.claims}
    there = {
        (name, claim.name) for name in {name for name, _ in shown} for claim in load(name).claims()
    }
    assert shown == there


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ('{ text = "t", claims = ["arp:answer_is_cahced"] }', "did you mean 'answer_is_cached'"),
        ('{ text = "t" }', "claims or a note"),
        ('{ text = "t", note = "n", claims = ["arp:answer_is_cached"] }', "claims or a note"),
        ('{ text = "t", claims = ["arq:x"] }', "arq"),
    ],
)
def test_wrong_statements_are_named(tmp_path: Path, statement: str, message: str) -> None:
    plan = tmp_path / "coverage.toml"
    plan.write_text(f'[[section]]\ntitle = "s"\nstatement = [{statement}]\n')
    with pytest.raises(ConfigError, match=message):
        coverage.read(plan)


@pytest.mark.parametrize("text", ["[[section]]\n", "section = 3 4"])
def test_a_broken_file_is_told(tmp_path: Path, text: str) -> None:
    plan = tmp_path / "coverage.toml"
    plan.write_text(text)
    with pytest.raises(ParseError, match=r"coverage\.toml"):
        coverage.read(plan)
