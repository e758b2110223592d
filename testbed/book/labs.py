"""The labs' handouts, each with the values of one example student."""

from __future__ import annotations

from testbed.book import phrases
from testbed.core.language import Words
from testbed.grading import library
from testbed.grading.result import points_text

_EXAMPLE = b"the example of the book"
"""Stands for a course's secret: everybody may know this variant."""


def page(name: str, language: str = "") -> str:
    """A lab's handout, in a language if it is translated to that."""
    lab = library.open_lab(name)
    return lab.handout(lab.variant("example", _EXAMPLE), language=language)


def translated(language: str) -> dict[str, str]:
    """The handouts that exist in a language, by the lab's name."""
    found = [n for n in library.names() if language in library.open_lab(n).languages()]
    return {name: page(name, language) for name in found}


def contents(words: Words) -> str:
    """All labs, with what is handed in and their points."""
    heads = (phrases.LAB, phrases.HANDED_IN, phrases.POINTS)
    lines = [
        f"# {words(phrases.LABS)}",
        "",
        words(phrases.LABS_INTRODUCTION),
        "",
        "| " + " | ".join(words(head) for head in heads) + " |",
        "| --- | --- | --- |",
    ]
    for name in library.names():
        found = library.open_lab(name).manifest
        files = ", ".join(f"`{file}`" for file in found.files)
        lines.append(
            f"| [{words(found.title)}]({name}.md) | {files} | {points_text(found.points)} |"
        )
    return "\n".join(lines) + "\n"
