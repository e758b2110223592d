"""Which claims show the course's statements.

``docs/coverage.toml`` has the statements, each under a key; the table ``[covers]`` of each
``experiment.toml`` has the claims that prove or refute them.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.author.experiment import experiment_files, load
from testbed.author.experiment_folder import ABOUT, about, handout
from testbed.core.errors import ParseError, nearest
from testbed.core.project import PROJECT

PLAN = PROJECT / "docs" / "coverage.toml"

Claims = dict[str, dict[str, tuple[str, ...]]]
"""Key of a statement → experiment → names of its claims."""


@dataclass(frozen=True)
class Statement:
    """A statement of the course.

    Attributes:
        section: its section of the course, with a title.
        key: its name in the experiments' tables.
        text: the statement.
        note: where it is loose.
        unshown: why no claim shows it.
    """

    section: str
    key: str
    text: str
    note: str = ""
    unshown: str = ""


def read(plan: Path = PLAN) -> list[Statement]:
    """All statements in order.

    Raises:
        ParseError: the file is not valid TOML, lacks a field or has a key twice.
    """
    try:
        sections = tomllib.loads(plan.read_text(encoding="utf-8"))["section"]
        found = [
            Statement(section["title"], key, **_fields(one))
            for section in sections
            for key, one in section["statements"].items()
        ]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ParseError(str(plan), "section", f"{error}") from error
    keys = [one.key for one in found]
    for key in keys:
        if keys.count(key) > 1:
            raise ParseError(str(plan), key, "this key is used twice")
    return found


def _fields(one: Any) -> dict[str, str]:
    return {"text": one} if isinstance(one, str) else one


def claims(statements: list[Statement], experiments: dict[str, Path] | None = None) -> Claims:
    """What the experiments cover.

    Args:
        statements: those of the course.
        experiments: name → folder; the project's own if left out.

    Raises:
        ParseError: an experiment names a statement or a claim that does not exist.
    """
    found: Claims = {one.key: {} for one in statements}
    for name, root in (experiments or experiment_files()).items():
        covers = about(root).covers
        known = [claim.name for claim in load(str(root)).claims()] if covers else []
        for key, shown in covers.items():
            place = (str(root / ABOUT), f"covers: {key}")
            if key not in found:
                raise ParseError(*place, f"no such statement in {PLAN.name}{nearest(key, found)}")
            for claim in shown:
                if claim not in known:
                    raise ParseError(*place, f"no claim '{claim}'{nearest(claim, known)}")
            found[key][name] = shown
    return found


def table(page: Path) -> str:
    """The statements as Markdown, one table per section; links are relative to the page."""
    statements = read()
    shown = claims(statements)
    lines: list[str] = []
    section = ""
    for one in statements:
        if one.section != section:
            section = one.section
            lines += ["", f"## {section}", "", "| statement | shown by |", "| --- | --- |"]
        links = list(_links(page, shown[one.key])) or [one.unshown or "open"]
        lines.append(f"| {one.text} | {'<br>'.join(filter(None, [*links, one.note]))} |")
    return "\n".join([*lines, "", *_beyond(page, shown)]) + "\n"


def _links(page: Path, shown: dict[str, tuple[str, ...]]) -> Iterator[str]:
    for name, found in shown.items():
        link = f"[{name}]({os.path.relpath(handout(experiment_files()[name]), page.parent)})"
        yield f"{link}: {', '.join(f'`{claim}`' for claim in found)}"


def _beyond(page: Path, shown: Claims) -> Iterator[str]:
    """The claims that belong to no statement, of the experiments that cover some."""
    left: dict[str, tuple[str, ...]] = {}
    for name in sorted({name for one in shown.values() for name in one}):
        used = {claim for one in shown.values() for claim in one.get(name, ())}
        left[name] = tuple(c.name for c in load(name).claims() if c.name not in used)
    if rows := list(_links(page, {name: rest for name, rest in left.items() if rest})):
        yield from ("## Claims beyond the course text", "", *(f"- {row}" for row in rows))
