"""A topology's docstring as Markdown: its drawing as code, its tables as tables."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from itertools import groupby, pairwise

_RULE = re.compile(r"=+( +=+)+")


def markdown(text: str) -> str:
    """Paragraphs as they are, what is indented as code, reStructuredText's tables as Markdown's."""
    blocks = [block for block in re.split(r"\n *\n", text) if block.strip() != "::"]
    parts = []
    for indented, group in groupby(blocks, lambda block: block.startswith(" ")):
        if indented:  # a drawing with an empty line in it is one drawing
            drawing = textwrap.dedent("\n\n".join(group)).rstrip()
            parts.append(f"```text\n{drawing}\n```")
        else:
            parts += map(_block, group)
    return "\n\n".join(parts)


def _block(block: str) -> str:
    lines = block.splitlines()
    if _RULE.fullmatch(lines[0]):
        return "\n".join(_table(lines))
    return _plain(block.replace("``", "`"))


def _table(lines: list[str]) -> Iterator[str]:
    """A simple table; a row without its first cell goes on with the row above."""
    starts = [match.start() for match in re.finditer("=+", lines[0])]
    spans = [slice(low, high) for low, high in pairwise([*starts, None])]
    rows: list[list[str]] = []
    for line in lines:
        if not _RULE.fullmatch(line):
            cells = [line[span].strip() for span in spans]
            if cells[0] or not rows:
                rows.append(cells)
            else:
                rows[-1] = [f"{a} {b}".strip() for a, b in zip(rows[-1], cells, strict=True)]
    for number, row in enumerate(rows):
        yield "| " + " | ".join(_plain(cell.replace("``", "`")) for cell in row) + " |"
        if number == 0:
            yield "| " + " | ".join("---" for _ in row) + " |"


def _plain(text: str) -> str:
    """`text` in which ``<i>`` is not HTML; code stays."""
    parts = text.split("`")
    return "`".join(p if n % 2 else p.replace("<", "&lt;") for n, p in enumerate(parts))
