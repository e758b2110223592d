"""Which claims show the course's statements: ``docs/coverage.toml`` as a table.

A test ensures that every claim of the experiments named there belongs to a statement.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testbed.author.experiment import experiment_files, load
from testbed.author.experiment_folder import handout
from testbed.core.errors import ConfigError, ParseError, nearest
from testbed.core.project import PROJECT

PLAN = PROJECT / "docs" / "coverage.toml"


@dataclass(frozen=True)
class Statement:
    """A statement of the course.

    Attributes:
        section: its section of the course, with a title.
        text: the statement.
        claims: (experiment, claim) that prove or refute it.
        note: why no claim does; empty where claims do.
    """

    section: str
    text: str
    claims: tuple[tuple[str, str], ...]
    note: str = ""


def read(plan: Path = PLAN) -> list[Statement]:
    """All statements in order.

    Raises:
        ParseError: the file is no TOML, or lacks a field.
        ConfigError: a claim is not there, or a statement has neither claims nor a note.
    """
    try:
        sections = tomllib.loads(plan.read_text(encoding="utf-8"))["section"]
        found = [
            Statement(
                s["title"], one["text"], tuple(_split(one.get("claims", ()))), one.get("note", "")
            )
            for s in sections
            for one in s["statement"]
        ]
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise ParseError(str(plan), "section", f"{error}") from error
    for one in found:
        _check(plan, one)
    return found


def _split(claims: list[str]) -> Iterator[tuple[str, str]]:
    for claim in claims:
        experiment, _, name = claim.partition(":")
        yield experiment, name


def _check(plan: Path, one: Statement) -> None:
    if bool(one.claims) == bool(one.note):
        raise ConfigError(f"{plan}: '{one.text}': claims or a note, one of them")
    for experiment, name in one.claims:
        there = [claim.name for claim in load(experiment).claims()]
        if name not in there:
            raise ConfigError(
                f"{plan}: '{one.text}': {experiment} has no claim '{name}'{nearest(name, there)}"
            )


def table(page: Path) -> str:
    """The statements as Markdown, a table a section; links are relative to the page."""
    lines: list[str] = []
    section = ""
    for one in read():
        if one.section != section:
            section = one.section
            lines += ["", f"## {section}", "", "| statement | shown by |", "| --- | --- |"]
        shown = one.note or "<br>".join(
            f"[{experiment}]({_handout(page, experiment)}): `{name}`"
            for experiment, name in one.claims
        )
        lines.append(f"| {one.text} | {shown} |")
    return "\n".join(lines) + "\n"


def _handout(page: Path, experiment: str) -> str:
    return os.path.relpath(handout(experiment_files()[experiment]), page.parent)
