"""The book's order: chapters and sections of the course, and which experiments show them.

``docs/book.toml`` holds the order only. A new experiment need not be in it: it stands under
*Further experiments* until it finds its section.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

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
        ParseError: the plan is no TOML, lacks a field, or names an experiment that is not there.
    """
    there = experiment_files()
    found = []
    try:
        with PLAN.open("rb") as file:
            plan = tomllib.load(file)
        for chapter in plan["chapter"]:
            sections = tuple(
                Section(s.get("number", ""), s["title"], _known(s.get("experiments", ()), there))
                for s in chapter["section"]
            )
            found.append(Chapter(chapter.get("number", ""), chapter["title"], sections))
    except tomllib.TOMLDecodeError as error:
        raise ParseError(str(PLAN), "text", str(error)) from None
    except KeyError as error:
        raise ParseError(str(PLAN), str(error.args[0]), "is missing") from None
    placed = {name for chapter in found for name in chapter.experiments}
    if further := tuple(name for name in there if name not in placed):
        found.append(Chapter("", FURTHER, (Section("", FURTHER, further),)))
    return found


def _known(names: Iterable[str], there: Collection[str]) -> tuple[str, ...]:
    for name in names:
        if name not in there:
            raise ParseError(str(PLAN), "experiments", f"no '{name}'{nearest(name, there)}")
    return tuple(names)


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
