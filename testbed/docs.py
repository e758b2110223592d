"""Generated parts of the documentation: ``python -m testbed.docs`` rewrites them, in place.

A Markdown file marks such a part by two comments and anything between them::

    <!-- generated: experiments -->
    <!-- end -->

Words behind the name are for what makes it: ``<!-- generated: api testbed.author.actions -->``.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from testbed.author import experiment as experiments
from testbed.author import scenarios
from testbed.author.experiment_folder import handout
from testbed.book import coverage, reference, rooms, usage, words
from testbed.core.errors import ConfigError, TestbedError, nearest
from testbed.core.files import write_text
from testbed.core.project import PROJECT

_PART = re.compile(
    r"(?P<start><!-- generated: (?P<name>[a-z-]+)(?P<words>(?: [\w.*]+)*) -->\n)"
    r".*?(?P<end><!-- end -->)",
    re.S,
)


def experiments_table(page: Path) -> str:
    """A row for each experiment: how to run it, what it shows, its handout if there is one.

    Args:
        page: the Markdown file that holds the table; links are relative to it.
    """
    chinese = page.name.endswith(".zh.md")
    text = words.words("zh" if chinese else "en")
    heads = "| 实验 | 展示什么 |" if chinese else "| experiment | what it shows |"
    rows = [heads, "| --- | --- |"]
    for name, root in experiments.experiment_files().items():
        languages = ("zh", "en") if chinese else ("en",)
        found = [p for p in (handout(root, one) for one in languages) if p.is_file()]
        shown = f"[{name}]({os.path.relpath(found[0], page.parent)})" if found else name
        rows.append(f"| {shown} | {text(experiments.load(name).title())} |")
    return "\n".join(rows) + "\n"


def scenarios_table(page: Path) -> str:
    """A row for each scenario of the experiment whose folder the page is in: its own values."""
    heads = ("场景", "与参数的不同") if page.name.endswith(".zh.md") else ("scenario", "own values")
    rows = ["| " + " | ".join(heads) + " |", "| --- | --- |"]
    for name, values in scenarios.table(experiments.load(page.parent.name)).items():
        rows.append(f"| `{name}` | {values or '-'} |")
    return "\n".join(rows) + "\n"


PARTS: dict[str, Callable[..., str]] = {
    "experiments": experiments_table,
    "coverage": coverage.table,
    "scenarios": scenarios_table,
    "api": lambda _, *names: reference.api(*names),
    "commands": lambda _: usage.commands(),
    "rooms": lambda _: rooms.drawing(),
    "topologies": lambda _: usage.topologies_list(),
}
"""Name of a generated part → what makes its text from its page and the words after it."""


def pages() -> Iterator[Path]:
    """The project's Markdown files."""
    yield from sorted(PROJECT.glob("*.md"))
    yield from sorted((PROJECT / "docs").rglob("*.md"))
    yield from sorted((PROJECT / "experiments").glob("*/*.md"))


def generated(page: Path, text: str) -> str:
    """`text` with its generated parts regenerated.

    Raises:
        ConfigError: a part of this name is not known.
    """

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in PARTS:
            raise ConfigError(f"{page}: no generated part '{name}'{nearest(name, PARTS)}")
        made = PARTS[name](page, *match["words"].split())
        return match["start"] + made + match["end"]

    return _PART.sub(fill, text)


def stale() -> dict[Path, str]:
    """Pages whose generated parts are out of date, and catalogues → their text as it should be.

    Catalogues come last: the pages are written with the translations they have.
    """
    found = {}
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (fresh := generated(page, text)) != text:
            found[page] = fresh
    for path, fresh in words.fresh_catalogues().items():
        if not path.is_file() or fresh != path.read_text(encoding="utf-8"):
            found[path] = fresh
    return found


def main(arguments: list[str]) -> int:
    """Rewrites stale pages; with ``--check`` only names them and returns 1 if there are any.

    With ``--untranslated`` lists the texts that have no Chinese, and returns 1 if there are any.
    """
    if arguments not in ([], ["--check"], ["--untranslated"]):
        sys.stderr.write(f"{inspect.getdoc(main)}\n")
        return 2
    if arguments == ["--untranslated"]:
        lines = [f"{path.relative_to(PROJECT)}: {text}\n" for path, text in words.untranslated()]
        sys.stdout.writelines(lines)
        return 1 if lines else 0
    found = stale()
    for page, text in found.items():
        if arguments:
            sys.stderr.write(
                f"{os.path.relpath(page, PROJECT)}: stale; run python -m testbed.docs\n"
            )
        else:
            write_text(page, text)
            sys.stdout.write(f"{os.path.relpath(page, PROJECT)}\n")
    return 1 if arguments and found else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except TestbedError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
