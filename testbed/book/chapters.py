"""The book's order: chapters and sections of the course, and which experiments show them.

``docs/book.toml`` holds the order only; an experiment names its sections in its own folder. One
that names none stands under *Further experiments*.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

from testbed.author import experiment_folder
from testbed.author.experiment import experiment_files
from testbed.core.errors import ParseError, nearest
from testbed.core.project import PROJECT

PLAN = PROJECT / "docs" / "book.toml"
FURTHER = "Further experiments"


@dataclass(frozen=True)
class Section:
    """A section of the course.

    Attributes:
        number: the course's, e.g. ``9.4.2``; empty outside of the course.
        title: in English.
        experiments: those that are there; none: still to come.
    """

    number: str
    title: str
    experiments: tuple[str, ...]


@dataclass(frozen=True)
class Chapter:
    """A chapter of the book, with its sections in order."""

    number: str
    title: str
    sections: tuple[Section, ...]

    @property
    def experiments(self) -> list[str]:
        """All experiments of its sections, each once."""
        return list(dict.fromkeys(name for s in self.sections for name in s.experiments))


def read() -> list[Chapter]:
    """The chapters, with the experiments that exist today.

    Raises:
        ParseError: the plan is not valid TOML or lacks a field, or does not have an experiment's
                section.
    """
    try:
        with PLAN.open("rb") as file:
            plan = tomllib.load(file)["chapter"]
        outline = [
            (
                chapter.get("number", ""),
                chapter["title"],
                [(section.get("number", ""), section["title"]) for section in chapter["section"]],
            )
            for chapter in plan
        ]
    except tomllib.TOMLDecodeError as error:
        raise ParseError(str(PLAN), "text", str(error)) from None
    except KeyError as error:
        raise ParseError(str(PLAN), str(error.args[0]), "is missing") from None
    shown = _shown_by([title for _, _, sections in outline for _, title in sections])
    found = [
        Chapter(number, title, tuple(Section(n, t, shown[t]) for n, t in sections))
        for number, title, sections in outline
    ]
    placed = {name for chapter in found for name in chapter.experiments}
    if further := tuple(name for name in experiment_files() if name not in placed):
        found.append(Chapter("", FURTHER, (Section("", FURTHER, further),)))
    return found


def _shown_by(titles: list[str]) -> dict[str, tuple[str, ...]]:
    """Section → the experiments that name it."""
    shown: dict[str, tuple[str, ...]] = dict.fromkeys(titles, ())
    for name, root in experiment_files().items():
        for title in experiment_folder.about(root).sections:
            if title not in shown:
                place = str(root / experiment_folder.ABOUT)
                reason = f"no '{title}' in {PLAN.name}{nearest(title, titles)}"
                raise ParseError(place, "sections", reason)
            shown[title] = (*shown[title], name)
    return shown


def sections_of(name: str) -> list[Section]:
    """The sections that an experiment shows."""
    return [s for chapter in read() for s in chapter.sections if name in s.experiments]


def texts() -> Iterator[str]:
    """Titles, for the translators."""
    yield FURTHER
    for chapter in read():
        yield chapter.title
        for section in chapter.sections:
            yield section.title
