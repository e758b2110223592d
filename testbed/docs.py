"""Generated parts of the documentation: ``python -m testbed.docs`` rewrites them, in place.

A Markdown file marks such a part by two comments and anything between them::

    <!-- generated: experiments -->
    <!-- end -->
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from testbed import experiment as experiments
from testbed.errors import ConfigError, nearest

PROJECT = experiments.PROJECT
_PART = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.S)


def experiments_table(page: Path) -> str:
    """A row for each experiment: how to run it, what it shows, its handout if there is one.

    Args:
        page: the Markdown file that holds the table; links are relative to it.
    """
    rows = ["| experiment | what it shows |", "| --- | --- |"]
    for name in experiments.experiment_files():
        handout = PROJECT / "docs" / "experiments" / f"{name}.md"
        link = os.path.relpath(handout, page.parent)
        shown = f"[{name}]({link})" if handout.is_file() else name
        rows.append(f"| {shown} | {experiments.load(name).title()} |")
    return "\n".join(rows) + "\n"


PARTS: dict[str, Callable[[Path], str]] = {"experiments": experiments_table}
"""Name of a generated part → what makes its text, given the page it stands in."""


def pages() -> Iterator[Path]:
    """The project's Markdown files."""
    yield from sorted(PROJECT.glob("*.md"))
    yield from sorted((PROJECT / "docs").rglob("*.md"))


def generated(page: Path, text: str) -> str:
    """`text` with its generated parts made anew.

    Raises:
        ConfigError: a part of this name is not known.
    """

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in PARTS:
            raise ConfigError(f"{page}: no generated part '{name}'{nearest(name, PARTS)}")
        return match[1] + PARTS[name](page) + match[3]

    return _PART.sub(fill, text)


def stale() -> dict[Path, str]:
    """Pages whose generated parts are out of date → their text as it should be."""
    found = {}
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (fresh := generated(page, text)) != text:
            found[page] = fresh
    return found


def main(arguments: list[str]) -> int:
    """Rewrites stale pages; with ``--check`` only names them and returns 1 if there are any."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write(f"{inspect.getdoc(main)}\n")
        return 2
    found = stale()
    for page, text in found.items():
        if arguments:
            sys.stderr.write(f"{page.relative_to(PROJECT)}: stale; run python -m testbed.docs\n")
        else:
            page.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{page.relative_to(PROJECT)}\n")
    return 1 if arguments and found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
